"""What goes out: in order, with send numbers that are new and bodies that are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command, Message, partition_of
from saga_engine.orchestrator.relay import Relay
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.wire.commands import message_to_command
from tests.unit.core.sagas import saga
from tests.unit.orchestrator.support import BEGIN, SECOND, Office, state_of, turn, turns

TOKENS = Tokens({"1": b"secret"})


class Wire(MemoryTransport):
    """Keeps what was published, and acknowledges all but what a test names."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.messages: list[Message] = []
        self.lost: set[str] = set()

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        self.messages += messages
        return [message.subject not in self.lost for message in messages]

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.messages]

    def asked(self) -> list[Command]:
        read = [message_to_command(m) for m in self.messages if m.subject.startswith("saga.command.")]
        assert all(isinstance(command, Command) for command in read)
        return [command for command in read if isinstance(command, Command)]


@pytest.fixture
async def wire() -> Wire:
    return Wire()


def relay(office: Office, wire: Wire) -> Relay:
    return Relay(wire, TOKENS, office.clock.now)


def looked(transactor: Transactor, office: Office, turned: Turned, after: int) -> Turned:
    """The saga as it is found due after so many seconds."""
    since = office.clock.time
    office.clock.time += after * SECOND
    return turns(transactor, Turn(turned.saga_id, (office.due(),), due_since=since))[0]


async def test_commands_and_events_go_out_in_the_order_of_the_stream(wire: Wire) -> None:
    office = Office()
    saga_id, transactor = office.start(), office.transactor()
    done = turn(transactor, saga_id, office.reply("one"))
    sent = await relay(office, wire).send([done])
    assert wire.subjects == ["saga.event.trip.OneDone", "saga.command.q.two"]
    assert (sent.complete, sent.failed) == ([(saga_id, 4)], [])
    assert (sent.commands, sent.again) == (1, 0)
    assert wire.messages[0].message_id == f"{saga_id}/3"


async def test_a_command_carries_all_that_its_participant_must_return_or_obey(wire: Wire) -> None:
    office = Office()
    saga_id = office.start()
    office.clock.time += 3 * SECOND
    await relay(office, wire).send([turn(office.transactor(), saga_id)])
    command = wire.asked()[0]
    assert command.key == f"{saga_id}/one/forward"
    assert wire.messages[0].message_id == command.message_id == f"{saga_id}/one/forward/1/1"
    assert (command.participant, command.command, command.payload) == ("p", "one", {"n": 1})
    assert (command.attempt, command.send, command.partition) == (1, 1, partition_of(saga_id))
    assert command.issued_at == BEGIN
    assert command.deadline == office.clock.now() + 30 * SECOND
    assert not command.must_succeed
    assert TOKENS.fault(command.token, command.key, "p") is None


async def test_all_sends_of_a_command_have_one_key_and_body_and_each_a_message_id_of_its_own(wire: Wire) -> None:
    office = Office()
    saga_id, transactor = office.start(), office.transactor()
    sender, found = relay(office, wire), turn(transactor, saga_id)
    for after in (0, 30, 60, 120):
        found = looked(transactor, office, found, after)
        await sender.send([found])
        transactor.upkeep.acknowledged(saga_id, 2)
    commands = wire.asked()
    assert len(commands) == 4
    assert len({message.message_id for message in wire.messages}) == 4
    assert len({message.body for message in wire.messages}) == 1
    assert {command.key for command in commands} == {f"{saga_id}/one/forward"}
    assert {command.attempt for command in commands} == {1}
    sends = [command.send for command in commands]
    assert sends[0] == 1
    assert sends == sorted(set(sends)), "send numbers go up"
    deadlines = [command.deadline for command in commands]
    assert deadlines == sorted(set(deadlines))


async def test_the_first_send_that_was_not_acknowledged_is_repeated_as_itself(wire: Wire) -> None:
    office = Office()
    saga_id, transactor = office.start(), office.transactor()
    sender = relay(office, wire)
    wire.lost.add("saga.command.p.one")
    sent = await sender.send([turn(transactor, saga_id)])
    assert (sent.complete, sent.failed) == ([], [saga_id])
    wire.lost.clear()
    sent = await sender.send([turn(transactor, saga_id)])
    assert sent.complete == [(saga_id, 2)]
    assert wire.messages[0].message_id == wire.messages[1].message_id, "the broker may drop the second"


async def test_a_saga_is_complete_only_when_all_it_had_to_send_was_acknowledged(wire: Wire) -> None:
    office = Office()
    first, second = office.start(key="a"), office.start(key="b")
    done = turns(office.transactor(), Turn(first, (office.reply("one"),)), Turn(second, ()))
    wire.lost.add("saga.command.q.two")
    sent = await relay(office, wire).send(done)
    assert sent.complete == [(second, 2)]
    assert sent.failed == [first]


