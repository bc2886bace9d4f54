"""A saga that cannot be worked on: it is left alone, longer each time, and takes no other saga down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.codec import encode_state
from saga_engine.core.inputs import ReplyReceived, Resume, Suspend
from saga_engine.core.state import SagaState
from saga_engine.definition.model import Json
from saga_engine.envelope import Command, Message, partition_of
from saga_engine.errors import StoreUnavailableError
from saga_engine.orchestrator import relay
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.troubles import LONGEST_S, Troubles
from saga_engine.orchestrator.turns import Turn
from saga_engine.ports.store import Append, AppendOutcome, Snapshot
from saga_engine.testing.virtual_time import VirtualClock, run
from saga_engine.wire.commands import command_to_message
from tests.unit.orchestrator.support import LOOP, ManualClock, Office, state_of, turn, turns
from tests.unit.orchestrator.test_service import BrittleStore, House


class ChokingStore(BrittleStore):
    """Fails an append with `bad` in it by an error that is no outage; alone, `most` times. `choked`: when it was."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.bad: UUID | None = None
        self.most = 0
        self.choked: list[int] = []

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        if self.most > 0 and self.bad in [each.stream_id for each in appends]:
            if len(appends) == 1:
                self.most -= 1
                self.choked.append(self.now())
            raise OverflowError("a value that the driver cannot write")
        return super().append(appends)


class ChokingHouse(House):
    def new_store(self) -> BrittleStore:
        self.choking = ChokingStore(self.clock)
        return self.choking

    async def sent(self, sagas: int) -> list[Command]:
        """The first commands of so many sagas."""
        await self.asked(sagas)
        return self.transport.commands_sent[:sagas]


def nested(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def test_one_saga_that_the_store_chokes_on_rests_longer_each_time_while_the_others_of_its_batch_go_on() -> None:
    async def choking() -> None:
        house = ChokingHouse()
        async with house.running(house.orchestrator()) as task:
            sagas = [house.start() for _ in range(5)]
            commands = await house.sent(5)
            house.choking.bad, house.choking.most = sagas[2], 3
            for command in commands:
                await house.answer(command)
            good = [saga_id for saga_id in sagas if saga_id != sagas[2]]
            await house.until(lambda: all(head.version == 4 for head in house.store.heads(good).values()), seconds=1)
            assert house.store.heads([sagas[2]])[sagas[2]].version == 2
            await house.until(lambda: house.store.heads([sagas[2]])[sagas[2]].version == 4, seconds=60)
            first, second, third = house.choking.choked
            assert 5 <= (second - first) / 1_000_000 < 6
            assert 10 <= (third - second) / 1_000_000 < 11
            assert not task.done()

    run(choking())


def test_a_saga_in_trouble_is_looked_at_as_soon_as_an_operator_has_written_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = True

    def made(command: Command) -> Message:
        if broken:
            raise OverflowError("a command that cannot be made")
        return command_to_message(command)

    monkeypatch.setattr(relay, "command_to_message", made)

    async def operating() -> None:
        nonlocal broken
        house = House()
        async with house.running(house.orchestrator()):
            saga_id = house.start()
            await asyncio.sleep(4 * LONGEST_S)
            broken = False
            operator = Transactor(house.store, Plans(house.store), StateCache(0), house.clock.now)
            now = house.clock.now()
            verbs = (Suspend(now, "ann", "a look"), Resume(now, "ann", "it is well"))
            finish(operator.transact([Turn(saga_id, verbs, looked_after=False)]))
            house.broker.ring(partition_of(saga_id))
            await house.asked(1)
            assert house.clock.now() - now < 100_000

    with capture_logs():
        # To write each trouble out takes longer than all else here.
        run(operating())


def test_a_reply_nested_too_deep_fails_its_attempt_and_stops_no_orchestrator() -> None:
    async def replying() -> None:
        house = House()
        async with house.running(house.orchestrator()) as task:
            deep, other = house.start(), house.start()
            await house.asked(2)
            commands = {command.address.saga_id: command for command in house.transport.commands_sent}
            genuine = house.reply_to(commands[deep])
            body = b'{"result":%s%s}' % (b"[" * 300, b"]" * 300)
            await house.transport.publish([Message(genuine.subject, genuine.headers, body, genuine.message_id)])
            await house.answer(commands[other])
            await house.until(lambda: house.store.heads([other])[other].version == 4)
            await house.until(lambda: _attempts(house, deep) == 2)
            assert not task.done()

    run(replying())


def _attempts(house: House, saga_id: UUID) -> int:
    return max(command.attempt for command in house.transport.commands_sent if command.address.saga_id == saga_id)


def test_the_pauses_grow_to_five_minutes_and_begin_anew_once_it_worked() -> None:
    troubles, saga_id = Troubles(5.0), uuid4()
    assert [troubles.again(saga_id) for _ in range(8)] == [5, 10, 20, 40, 80, 160, LONGEST_S, LONGEST_S]
    assert troubles.again(uuid4()) == 5
    troubles.over([saga_id])
    assert troubles.again(saga_id) == 5


def test_an_event_that_cannot_be_written_is_the_trouble_of_its_saga_alone() -> None:
    office = Office()
    bad, good = office.start(key="bad"), office.start(key="good")
    deep: ReplyReceived = replace(office.reply("one"), result=nested(300))
    done = turns(office.transactor(), Turn(bad, (deep,)), Turn(good, (office.reply("one"),)))
    assert done[0].trouble == "TypeError: Recursion limit reached"
    assert isinstance(done[0].cause, TypeError)
    assert office.events(bad) == ["SagaStarted", "CommandIssued"]
    assert done[1].committed


class WithoutSnapshots(MemoryEventStore):
    """Fails to write a snapshot, in the way that a test names."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(ManualClock().now)
        self.failure = failure
        self.tried = 0

    def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        self.tried += 1
        raise self.failure


@pytest.mark.parametrize(
    "failure", [StoreUnavailableError("away"), OverflowError("too large")], ids=["outage", "defect"]
)
def test_a_snapshot_that_cannot_be_written_harms_nobody(failure: Exception) -> None:
    store = WithoutSnapshots(failure)
    office = Office(LOOP, store=store)
    first, second = (office.start({"items": list(range(250))}, key=key) for key in ("a", "b"))
    assert store.tried == 2, "with the 200th event"
    transactor = office.transactor(capacity=1)
    assert turn(transactor, first, office.reply("each", item=1)).committed
    assert turn(transactor, second, office.reply("each", item=1)).committed
    assert store.tried == 3, "for the one that left the cache"


def test_a_saga_whose_snapshot_cannot_be_made_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(LOOP)
    transactor = office.transactor(capacity=0)
    first, second = (office.start({"items": list(range(30))}, key=key) for key in ("a", "b"))

    def encode(state: SagaState) -> bytes:
        if state.saga_id == first:
            raise TypeError("Recursion limit reached")
        return encode_state(state)

    monkeypatch.setattr("saga_engine.orchestrator.upkeep.encode_state", encode)
    done = turns(transactor, Turn(first), Turn(second))
    assert [state_of(each).version for each in done] == [32, 32]
    kept = {saga_id: office.store.load({saga_id: 0})[saga_id].snapshot is not None for saga_id in (first, second)}
    assert kept == {first: False, second: True}
