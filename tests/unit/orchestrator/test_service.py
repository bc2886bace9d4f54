"""The running orchestrator in virtual time: what it does when a part fails, and what it leaves behind when it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.canonical import definition_hash
from saga_engine.envelope import PARTITIONS, Command, Message, Reply
from saga_engine.errors import StoreUnavailableError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.inline import inline
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.starting import Pinned, Started, Starter, StartRequest, pin, register
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.ports.store import Append, AppendOutcome, Lease, RunSync, Settlement
from saga_engine.tasks import end_tasks
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.replies import reply_to_message
from tests.unit.orchestrator.support import PLACE, loaded

T = TypeVar("T")


class BrittleStore(MemoryEventStore):
    """Fails an append with each of `failures` first, and to settle with each of `unsettled`."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock.now)
        self.failures: list[Exception] = []
        self.unsettled: list[Exception] = []

    def settle(self, settlements: Sequence[Settlement]) -> None:
        if self.unsettled:
            raise self.unsettled.pop(0)
        super().settle(settlements)

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        if self.failures:
            raise self.failures.pop(0)
        return super().append(appends)


class BrittleTransport(MemoryTransport):
    """Fails to publish commands, or to tell of losses, with each of the failures first; remembers commands.

    `unheard`: so many times commands are not acknowledged, and do not arrive. `takes`: seconds until an answer.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.failures: list[Exception] = []
        self.losing: list[Exception] = []
        self.unheard = 0
        self.takes = 0.0
        self.commands_sent: list[Command] = []

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        commands = [each for each in map(message_to_command, messages) if isinstance(each, Command)]
        if self.failures and commands:
            raise self.failures.pop(0)
        self.commands_sent += commands
        if self.unheard and commands:
            self.unheard -= 1
            return [False] * len(messages)
        await asyncio.sleep(self.takes)
        return await super().publish(messages)

    def losses(self) -> int:
        if self.losing:
            raise self.losing.pop(0)
        return super().losses()


class House:
    """A store, a broker, and orchestrators that come and go."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.clock = VirtualClock(loop)
        self.store = self.new_store()
        self.broker = MemoryBroker()
        self.transport = BrittleTransport(self.broker)
        self.definition = loaded(PLACE)
        register(self.store, [self.definition])
        pin(self.store, self.definition)
        self._ids = TimeOrderedIds(random.Random(7).randbytes)
        self._made = 0

    def new_store(self) -> BrittleStore:
        return BrittleStore(self.clock)

    def orchestrator(
        self,
        transport: MemoryTransport | None = None,
        name: str = "one",
        run_sync: RunSync = inline,
        tuning: Tuning | None = None,
    ) -> Orchestrator:
        tokens = Tokens({"k": b"secret"})
        return Orchestrator(name, self.store, transport or self.transport, tokens, self.clock, run_sync, tuning)

    @asynccontextmanager
    async def running(self, orchestrator: Orchestrator) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(orchestrator.run())
        try:
            yield task
        finally:
            orchestrator.stop()
            await asyncio.wait([task])

    def start(self) -> UUID:
        transactor = Transactor(self.store, Plans(self.store), StateCache(0), self.clock.now)
        starter = Starter(self.store, transactor, self._ids, self.clock)
        self._made += 1
        pinned = Pinned(self.definition, definition_hash(self.definition))
        started = starter.start([StartRequest(pinned, {}, key=f"k-{self._made}")])[0]
        assert isinstance(started, Started)
        for partition in range(PARTITIONS):
            self.broker.ring(partition)
        return started.saga_id

    async def answer(self, command: Command) -> None:
        await self.transport.publish([self.reply_to(command)])

    def reply_to(self, command: Command) -> Message:
        reply = Reply(
            address=command.address,
            participant=command.participant,
            partition=command.partition,
            attempt=command.attempt,
            send=command.send,
            outcome=Outcome.SUCCEEDED,
            result={},
            code="",
            message="",
            effect=Effect.UNDONE,
            fenced=True,
            token=command.token,
            traceparent=None,
        )
        return reply_to_message(reply)

    async def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - in virtual time, where nothing is polled for long
                await asyncio.sleep(0.01)

    async def asked(self, commands: int) -> Command:
        await self.until(lambda: len(self.transport.commands_sent) >= commands)
        return self.transport.commands_sent[-1]


