"""Every control flow from end to end: one running engine on a real nats-server, with SQLite and with PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from saga_engine.core.events import (
    CommandIssued,
    CompensationBegan,
    Direction,
    StepCompensated,
    StepSucceeded,
    TimerFired,
    TimerSet,
)
from tests.acceptance.flows_project import PARTICIPANTS, Flows, did, issued, running, undid
from tests.acceptance.projects import eventually
from tests.databases import NewDatabase

SECOND = 1_000_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def flows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    databases: dict[str, str] = {}
    if request.param == "postgres":
        new: NewDatabase = request.getfixturevalue("postgres_database")
        databases = {name: new() for name in ("engine", *PARTICIPANTS)}
    with running(tmp_path_factory.mktemp(request.param), databases) as made:
        yield made


def test_a_trip_is_booked_in_parallel(flows: Flows) -> None:
    trip = flows.ended(flows.start("book_trip", {"trip": "t-1"}))
    assert trip.head.status == "completed"
    assert trip.state.output == {"seat": "12A", "car": "S-AGA 1"}
    first = [event.at for event in trip.events if isinstance(event, CommandIssued)][:3]
    assert len(set(first)) == 1, "all three are asked at once"
    effects = flows.effects(trip.head.stream_id)
    assert sorted(effects[:3]) == [did("car"), did("flight"), did("hotel")]
    assert effects[3:] == [did("itinerary")]


def test_a_trip_without_a_car_gives_flight_and_hotel_back_at_once(flows: Flows) -> None:
    trip = flows.ended(flows.start("book_trip", {"trip": "t-2", "car": False}))
    assert trip.head.status == "compensated"
    assert trip.state.failure is not None
    assert (trip.state.failure.step, trip.state.failure.code) == ("car", "no_car")
    effects = flows.effects(trip.head.stream_id)
    assert sorted(effects) == sorted([did("flight"), undid("flight"), did("hotel"), undid("hotel")])
    began = next(event.at for event in trip.events if isinstance(event, CompensationBegan))
    undoing = [event for event in trip.events if isinstance(event, CommandIssued) and event.at >= began]
    assert sorted(event.step for event in undoing) == ["flight", "hotel"]
    # Neither waits for the other: what was done by then is undone in the commit in which undoing begins.
    forward = {event.step: event.at for event in trip.events if isinstance(event, StepSucceeded)}
    for event in undoing:
        assert event.at == max(began, forward[event.step])


def test_every_item_of_an_order_is_reserved_and_their_results_come_in_order(flows: Flows) -> None:
    order = flows.ended(flows.start("order_items", {"order": "i-1", "skus": ["pen", "ink", "pad"]}))
    assert order.head.status == "completed"
    shelves = [{"shelf": f"shelf of {sku}"} for sku in ("pen", "ink", "pad")]
    assert order.state.output == {"places": shelves}
    expected = [did("charge"), did("reserve", 0), did("reserve", 1), did("reserve", 2)]
    assert sorted(flows.effects(order.head.stream_id)) == expected


def test_an_order_with_one_item_out_of_stock_puts_the_others_back(flows: Flows) -> None:
    order = flows.ended(flows.start("order_items", {"order": "i-2", "skus": ["pen", "ink", "moonstone", "pad"]}))
    assert order.head.status == "compensated"
    assert order.state.failure is not None
    assert order.state.failure.code == "out_of_stock"
    effects = flows.effects(order.head.stream_id)
    assert {did("reserve", 0), did("reserve", 1)} <= set(effects)
    assert did("reserve", 2) not in effects
    done = [effect for effect in effects if effect.direction is Direction.FORWARD]
    undone = [effect for effect in effects if effect.direction is Direction.COMPENSATE]
    assert sorted(undone) == sorted(undid("reserve", effect.item) for effect in done)


def test_an_expense_is_paid_when_it_is_approved(flows: Flows) -> None:
    saga_id = flows.start("approve_expense", {"expense": "e-1"}, version=1)
    told = flows.project.saga("signal", "e-1", "ExpenseApproved", "--data", '{"by": "eve"}')
    assert told.returncode == 0, told.stderr
    expense = flows.ended(saga_id)
    assert expense.head.status == "completed"
    assert expense.state.steps["pay"].result == {"approved_by": "eve"}
    assert flows.effects(saga_id) == [did("reserve"), did("pay")]


def test_an_expense_that_nobody_approves_in_time_is_declined(flows: Flows) -> None:
    expense = flows.ended(flows.start("approve_expense", {"expense": "e-2"}, version=2))
    assert expense.head.status == "completed"
    assert flows.effects(expense.head.stream_id) == [did("reserve"), did("decline")]
    due = next(event.due for event in expense.events if isinstance(event, TimerSet))
    fired = next(event.at for event in expense.events if isinstance(event, TimerFired))
    assert due is not None
    assert fired >= due
    late = flows.project.saga("signal", "e-2", "ExpenseApproved")
    assert late.returncode == 1


def test_a_child_saga_is_undone_step_by_step_when_its_parent_fails_later(flows: Flows) -> None:
    sold = flows.ended(flows.start("sell", {"order": "s-1", "amount": 10}))
    assert sold.head.status == "completed"
    assert flows.effects(sold.head.stream_id) == [did("delivery/pick"), did("delivery/load"), did("charge")]
    unsold = flows.ended(flows.start("sell", {"order": "s-2", "amount": 5_000}))
    assert unsold.head.status == "compensated"
    assert flows.effects(unsold.head.stream_id) == [
        did("delivery/pick"),
        did("delivery/load"),
        undid("delivery/load"),
        undid("delivery/pick"),
    ]


def test_a_signed_loan_is_paid_out_however_long_the_payout_service_is_down(flows: Flows) -> None:
    saga_id = flows.start("grant_loan", {"loan": "l-1"})
    flows.waits_for(saga_id, "pay_out")
    cancelled = flows.project.saga("cancel", "l-1", "--why", "too late")
    assert cancelled.returncode == 1, "the point of no return is passed"
    limit = flows.client.view(saga_id).state.started_at + 8 * SECOND
    eventually(lambda: flows.client.now > limit, "the time-out of the saga to pass")
    assert flows.client.status(saga_id).status == "running"
    flows.payout()
    loan = flows.ended(saga_id)
    assert loan.head.status == "completed"
    assert flows.effects(saga_id) == [did("reserve"), did("sign"), did("pay_out"), did("tell")]
    assert [attempt for _, _, attempt in issued(loan.events)] == [1, 1, 1, 1], "silence uses up no attempt"


def test_a_subscription_is_charged_after_its_trial_and_closed_when_it_cannot_be(flows: Flows) -> None:
    before = time.monotonic()
    paying = flows.start("subscribe", {"customer": "c-1", "amount": 10})
    broke = flows.start("subscribe", {"customer": "c-2", "amount": 5_000})
    charged = flows.ended(paying)
    assert time.monotonic() - before >= 2
    assert charged.head.status == "completed"
    assert flows.effects(paying) == [did("open"), did("charge")]
    closed = flows.ended(broke)
    assert closed.head.status == "compensated"
    assert flows.effects(broke) == [did("open"), undid("open")]
    assert not any(isinstance(event, StepCompensated) and event.step == "trial" for event in closed.events)
