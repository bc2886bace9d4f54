"""Control flows of whole definitions in the test kit, and that a run is the same in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_engine.testing.system import SagaSystem

REPOSITORY = Path(__file__).resolve().parents[3]
FLOWS = REPOSITORY / "tests" / "acceptance" / "flows" / "definitions"


@pytest.fixture
def flows() -> Iterator[SagaSystem]:
    with SagaSystem(*sorted(FLOWS.glob("*.yaml"))) as system:
        yield system


def done(system: SagaSystem, *participants: str) -> list[str]:
    return [f"{name}.{each.command}" for name in participants for each in system.participant(name).done]


def test_a_trip_is_undone_where_it_was_done(flows: SagaSystem) -> None:
    flows.participant("car").on("rent").rejects("no_car")
    trip = flows.start("book_trip", {"trip": "t-1"})
    assert trip.ended() == "compensated"
    assert done(flows, "flight", "hotel", "car") == ["flight.book", "flight.cancel", "hotel.book", "hotel.cancel"]


def test_a_child_saga_is_undone_when_its_parent_fails_later(flows: SagaSystem) -> None:
    flows.participant("bank").on("charge").rejects("card_declined")
    sale = flows.start("sell", {"order": "s-1", "amount": 10})
    assert sale.ended() == "compensated"
    assert done(flows, "stock", "car") == ["stock.reserve", "stock.put_back", "car.load", "car.unload"]
    undone = [line for line in sale.history if line.startswith("StepCompensated")]
    assert undone == ["StepCompensated delivery/load", "StepCompensated delivery/pick"]


def test_past_the_point_of_no_return_hours_of_silence_are_waited_out(flows: SagaSystem) -> None:
    flows.participant("payout").on().is_silent(for_="6h")
    loan = flows.start("grant_loan", {"loan": "l-1"})
    flows.advance("7h")
    assert loan.status == "completed"
    assert not any("attempt" in line for line in loan.history)


def test_the_highest_version_is_started_unless_another_is_asked_for(flows: SagaSystem) -> None:
    hurried = flows.start("approve_expense", {"expense": "e-1"})
    patient = flows.start("approve_expense", {"expense": "e-2"}, version=1)
    flows.advance("1m")
    assert (hurried.status, patient.status) == ("completed", "running")
    patient.signal("ExpenseApproved", {"by": "eve"})
    assert patient.ended() == "completed"
    assert done(flows, "bank") == ["bank.reserve", "bank.reserve", "bank.note", "bank.pay"]


COURSE = """
from tests.unit.testing.test_flows import FLOWS
from saga_engine.testing.system import SagaSystem

with SagaSystem(*sorted(FLOWS.glob("*.yaml"))) as system:
    system.participant("stock").on("reserve", where={"sku": "c"}).fails(times=2).rejects("out_of_stock")
    system.participant("hotel").on().is_silent(for_="3m")
    sagas = [
        system.start("order_items", {"order": "i", "skus": ["a", "b", "c", "d"]}),
        system.start("book_trip", {"trip": "t"}),
        system.start("sell", {"order": "s", "amount": 1}),
    ]
    for saga in sagas:
        saga.ended()
        print(saga.events)
"""


def test_the_same_course_gives_the_same_events_in_processes_that_hash_differently() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", COURSE],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    lines = [[line for line in text.splitlines() if line.startswith("[")] for text in told]
    assert len(lines[0]) == 3
    assert lines[0] == lines[1]
