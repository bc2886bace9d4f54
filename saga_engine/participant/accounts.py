"""What is told of each delivery to whoever watches: counts and times for metrics, and its span where there is a trace.

Knows no transport, and changes nothing of what becomes of a delivery.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.immutable import replace
from saga_engine.participant.answers import Answered, Dead, Disposition, Dropped, PutBack
from saga_engine.participant.counters import WorkCounters
from saga_engine.ports import Clock

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from saga_engine.tracing import Tracing

UNKNOWN: Final = "unknown"
"""Stands for every command that has no handler here: who sends them must not make us count them by name."""

_UNTRACED: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Account:
    """A delivery that was taken, at `since` microseconds. `command` carries the trace context of its span."""

    command: Command
    since: int
    span: Span | None = None


class Accounts:
    """Opens and closes the account of each delivery. `knows`: whether there is a handler of that name."""

    def __init__(
        self, counters: WorkCounters, knows: Callable[[str], bool], clock: Clock, tracing: Tracing | None
    ) -> None:
        self.counters = counters
        self._knows = knows
        self._clock = clock
        self._tracing = tracing

    def open(self, command: Command, now: int) -> Account:
        """What is done and answered from here on hangs on the span of this delivery, if it has one."""
        if self._tracing is None or command.traceparent is None:
            return Account(command, now)
        span = self._tracing.handling(command)
        return Account(replace(command, traceparent=self._tracing.context_of(span)), now, span)

    def within(self, account: Account) -> AbstractContextManager[None]:
        """While this lasts, spans that a handler makes hang on that of its delivery."""
        return _UNTRACED if self._tracing is None else self._tracing.within(account.command.traceparent)

    def close(self, account: Account, disposition: Disposition) -> None:
        """It has come to an end."""
        result, fault = _told(disposition)
        name = account.command.command
        self.counters.conclude(name if self._knows(name) else UNKNOWN, result, self._clock.now() - account.since)
        if self._tracing is not None and account.span is not None:
            self._tracing.end(account.span, result, fault)


def _told(disposition: Disposition) -> tuple[str, str | None]:
    """What came of it and what was wrong, without anything that a payload or a database's error may hold."""
    match disposition:
        case Answered(answer):
            return answer.outcome.value, answer.code if answer.outcome is Outcome.FAILED else None
        case Dead(reason, _):
            return "dead", reason
        case Dropped(reason):
            return "dropped", reason
        case PutBack(reason):
            return "put_back", reason.partition(": ")[0]
