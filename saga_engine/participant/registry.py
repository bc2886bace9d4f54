"""Where handlers register: `Participant("order")` and its decorator, and the merge of all that bear one name.

Knows nothing of how commands arrive or where the inbox is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, overload

from saga_engine.errors import UsageError
from saga_engine.participant.context import CODE
from saga_engine.participant.signature import Handler, read_handler

F = TypeVar("F", bound=Callable[..., object])


class Participant:
    """A service that executes commands. Several may bear one name (in `participants/` and `compensations/`).

    A plain `def` handler has `ctx.db` and runs at most once in effect, fenced by the inbox in the same transaction. An
    `async def` handler has no database and runs at least once: it passes `ctx.idempotency_key` on.
    """

    def __init__(self, name: str) -> None:
        if not CODE.fullmatch(name):
            raise UsageError(f"the participant name {name!r} must match {CODE.pattern}, for example order")
        self.name = name
        self._handlers: dict[str, Handler] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return self._handlers

    @overload
    def command(self, function: F, /) -> F: ...

    @overload
    def command(self, name: str | None = None, /, *, batch: bool = False) -> Callable[[F], F]: ...

    def command(self, function: F | str | None = None, /, *, batch: bool = False) -> F | Callable[[F], F]:
        """Register a handler, under its function's name or, as `@order.command("name")`, another one.

        `batch=True`: commands of it that arrive together share one transaction, one after the other, a savepoint each,
        so that one that fails leaves the others as they are. For a plain def that uses nothing but `ctx.db` and
        `ctx.write`: whatever else it does is done again when the transaction is, and its neighbours wait for it.

        UsageError for a function of the wrong form and for a command that has a handler already.
        """
        if function is None or isinstance(function, str):
            name = function
            return lambda named: self._register(named, name, batch)
        return self._register(function, None, batch)

    def _register(self, function: F, name: str | None, batch: bool) -> F:
        _add(self._handlers, self.name, read_handler(function, name, batch))
        return function


@dataclass(frozen=True, slots=True)
class MergedParticipant:
    """All handlers of one participant, by command."""

    name: str
    handlers: Mapping[str, Handler]

    @property
    def fenced(self) -> tuple[Handler, ...]:
        """The handlers that need the participant's database."""
        return tuple(handler for handler in self.handlers.values() if handler.fenced)

    @property
    def batching(self) -> bool:
        """Whether some handlers share transactions."""
        return any(handler.batch for handler in self.handlers.values())

    @property
    def mixed(self) -> bool:
        """Whether some handlers are fenced and some are not: the inbox then does not know of every effect."""
        return 0 < len(self.fenced) < len(self.handlers)


def merge(participants: Iterable[Participant]) -> Mapping[str, MergedParticipant]:
    """The participants by name. UsageError, naming both places, for two handlers of one command."""
    merged: dict[str, dict[str, Handler]] = {}
    for participant in participants:
        handlers = merged.setdefault(participant.name, {})
        for handler in participant.handlers.values():
            _add(handlers, participant.name, handler)
    return {name: MergedParticipant(name, handlers) for name, handlers in merged.items()}


def _add(handlers: dict[str, Handler], participant: str, handler: Handler) -> None:
    known = handlers.setdefault(handler.command, handler)
    if known is not handler:
        what = f"{participant}.{handler.command} has two handlers"
        raise UsageError(f"{what}: {known.place} and {handler.place}; rename one or remove it")
