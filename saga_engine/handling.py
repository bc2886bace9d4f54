"""Which command the code that runs right now works on, so that what it logs can say so.

Owns one context variable. Cheap to set for every command; nothing is made of it unless somebody logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from saga_engine.envelope import Command
from saga_engine.trace_context import trace_id

handled: Final[ContextVar[Command | None]] = ContextVar("saga_engine_handled", default=None)


def about(command: Command) -> Mapping[str, str | int]:
    """What a log line about a command says of it."""
    address = command.address
    named: dict[str, str | int | None] = {
        "saga": command.saga,
        "saga_id": str(address.saga_id),
        "step": address.step,
        "item": address.item,
        "direction": address.direction.value,
        "attempt": command.attempt,
        "trace_id": trace_id(command.traceparent),
    }
    return {name: value for name, value in named.items() if value is not None}
