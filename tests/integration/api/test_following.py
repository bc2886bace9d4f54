"""Sagas followed over a real server: what happened, then what happens, until the end of the saga or of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest

from saga_engine.api.counters import ApiCounters
from saga_engine.api.serving import serve_api
from saga_engine.api.sse import MOST_FOLLOWERS
from saga_engine.errors import UsageError
from saga_engine.settings.sections import ApiSection
from saga_engine.settings.settled import Settings
from saga_engine.settings.values import Listening
from tests.integration.api.conftest import LIMIT_S, started
from tests.integration.api.test_sagas import problem


@dataclass
class Served:
    """A running server: where it is, and how it is stopped."""

    url: str
    stop: asyncio.Event
    serving: asyncio.Task[None]


def listening(settings: Settings, port: int) -> Settings:
    """The same on that port of this machine."""
    return replace(settings, api=ApiSection().model_copy(update={"listen": Listening("127.0.0.1", port)}))


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """The API on a free port."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_api(listening(settings, 0), stop, ready.set_result))
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait((asyncio.ensure_future(ready), serving), return_when=asyncio.FIRST_COMPLETED)
            url = ready.result().split()[1].removesuffix("/api")
            yield Served(url, stop, serving)
    finally:
        stop.set()
        await serving


async def sent(response: httpx.Response) -> AsyncIterator[tuple[int, str, dict[str, object]]]:
    """The events of a stream as they come."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line:
            if "data" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


async def test_a_saga_is_followed_to_its_end_and_from_where_a_client_left(settings: Settings) -> None:
    async with served(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as http:
        saga_id = await started(http, "t-1")
        path = f"/api/sagas/{saga_id}/events"
        names: list[str] = []
        async with http.stream("GET", path) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for version, name, _ in sent(response):
                names.append(name)
                if version == 1:
                    news = {"event": "Confirmed", "id": "n-1"}
                    assert (await http.post(f"/api/sagas/{saga_id}/signal", json=news)).json()["result"] == "done"
        history = (await http.get(f"/api/sagas/{saga_id}/history")).json()["events"]
        assert names == [*(one["type"] for one in history), "end"]
        async with http.stream("GET", path, headers={"Last-Event-ID": "2"}) as response:
            rest = [(version, name) async for version, name, _ in sent(response)]
        assert [version for version, _ in rest] == [*range(3, len(history) + 1), len(history)]


async def test_followers_are_let_go_when_the_server_stops(settings: Settings) -> None:
    async with served(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as http:
        saga_id = await started(http, "t-1")
        async with http.stream("GET", f"/api/sagas/{saga_id}/events") as response:
            async for version, _, _ in sent(response):
                assert version >= 1
                server.stop.set()
        await server.serving


async def test_no_more_may_follow_than_the_server_can_look_after(
    http: httpx.AsyncClient, counters: ApiCounters
) -> None:
    saga_id = await started(http, "t-1")
    counters.followers |= {object() for _ in range(MOST_FOLLOWERS)}
    problem(await http.get(f"/api/sagas/{saga_id}/events"), 503, "busy")


@pytest.mark.parametrize("text", ["-1", "one", "1.5", "9" * 17, "²"])
async def test_what_is_no_version_is_refused(http: httpx.AsyncClient, text: str) -> None:
    saga_id = await started(http, "t-1")
    headers = [(b"last-event-id", text.encode())]
    problem(await http.get(f"/api/sagas/{saga_id}/events", headers=headers), 422, "invalid")


async def test_a_port_that_is_taken_is_told_with_what_to_do(settings: Settings) -> None:
    async with served(settings) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=r"api\.listen.*choose another"):
            await serve_api(listening(settings, port), asyncio.Event(), lambda _line: None)
