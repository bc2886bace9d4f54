"""The order API as its callers have it: `saga api` beside `saga run`, over HTTP, read from the query model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Connection, select

from saga_engine.definition.model import Json
from saga_engine.sql.engine import open_engine
from saga_engine.sql.transaction import run_query
from store.payments import payments
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import REPOSITORY, Project, eventually

PATIENT = 120.0
"""Seconds, on a machine that does much else."""
UNPROCESSABLE = httpx.codes.UNPROCESSABLE_ENTITY
REUSED = "urn:saga-engine:problem:idempotency_key_reused"


class Caller:
    """Whoever places orders and looks at them. `http` has the server's address."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def place(self, customer: str, price: int, key: str | None = None) -> httpx.Response:
        """Place an order of one pizza."""
        item: Json = {"code": "p-1", "name": "Pizza", "unit_price": price, "quantity": 1}
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._http.post("/api/orders", json={"customer_id": customer, "items": [item]}, headers=headers)

    def ended(self, placed: httpx.Response) -> tuple[str, str | None]:
        """How it was decided, and why, as soon as the query model knows."""
        assert placed.status_code == httpx.codes.CREATED, placed.text

        def decided() -> tuple[str, str | None] | None:
            order = self._http.get(placed.headers["location"]).raise_for_status().json()
            return None if order["status"] == "pending" else (order["status"], order["reason"])

        return eventually(decided, "the order to be approved or rejected", PATIENT)

    def orders_of(self, customer: str) -> list[tuple[str, str]]:
        answer = self._http.get(f"/api/customers/{customer}/orders").raise_for_status()
        return [(order["order_id"], order["status"]) for order in answer.json()["orders"]]


@pytest.fixture
def shop(project: MakeProject) -> Project:
    return project(REPOSITORY, SAGA_API__LISTEN="127.0.0.1:0")


@pytest.fixture
def caller(shop: Project) -> Iterator[Caller]:
    """Somebody who calls the shop's API, which is served before its first `saga run`."""
    api = shop.begin(command="api")
    eventually(lambda: "Serving" in api.log or api.process.poll() is not None, "the API to be served", PATIENT)
    found = re.search(r"Serving (http://\S+)/api ", api.log)
    assert found is not None, api.log
    with httpx.Client(base_url=found[1], timeout=PATIENT) as http:
        yield Caller(http)


def ledger(shop: Project, order_id: str) -> list[str]:
    """What was entered into the ledger of payments for an order."""

    def read(db: Connection) -> list[str]:
        own = select(payments.c.kind).where(payments.c.order_id == order_id).order_by(payments.c.kind)
        return list(db.execute(own).scalars())

    engine = open_engine(f"sqlite:///{shop.folder}/.saga/payment.db")
    try:
        return run_query(engine, read)
    finally:
        engine.dispose()


@pytest.mark.timeout(400)
def test_orders_are_placed_once_approved_or_rejected_and_paid_back(shop: Project, caller: Caller) -> None:
    early = caller.place("alice", 4_200, "key-1")
    assert (early.json()["status"], caller.orders_of("alice")) == ("pending", []), "nobody works yet"
    shop.run()
    assert caller.ended(early) == ("approved", None)
    assert caller.orders_of("alice") == [(early.json()["order_id"], "approved")]
    declined, refused = caller.place("bob", 1_500_000), caller.place("carol", 700_000)
    assert caller.ended(declined) == ("rejected", "card_declined")
    assert caller.ended(refused) == ("rejected", "review_refused")
    ids = [placed.json()["order_id"] for placed in (early, declined, refused)]
    assert [ledger(shop, order) for order in ids] == [["debit"], [], ["debit", "refund"]]
    again, other = caller.place("alice", 4_200, "key-1"), caller.place("alice", 4_300, "key-1")
    assert (again.json()["order_id"], again.json()["status"]) == (ids[0], "approved")
    assert (other.status_code, other.json()["type"]) == (UNPROCESSABLE, REUSED)
    assert caller.orders_of("alice") == [(ids[0], "approved")]
    assert ledger(shop, ids[0]) == ["debit"]
