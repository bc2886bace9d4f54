"""A project of one saga that waits for a person, a desk over it, and the HTTP API asked without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from saga_engine.api.app import application
from saga_engine.api.counters import ApiCounters
from saga_engine.bootstrap.desk import Desk, at_hand
from saga_engine.configuration import load
from saga_engine.settings.settled import Settings

LIMIT_S = 60.0
TRIP = """
saga: trip
version: 1
key: ${{ input.trip }}
input:
  type: object
  required: [trip]
  properties: {trip: {type: string}}
steps:
  - step: confirm
    wait: {event: Confirmed}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "trip.yaml").write_text(TRIP, encoding="utf-8")
    return load(tmp_path).settings


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    async with at_hand(settings) as one:
        yield one


@pytest.fixture
def counters() -> ApiCounters:
    return ApiCounters()


@pytest.fixture
def app(desk: Desk, counters: ApiCounters) -> Starlette:
    return application(desk, counters)


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def started(http: httpx.AsyncClient, trip: str) -> str:
    """A trip's saga, which waits for `Confirmed`: its id."""
    response = await http.post("/api/sagas", json={"saga": "trip", "input": {"trip": trip}})
    assert response.status_code == httpx.codes.CREATED, response.text
    return str(response.json()["id"])


async def until(reached: Callable[[], bool]) -> None:
    """Wait until it is so, within a bound."""
    async with asyncio.timeout(LIMIT_S):
        while not reached():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