def test_a_batch_whose_sending_fails_is_sent_later_and_takes_no_other_down() -> None:
    async def failing() -> None:
        house = House()
        house.transport.failures = [RuntimeError("a defect of the transport")]
        async with house.running(house.orchestrator()) as task:
            saga_id = house.start()
            command = await house.asked(1)
            assert command.address.saga_id == saga_id
            assert house.clock.now() - house.store.heads([saga_id])[saga_id].started_at >= 5_000_000
            assert not task.done()

    run(failing())


def test_a_reply_whose_batch_could_not_be_sent_is_not_lost_and_not_applied_twice() -> None:
    async def failing() -> None:
        house = House()
        async with house.running(house.orchestrator()):
            saga_id = house.start()
            first = await house.asked(1)
            house.transport.failures = [RuntimeError("a defect of the transport")]
            await house.answer(first)
            second = await house.asked(2)
            assert (second.address.step, second.send) == ("two", 1)
            await house.answer(second)
            await house.until(lambda: house.store.heads([saga_id])[saga_id].status == "completed")
            await house.until(lambda: house.broker.unsettled == 2, seconds=10)
        assert house.store.heads([saga_id])[saga_id].version == 6

    run(failing())


def test_an_asking_again_that_the_broker_did_not_take_is_repeated_soon_and_not_at_the_next_time_to_ask() -> None:
    async def asking() -> list[float]:
        house = House()
        async with house.running(house.orchestrator()):
            house.start()
            first = await house.asked(1)
            house.transport.unheard = 1
            sends = [await house.asked(2), await house.asked(3)]
            assert {send.key for send in sends} == {first.key}
            return [(send.deadline - first.deadline) / 1_000_000 for send in sends]

    refused, repeated = run(asking())
    assert 30 <= refused < 31
    assert 1 <= repeated - refused < 2


def test_an_asking_again_after_a_loss_that_met_a_defect_is_repeated() -> None:
    async def asking() -> None:
        house = House()
        async with house.running(house.orchestrator()):
            house.start()
            first = await house.asked(1)
            house.transport.failures = [RuntimeError("a defect of the transport")]
            house.broker.wipe()
            again = await house.asked(2)
            assert again.key == first.key
            assert again.send > 1
            assert again.deadline - first.deadline < 10_000_000, "long before its time to ask"

    run(asking())


@pytest.mark.parametrize(
    ("successor", "within_us"), [("one", 100_000), ("another", 3_000_000)], ids=["its name", "a new name"]
)
def test_after_a_crash_sagas_go_on_at_once_under_the_same_name_and_after_a_lease_under_a_new_one(
    successor: str, within_us: int
) -> None:
    async def crashing() -> None:
        house = House()
        dead = asyncio.create_task(house.orchestrator(name="one").run())
        house.start()
        first = await house.asked(1)
        await house.until(lambda: len(house.store.leases()) > PARTITIONS)
        dead.cancel()
        await asyncio.wait([dead])
        await house.answer(first)
        before = house.clock.now()
        async with house.running(house.orchestrator(name=successor)):
            assert (await house.asked(2)).address.step == "two"
        assert house.clock.now() - before <= within_us

    run(crashing())


class SlowReading:
    """A `RunSync` in which what was read of due times and versions takes so many seconds to come back."""

    def __init__(self, due: float, versions: float) -> None:
        self._due = due
        self._versions = versions

    async def __call__(self, call: Callable[[], T], /) -> T:
        result = call()
        name = call.func.__name__ if isinstance(call, partial) else getattr(call, "__name__", "")
        await asyncio.sleep({"<lambda>": self._due, "versions": self._versions}.get(name, 0))
        return result


