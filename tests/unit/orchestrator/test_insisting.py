"""Others are quicker with a saga each time: who blocks waits and asks again, an orchestrator looks again soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.core.decider import Decided
from saga_engine.core.events import SignalReceived
from saga_engine.core.inputs import Cancel, Signal
from saga_engine.errors import SagaEngineError
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.verdicts import Done
from saga_engine.ports.store import Append, AppendOutcome, Conflict
from saga_engine.testing.virtual_time import run
from tests.unit.orchestrator.support import ManualClock, Office
from tests.unit.orchestrator.test_occasions import Desk
from tests.unit.orchestrator.test_service import BrittleStore, House


class ContestedStore(MemoryEventStore):
    """Somebody else is quicker with one saga, so many `times`; `then` happens each time."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__(now)
        self.contested: UUID | None = None
        self.times = 0
        self.then: Callable[[], None] = lambda: None
        self.asked: list[int] = []

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        self.asked.append(len(appends))
        lost = [append for append in appends if self.times and append.stream_id == self.contested]
        self.times -= len(lost)
        if lost:
            self.then()
        written = iter(super().append([append for append in appends if append not in lost]))
        return [Conflict() if append in lost else next(written) for append in appends]


class ContestedHouse(House):
    """`lost`: when an append lost, while `contested`."""

    def new_store(self) -> BrittleStore:
        house, self.contested, self.lost = self, False, list[int]()

        class Contested(BrittleStore):
            def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
                if not house.contested:
                    return super().append(appends)
                house.lost.append(self.now())
                return [Conflict() for _ in appends]

        return Contested(self.clock)


def _signal(at: int) -> Signal:
    return Signal(at, "s-1", "Paid", {})


def _client(office: Office, pauses: list[float]) -> Client:
    return Client(office.store, dict, office.ids, office.clock, pause=pauses.append)


def _contested(times: int) -> tuple[ContestedStore, Office, UUID]:
    store = ContestedStore(ManualClock().now)
    office = Office(store=store)
    saga_id = office.start()
    store.contested, store.times = saga_id, times
    return store, office, saga_id


def test_a_signal_that_others_overtake_twenty_times_is_taken_after_pauses_that_grow() -> None:
    _, office, saga_id = _contested(20)
    pauses: list[float] = []
    assert isinstance(_client(office, pauses).act(saga_id, _signal), Decided)
    assert office.events(saga_id)[-1] == "SignalReceived"
    assert pauses[:7] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5]
    assert (len(pauses), max(pauses)) == (20, 0.5)


def test_of_many_sagas_only_those_that_were_overtaken_are_asked_again() -> None:
    store, office, first = _contested(2)
    second, pauses = office.start(key="second"), list[float]()
    store.asked.clear()
    answers = _client(office, pauses).act_on_many([first, second], _signal)
    assert all(isinstance(answer, Decided) for answer in answers)
    assert (pauses, store.asked) == ([0.01, 0.02], [2, 1, 1])
    assert [office.events(each).count("SignalReceived") for each in (first, second)] == [1, 1]


def test_what_was_overtaken_is_recorded_with_the_time_at_which_it_was_taken_and_not_asked() -> None:
    """Whoever compensates a handler without a database waits for what may have been sent until then."""
    _, office, saga_id = _contested(3)
    begin = office.clock.time

    def pause(_: float) -> None:
        office.clock.time += 2_000_000

    client = Client(office.store, dict, office.ids, office.clock, pause=pause)
    assert isinstance(client.act(saga_id, lambda at: Cancel(at, "me", "why")), Decided)
    state = client.view(saga_id).state
    assert state.compensation_began_at == begin + 6_000_000


def test_an_event_that_was_overtaken_as_a_signal_is_recorded_with_the_time_at_which_it_was_taken_too() -> None:
    clock = ManualClock()
    store = ContestedStore(clock.now)
    desk = Desk(store=store, clock=clock)
    (started,) = desk.take(desk.created(1))
    assert isinstance(started, Done)
    store.contested, store.times = started.saga_id, 3
    begin = clock.time

    def second() -> None:
        clock.time += 1_000_000

    store.then = second
    (taken,) = desk.take(desk.heard("PAYMENTS.made", {"reference": "o-1"}))
    assert isinstance(taken, Done)
    assert started.saga_id is not None
    received = [event for event in desk.client.view(started.saga_id).events if isinstance(event, SignalReceived)]
    assert [event.at for event in received] == [begin + 3_000_000]


def test_who_is_overtaken_for_ten_seconds_is_told_and_has_written_nothing() -> None:
    _, office, saga_id = _contested(1_000_000)
    pauses: list[float] = []
    with pytest.raises(SagaEngineError, match="lost to others too often"):
        _client(office, pauses).act(saga_id, _signal)
    assert 8 < sum(pauses) < 12
    assert office.events(saga_id) == ["SagaStarted", "CommandIssued"]


def test_an_orchestrator_that_is_overtaken_looks_again_each_second_and_calls_it_no_trouble() -> None:
    async def overtaken() -> None:
        house = ContestedHouse()
        async with house.running(house.orchestrator()):
            saga_id = house.start()
            command = await house.asked(1)
            house.contested = True
            await house.answer(command)
            await house.until(lambda: len(house.lost) >= 80)
            assert house.lost[-1] - house.lost[0] < 15_000_000, "left alone no longer each time"
            house.contested = False
            await house.until(lambda: house.store.heads([saga_id])[saga_id].version == 4, seconds=2)

    with capture_logs() as told:
        run(overtaken())
    assert not [line for line in told if line["log_level"] == "error"]
