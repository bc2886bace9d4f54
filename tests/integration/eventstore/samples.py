"""Events to append, and what a database needs before events can be kept in it."""

from __future__ import annotations

from uuid import uuid4

from saga_engine.eventstore.event import Aggregate, Entry, NewEvent
from saga_engine.eventstore.tables import BRANCH, MIGRATIONS
from saga_engine.sql.migrate import upgrade
from tests.databases import Database

ORDER = Aggregate("o-1", "order")


def entry(
    event_id: str | None = None,
    aggregate: Aggregate = ORDER,
    *,
    data: str = '{"amount": 4200}',
    event_type: str = "ORDERS.created",
    expected: int | None = None,
) -> Entry:
    """An append of an event, with an id of its own unless one is given."""
    return Entry(NewEvent(event_id or str(uuid4()), event_type, aggregate, data, "ORDERS"), expected)


def with_tables(database: Database) -> Database:
    """The same, with the tables of domain events."""
    with database.engine() as engine:
        upgrade(engine, BRANCH, [MIGRATIONS], inbox=False)
    return database
