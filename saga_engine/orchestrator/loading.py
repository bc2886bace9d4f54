"""From stored records to a saga that can be decided on: fold, plan, and what is still to be sent.

Decides nothing and writes nothing; a stream that this release cannot read is a value, so that other sagas go on.
"""

from __future__ import annotations

from saga_engine.codec import UnknownEventError, decode_event, decode_state
from saga_engine.core.events import Direction, Suspended
from saga_engine.core.evolve import evolve
from saga_engine.core.outgoing import AskAgain, Outgoing, PublishEvent, outgoing
from saga_engine.core.state import Phase, SagaState, StepStatus, UndoStatus, address
from saga_engine.orchestrator.cache import Cached
from saga_engine.orchestrator.plans import Plans
from saga_engine.ports import WHOLE, EventStore, LoadedStream


def revive(loaded: LoadedStream, plans: Plans, store: EventStore) -> Cached:
    """Fold a stream and find what it sends out beyond its published cursor.

    A snapshot that cannot be read (a newer release wrote it, and was rolled back) is done without: the stream is read
    again, whole.

    Raises:
        UnknownEventError: a newer release wrote to the stream.
        DefinitionMissingError: its definition is not in the store.
        StoreUnavailableError: it had to be read again, and could not.
    """
    head = loaded.head
    plan = plans.get(head.definition_hash)
    state = SagaState(head.stream_id)
    if loaded.snapshot is not None:
        try:
            state = decode_state(loaded.snapshot.data, state)
        except UnknownEventError:
            return revive(store.load({head.stream_id: WHOLE})[head.stream_id], plans, store)
    unsent: list[Outgoing] = []
    for record in loaded.events:
        event = decode_event(record)
        state = evolve(state, event)
        if record.version > head.published:
            sent = outgoing(plan, state, event)
            if sent is not None:
                unsent.append(sent)
        if isinstance(event, Suspended):
            # What was held back then is asked by the resume, not sent besides.
            unsent = [sent for sent in unsent if still_wanted(state, sent)]
    return Cached(plan, state, tuple(sent for sent in unsent if still_wanted(state, sent)), head.published)


def still_wanted(state: SagaState, sent: Outgoing) -> bool:
    """Whether something unsent is still to be sent: events always, a command while its answer is waited for.

    A suspended saga sends no command; what resumes it asks again for everything open.
    """
    if isinstance(sent, PublishEvent):
        return True
    if state.suspended or state.ended_as is not None:
        return False
    if isinstance(sent, AskAgain):
        return True
    step = state.steps[address(sent.step, sent.item)]
    if sent.direction is Direction.COMPENSATE:
        return step.undo is UndoStatus.ISSUED and step.backward is not None and step.backward.attempt == sent.attempt
    issued = step.status is StepStatus.ISSUED and step.forward is not None and step.forward.attempt == sent.attempt
    return issued and state.phase is Phase.FORWARD
