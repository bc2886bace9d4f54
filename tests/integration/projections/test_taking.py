"""Events into a read model: once each and in order, whatever is repeated, interrupted or done by several at once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, event, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from saga_engine.core.events import SagaStarted
from saga_engine.envelope import EventRecord
from saga_engine.errors import SagaEngineError
from saga_engine.projections import Context, Projection, on
from saga_engine.projections.rebuild import rebuild_at_once
from saga_engine.projections.taking import Taken
from saga_engine.sql.schema import checkpoint_tables, checkpoints
from store import order_view
from store.order_view import Item
from tests.databases import POSTGRES, Databases
from tests.integration.projections.orders import Orders, View, migrated_view, open_view

tallies: Final = MetaData()
tally: Final = Table("tally", tallies, Column("name", Text, primary_key=True), Column("events", Integer))


class Tally(Projection):
    """Adds up, so that an event that counted twice would be seen."""

    name = "tally"
    tables = tallies

    @on(SagaStarted)
    def started(self, ctx: Context, started: SagaStarted) -> None:
        self.add(ctx, started.saga)

    @on("OrderCreated", "OrderApproved", "OrderRejected", "PaymentDebited")
    def published(self, ctx: Context) -> None:
        self.add(ctx, "published")

    def add(self, ctx: Context, name: str) -> None:
        if ctx.db.execute(update(tally).where(tally.c.name == name).values(events=tally.c.events + 1)).rowcount == 0:
            ctx.db.execute(insert(tally).values(name=name, events=1))


def test_an_order_is_shown_as_far_as_it_is(orders: Orders, any_view: View) -> None:
    going, declined = orders.start([3, 13])
    assert any_view.take([going, declined]) == Taken(2, 4, {})
    orders.create([going, declined])
    any_view.take([going, declined])
    with any_view.engine.connect() as db:
        pending = order_view.order(db, "o-000003")
        assert pending is not None
        assert (pending.status, pending.amount, pending.receipt) == ("pending", 1_003, None)
        assert pending.items[2] == Item(code="c-2", name="Dish 2", unit_price=102, quantity=3)
    orders.pay([going])
    orders.approve([going])
    orders.decline([declined])
    any_view.take([going, declined])
    with any_view.engine.connect() as db:
        found = order_view.orders_of(db, "c-3")
        assert [(one.order_id, one.status, one.receipt, one.reason) for one in found] == [
            ("o-000013", "rejected", None, "card_declined"),
            ("o-000003", "approved", "R-1", None),
        ]
        assert [len(one.items) for one in found] == [1, 3]
        assert order_view.order(db, "o-000004") is None
        assert order_view.orders_of(db, "c-4") == []


def test_what_is_told_twice_counts_once(orders: Orders, any_view: View) -> None:
    sagas = orders.finish(range(10))
    unseen = any_view.unseen.read(dict.fromkeys(sagas, 0))
    first = any_view.taker.take(unseen)
    assert (first.sagas, first.events) == (10, sum(len(one.happened) for one in unseen))
    assert any_view.taker.take(unseen) == Taken(0, 0, {})
    assert any_view.catch_up() == 0


def test_an_order_that_is_placed_again_is_shown_as_the_later_saga_says(orders: Orders, view: View) -> None:
    (first,) = orders.start([1])
    orders.create([first])
    orders.decline([first])
    (second,) = orders.start([1], again=True)
    orders.create([second])
    for sagas in ([second], [first]):
        view.take(sagas)
    with view.engine.connect() as db:
        shown = order_view.order(db, "o-000001")
    assert shown is not None
    assert shown.status == "pending"


@contextmanager
def failing_once(view: View, statement: str, error: BaseException) -> Iterator[list[str]]:
    """This happens, once, when a statement that begins like this is to be executed."""
    broken: list[str] = []

    def break_down(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        if text.startswith(statement) and not broken:
            broken.append(text)
            raise error

    event.listen(view.engine, "before_cursor_execute", break_down)
    yield broken
    event.remove(view.engine, "before_cursor_execute", break_down)


@pytest.mark.parametrize("statement", ["INSERT INTO order_view", "UPDATE saga_checkpoints"])
def test_a_crash_between_view_and_checkpoint_leaves_both_or_neither(
    orders: Orders, any_view: View, statement: str
) -> None:
    sagas = orders.finish(range(8))
    gone = KeyboardInterrupt("the process is gone")
    with failing_once(any_view, statement, gone) as broken, pytest.raises(KeyboardInterrupt):
        any_view.take(sagas)
    assert len(broken) == 1
    assert any_view.rows() == []
    assert any_view.taker.checkpoints.of(any_view.engine, sagas) == {}
    taken = any_view.take(sagas)
    assert (taken.sagas, taken.troubled) == (8, {})
    assert len([row for row in any_view.rows() if row[4] in ("approved", "rejected")]) == 8


def test_several_that_follow_the_same_sagas_count_each_event_once(orders: Orders, any_view: View) -> None:
    tallies.create_all(any_view.engine)
    sagas = orders.finish(range(40))
    barrier = threading.Barrier(4)
    counted: list[int] = []

    def follow() -> None:
        own = open_view(orders.store, any_view.engine, Tally)
        unseen = own.unseen.read(dict.fromkeys(sagas, 0))
        barrier.wait(timeout=90)
        # In another order each, so that they would wait in a circle if locks were taken as they come.
        rest = unseen[len(counted) :] + unseen[: len(counted)]
        for start in range(0, len(rest), 10):
            counted.append(own.taker.take(rest[start : start + 10]).events)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    with any_view.engine.connect() as db:
        found = {row.name: row.events for row in db.execute(select(tally)).all()}
    assert found == {"place_order": 40, "published": 32 * 3 + 8 * 2}
    assert sum(counted) == sum(head.version for head in orders.store.heads(sagas).values())


class Picky(Projection):
    name = "picky"
    sagas = ("place_order",)
    tables = tallies
    disliked = "o-000002"

    @on("OrderCreated")
    def created(self, ctx: Context, order: dict[str, object]) -> None:
        if order["order_id"] == self.disliked:
            raise LookupError(f"no place for {order['order_id']}")
        ctx.db.execute(insert(tally).values(name=ctx.key, events=1))

    @on("OrderApproved")
    def approved(self, ctx: Context) -> None:
        ctx.db.execute(update(tally).where(tally.c.name == ctx.key).values(events=2))


def test_a_saga_whose_event_cannot_be_taken_is_held_back_before_it_and_alone(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    tallies.create_all(view.engine)
    own = open_view(orders.store, view.engine, Picky)
    sagas = orders.finish([1, 2, 3])
    taken = own.take(sagas)
    reason = "OrderCreated: LookupError: no place for o-000002"
    assert taken.troubled == {sagas[1]: reason}
    found = own.taker.checkpoints.of(own.engine, sagas)
    assert [found[saga].trouble for saga in sagas] == [None, reason, None]
    assert found[sagas[1]].version == 2, "SagaStarted and CommandIssued are taken, StepSucceeded is not"
    with own.engine.connect() as db:
        assert {row.name for row in db.execute(select(tally)).all()} == {"o-000001", "o-000003"}
    monkeypatch.setattr(Picky, "disliked", "")
    assert own.take(sagas).troubled == {}
    assert own.taker.checkpoints.of(own.engine, sagas)[sagas[1]].trouble is None
    with own.engine.connect() as db:
        assert {row.name: row.events for row in db.execute(select(tally)).all()}["o-000002"] == 2


def test_data_of_another_form_than_declared_holds_back_without_being_repeated(orders: Orders, view: View) -> None:
    class Strict(Projection):
        name = "strict"
        tables = tallies

        @on("PaymentDebited")
        def debited(self, ctx: Context, debit: Item) -> None: ...

    own = open_view(orders.store, view.engine, Strict)
    sagas = orders.start([1])
    orders.create(sagas)
    orders.pay(sagas)
    (reason,) = own.take(sagas).troubled.values()
    assert reason.startswith("PaymentDebited: code: Field required; ")
    assert "R-1" not in reason


def test_an_event_that_cannot_be_read_holds_back_its_saga(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    sagas = orders.finish([1, 2])
    with view.engine.connect() as db:
        assert db.execute(select(checkpoints)).all() == []
    whole = orders.store.load(dict.fromkeys(sagas, -1))
    damaged = [*whole[sagas[0]].events]
    damaged[4] = EventRecord(5, "SagaTeleported", b"{}", damaged[4].at)
    broken = dict(whole) | {sagas[0]: type(whole[sagas[0]])(whole[sagas[0]].head, None, damaged)}
    monkeypatch.setattr(orders.store, "load", lambda _wanted: broken)
    taken = view.take(sagas)
    assert list(taken.troubled) == [sagas[0]]
    found = view.taker.checkpoints.of(view.engine, sagas)
    assert found[sagas[0]].version == 4
    assert "SagaTeleported" in (found[sagas[0]].trouble or "")


def test_a_transaction_that_lost_is_run_again_whole_and_is_no_trouble_of_a_saga(orders: Orders, view: View) -> None:
    sagas = orders.finish(range(5))
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    lost = OperationalError("INSERT INTO order_view", None, busy)
    with failing_once(view, "INSERT INTO order_view", lost) as broken:
        taken = view.take(sagas)
    assert (len(broken), taken.sagas, taken.troubled) == (1, 5, {})
    assert len([row for row in view.rows() if row[4] in ("approved", "rejected")]) == 5


def test_the_checkpoint_tables_are_all_that_the_sdk_adds() -> None:
    assert list(checkpoint_tables.tables) == ["saga_checkpoints"]


class Swallowing(Projection):
    """Passes over what its database refuses, as a handler on SQLite may."""

    name = "swallowing"
    sagas = ("place_order",)
    tables = tallies

    @on("OrderCreated")
    def created(self, ctx: Context) -> None:
        for _ in range(2 if ctx.key == "o-000002" else 1):
            with suppress(IntegrityError):
                ctx.db.execute(insert(tally).values(name=ctx.key, events=1))

    @on("OrderApproved")
    def approved(self, ctx: Context) -> None:
        ctx.db.execute(update(tally).where(tally.c.name == ctx.key).values(events=2))


class Late(Projection):
    """Breaks a rule that its database looks at when the transaction is committed."""

    name = "late"
    sagas = ("place_order",)
    tables = MetaData()
    lines = Table(
        "lines",
        tables,
        Column("name", Text, primary_key=True),
        Column("parent", ForeignKey("lines.name", deferrable=True, initially="DEFERRED")),
    )

    @on("OrderCreated")
    def created(self, ctx: Context) -> None:
        parent = "nobody" if ctx.key == "o-000002" else None
        ctx.db.execute(insert(self.lines).values(name=ctx.key, parent=parent))


class Leaving(Projection):
    """Wants to end the process at one event, and cannot say why at another."""

    name = "leaving"
    sagas = ("place_order",)
    tables = tallies

    @on("OrderCreated")
    def created(self, ctx: Context) -> None:
        if ctx.key == "o-000001":
            raise SystemExit(3)
        if ctx.key == "o-000002":
            raise SilentError


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("projection", "table", "reason"),
    [(Swallowing, tally, "let it pass"), (Late, Late.lines, "StepSucceeded: insert or update on table")],
)
def test_a_handler_that_spoils_the_transaction_holds_back_no_saga_but_its_own(
    orders: Orders, databases: Databases, tmp_path: Path, projection: type[Projection], table: Table, reason: str
) -> None:
    with migrated_view(databases.empty(POSTGRES, tmp_path).url) as engine:
        projection.tables.create_all(engine)
        own = open_view(orders.store, engine, projection)
        sagas = orders.finish([1, 2, 3])
        taken = own.take(sagas)
        assert list(taken.troubled) == [sagas[1]]
        found = own.taker.checkpoints.of(engine, sagas)
        assert reason in (found[sagas[1]].trouble or "")
        assert found[sagas[1]].version == 2, "what comes before is taken"
        with engine.connect() as db:
            assert set(db.execute(select(table.c.name)).scalars()) == {"o-000001", "o-000003"}
        with pytest.raises(SagaEngineError, match="stays as it was"):
            rebuild_at_once(own.store, own.taker, own.unseen, lambda _progress: None)


def test_a_handler_that_wants_to_end_the_process_or_raises_what_has_no_words_holds_back_its_saga(
    orders: Orders, tmp_path: Path
) -> None:
    with migrated_view(f"sqlite:///{tmp_path / 'view.db'}") as engine:
        own = open_view(orders.store, engine, Leaving)
        sagas = orders.finish([1, 2, 3])
        taken = own.take(sagas)
        assert [taken.troubled.get(saga) for saga in sagas] == [
            "OrderCreated: SystemExit: 3",
            "OrderCreated: SilentError",
            None,
        ]


def test_trouble_with_an_event_that_somebody_else_has_taken_is_none(orders: Orders, view: View) -> None:
    sagas = orders.finish([1])
    (unseen,) = view.unseen.read(dict.fromkeys(sagas, 0))
    view.taker.take([unseen])
    late = replace(unseen, happened=unseen.happened[:2], trouble="not with this release")
    assert view.taker.take([late]) == Taken(0, 0, {})
    assert view.taker.checkpoints.of(view.engine, sagas)[sagas[0]].trouble is None
