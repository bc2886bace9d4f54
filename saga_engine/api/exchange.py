"""One request and its answer, as it comes to be known: for its span, its count and what the log says of it.

Owns what is kept of a request while it is answered. Knows no operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.types import Scope
from structlog.contextvars import bind_contextvars

from saga_engine.api.counters import ApiCounters
from saga_engine.trace_context import trace_id

_KEY: Final = "exchange"


@dataclass(slots=True)
class Exchange:
    """`operation` and `path` None: nothing that there is was asked for. `status` None: there is no answer yet.

    `traceparent`: what goes on from here hangs on it, the request's own span or else the caller's. `caller`: the name
    of the token that was brought.
    """

    method: str
    counters: ApiCounters
    operation: str | None = None
    path: str | None = None
    status: int | None = None
    caller: str | None = None
    admitted: bool = False
    traceparent: str | None = None
    saga_id: UUID | None = None

    def admit(self, caller: str | None) -> None:
        """Whoever asks may: `caller` by which token, None without one."""
        self.admitted, self.caller = True, caller
        if caller is not None:
            bind_contextvars(caller=caller)

    def asks(self, operation: str, path: str) -> None:
        """What is asked for is this operation."""
        self.operation, self.path = operation, path
        bind_contextvars(operation=operation)

    def goes_on_from(self, traceparent: str | None) -> None:
        """What is done for this request is part of this trace."""
        self.traceparent = traceparent
        if (found := trace_id(traceparent)) is not None:
            bind_contextvars(trace_id=found)

    def concerns(self, saga_id: UUID) -> None:
        """The request is about this saga."""
        self.saga_id = saga_id
        bind_contextvars(saga_id=str(saga_id))


def exchange_of(scope: Scope) -> Exchange:
    """That of a request, which `keep` has put there."""
    exchange = scope["state"][_KEY]
    assert isinstance(exchange, Exchange)
    return exchange


def keep(scope: Scope, exchange: Exchange) -> None:
    """Let everything that answers the request find it."""
    scope.setdefault("state", {})[_KEY] = exchange
