"""What is told of each delivery to whoever watches: counts and times for metrics, and its span where there is a trace.

Knows no transport, and changes nothing of what becomes of a delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from saga_engine.envelope import Command
from saga_engine.immutable import dataclass, replace
from saga_engine.participant.counters import WorkCounters
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from saga_engine.tracing import Tracing

UNKNOWN: Final = "unknown"
"""Stands for every command that has no handler here: who sends them must not make us count them by name."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run; its key is held while it runs. `since`: when it was taken, in microseconds.

    With a `span`, the command carries that span's trace context, so that what is done and answered hangs on it.
    """

    delivery: Delivery
    command: Command
    key: str
    since: int
    span: Span | None = None


class Accounts:
    """Opens and closes the account of each delivery."""

    def __init__(self, counters: WorkCounters, clock: Clock, tracing: Tracing | None) -> None:
        self.counters = counters
        self.tracing = tracing
        self._now = clock.now

    def open(self, delivery: Delivery, command: Command, key: str, now: int) -> Job:
        """A command was taken, and will run."""
        if self.tracing is None or command.traceparent is None:
            return Job(delivery, command, key, now)
        span = self.tracing.handling(command)
        return Job(delivery, replace(command, traceparent=self.tracing.context_of(span)), key, now, span)

    def close(self, job: Job, command: str, result: str, fault: str | None = None) -> None:
        """It has come to an end: what came of it and what was wrong, with nothing that a payload may hold."""
        self.counters.conclude(command, result, self._now() - job.since)
        if job.span is not None and self.tracing is not None:
            self.tracing.end(job.span, result, fault)