@pytest.mark.parametrize(("due", "versions"), [(0.0, 1.5), (1.5, 0.0), (0.7, 2.5)])
def test_a_command_is_asked_again_once_at_each_time_though_reading_and_sending_are_slow(
    due: float, versions: float
) -> None:
    async def asking() -> list[float]:
        house = House()
        house.transport.takes = 3.0
        async with house.running(house.orchestrator(run_sync=SlowReading(due, versions))):
            house.start()
            first = await house.asked(1)
            await house.until(lambda: len(house.transport.commands_sent) >= 4, seconds=600)
            return [(each.deadline - first.deadline) / 1_000_000 for each in house.transport.commands_sent[1:]]

    sends = run(asking())
    assert [round(after) // 30 for after in sends] == [1, 3, 7], "after 30 s, then after twice as long each time"


def test_a_store_that_is_away_for_a_while_costs_time_only() -> None:
    async def away() -> None:
        house = House()
        async with house.running(house.orchestrator()) as task:
            saga_id = house.start()
            command = await house.asked(1)
            house.store.failures = [StoreUnavailableError("away") for _ in range(3)]
            before = house.clock.now()
            await house.answer(command)
            await house.until(lambda: house.store.heads([saga_id])[saga_id].version > 2)
            assert 3_000_000 <= house.clock.now() - before < 3_500_000, "one batch waits; others do not try in between"
            assert not task.done()

    run(away())


def test_a_defect_in_telling_rows_late_ends_the_orchestrator_with_it() -> None:
    async def broken() -> None:
        house = House()
        house.store.unsettled = [RuntimeError("a defect of the store")]
        async with house.running(house.orchestrator()) as task:
            house.start()
            await asyncio.wait([task], timeout=60)
            with pytest.raises(RuntimeError, match="a defect of the store"):
                await task

    run(broken())


def test_rows_that_could_not_be_told_are_told_when_the_store_is_back() -> None:
    async def away() -> None:
        house = House()
        house.store.unsettled = [StoreUnavailableError("away"), StoreUnavailableError("away")]
        async with house.running(house.orchestrator()) as task:
            saga_id = house.start()
            await house.until(lambda: house.store.heads([saga_id])[saga_id].published == 2)
            assert not house.store.unsettled
            assert not task.done()

    run(away())


class Gate:
    """A `RunSync` whose appends wait until it is opened."""

    def __init__(self) -> None:
        self.appending = 0
        self.opened = asyncio.Event()

    async def __call__(self, call: Callable[[], T], /) -> T:
        if isinstance(call, partial) and call.func.__name__ == "append":
            self.appending += 1
            await self.opened.wait()
        return call()


def test_a_second_batch_overlaps_the_commit_of_the_first_once_it_is_worth_it_and_a_third_waits() -> None:
    async def overlapping() -> None:
        house, gate = House(), Gate()
        async with house.running(house.orchestrator(run_sync=gate, tuning=Tuning(batch=8))):
            sagas = [house.start() for _ in range(6)]
            await house.asked(6)
            begun = []
            for command in house.transport.commands_sent[:6]:
                await house.answer(command)
                await asyncio.sleep(1)
                begun.append(gate.appending)
            assert begun == [1, 1, 2, 2, 2, 2], "one at once; two together, since a quarter of a batch is enough"
            gate.opened.set()
            await house.until(lambda: all(head.version == 4 for head in house.store.heads(sagas).values()))
            assert gate.appending == 3, "what had come meanwhile is one batch"

    run(overlapping())


def test_replies_that_wait_for_a_slow_store_longer_than_the_ack_wait_are_delivered_once() -> None:
    async def waiting() -> int:
        house, gate = House(), Gate()
        orchestrator = house.orchestrator(run_sync=gate, tuning=Tuning(batch=2, ack_wait=house.broker.ack_wait))
        async with house.running(orchestrator):
            sagas = [house.start() for _ in range(6)]
            await house.asked(6)
            for command in house.transport.commands_sent[:6]:
                await house.answer(command)
            await asyncio.sleep(10 * house.broker.ack_wait)
            gate.opened.set()
            await house.until(lambda: all(head.version == 4 for head in house.store.heads(sagas).values()))
        return orchestrator.counters.replies

    assert run(waiting()) == 6


def test_replies_are_kept_while_an_orchestrator_that_ends_works_off_what_it_has() -> None:
    async def ending() -> int:
        house, gate = House(), Gate()
        orchestrator = house.orchestrator(run_sync=gate, tuning=Tuning(ack_wait=house.broker.ack_wait))
        async with house.running(orchestrator):
            saga_id = house.start()
            await house.answer(await house.asked(1))
            await house.until(lambda: gate.appending == 1)
            orchestrator.stop()
            other = house.transport.replies(range(PARTITIONS))
            receiving = asyncio.create_task((await other).receive(10))
            await asyncio.sleep(10 * house.broker.ack_wait)
            assert not receiving.done(), "nobody else gets what is being committed here"
            await end_tasks([receiving])
            gate.opened.set()
            await house.until(lambda: house.store.heads([saga_id])[saga_id].version == 4)
        return orchestrator.counters.replies

    assert run(ending()) == 1


def test_a_task_that_dies_ends_the_orchestrator_with_its_error() -> None:
    async def dying() -> None:
        house = House()
        async with house.running(house.orchestrator()) as task:
            await asyncio.sleep(2)
            house.transport.losing = [RuntimeError("a defect of the watch")]
            await asyncio.wait([task], timeout=60)
            with pytest.raises(RuntimeError, match="a defect of the watch"):
                await task

    run(dying())


def _partitions_of(leases: Sequence[Lease], owner: str) -> set[int]:
    names = [lease.name for lease in leases if lease.owner == owner and lease.name.startswith("partition/")]
    return {int(name.removeprefix("partition/")) for name in names}


def _held(leases: Sequence[Lease], now: int) -> dict[str, int]:
    held: dict[str, int] = {}
    for lease in leases:
        if lease.name.startswith("partition/") and lease.expires_at > now:
            held[lease.owner] = held.get(lease.owner, 0) + 1
    return held


def test_what_was_acknowledged_last_is_told_to_the_store_when_it_stops() -> None:
    async def stopping() -> None:
        house = House()
        async with house.running(house.orchestrator()):
            saga_id = house.start()
            await house.asked(1)
            assert house.store.heads([saga_id])[saga_id].published < 2
            await asyncio.sleep(0)
        head = house.store.heads([saga_id])[saga_id]
        assert (head.version, head.published) == (2, 2)
        assert head.next_due is not None
        assert head.next_due > house.clock.now(), "whoever comes next need not look at it at once"
        assert _held(house.store.leases(), house.clock.now()) == {}

    run(stopping())


def test_what_is_under_way_when_it_stops_is_sent_and_acknowledged_before_it_ends() -> None:
    async def stopping() -> None:
        house = House()
        async with house.running(house.orchestrator()):
            saga_id = house.start()
            first = await house.asked(1)
            await house.answer(first)
            # The reply has come in, and its batch has begun, at the latest here.
            await house.until(lambda: house.store.heads([saga_id])[saga_id].version == 4)
        assert [command.address.step for command in house.transport.commands_sent] == ["one", "two"]
        assert house.store.heads([saga_id])[saga_id].published == 4

    run(stopping())


def test_what_was_acknowledged_is_told_to_the_store_when_another_takes_over() -> None:
    async def sharing() -> None:
        house = House()
        async with house.running(house.orchestrator()):
            sagas = [house.start() for _ in range(16)]
            await house.asked(16)
            async with house.running(house.orchestrator(MemoryTransport(house.broker), "two")):
                await house.until(lambda: _held(house.store.leases(), house.clock.now()) == {"one": 8, "two": 8})
                given = _partitions_of(house.store.leases(), "two")
                heads = [head for head in house.store.heads(sagas).values() if head.partition in given]
                assert heads
                assert {(head.version, head.published) for head in heads} == {(2, 2)}
                await asyncio.sleep(5)
            assert len(house.transport.commands_sent) == 16, "who takes over does not send what was acknowledged"

    run(sharing())


def test_replies_that_could_not_be_worked_on_when_it_ends_are_handed_back_at_once() -> None:
    async def ending() -> None:
        house = House()
        async with house.running(house.orchestrator(name="one")):
            saga_id = house.start()
            command = await house.asked(1)
            house.store.failures = [StoreUnavailableError("away") for _ in range(1_000)]
            await house.answer(command)
            # Until progress was told with the reply, so that its ack wait has begun anew.
            await asyncio.sleep(2 * house.broker.ack_wait)
        house.store.failures = []
        before = house.clock.now()
        async with house.running(house.orchestrator(name="other")):
            await house.until(lambda: house.store.heads([saga_id])[saga_id].version > 2)
        assert house.clock.now() - before < 100_000

    run(ending())
