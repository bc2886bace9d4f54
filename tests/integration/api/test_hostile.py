"""Whoever asks clumsily, or means harm, is answered with a problem that says what is wrong, and breaks nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from api.orders import OPERATIONS
from saga_engine.api.app import application
from saga_engine.api.counters import ApiCounters
from saga_engine.bootstrap.clients import client
from saga_engine.bootstrap.desk import at_hand
from saga_engine.settings.settled import Settings
from saga_engine.words import MOST_WORDS
from store.order_view import metadata
from tests.databases import POSTGRES, SQLITE, Databases
from tests.integration.api.conftest import LIMIT_S, started
from tests.integration.api.statuses import ENDED, STAY, sagas
from tests.integration.api.test_access import OPS, guarded  # noqa: F401 - a fixture
from tests.integration.api.test_orders import ORDER, ROOT
from tests.integration.api.test_sagas import places, problem


@pytest.fixture(params=[SQLITE, POSTGRES])
async def shop(
    request: pytest.FixtureRequest, settings: Settings, databases: Databases
) -> AsyncIterator[httpx.AsyncClient]:
    """The engine's and the project's operations, on each store."""
    shutil.copy(ROOT / "definitions" / "place_order.yaml", settings.root / "definitions")
    views = databases.empty(request.param, settings.root)
    with views.engine() as engine:
        metadata.create_all(engine)
    order_view = replace(settings.projection("order_view"), database=SecretStr(views.url))
    with databases.migrated(request.param, settings.root) as database:
        changed = replace(settings, database=SecretStr(database.url), projections={"order_view": order_view})
        async with at_hand(changed) as desk:
            transport = httpx.ASGITransport(application(desk, ApiCounters(), OPERATIONS))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                yield http


async def test_of_requests_with_one_key_at_the_same_time_one_starts_the_saga(shop: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    answers = await asyncio.gather(*(shop.post("/api/orders", json=ORDER, headers=key) for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 20}
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    wanted = {"saga": "trip", "input": {"trip": "t-1"}}
    answers = await asyncio.gather(*(shop.post("/api/sagas", json=wanted) for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
    assert len((await shop.get("/api/sagas")).json()["sagas"]) == 2


async def test_whatever_stands_in_a_path_is_a_name_that_is_not_there(shop: httpx.AsyncClient) -> None:
    for name in ("%00", "a%00b", "%FF", "%ED%A0%80", "%2e%2e%2f", "x" * 4_000, "%F0%9F%92%A9", "'%3B--", "%25%30%30"):
        saga, order = f"/api/sagas/{name}", f"/api/orders/{name}"
        for path in (saga, f"{saga}/history", f"{saga}/events", order, f"{order}/events"):
            problem(await shop.get(path), 404, "not_found")
        problem(await shop.post(f"{saga}/cancel", json={"why": "a try"}), 404, "not_found")
        listed = await shop.get(f"/api/customers/{name}/orders")
        assert listed.status_code == 404 or listed.json() == {"orders": []}


async def test_an_encoded_slash_is_part_of_a_name(shop: httpx.AsyncClient) -> None:
    wanted = {"saga": "place_order", "input": {"order_id": "a/b c", "customer_id": "c/1", "amount": 1}}
    assert (await shop.post("/api/sagas", json=wanted)).status_code == 201
    assert (await shop.get("/api/orders/a%2Fb%20c")).json()["order_id"] == "a/b c"
    assert (await shop.get("/api/customers/c%2F1/orders")).json() == {"orders": []}
    problem(await shop.get("/api/orders/a/b%20c"), 404, "not_found")


QUERIES = (
    "limit=0", "limit=-1", "limit=1000000000", "limit=1e3", "limit=%C2%B2", "limit=", "limit=1&limit=2",
    f"limit={'9' * 5_000}", "before=nothing", "before=%00", "before=' OR 1=1", "status=dead", "status=",
    "key=%00", "key=%ED%A0%80%00", "older_than=99999999999999999d", "older_than=-1s", "saga=Trip", "nothing=1",
)  # fmt: skip


async def test_a_parameter_that_does_not_fit_is_told_by_its_name(http: httpx.AsyncClient) -> None:
    for query in QUERIES:
        document = problem(await http.get(f"/api/sagas?{query}"), 422, "invalid")
        assert query.partition("=")[0] in str(document["detail"])


async def test_the_id_of_a_saga_is_not_taken_for_the_id_of_an_order_or_a_key(shop: httpx.AsyncClient) -> None:
    trip = await started(shop, "t-1")
    order = (await shop.post("/api/orders", json=ORDER)).json()
    for saga_id in (trip, order["saga_id"]):
        problem(await shop.get(f"/api/orders/{saga_id}"), 404, "not_found")
        assert (await shop.get("/api/sagas", params={"key": saga_id})).json()["sagas"] == []


async def test_a_key_of_several_sagas_wants_the_name_of_one(shop: httpx.AsyncClient) -> None:
    trip = await started(shop, "o-1")
    wanted = {"saga": "place_order", "input": {"order_id": "o-1", "customer_id": "c-1", "amount": 1}}
    assert (await shop.post("/api/sagas", json=wanted)).status_code == 201
    document = problem(await shop.get("/api/sagas", params={"key": "o-1"}), 422, "invalid")
    assert "with the parameter saga" in str(document["detail"])
    found = (await shop.get("/api/sagas", params={"key": "o-1", "saga": "trip"})).json()["sagas"]
    assert [row["id"] for row in found] == [trip]


async def test_a_page_may_begin_below_any_id_whoever_made_it_up(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    for before, found in (("f" * 32, [saga_id]), ("0" * 32, []), (saga_id, [])):
        page = (await http.get("/api/sagas", params={"before": before})).json()
        assert ([row["id"] for row in page["sagas"]], page["next"]) == (found, None)


UNFIT = (
    rb'{"saga": "trip", "input": {"trip": "\ud800"}}',
    rb'{"saga": "trip", "input": {"\udfff": 1}}',
    rb'{"saga": "trip", "input": {"trip": "\u0000"}}',
    b'{"saga": "trip", "input": {"trip": "\x00"}}',
    b'{"saga": "trip", "input": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    b'{"saga": "trip", "input": {"trip": ' + b"9" * 5_000 + b"}}",
    b'{"saga": "trip", "input": {"trip": 1e999}}',
    b"\xef\xbb\xbf{}",
    '{"saga": "trip"}'.encode("utf-16"),
)


async def test_what_no_store_takes_is_malformed(http: httpx.AsyncClient) -> None:
    for text in UNFIT:
        response = await http.post("/api/sagas", content=text, headers={"content-type": "application/json"})
        problem(response, 400, "malformed")


async def test_a_body_that_is_no_object_is_told_so(http: httpx.AsyncClient) -> None:
    for text in ("[]", '"text"', "1", "null", "true"):
        response = await http.post("/api/sagas", content=text, headers={"content-type": "application/json"})
        assert places(problem(response, 422, "invalid")) == ["$"]


async def test_a_body_that_is_packed_is_not_taken_for_wrong_json(http: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    document = problem(await http.post("/api/sagas", content=b"\x1f\x8b", headers=headers), 415, "media_type")
    assert "Content-Encoding" in str(document["detail"])


async def test_a_header_that_is_given_twice_is_not_guessed_at(shop: httpx.AsyncClient) -> None:
    twice = [("idempotency-key", "a"), ("idempotency-key", "b")]
    document = problem(await shop.post("/api/orders", json=ORDER, headers=twice), 422, "invalid")
    assert "idempotency-key" in str(document["detail"])


async def test_a_method_that_is_not_served_is_refused_with_those_that_are(http: httpx.AsyncClient) -> None:
    for method in ("OPTIONS", "PUT", "DELETE", "TRACE", "BREW"):
        response = await http.request(method, "/api/sagas")
        problem(response, 405, "method_not_allowed")
        assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_asking_for_the_head_of_a_stream_does_not_follow_it(
    http: httpx.AsyncClient, counters: ApiCounters
) -> None:
    saga_id = await started(http, "t-1")
    async with asyncio.timeout(LIMIT_S):
        response = await http.head(f"/api/sagas/{saga_id}/events")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert not counters.followers


async def test_a_host_that_is_none_is_not_this_machine(http: httpx.AsyncClient) -> None:
    for host in (b"[", b"[::1", b"localhost:x@evil.example", b"local\x80host"):
        problem(await http.get("/api/sagas", headers=[(b"host", host)]), 421, "host")


async def test_who_is_recorded_never_hides_by_which_token(guarded: httpx.AsyncClient) -> None:  # noqa: F811 - the fixture
    guarded.headers["authorization"] = f"Bearer {OPS}"
    saga_id = await started(guarded, "t-1")
    asked = {"why": "a look", "who": "somebody " * (MOST_WORDS // 9)}
    assert (await guarded.post(f"/api/sagas/{saga_id}/suspend", json=asked)).status_code == 200
    who = (await guarded.get(f"/api/sagas/{saga_id}/history")).json()["events"][-1]["data"]["who"]
    assert who.startswith("somebody somebody")
    assert who.endswith(" by the API's token ops")
    assert len(who) <= MOST_WORDS


async def test_no_verb_does_anything_to_a_saga_that_has_ended(settings: Settings) -> None:
    (settings.root / "definitions" / "stay.yaml").write_text(STAY, encoding="utf-8")
    with closing(client(settings, new=True)) as engine:
        known = sagas(engine, "ann")
    async with at_hand(settings) as desk:
        transport = httpx.ASGITransport(application(desk, ApiCounters()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            for status in ENDED:
                path = f"/api/sagas/{known[status]}"
                before = (await http.get(path)).json()
                for verb in ("cancel", "suspend", "resume", "retry", "skip", "resolve", "signal"):
                    asked = {"event": "Confirmed"} if verb == "signal" else {"why": "a try"}
                    document = problem(await http.post(f"{path}/{verb}", json=asked), 409, "refused")
                    assert document["saga_status"] == status
                assert (await http.get(path)).json() == before
