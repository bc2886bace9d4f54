"""A turn, which is what is done for one saga in one commit, and what it led to.

Owns the shapes between the agenda, the transactor and the relay. They are made by the thousand each second, so that
they are plain slotted objects, and nothing that could be computed once for a batch is in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from saga_engine.core.decider import Decision
from saga_engine.core.inputs import Input
from saga_engine.core.outgoing import Outgoing
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.core.timing import OpenCommand
from saga_engine.ports.store import KeyTaken, LoadedStream, NewStream
from saga_engine.trace_context import trace_id


@dataclass(slots=True, eq=False)
class Turn:
    """Inputs for one saga, in order; none at all just looks what is still to be sent.

    `seen`: a version that somebody read in the store; an older cached state is stale. `due_since`: the saga was found
    due, and was to be looked at from that time on: what should have been asked again since then is. `ask_again`: ask
    again for everything open. `new` begins the stream. `looked_after`: this process owns the saga's partition; else the
    saga is made due at once, so that its owner looks. `loaded`: the stream, as it was read for this turn.
    """

    saga_id: UUID
    inputs: Sequence[Input] = ()
    seen: int = 0
    due_since: int | None = None
    ask_again: bool = False
    new: NewStream | None = None
    looked_after: bool = True
    loaded: LoadedStream | None = None


@dataclass(slots=True, eq=False)
class Turned:
    """What a turn led to. `answers` stand beside its inputs.

    `late`: it has passed its `sla` since it was looked at last.
    `unsent` is everything that is not acknowledged yet, `again` the commands to ask again. `taken` is set when a start
    lost its key. `missing`: there is no such saga. `trouble`: it could not be read or decided, and nothing was written;
    or it was, and what it sends cannot be made. `overtaken`: that trouble is only that others were quicker each time.
    `cause` is the exception behind it where that is a defect or corruption, which somebody has to look into.
    """

    saga_id: UUID
    answers: Sequence[Decision] = ()
    plan: Plan | None = None
    state: SagaState | None = None
    unsent: Sequence[Outgoing] = ()
    again: Sequence[OpenCommand] = ()
    committed: bool = False
    late: bool = False
    next_due: int | None = None
    taken: KeyTaken | None = None
    missing: bool = False
    trouble: str = ""
    overtaken: bool = False
    cause: Exception | None = None


def traced(state: SagaState) -> Mapping[str, str]:
    """What a log line about a saga says of its trace, if it has one."""
    trace = trace_id(state.traceparent)
    return {} if trace is None else {"trace_id": trace}
