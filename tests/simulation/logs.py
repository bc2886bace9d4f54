"""What the engine logs as an error while it is simulated: with an exception behind it, it is a defect of ours.

Owns the configuration of the logs during a run.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import structlog

from tests.simulation.processes import ProcessKilledError


@contextmanager
def defects_in_logs(defects: list[str]) -> Iterator[None]:
    """Put errors that were logged with an exception among the defects; log nothing else."""

    def keep(_logger: object, method: str, entry: MutableMapping[str, object]) -> MutableMapping[str, object]:
        cause = entry.get("exc_info")
        killed = isinstance(cause, ProcessKilledError)
        if not killed and (method == "exception" or isinstance(cause, BaseException)):
            shown = cause if isinstance(cause, BaseException) else None
            trail = "".join(traceback.format_exception(shown)) if shown is not None else traceback.format_exc()
            defects.append(f"{entry.get('event')}: {trail}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
