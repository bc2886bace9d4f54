"""Every way in which `definitions/place_order.yaml` can go, told with the test kit as a user tells it."""

from __future__ import annotations

import pytest

from saga_engine.core.decider import Decided, Refused
from saga_engine.core.events import Verb
from saga_engine.definition.model import Json
from saga_engine.testing.handle import SagaHandle
from saga_engine.testing.scripted import Done
from saga_engine.testing.system import SagaSystem

ORDER: Json = {"order_id": "o-1", "customer_id": "alice", "amount": 4200}
RECEIPT: Json = {"receipt": "R-1"}


def placed(system: SagaSystem) -> SagaHandle:
    return system.start("place_order", ORDER)


def emitted(saga: SagaHandle) -> list[str]:
    return [event.name for event in saga.emitted]


def commands(done: list[Done]) -> list[str]:
    return [each.command for each in done]


def test_an_order_goes_through(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").succeeds(RECEIPT)
    saga = placed(saga_system)
    assert saga.status == "completed"
    assert saga.output == RECEIPT
    assert emitted(saga) == ["OrderCreated", "PaymentDebited", "OrderApproved"]
    assert saga_system.participant("order").done == [
        Done("create", ORDER),
        Done("approve", {"order_id": "o-1", "receipt": "R-1"}),
    ]
    assert saga_system.time == 0


def test_a_declined_card_rejects_the_order_and_refunds_nothing(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").rejects("card_declined")
    saga = placed(saga_system)
    assert saga.status == "compensated"
    assert emitted(saga) == ["OrderCreated", "OrderRejected"]
    assert saga_system.participant("order").done[-1] == Done("reject", {"order_id": "o-1", "reason": "card_declined"})
    assert [asked.command for asked in saga_system.participant("payment").received] == ["debit"]


def test_an_order_that_the_review_refuses_is_refunded_and_rejected(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").succeeds(RECEIPT)
    saga_system.participant("review").on("approve").rejects("review_refused")
    saga = placed(saga_system)
    assert saga.status == "compensated"
    assert emitted(saga) == ["OrderCreated", "PaymentDebited", "PaymentRefunded", "OrderRejected"]
    assert commands(payment.done) == ["debit", "refund"]
    assert saga_system.participant("order").done[-1] == Done("reject", {"order_id": "o-1", "reason": "review_refused"})


def test_what_is_published_has_the_subjects_and_names_that_services_on_them_know(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").succeeds(RECEIPT)
    items: Json = [{"code": "p-1", "name": "Pizza", "unit_price": 2100, "quantity": 2}]
    said: dict[str, Json] = {"restaurant_id": "r-1", "created_on": "2026-11-23T12:00:00Z"}
    saga = saga_system.start(
        "place_order", {"order_id": "o-1", "customer_id": "alice", "amount": 4200, "items": items, **said}
    )
    debited = {"OrderID": "o-1", "CustomerID": "alice", "Amount": 4200, "receipt": "R-1"}
    created = {
        "order_id": "o-1",
        "customer_id": "alice",
        "status": "Pending",
        "amount": 4200,
        "order_items": items,
        **said,
    }
    assert [(event.subject, event.data) for event in saga.emitted] == [
        ("ORDERS.created", created),
        ("ORDERS.paymentdebited", debited),
        ("ORDERS.approved", {"order_id": "o-1", "receipt": "R-1"}),
    ]


def test_an_order_that_is_refused_leaves_nothing_to_undo(saga_system: SagaSystem) -> None:
    saga_system.participant("order").on("create").rejects("order_exists")
    saga = placed(saga_system)
    assert saga.status == "compensated"
    assert emitted(saga) == []
    assert saga_system.participant("payment").received == []


def test_a_payment_that_fails_twice_is_tried_a_third_time(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").fails("network_down", times=2).succeeds(RECEIPT)
    saga = placed(saga_system)
    assert saga.status == "running"
    assert saga.ended() == "completed"
    assert saga.history.count("CommandIssued debit_payment attempt 3") == 1
    assert 0 < saga_system.time <= 1 + 2


def test_a_payment_that_fails_five_times_is_given_up_and_refunded_to_be_safe(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").fails("network_down")
    saga = placed(saga_system)
    assert saga.ended() == "compensated"
    assert [asked.command for asked in payment.received] == ["debit"] * 5 + ["refund"]
    assert payment.done == [], "its inbox knew that there was nothing to refund"
    assert saga.failure is not None
    assert saga.failure.code == "network_down"


def test_an_invalid_account_is_not_tried_again(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").fails("invalid_account")
    assert placed(saga_system).status == "compensated"
    assert [asked.command for asked in payment.received] == ["debit", "refund"]


def test_a_payment_that_is_silent_for_a_minute_costs_a_minute_and_no_attempt(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").is_silent(for_="1m").succeeds(RECEIPT)
    saga = placed(saga_system)
    assert saga.ended() == "completed"
    assert saga_system.time == pytest.approx(60, abs=0.1)
    assert {asked.attempt for asked in payment.received} == {1}
    assert len(payment.received) > 1, "it was asked again meanwhile"
    assert commands(payment.done) == ["debit"]


def test_a_payment_that_never_came_is_given_up_after_its_time_and_needs_no_refund(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").is_silent()
    saga = placed(saga_system)
    assert saga.ended() == "compensated"
    assert saga.failure is not None
    assert (saga.failure.step, saga.failure.code) == ("debit_payment", "gave_up")
    assert saga_system.time >= 300
    assert emitted(saga) == ["OrderCreated", "OrderRejected"]


def test_a_payment_that_was_made_but_never_confirmed_is_refunded(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").is_silent(after_effect=True)
    saga = placed(saga_system)
    assert saga.ended() == "compensated"
    assert commands(payment.done) == ["debit", "refund"]
    assert emitted(saga) == ["OrderCreated", "PaymentRefunded", "OrderRejected"]


def test_an_approval_is_tried_until_it_succeeds_since_the_money_is_taken(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").succeeds(RECEIPT)
    saga_system.participant("order").on("approve").fails(times=12).rejects("not_pending", times=3)
    saga = placed(saga_system)
    assert saga.ended() == "completed"
    assert saga.history.count("CommandIssued approve_order attempt 16") == 1
    assert "refund" not in commands(saga_system.participant("payment").done)


def test_a_payment_service_that_is_down_for_an_hour_outlives_the_saga(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on().is_silent(for_="1h")
    saga = placed(saga_system)
    saga.becomes("compensating")
    assert saga_system.time < 15 * 60 + 1
    assert saga.ended() == "compensated"
    assert saga_system.time >= 3600
    assert commands(payment.done) == ["debit", "refund"], "when it is back it works off what has come meanwhile"


def test_a_refund_that_fails_for_ever_is_blocked_until_somebody_retries_it(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").is_silent(after_effect=True)
    payment.on("refund").fails("ledger_closed", times=20)
    saga = placed(saga_system)
    saga.becomes("blocked")
    with pytest.raises(AssertionError, match="nothing is left to happen by itself"):
        saga.ended()
    assert isinstance(saga.operate(Verb.RETRY, "debit_payment"), Decided)
    assert saga.ended() == "compensated"
    assert commands(payment.done) == ["debit", "refund"]


def test_a_refund_that_is_skipped_closes_the_saga(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").is_silent(after_effect=True)
    payment.on("refund").fails("ledger_closed")
    saga = placed(saga_system)
    saga.becomes("blocked")
    saga.operate(Verb.SKIP, why="refunded by cheque")
    assert saga.ended() == "closed"


def test_an_order_can_be_cancelled_until_it_is_reviewed(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").is_silent(for_="10s").succeeds(RECEIPT)
    saga = placed(saga_system)
    assert isinstance(saga.cancel("changed her mind"), Decided)
    assert saga.ended() == "compensated"
    assert saga.failure is not None
    assert saga.failure.code == "cancelled"
    assert isinstance(saga.cancel(), Refused)


def test_an_order_that_is_reviewed_with_a_yes_can_no_longer_be_cancelled(saga_system: SagaSystem) -> None:
    saga_system.participant("payment").on("debit").succeeds(RECEIPT)
    saga_system.participant("order").on("approve").is_silent(for_="10s")
    saga = placed(saga_system)
    saga.cancel("changed her mind")
    assert saga.ended() == "completed"


def test_a_suspended_order_sends_nothing_until_it_is_resumed(saga_system: SagaSystem) -> None:
    payment = saga_system.participant("payment")
    payment.on("debit").fails(times=1).succeeds(RECEIPT)
    saga = placed(saga_system)
    saga.suspend()
    saga_system.advance("1m")
    assert (saga.status, len(payment.received)) == ("suspended", 1)
    saga.resume()
    assert saga.ended() == "completed"
