"""Who may call the HTTP API, where it may listen, and what bodies it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from saga_engine.api.access import refuse_exposure
from saga_engine.api.app import application
from saga_engine.api.bodies import BODY_BYTES
from saga_engine.api.counters import ApiCounters
from saga_engine.bootstrap.desk import Desk
from saga_engine.configuration import load
from saga_engine.errors import UsageError
from saga_engine.settings.sections import ApiSection
from saga_engine.settings.settled import Settings
from tests.integration.api.conftest import started
from tests.integration.api.test_sagas import problem

OPS, SHOP = "o" * 32, "s" * 32


@pytest.fixture
async def guarded(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The API with two tokens."""
    api = ApiSection(tokens={"ops": SecretStr(OPS), "shop": SecretStr(SHOP)})
    desk.settings = replace(desk.settings, api=api)
    transport = httpx.ASGITransport(application(desk, ApiCounters()))
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example") as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer " + OPS[:-1])],
        [("authorization", OPS)],
        [("authorization", "Basic " + OPS)],
        [("authorization", "Bearer " + OPS), ("authorization", "Bearer " + OPS)],
        [("authorization", "Bearer é")],
    ],
)
async def test_without_a_token_nothing_is_told(guarded: httpx.AsyncClient, headers: Sequence[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    for path in ("/api/sagas", "/api/openapi.json", "/nothing"):
        response = await guarded.get(path, headers=raw)
        problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_health_is_told_without_a_token(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/health")).text == "ok\n"


async def test_each_token_lets_in_and_its_name_stands_in_the_history(guarded: httpx.AsyncClient) -> None:
    guarded.headers["authorization"] = f"bearer {OPS}"
    saga_id = await started(guarded, "t-1")
    guarded.headers["authorization"] = f"Bearer {SHOP}"
    await guarded.post(f"/api/sagas/{saga_id}/suspend", json={"why": "a look"})
    events = (await guarded.get(f"/api/sagas/{saga_id}/history")).json()["events"]
    assert events[-1]["data"]["who"] == "the API's token shop"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "10.0.0.7", "localhost.evil.example", ""])
async def test_without_tokens_a_name_that_is_not_this_machines_is_not_answered(
    http: httpx.AsyncClient, host: str
) -> None:
    problem(await http.get("/api/sagas", headers={"host": host}), 421, "host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:3000", "[::1]:3000"])
async def test_without_tokens_this_machine_is_answered(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/api/sagas", headers={"host": host})).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    ("api", "insecure", "said"),
    [
        ("listen: 0.0.0.0:3000", False, "set a token"),
        ("listen: 0.0.0.0:3000", True, "set a token"),
        (f"listen: 0.0.0.0:3000\n  tokens: {{ops: {OPS}}}", False, "plain text"),
        (f"listen: 0.0.0.0:3000\n  tokens: {{ops: {OPS}}}", True, None),
        (f"listen: 0.0.0.0:3000\n  tokens: {{ops: {OPS}}}\n  certificate: c.pem\n  key: k.pem", False, None),
        ("listen: 3000", False, None),
        ("listen: '[::1]:3000'", False, None),
    ],
)
def test_beyond_this_machine_it_needs_a_token_and_encryption(
    tmp_path: Path, api: str, insecure: bool, said: str | None
) -> None:
    settings = configured(tmp_path, api, insecure)
    if said is None:
        refuse_exposure(settings)
        return
    with pytest.raises(UsageError, match=said) as refused:
        refuse_exposure(settings)
    assert OPS not in str(refused.value)


def configured(folder: Path, api: str, insecure: bool) -> Settings:
    text = f"saga_engine: 1\ninsecure: {str(insecure).lower()}\napi:\n  {api}\n"
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return load(folder).settings


def test_a_token_is_never_shown_and_never_taken_from_an_argument(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"saga_engine: 1\napi: {{tokens: {{ops: {OPS}}}}}\n", encoding="utf-8")
    shown = {value.place: value.value for value in load(tmp_path).values}
    assert shown["api.tokens.ops"] == "***"
    with pytest.raises(UsageError, match="SAGA_API__TOKENS__OPS") as refused:
        load(tmp_path, [f"api.tokens.ops={OPS}"])
    assert OPS not in str(refused.value)


def test_a_token_that_is_quickly_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\napi: {tokens: {ops: short}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"api\.tokens\.ops: must have 16 to 512"):
        load(tmp_path)


async def test_a_body_that_is_too_long_is_cut_off(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES // 65_536 + 1):
            yield b" " * 65_536

    response = await http.post("/api/sagas", content=endless(), headers={"content-type": "application/json"})
    problem(response, 413, "too_large")


async def test_what_a_page_of_another_site_could_send_is_not_taken(http: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "text/application/json"):
        response = await http.post("/api/sagas", content=b'{"saga": "trip"}', headers={"content-type": kind})
        problem(response, 415, "media_type")


@pytest.mark.parametrize("text", [b"", b"{", b'{"saga": "a", "saga": "b"}', b'{"saga": NaN}', b"\xff", b"[" * 5_000])
async def test_what_is_no_strict_json_is_malformed(http: httpx.AsyncClient, text: bytes) -> None:
    response = await http.post("/api/sagas", content=text, headers={"content-type": "application/json"})
    problem(response, 400, "malformed")


async def test_whoever_looks_at_the_root_is_told_where_the_document_is(desk: Desk) -> None:
    transport = httpx.ASGITransport(application(desk, ApiCounters()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path in ("/", "/api"):
            told = (await client.get(path)).json()
            assert (await client.get(told["document"])).json()["openapi"]
            assert (await client.get(told["sagas"])).status_code == 200


async def test_the_root_tells_nothing_without_a_token(guarded: httpx.AsyncClient) -> None:
    for path in ("/", "/api"):
        problem(await guarded.get(path), 401, "unauthorized")
