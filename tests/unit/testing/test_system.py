"""The system under test: control flows in virtual time, alike on every run, and errors that say what was awaited."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from saga_engine.core.decider import Decided, Ignored
from saga_engine.core.events import Event, TimerFired
from saga_engine.errors import SagaEngineError, UsageError
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.testing.system import SagaSystem

PAY = """
saga: pay
key: ${{ input.id }}
input: {type: object, required: [id], properties: {id: {type: string}}}
steps:
  - step: debit
    call: payment.debit
    compensate: {call: payment.refund}
  - step: approve
    kind: retriable
    call: order.approve
"""

SUBSCRIPTION = """
saga: subscribe
steps:
  - step: open
    call: account.open
    compensate: {call: account.close}
  - step: trial
    sleep: 30d
  - step: charge
    call: payment.debit
    compensate: {call: payment.refund}
"""

APPROVAL = """
saga: approve
steps:
  - step: reserve
    call: budget.reserve
    compensate: {call: budget.release}
  - step: ask
    wait: {event: Approved, timeout: 7d}
  - step: book
    kind: retriable
    call: ledger.book
    with: {by: "${{ steps.ask.result.by }}"}
"""

PATIENT = """
saga: patient
steps:
  - step: ask
    wait: {event: Approved}
"""

ITEMS = """
saga: items
input: {type: object, properties: {skus: {type: array, items: {type: string}}}}
steps:
  - step: reserve
    for_each: {in: "${{ input.skus }}", as: sku, max_parallel: 2}
    call: stock.reserve
    with: {sku: "${{ sku }}"}
    compensate: {call: stock.release}
