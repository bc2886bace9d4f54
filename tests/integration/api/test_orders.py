"""The project's order API: one order per idempotency key, money in minor units, the example's JSON taken."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, insert, update

from api.orders import OPERATIONS
from saga_engine.api.app import application
from saga_engine.api.counters import ApiCounters
from saga_engine.bootstrap.desk import Desk, at_hand
from saga_engine.core.decider import Decided
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from store import order_view
from tests.integration.api.test_sagas import places, problem

ROOT = Path(__file__).resolve().parents[3]

ITEMS = [
    {"code": "p-1", "name": "Pizza", "unit_price": 1250, "quantity": 2},
    {"code": "c-1", "name": "Cola", "unit_price": 199, "quantity": 3},
]
ORDER = {"customer_id": "alice", "restaurant_id": "r-1", "items": ITEMS}
EXAMPLE = {
    "order_id": "",
    "customer_id": "alice",
    "status": "",
    "created_on": "0001-01-01T00:00:00Z",
    "restaurant_id": "r-1",
    "amount": 0.0,
    "order_items": [
        {"code": "p-1", "name": "Pizza", "unit_price": 12.5, "quantity": 2},
        {"code": "c-1", "name": "Cola", "unit_price": 1.99, "quantity": 3},
    ],
}


@pytest.fixture
def view(settings: Settings) -> Iterator[Engine]:
    """The query model's database, without tables."""
    engine = open_engine(settings.projection("order_view").database.get_secret_value())
    yield engine
    engine.dispose()


@pytest.fixture
async def desk(settings: Settings, view: Engine) -> AsyncIterator[Desk]:
    """A desk of a project that places orders, whose query model has heard of nothing yet."""
    shutil.copy(ROOT / "definitions" / "place_order.yaml", settings.root / "definitions")
    order_view.metadata.create_all(view)
    async with at_hand(settings) as desk:
        yield desk


@pytest.fixture
async def shop(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(desk, ApiCounters(), OPERATIONS))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_an_order_is_pending_at_once_and_is_shown_where_the_answer_says(shop: httpx.AsyncClient) -> None:
    placed = await shop.post("/api/orders", json=ORDER)
    assert placed.status_code == httpx.codes.CREATED
    order = placed.json()
    assert (order["status"], order["amount"], order["items"]) == ("pending", 2 * 1250 + 3 * 199, ITEMS)
    assert (await shop.get(placed.headers["location"])).json() == order


async def test_the_examples_json_is_the_same_order_in_minor_units(shop: httpx.AsyncClient) -> None:
    ours, example = await shop.post("/api/orders", json=ORDER), await shop.post("/api/orders", json=EXAMPLE)
    own = ("order_id", "saga_id", "created_on")
    assert {name: value for name, value in ours.json().items() if name not in own} == {
        name: value for name, value in example.json().items() if name not in own
    }


async def test_the_same_idempotency_key_twice_is_one_order(shop: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first, again = [await shop.post("/api/orders", json=ORDER, headers=key) for _ in range(2)]
    assert first.json()["order_id"] == again.json()["order_id"]
    assert len((await shop.get("/api/sagas")).json()["sagas"]) == 1
    other = await shop.post("/api/orders", json={**ORDER, "customer_id": "bob"}, headers=key)
    problem(other, 422, "idempotency_key_reused")


async def test_orders_without_a_key_are_orders_each(shop: httpx.AsyncClient) -> None:
    ids = {(await shop.post("/api/orders", json=ORDER)).json()["order_id"] for _ in range(2)}
    assert len(ids) == len((await shop.get("/api/sagas")).json()["sagas"]) == 2


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"items": [{**ITEMS[0], "unit_price": 12.5}]}, "items.0.unit_price"),
        ({"items": [{**ITEMS[0], "quantity": 0}]}, "items.0.quantity"),
        ({"items": None, "order_items": [{**ITEMS[0], "unit_price": 1.999}]}, "order_items.0.unit_price"),
        ({"items": []}, "items"),
        ({"items": None}, "$"),
        ({"order_items": EXAMPLE["order_items"]}, "$"),
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "a\x00b"}, "customer_id"),
        ({"tip": 1}, "tip"),
    ],
)
async def test_what_is_no_order_is_told_with_its_place(
    shop: httpx.AsyncClient, changed: dict[str, object], place: str
) -> None:
    response = await shop.post("/api/orders", json={**ORDER, **changed})
    if response.status_code == httpx.codes.BAD_REQUEST:
        problem(response, 400, "malformed")
        return
    assert places(problem(response, 422, "invalid")) == [place]


async def test_an_order_that_was_cancelled_is_rejected_and_its_events_end(shop: httpx.AsyncClient) -> None:
    order = (await shop.post("/api/orders", json=ORDER)).json()
    problem(await shop.get("/api/orders/none"), 404, "not_found")
    cancelled = await shop.post(f"/api/sagas/{order['saga_id']}/cancel", json={"why": "the shop is closed"})
    assert cancelled.json()["result"] == "done"
    # Its first command is under way, and what it did is not known: it is compensated, which takes a participant.
    shown = (await shop.get(f"/api/orders/{order['order_id']}")).json()
    assert (shown["status"], shown["reason"]) == ("pending", None)


async def test_an_order_is_read_from_the_query_model_once_that_has_heard_of_it(
    shop: httpx.AsyncClient, view: Engine
) -> None:
    order = (await shop.post("/api/orders", json=ORDER)).json()
    assert (await shop.get("/api/customers/alice/orders")).json() == {"orders": []}, "it has heard of nothing yet"
    with view.begin() as db:
        own = {name: order[name] for name in ("order_id", "saga_id", "customer_id", "restaurant_id", "created_on")}
        db.execute(insert(order_view.orders).values(**own, amount=order["amount"], status="pending", placed_at=1))
        lines = [{"order_id": order["order_id"], "line": line, **item} for line, item in enumerate(ITEMS)]
        db.execute(insert(order_view.items), lines)
    assert (await shop.get(f"/api/orders/{order['order_id']}")).json() == order
    with view.begin() as db:
        db.execute(update(order_view.orders).values(status="approved"))
    approved = {**order, "status": "approved"}
    assert (await shop.get(f"/api/orders/{order['order_id']}")).json() == approved
    assert (await shop.get("/api/customers/alice/orders")).json() == {"orders": [approved]}


async def test_an_order_that_the_query_model_will_never_hear_of_is_rejected(
    shop: httpx.AsyncClient, desk: Desk
) -> None:
    order = (await shop.post("/api/orders", json=ORDER)).json()
    code, forward = "order_exists", Direction.FORWARD

    def refused(at: int) -> ReplyReceived:
        return ReplyReceived(
            at, "create_order", None, forward, 1, 1, Outcome.REJECTED, None, code, code, Effect.UNDONE, True
        )

    (verdict,) = await desk.ask(lambda client: client.act_on_many([UUID(order["saga_id"])], refused))
    assert isinstance(verdict, Decided)
    shown = (await shop.get(f"/api/orders/{order['order_id']}")).json()
    assert (shown["status"], shown["reason"]) == ("rejected", code)


async def test_an_order_is_placed_while_the_query_model_is_away_and_read_when_it_is_back(
    shop: httpx.AsyncClient, view: Engine
) -> None:
    order_view.metadata.drop_all(view)
    order = await shop.post("/api/orders", json=ORDER)
    assert (order.status_code, order.json()["status"]) == (httpx.codes.CREATED, "pending")
    problem(await shop.get(order.headers["location"]), 503, "unavailable")
    problem(await shop.get("/api/customers/alice/orders"), 503, "unavailable")
