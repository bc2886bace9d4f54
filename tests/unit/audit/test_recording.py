"""Messages as records: what the wire log says of a command, a reply, a domain event and of what is none of these."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import insert

from saga_engine.audit.recording import delivered, inbox_rows, published
from saga_engine.audit.records.messages import Carried
from saga_engine.audit.records.participants import InboxRow
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Address, Command, DomainEvent, Message, Reply
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox, inbox_tables
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.events import event_to_message
from saga_engine.wire.replies import reply_to_message

SAGA = UUID("018f0000-0000-7000-8000-000000000001")
PLACE = Address(SAGA, "parent/create", 3, Direction.COMPENSATE)
COMMAND = Command(PLACE, "s", "order", "reject", 4, 2, 17, {"a": 1}, 10, 20, True, None, "token", None)
REPLY = Reply(PLACE, "order", 4, 2, 17, Outcome.SUCCEEDED, None, "", "", Effect.NONE, True, "token", None)


def test_a_command_is_recorded_with_its_identity_and_the_hash_of_its_body() -> None:
    one = published(command_to_message(COMMAND), 15, order=3, process="o1", acknowledged=True)
    other = published(command_to_message(replace(COMMAND, send=18, deadline=30)), 16)
    assert (one.carried, one.saga_id, one.key, one.participant) == (Carried.COMMAND, SAGA, PLACE.key, "order")
    assert (one.name, one.attempt, one.send, one.issued_at, one.deadline) == ("reject", 2, 17, 10, 20)
    assert (one.order, one.process, one.acknowledged, one.message_id) == (3, "o1", True, COMMAND.message_id)
    assert one.body_hash == other.body_hash
    assert published(command_to_message(replace(COMMAND, payload={"a": 2})), 15).body_hash != one.body_hash


def test_a_reply_is_recorded_with_what_it_says() -> None:
    record = published(reply_to_message(REPLY), 15, forged=True)
    assert (record.carried, record.key, record.participant) == (Carried.REPLY, PLACE.key, "order")
    assert (record.outcome, record.effect, record.forged) == (Outcome.SUCCEEDED, Effect.NONE, True)


@pytest.mark.parametrize("subject", [None, "orders.created"])
def test_a_domain_event_is_recorded_with_the_version_behind_it(subject: str | None) -> None:
    record = published(event_to_message(DomainEvent(SAGA, "s", "k", 12, "Done", subject, {}, 5, None)), 15)
    assert (record.carried, record.saga_id, record.version, record.name) == (Carried.EVENT, SAGA, 12, "Done")


def test_a_dead_letter_is_recorded_as_one() -> None:
    assert published(dead_letter("order", command_to_message(COMMAND), "why"), 1).carried is Carried.DEAD


@pytest.mark.parametrize(
    "subject", ["saga.command.order.create", "saga.reply.3.order", "elsewhere.else", "saga", "saga.event.s.Done"]
)
def test_of_an_unreadable_message_only_its_subject_is_known(subject: str) -> None:
    record = published(Message(subject, {}, b"\xff", "no/id/7"), 1)
    assert record.subject == subject
    assert record.saga_id is None
    assert record.key == ""


def test_a_delivery_is_recorded_with_its_saga_and_count() -> None:
    record = delivered(command_to_message(COMMAND), 2, 9, process="w1", order=4)
    assert (record.saga_id, record.deliveries, record.process, record.order) == (SAGA, 2, "w1", 4)
    assert record.message_id == COMMAND.message_id


def test_an_inbox_is_recorded_row_by_row() -> None:
    engine = open_engine("sqlite:///:memory:")
    inbox_tables.create_all(engine)
    row = {"outcome": "tombstone", "effect": "none", "code": "c", "message": "", "issued_at": 1, "recorded_at": 2}
    with engine.begin() as connection:
        connection.execute(insert(inbox), [{"key": PLACE.key, **row}, {"key": "somebody else's", **row}])
        assert inbox_rows("order", connection) == [InboxRow("order", PLACE.key, SAGA, "tombstone", Effect.NONE, "c", 2)]
    engine.dispose()