"""


@contextmanager
def told_within(seconds: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < seconds


def test_thirty_days_pass_in_no_time_and_to_the_microsecond() -> None:
    with SagaSystem(SUBSCRIPTION) as system:
        saga = system.start("subscribe")
        with told_within(30):
            assert saga.ended() == "completed"
        assert system.time == 30 * 86_400
        fired = [event.at for event in saga.events if isinstance(event, TimerFired)]
        assert [at - saga.events[0].at for at in fired] == [30 * 86_400_000_000]


def test_timers_of_many_sagas_fire_each_at_its_own_time() -> None:
    with SagaSystem(SUBSCRIPTION) as system:
        sagas = []
        for _ in range(5):
            sagas.append(system.start("subscribe"))
            system.advance("7h")
        system.advance("40d")
        for saga in sagas:
            fired = next(event.at for event in saga.events if isinstance(event, TimerFired))
            assert fired - saga.events[0].at == 30 * 86_400_000_000


def test_time_stands_still_unless_it_is_told_to_pass() -> None:
    with SagaSystem(SUBSCRIPTION) as system:
        saga = system.start("subscribe")
        assert (saga.status, system.time) == ("running", 0)
        system.advance("29d")
        assert saga.status == "running"
        system.advance("1d")
        assert saga.status == "completed"


def test_a_year_in_which_nothing_happens_costs_nothing() -> None:
    with SagaSystem(SUBSCRIPTION) as system, told_within(30):
        system.advance("365d")
        assert system.time == 365 * 86_400


def test_a_wait_ends_with_its_signal() -> None:
    with SagaSystem(APPROVAL) as system:
        saga = system.start("approve")
        system.advance("2d")
        assert isinstance(saga.signal("Approved", {"by": "eve"}, signal_id="s-1"), Decided)
        assert saga.ended() == "completed"
        assert [done.payload for done in system.participant("ledger").done] == [{"by": "eve"}]
        assert system.time == 2 * 86_400


def test_the_same_signal_counts_once() -> None:
    with SagaSystem(APPROVAL) as system:
        saga = system.start("approve")
        system.participant("ledger").on("book").is_silent(for_="1m")
        saga.signal("Approved", {"by": "eve"}, signal_id="s-1")
        assert isinstance(saga.signal("Approved", {"by": "eve"}, signal_id="s-1"), Ignored)


def test_a_wait_without_its_signal_times_out() -> None:
    with SagaSystem(APPROVAL) as system:
        saga = system.start("approve")
        assert saga.ended() == "compensated"
        assert system.time == 7 * 86_400
        assert [done.command for done in system.participant("budget").done] == ["reserve", "release"]


def test_a_script_may_be_for_one_item_only() -> None:
    with SagaSystem(ITEMS) as system:
        stock = system.participant("stock")
        stock.on("reserve", where={"sku": "B"}).rejects("out_of_stock")
        saga = system.start("items", {"skus": ["A", "B", "C"]})
        assert saga.ended() == "compensated"
        done = [(each.command, each.payload) for each in stock.done]
        released = [payload for command, payload in done if command == "release"]
        assert released == [payload for command, payload in done if command == "reserve"]
        assert {"sku": "A"} in released
        assert {"sku": "B"} not in released


def test_of_several_scripts_the_newest_that_fits_is_obeyed() -> None:
    with SagaSystem(ITEMS) as system:
        stock = system.participant("stock")
        stock.on("reserve").rejects("closed")
        stock.on("reserve", where={"sku": "A"}).succeeds()
        assert system.start("items", {"skus": ["A"]}).ended() == "completed"
        assert system.start("items", {"skus": ["B"]}).ended() == "compensated"


def events_of_a_run(seed: int) -> list[Event]:
    with SagaSystem(PAY, seed=seed) as system:
        system.participant("payment").on("debit").fails(times=3).succeeds()
        system.participant("order").on().is_silent(for_="2m")
        first, second = system.start("pay", {"id": "1"}), system.start("pay", {"id": "2"})
        first.ended()
        second.ended()
        return [*first.events, *second.events]


def test_the_same_script_gives_the_same_events_and_another_seed_gives_others() -> None:
    assert events_of_a_run(1) == events_of_a_run(1)
    assert events_of_a_run(1) != events_of_a_run(2)


def own_payment(declined: str) -> Participant:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: dict[str, str]) -> dict[str, str]:
        if ctx.saga == declined:
            raise Rejected("card_declined")
        return {"receipt": str(ctx.settings["prefix"])}

    @payment.command
    async def refund(ctx: Context) -> None:
        assert ctx.attempt == 1

    return payment


def test_ones_own_handlers_are_run_and_a_script_comes_before_them() -> None:
    settings = {"payment": {"prefix": "R"}}
    with SagaSystem(PAY, participants=[own_payment("nobody")], settings=settings) as system:
        system.participant("payment").on("debit").fails(times=1)
        saga = system.start("pay", {"id": "1"})
        assert saga.ended() == "completed"
        assert "CommandIssued debit attempt 2" in saga.history
    with SagaSystem(PAY, participants=[own_payment("pay")], settings=settings) as system:
        saga = system.start("pay", {"id": "1"})
        assert saga.ended() == "compensated"
        assert saga.failure is not None
        assert saga.failure.code == "card_declined"


def test_a_handler_without_database_is_undone_after_its_deadline() -> None:
    payment = Participant("payment")

    @payment.command
    async def debit(ctx: Context) -> None:
        raise TimeoutError

    @payment.command
    async def refund(ctx: Context) -> None:
        return None

    with SagaSystem(PAY, participants=[payment]) as system:
        assert system.start("pay", {"id": "1"}).ended() == "compensated"
        assert [done.command for done in system.participant("payment").done] == ["refund"]


def test_a_saga_that_waits_for_a_person_is_told_as_a_timeline() -> None:
    with SagaSystem(PATIENT) as system:
        saga = system.start("patient")
        with pytest.raises(AssertionError) as told:
            saga.ended()
    text = str(told.value)
    assert "nothing is left to happen by itself" in text
    assert "waits for: ask (waiting)" in text
    assert "0.000 s  TimerSet ask" in text


def test_a_saga_whose_participant_never_answers_is_told_soon() -> None:
    with SagaSystem(PAY) as system:
        system.participant("payment").on("debit").is_silent()
        saga = system.start("pay", {"id": "1"})
        with pytest.raises(AssertionError, match="nothing came of it"):
            saga.ended()
        assert len(system.participant("payment").received) > 100


def test_a_status_that_never_comes_is_told() -> None:
    with SagaSystem(PAY) as system:
        saga = system.start("pay", {"id": "1"})
        with pytest.raises(AssertionError, match=r"to become blocked(.|\n)*SagaCompleted"):
            saga.becomes("blocked")


def test_mistakes_of_a_test_are_told_with_what_there_is() -> None:
    with SagaSystem(PAY) as system:
        with pytest.raises(ValueError, match="participant named 'paymnt'; there are: order, payment"):
            system.participant("paymnt")
        with pytest.raises(ValueError, match="no command 'debt'; did you mean \"debit\""):
            system.participant("payment").on("debt")
        with pytest.raises(ValueError, match="a duration"):
            system.advance("a while")
        with pytest.raises(UsageError, match="id"):
            system.start("pay", {})
        system.start("pay", {"id": "1"}, key="k")
        with pytest.raises(SagaEngineError, match="conflict"):
            system.start("pay", {"id": "2"}, key="k")
    with pytest.raises(ValueError, match="unknown key"):
        SagaSystem("saga: pay\nstep: []\n")


def test_the_same_key_gives_the_saga_there_is() -> None:
    with SagaSystem(PAY) as system:
        first = system.start("pay", {"id": "1"})
        assert system.start("pay", {"id": "1"}).id == first.id
        assert repr(first) == "<saga pay 1: completed>"
