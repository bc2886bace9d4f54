"""Logs on stderr: readable on a terminal, JSON lines elsewhere.

Owns structlog's set-up, also for what libraries log through the standard library. Called by commands, never at import.
"""

from __future__ import annotations

import logging
import os
import sys

import structlog
from structlog.typing import Processor


def configure(level: str) -> None:
    """Send everything at or above `level` to stderr. Data never goes there, logs never to stdout."""
    readable = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(readable)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries speak up when something is wrong; what they do otherwise is told by our own events.
    for library in ("nats", "alembic", "sqlalchemy"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def _rendering(readable: bool) -> list[Processor]:
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
        if readable
        else structlog.processors.JSONRenderer()
    )
    first: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    return [*first, last] if readable else [*first, structlog.processors.format_exc_info, last]
