"""Logs on stderr: readable on a terminal, JSON lines elsewhere.

Owns structlog's set-up, also for what libraries log through the standard library. Called by commands, never at import.
structlog is imported late, and rich behind it: that takes longer than a command that only looks takes to run.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


def configure(level: str) -> None:
    """Send everything at or above `level` to stderr. Data never goes there, logs never to stdout."""
    import structlog

    configure_libraries(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def configure_libraries(level: str) -> None:
    """As `configure`, for a command in which only libraries log: nothing but trouble, and through the standard library.

    A module that logs by structlog must not run under it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LateFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries speak up when something is wrong; what they do otherwise is told by our own events.
    for library in ("nats", "alembic", "sqlalchemy", "uvicorn"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


class _LateFormatter(logging.Formatter):
    """Formats by structlog, which is imported when there is something to format."""

    @cached_property
    def _formatter(self) -> logging.Formatter:
        from structlog.stdlib import ProcessorFormatter

        return ProcessorFormatter(foreign_pre_chain=_shared(), processors=_rendering(sys.stderr.isatty()))

    def format(self, record: logging.LogRecord) -> str:
        return self._formatter.format(record)


def _shared() -> list[Processor]:
    """What our own events and those of libraries go through alike."""
    import structlog

    return [
        structlog.contextvars.merge_contextvars,
        _of_the_command,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering(readable: bool) -> list[Processor]:
    import structlog

    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
        if readable
        else structlog.processors.JSONRenderer()
    )
    first: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    return [*first, last] if readable else [*first, structlog.processors.format_exc_info, last]


def _of_the_command(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a handler, or what it calls, logs: of which saga, step and trace it is. What the line itself says stays."""
    from saga_engine.handling import about, handled

    command = handled.get()
    return event if command is None else {**about(command), **event}
