"""The order API: place an order, look at it, list a customer's, follow one. Orders are sagas: nothing else is written.

Owns paths, and that orders are read from the query model; the form of an order on the wire is `order_forms`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Final, TypeVar
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Connection

from api.order_forms import Order, Orders, PlaceOrder
from saga_engine.api import Answer, Operation, Problem, Request, body
from saga_engine.api.sagas import LAST_EVENT_ID, TRACEPARENT, UNREADABLE
from saga_engine.api.sse import Sent, follow, last_event_id
from saga_engine.definition.inputs import InputRejected
from saga_engine.definition.model import Json
from saga_engine.errors import NotFoundError, SagaEngineError
from saga_engine.moments import rfc3339
from saga_engine.orchestrator.client import SagaView
from saga_engine.orchestrator.starting import KeyConflict
from saga_engine.refusals import refusal
from store import order_view

T = TypeVar("T")

SAGA: Final = "place_order"
CREATED: Final = "OrderCreated"
"""What the query model hears of an order first."""
KEYS: Final = UUID("6f0c2b52-4d0e-5d0c-9f2e-6a1b7d3c8e90")
"""The namespace in which an idempotency key names an order."""
_MOST_KEY: Final = 255


def _order_id(request: Request) -> str:
    """The id of the order to place: the same for the same idempotency key of the same caller.

    Raises:
        Problem: the key is no key.
    """
    key = request.header("idempotency-key")
    if key is None:
        return str(uuid4())
    if not (0 < len(key) <= _MOST_KEY and key.isascii() and key.isprintable()):
        said = f"Idempotency-Key: expected 1 to {_MOST_KEY} printable characters, as in a UUID"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", said)
    return str(uuid5(KEYS, f"{request.caller or ''}/{key}"))


async def place(request: Request) -> Answer:
    order_id = _order_id(request)
    wanted = _wanted(order_id, await body(request.http, PlaceOrder))
    started: Json = {**wanted, "created_on": rfc3339(request.desk.clock.now())}
    outcome = await request.desk.ask(lambda client: client.start(SAGA, started, traceparent=request.traceparent))
    location = {"Location": f"/api/orders/{order_id}"}
    if isinstance(outcome, KeyConflict):
        # The input differs at least in when it was ordered.
        await _refuse_another_order(request, outcome, wanted)
        request.desk.bell.ring([outcome.saga_id])
        return Answer(await _order(request, order_id), HTTPStatus.CREATED, location)
    if isinstance(outcome, InputRejected):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "input", str(outcome))
    begun = refusal(outcome)
    if isinstance(begun, SagaEngineError):
        raise Problem(HTTPStatus.CONFLICT, "refused", str(begun))
    request.desk.bell.ring([begun.saga_id])
    return Answer(_placed(await _view(request, order_id)), HTTPStatus.CREATED, location)


def _wanted(order_id: str, order: PlaceOrder) -> Mapping[str, Json]:
    return {
        "order_id": order_id,
        "customer_id": order.customer_id,
        "restaurant_id": order.restaurant_id or "",
        "amount": order.total(),
        "items": [one.model_dump() for one in order.exact_items()],
    }


async def _refuse_another_order(request: Request, conflict: KeyConflict, wanted: Mapping[str, Json]) -> None:
    """Raise `Problem` unless what was placed with the key is what is wanted now."""
    placed = _data((await request.desk.ask(lambda client: client.view(conflict.saga_id))).state.input)
    if any(placed.get(name) != value for name, value in wanted.items()):
        said = "Idempotency-Key: another order was placed with this key; use a new one"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", said)


async def show(request: Request) -> Answer:
    return Answer(await _order(request, request.path["order_id"]))


async def of_customer(request: Request) -> Answer:
    customer = request.path["customer_id"]
    found = await _read(request, lambda db: order_view.orders_of(db, customer))
    return Answer({"orders": [_held(order) for order in found]})


async def events(request: Request) -> Answer:
    after = last_event_id(request)
    view = await _view(request, request.path["order_id"])
    return Answer(follow(request, view, after, _published))


async def _view(request: Request, order_id: str) -> SagaView:
    missing = NotFoundError(f"no order with id {order_id!r}")
    try:
        view = await request.desk.ask(lambda client: client.view(client.find(order_id, SAGA)))
    except NotFoundError:
        raise missing from None
    if (view.head.saga, view.head.key) != (SAGA, order_id):
        raise missing  # The client takes the id of any saga for a key.
    request.concerns(view.state.saga_id)
    return view


def _published(view: SagaView, after: int) -> Sequence[Sent]:
    """The domain events of the order: those that are published."""
    return [
        Sent(version, event.name, {"order_id": view.state.key, **_data(event.data)})
        for version, event in view.emitted.items()
        if version > after
    ]


def _data(data: Json) -> Mapping[str, Json]:
    return data if isinstance(data, Mapping) else {}


async def _read(request: Request, query: Callable[[Connection], T]) -> T:
    """Ask the query model. Raises `UnavailableError` as `Desk.read`."""
    database = request.desk.settings.projection(order_view.OrderView.name).database
    return await request.desk.read(database, query)


async def _order(request: Request, order_id: str) -> Json:
    """An order as the query model holds it, or until then as its saga tells it. Raises `NotFoundError`."""
    held = await _read(request, lambda db: order_view.order(db, order_id))
    if held is None:
        return _placed(await _view(request, order_id))
    request.concerns(held.saga_id)
    return _held(held)


def _held(order: order_view.Order) -> Json:
    return {
        "order_id": order.order_id,
        "saga_id": str(order.saga_id),
        "customer_id": order.customer_id,
        "restaurant_id": order.restaurant_id,
        "status": order.status,
        "reason": order.reason,
        "amount": order.amount,
        "items": [item.model_dump() for item in order.items],
        "created_on": order.created_on or rfc3339(order.placed_at),
    }


def _placed(view: SagaView) -> Json:
    """An order of which the query model has not heard yet: pending, whatever else the saga knows meanwhile.

    So no reader sees an order that was approved be pending again. One that was never created it will never hear of.
    """
    state = view.state
    said = _data(state.input)
    created = said.get("created_on")
    never = state.status.ended and CREATED not in {event.name for event in view.emitted.values()}
    return {
        "order_id": state.key,
        "saga_id": str(state.saga_id),
        "customer_id": said.get("customer_id"),
        "restaurant_id": said.get("restaurant_id") or None,
        "status": order_view.REJECTED if never else order_view.PENDING,
        "reason": state.failure.code if never and state.failure is not None else None,
        "amount": said.get("amount"),
        "items": said.get("items") or [],
        "created_on": rfc3339(state.started_at) if created in (None, order_view.UNKNOWN_TIME) else created,
    }


_TEXT: Final[Json] = {"type": "string"}

OPERATIONS: Final = (
    Operation(
        HTTPMethod.POST,
        "/api/orders",
        "placeOrder",
        "Place an order. With the same Idempotency-Key again, the order there is.",
        place,
        {HTTPStatus.CREATED: Order},
        takes=PlaceOrder,
        headers={
            **TRACEPARENT,
            "Idempotency-Key": {
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
                "description": "A new one for each order; without it, a repeated request is one more order.",
            },
        },
        problems=(HTTPStatus.CONFLICT,),
        tag="orders",
    ),
    Operation(
        HTTPMethod.GET,
        "/api/orders/{order_id}",
        "showOrder",
        "Show an order.",
        show,
        {HTTPStatus.OK: Order},
        parameters={"order_id": {"schema": _TEXT}},
        problems=UNREADABLE,
        tag="orders",
    ),
    Operation(
        HTTPMethod.GET,
        "/api/customers/{customer_id}/orders",
        "customerOrders",
        "The orders of a customer, newest first.",
        of_customer,
        {HTTPStatus.OK: Orders},
        parameters={"customer_id": {"schema": _TEXT}},
        problems=UNREADABLE,
        tag="orders",
    ),
    Operation(
        HTTPMethod.GET,
        "/api/orders/{order_id}/events",
        "followOrder",
        "What happens to an order, as server-sent events: the domain events that are published.",
        events,
        {HTTPStatus.OK: None},
        parameters={"order_id": {"schema": _TEXT}},
        headers=LAST_EVENT_ID,
        problems=UNREADABLE,
        tag="orders",
    ),
)
