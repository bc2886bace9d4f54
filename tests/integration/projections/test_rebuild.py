"""A read model dropped and made anew equals the one it replaces, and the lag is seen meanwhile.

`PROJECTION_ORDERS` says of how many orders; `make projections` asks for 10,000.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from sqlalchemy import delete, select

from saga_engine.errors import SagaEngineError
from saga_engine.ports.store import EventStore
from saga_engine.projections.lag import HeldBack, Lag, RecentLag, lag_of, recent_lag_of
from saga_engine.projections.rebuild import Progress, rebuild_at_once, rebuild_in_steps
from saga_engine.projections.taking import Taker
from saga_engine.projections.unseen import UnseenEvents
from saga_engine.sql.schema import checkpoints
from store import order_view
from store.order_view import OrderCreated, OrderView
from tests.integration.projections.orders import Orders, View

COUNT = int(os.environ.get("PROJECTION_ORDERS", "200"))

Rebuild = Callable[[EventStore, Taker, UnseenEvents, Callable[[Progress], None]], Progress]


def ignore(*_progress: object) -> None:
    """Nobody looks."""


def lag(view: View) -> Lag:
    return lag_of(view.store, view.taker, ignore)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rebuild", [rebuild_in_steps, rebuild_at_once])
def test_the_query_model_dropped_and_rebuilt_equals_the_one_it_replaces(
    orders: Orders, large_view: View, rebuild: Rebuild, record_property: Callable[[str, object], None]
) -> None:
    orders.finish_many(COUNT)
    events = large_view.catch_up()
    before = large_view.rows()
    assert len([row for row in before if row[4] in ("approved", "rejected")]) == COUNT
    for table in (order_view.items, order_view.orders):
        with large_view.engine.begin() as db:
            db.execute(delete(table))
    seen: list[tuple[Progress, Lag, int]] = []

    def look(progress: Progress) -> None:
        seen.append((progress, lag(large_view), len(large_view.rows())))

    began = time.process_time()
    report = look if rebuild is rebuild_in_steps else ignore
    done = rebuild(large_view.store, large_view.taker, large_view.unseen, report)
    record_property("cpu seconds", time.process_time() - began)
    assert done == Progress(COUNT, COUNT, events, 0)
    assert large_view.rows() == before
    for progress, shown, _rows in seen:
        assert (shown.behind, shown.events) == (COUNT - progress.looked, events - progress.events)
    assert (lag(large_view).behind, lag(large_view).oldest) == (0, None)
    assert large_view.catch_up() == 0


def test_readers_see_the_old_one_until_the_new_one_is_there(orders: Orders, view: View) -> None:
    orders.finish_many(30)
    view.catch_up()
    before = view.rows()
    seen: list[object] = []
    rebuild_at_once(view.store, view.taker, view.unseen, lambda _progress: seen.append(view.rows()))
    assert seen == [before]


def test_a_rebuild_at_once_that_fails_leaves_everything_as_it_was(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.finish_many(10)
    view.catch_up()
    before = view.rows()

    def full(_self: OrderView, _ctx: object, order: OrderCreated) -> None:
        raise RuntimeError("the shelf is full")

    handler = OrderView.published_handlers["OrderCreated"]
    broken = type(handler)(full, True, handler.data, handler.place)
    monkeypatch.setattr(OrderView, "published_handlers", {**OrderView.published_handlers, "OrderCreated": broken})
    with pytest.raises(SagaEngineError, match=r"stays as it was: place_order o-\d+: OrderCreated: RuntimeError: the"):
        rebuild_at_once(view.store, view.taker, view.unseen, ignore)
    assert view.rows() == before
    assert lag(view).behind == 0
    done = rebuild_in_steps(view.store, view.taker, view.unseen, ignore)
    assert (done.troubled, view.rows()) == (10, [])
    shown = lag(view)
    assert (shown.behind, shown.troubled) == (10, 10)
    assert shown.held_back[0] == HeldBack(
        "place_order", shown.held_back[0].key, 3, "OrderCreated: RuntimeError: the shelf is full"
    )


def test_what_somebody_read_before_a_rebuild_began_is_not_taken_after_it(orders: Orders, any_view: View) -> None:
    sagas = orders.start([1])
    any_view.take(sagas)
    orders.create(sagas)
    late = any_view.unseen.read(dict.fromkeys(sagas, 2))
    orders.finish([2])
    rebuilt: list[int] = []

    def meanwhile(_progress: Progress) -> None:
        rebuilt.append(any_view.taker.take(late).events)

    rebuild_in_steps(any_view.store, any_view.taker, any_view.unseen, meanwhile)
    assert rebuilt == [0]
    with any_view.engine.begin() as db:
        any_view.taker.checkpoints.close(db)
        any_view.taker.checkpoints.forget(db)
    assert any_view.taker.take(late).events == 0, "what lies between is missing"


def test_lag_counts_what_was_not_seen_and_since_when(orders: Orders, view: View) -> None:
    first, second = orders.start([1, 2])
    view.take([first])
    begun = lag(view)
    assert (begun.sagas, begun.behind, begun.events) == (2, 1, 2)
    assert begun.oldest == orders.store.heads([second])[second].started_at
    orders.create([first])
    view.take([second])
    shown = lag(view)
    assert (shown.behind, shown.events) == (1, 2)
    assert shown.oldest is not None
    assert shown.oldest > begun.oldest
    # Both are new and have not ended: each counts once where only those are looked at.
    assert recent_lag_of(view.store, view.taker) == RecentLag(1, 0, shown.oldest)
    view.catch_up()
    assert recent_lag_of(view.store, view.taker) == RecentLag(0, 0, None)


def test_a_rebuild_keeps_the_checkpoints_of_other_projections(orders: Orders, view: View) -> None:
    orders.finish_many(3)
    view.catch_up()
    with view.engine.begin() as db:
        db.execute(
            checkpoints.insert().from_select(
                [column.name for column in checkpoints.c],
                select(*(c if c.name != "projection" else (c + "_too") for c in checkpoints.c)),
            )
        )
    rebuild_in_steps(view.store, view.taker, view.unseen, ignore)
    with view.engine.connect() as db:
        named = db.execute(select(checkpoints.c.projection)).scalars().all()
    assert {name: named.count(name) for name in set(named)} == {"order_view": 4, "order_view_too": 4}