async def test_who_has_nothing_to_send_is_complete_and_who_has_trouble_is_neither(wire: Wire) -> None:
    office = Office()
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    transactor.upkeep.acknowledged(saga_id, 2)
    trouble = Turned(office.start(key="x"), trouble="cannot be read")
    sent = await relay(office, wire).send([turn(transactor, saga_id), trouble])
    assert (sent.complete, sent.failed, wire.messages) == ([(saga_id, 2)], [], [])


async def test_a_saga_whose_messages_cannot_be_made_is_in_trouble_and_holds_up_no_other(wire: Wire) -> None:
    office = Office()
    bad, good = office.start(key="bad"), office.start(key="good")
    done = turns(office.transactor(), Turn(bad, (office.reply("one"),)), Turn(good, ()))
    broken = state_of(done[0])
    done[0].state = replace(broken, steps={**broken.steps, "two": replace(broken.steps["two"], forward=None)})
    sent = await relay(office, wire).send(done)
    assert (sent.complete, sent.failed, sent.commands) == ([(good, 2)], [], 1)
    assert wire.subjects == ["saga.command.p.one"], "of what cannot be sent whole nothing is sent"
    assert done[0].trouble == "ValueError: two was never issued"
    assert isinstance(done[0].cause, ValueError)


async def test_a_compensation_says_what_it_undoes_and_with_which_result(wire: Wire) -> None:
    office = Office()
    saga_id, transactor = office.start(), office.transactor()
    done = turn(transactor, saga_id, office.reply("one"), office.reply("two", Outcome.REJECTED))
    await relay(office, wire).send([done])
    command = wire.asked()[-1]
    assert command.key == f"{saga_id}/one/compensate"
    assert command.address.undoes == f"{saga_id}/one/forward"
    assert (command.command, command.payload, command.undone_result) == ("undo_one", {"n": 1}, {"of": "one"})
    assert command.must_succeed, "a rejection is no answer to a compensation"
    assert TOKENS.fault(command.token, command.key, "p") is None


async def test_a_compensation_with_a_payload_of_its_own_gets_that(wire: Wire) -> None:
    office = Office(
        saga(
            """
            step: one, call: p.one, with: {n: 1}, compensate: {call: r.undo, with: {why: "${{ failure.code }}"}}
            step: two, call: q.two, compensate: none
            """
        )
    )
    saga_id, transactor = office.start(), office.transactor()
    await relay(office, wire).send(
        [turn(transactor, saga_id, office.reply("one"), office.reply("two", Outcome.REJECTED))]
    )
    command = wire.asked()[-1]
    assert (command.participant, command.command, command.payload) == ("r", "undo", {"why": "code"})
    assert TOKENS.fault(command.token, command.key, "r") is None


async def test_past_the_point_of_no_return_a_command_must_succeed(wire: Wire) -> None:
    office = Office(saga("step: one, call: p.one, compensate: none\nstep: two, call: q.two, kind: retriable"))
    saga_id, transactor = office.start(), office.transactor()
    await relay(office, wire).send([turn(transactor, saga_id)])
    transactor.upkeep.acknowledged(saga_id, 2)
    await relay(office, wire).send([turn(transactor, saga_id, office.reply("one"))])
    assert [command.must_succeed for command in wire.asked()] == [False, True]


async def test_the_item_of_a_loop_has_a_key_of_its_own(wire: Wire) -> None:
    office = Office(
        saga("""step: each, call: p.do, for_each: {in: [7, 8]}, with: {n: "${{ item }}"}, compensate: none""")
    )
    saga_id = office.start()
    await relay(office, wire).send([turn(office.transactor(), saga_id)])
    assert [(c.key, c.payload) for c in wire.asked()] == [
        (f"{saga_id}/each/0/forward", {"n": 7}),
        (f"{saga_id}/each/1/forward", {"n": 8}),
    ]


TWO_EVENTS = """
saga: pair
steps:
  - {step: one, call: p.one, compensate: none}
  - {step: two, needs: [one], kind: read_only, call: p.two, emit: Second}
  - {step: three, needs: [one], kind: read_only, call: p.three, emit: Third}
"""


async def test_a_second_event_of_a_saga_is_not_sent_before_the_first_is_acknowledged(wire: Wire) -> None:
    office = Office(TWO_EVENTS)
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id, office.reply("one"))
    transactor.upkeep.acknowledged(saga_id, 5)
    both = turn(transactor, saga_id, office.reply("two"), office.reply("three"))
    first, second = (f"saga.event.{office.definitions[0].saga}.{name}" for name in ("Second", "Third"))
    wire.lost = {first}
    sent = await relay(office, wire).send([both])
    assert (sent.failed, wire.subjects) == ([saga_id], [first])
    wire.lost, wire.messages = set(), []
    sent = await relay(office, wire).send([both])
    assert (sent.complete, wire.subjects) == ([(saga_id, both.state.version if both.state else 0)], [first, second])
