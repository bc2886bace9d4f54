"""The project's own handlers on their real, migrated tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, inspect, select

import compensations.order
import compensations.payment
import participants.order
import participants.payment
from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.participant.answers import Answer
from saga_engine.participant.fence import Fence
from saga_engine.participant.registry import merge
from saga_engine.sql.migrate import upgrade
from store import orders, payments
from tests.databases import Database
from tests.unit.participant.support import NOW, compensation, forward, saga_id

MIGRATIONS = Path(__file__).parents[3] / "store" / "migrations"
PARTICIPANTS = merge(
    [
        participants.order.order,
        participants.payment.payment,
        compensations.order.order,
        compensations.payment.payment,
    ]
)
ORDER: Mapping[str, Json] = {"order_id": "o-1", "customer_id": "c-1", "amount": 4_200}


@pytest.fixture
def engine(empty_database: Database) -> Iterator[Engine]:
    """One database for both participants: their revisions stand side by side."""
    with empty_database.engine() as engine:
        upgrade(engine, "order", [MIGRATIONS])
        upgrade(engine, "payment", [MIGRATIONS])
        yield engine


@pytest.fixture
def saga() -> UUID:
    return saga_id()


def run(engine: Engine, command: Command, settings: Mapping[str, Json] | None = None) -> Answer:
    participant = PARTICIPANTS[command.participant]
    fence = Fence(participant, engine, settings or {})
    return fence.execute(participant.handlers[command.command], command, NOW)


def order(name: str, payload: Json, saga: UUID, must_succeed: bool = False) -> Command:
    return forward(name, payload, participant="order", saga=saga, step=name, must_succeed=must_succeed)


def replace_payload(command: Command, payload: Json) -> Command:
    return replace(command, payload=payload)


def the_order(engine: Engine) -> tuple[str, str | None, str | None]:
    with engine.connect() as connection:
        row = connection.execute(select(orders.orders.c.status, orders.orders.c.receipt, orders.orders.c.reason)).one()
    return (row.status, row.receipt, row.reason)


def the_ledger(engine: Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        rows = connection.execute(select(payments.payments.c.kind, payments.payments.c.amount))
        return sorted((kind, amount) for kind, amount in rows)


def test_migrations_and_tables_agree(engine: Engine) -> None:
    if engine.dialect.name == "cockroachdb":
        # Its reflection needs CockroachDB's own information_schema; the tables are the same ones.
        return
    for table in (orders.orders, payments.payments):
        found = inspect(engine).get_columns(table.name)
        assert [(column["name"], column["nullable"]) for column in found] == [
            (column.name, column.nullable) for column in table.columns
        ]
        key = inspect(engine).get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key]


def test_an_order_is_placed_charged_and_approved(engine: Engine, saga: UUID) -> None:
    assert run(engine, order("create", ORDER, saga)).result == {"order_id": "o-1"}
    assert the_order(engine) == ("pending", None, None)
    charged = run(engine, forward(payload={"order_id": "o-1", "amount": 4_200}, saga=saga))
    assert isinstance(charged.result, dict)
    receipt = charged.result["receipt"]
    assert isinstance(receipt, str)
    approved = run(engine, order("approve", {"order_id": "o-1", "receipt": receipt}, saga, must_succeed=True))
    assert approved.outcome is Outcome.SUCCEEDED
    assert the_order(engine) == ("approved", receipt, None)
    assert the_ledger(engine) == [("debit", 4_200)]


def test_a_card_is_declined_above_the_limit_of_the_settings(engine: Engine, saga: UUID) -> None:
    command = forward(payload={"order_id": "o-1", "amount": 101}, saga=saga)
    declined = run(engine, command, {"limit": 100})
    assert (declined.outcome, declined.code) == (Outcome.REJECTED, "card_declined")
    assert the_ledger(engine) == []
    assert run(engine, compensation(command)).effect is Effect.NONE


def test_the_shipped_limit_holds_without_settings(engine: Engine, saga: UUID) -> None:
    at_limit: Json = {"order_id": "o-1", "amount": 1_000_000}
    above: Json = {"order_id": "o-2", "amount": 1_000_001}
    assert run(engine, forward(payload=at_limit, saga=saga)).outcome is Outcome.SUCCEEDED
    assert run(engine, forward(payload=above, saga=saga_id())).code == "card_declined"


def test_a_rejected_order_says_why(engine: Engine, saga: UUID) -> None:
    create = order("create", ORDER, saga)
    run(engine, create)
    undo = compensation(create, "reject")
    undone = run(engine, replace_payload(undo, {"order_id": "o-1", "reason": "card_declined"}))
    assert undone.effect is Effect.UNDONE
    assert the_order(engine) == ("rejected", None, "card_declined")


def test_a_refund_gives_back_what_was_debited_with_the_forward_payload(engine: Engine, saga: UUID) -> None:
    debit = forward(payload={"order_id": "o-1", "amount": 4_200}, saga=saga)
    run(engine, debit)
    for _ in range(2):
        assert run(engine, compensation(debit)).effect is Effect.UNDONE
    assert the_ledger(engine) == [("debit", 4_200), ("refund", 4_200)]


def test_a_refund_without_a_debit_enters_nothing(engine: Engine, saga: UUID) -> None:
    debit = forward(payload={"order_id": "o-1", "amount": 4_200}, saga=saga)
    assert run(engine, compensation(debit, result={"receipt": "R-1"})).outcome is Outcome.SUCCEEDED
    assert the_ledger(engine) == []


def test_an_order_is_not_placed_twice_but_again_after_it_was_rejected(engine: Engine, saga: UUID) -> None:
    create = order("create", ORDER, saga)
    run(engine, create)
    second = saga_id()
    assert run(engine, order("create", ORDER, second)).code == "order_exists"
    run(engine, replace_payload(compensation(create, "reject"), {"order_id": "o-1", "reason": "cancelled"}))
    third = saga_id()
    assert run(engine, order("create", ORDER, third)).outcome is Outcome.SUCCEEDED
    assert the_order(engine) == ("pending", None, None)


def test_an_order_of_another_saga_is_neither_approved_nor_rejected(engine: Engine, saga: UUID) -> None:
    run(engine, order("create", ORDER, saga))
    other = saga_id()
    refused = run(engine, order("approve", {"order_id": "o-1", "receipt": "R-1"}, other, must_succeed=True))
    assert refused.code == "order_not_pending"
    undo = compensation(order("create", ORDER, other), "reject", result={"order_id": "o-1"})
    assert run(engine, replace_payload(undo, {"order_id": "o-1", "reason": "x"})).outcome is Outcome.SUCCEEDED
    assert the_order(engine) == ("pending", None, None)


@pytest.mark.parametrize("amount", [0, -1, "much", None])
def test_an_amount_that_is_none_is_rejected(engine: Engine, saga: UUID, amount: Json) -> None:
    answer = run(engine, forward(payload={"order_id": "o-1", "amount": amount}, saga=saga))
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, "invalid_input")
