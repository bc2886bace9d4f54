"""How inputs are split over turns and commits, and who commits them, changes nothing about what follows from them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.codec import decode_event
from saga_engine.core.decider import Decided
from saga_engine.core.events import Event
from saga_engine.core.evolve import fold
from saga_engine.core.inputs import Input, Start
from saga_engine.core.outgoing import Outgoing, PublishEvent
from saga_engine.core.state import SagaState
from saga_engine.definition.canonical import definition_hash
from saga_engine.definition.model import Definition
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.starting import register
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.ports.store import WHOLE, NewStream
from tests.property.courses import SAGA_ID, Cut, play, tapes
from tests.property.definitions import definitions

often = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Desk:
    """Several transactors on one store, each with a cache of its own that the others make stale."""

    def __init__(self, definition: Definition, now: int, members: int) -> None:
        self.now = now
        self.store = MemoryEventStore(lambda: self.now)
        assert register(self.store, [definition]) == []
        self.hash = definition_hash(definition)
        self.new = NewStream(definition.saga, "key", 1, "input", 1, self.hash)
        self.members = [
            Transactor(self.store, Plans(self.store), StateCache(4), lambda: self.now) for _ in range(members)
        ]

    def take(self, member: int, inputs: Sequence[Input]) -> Turned:
        new = self.new if isinstance(inputs[0], Start) else None
        turned = finish(self.members[member].transact([Turn(SAGA_ID, inputs, new=new)]))[0]
        assert turned.trouble == ""
        return turned

    @property
    def stream(self) -> list[Event]:
        return [decode_event(record) for record in self.store.load({SAGA_ID: WHOLE})[SAGA_ID].events]


@often
@given(definitions(), tapes, st.integers(0, 2**32), st.integers(1, 3))
def test_inputs_may_be_split_over_turns_and_orchestrators(
    definition: Definition, tape: list[Cut], seed: int, members: int
) -> None:
    course, chance = play(definition, tape), random.Random(seed)
    desk = Desk(definition, course.inputs[0].at, members)
    rest = list(course.inputs)
    answers = []
    while rest:
        size = chance.randint(1, 4)
        batch, rest = rest[:size], rest[size:]
        desk.now = batch[-1].at
        answers += [type(answer) for answer in desk.take(chance.randrange(members), batch).answers]
    assert desk.stream == course.events
    assert answers == [type(decision) for decision in course.decisions]


@often
@given(definitions(), tapes)
def test_everything_that_goes_out_is_found_again_in_the_stream_after_a_crash(
    definition: Definition, tape: list[Cut]
) -> None:
    course = play(definition, tape)
    desk = Desk(definition, course.inputs[0].at, 2)
    last: Turned | None = None
    for each in course.inputs:
        desk.now = each.at
        last = desk.take(0, [each])
    assert last is not None
    crashed = finish(desk.members[1].transact([Turn(SAGA_ID)]))[0]
    assert list(crashed.unsent) == list(last.unsent)
    assert crashed.state == course.state == fold(SagaState(SAGA_ID), desk.stream)
    events = [sent for decision in course.decisions if isinstance(decision, Decided) for sent in decision.outgoing]
    assert _published(crashed.unsent) == _published(events), (
        "nothing was acknowledged, so all of it is still to be sent"
    )
    head = desk.store.heads([SAGA_ID])[SAGA_ID]
    assert all(sent.version > head.published for sent in crashed.unsent)


def _published(sent: Sequence[Outgoing]) -> list[Outgoing]:
    return [each for each in sent if isinstance(each, PublishEvent)]
