"""The process of the HTTP API tells what it answers, beside the API and without a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from saga_engine.metrics.process import TEXT_FRESH_S
from saga_engine.settings.settled import Settings
from saga_engine.settings.values import Listening
from tests.integration.api.conftest import LIMIT_S, started, until
from tests.integration.api.test_following import sent, served


@pytest.fixture
async def telling(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """The API, and where it tells."""
    telling = replace(settings, metrics=Listening("127.0.0.1", 0))
    with capture_logs() as logs:
        async with served(telling) as server, httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S) as http:
            await until(lambda: "metrics are served" in [line["event"] for line in logs])
            yield http, next(line["url"] for line in logs if line["event"] == "metrics are served")


def values(text: str) -> Mapping[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_told_by_operation_and_status_and_what_is_made_up_is_one_label(
    telling: tuple[httpx.AsyncClient, str],
) -> None:
    http, url = telling
    saga_id = await started(http, "t-1")
    for path in ("/made-up", "/api/sagas/none", "/api/sagas", "/also/made-up"):
        await http.get(path)
    await http.request("BREW", "/api/sagas")
    async with http.stream("GET", f"/api/sagas/{saga_id}/events") as response:
        async for _ in sent(response):
            found = values((await http.get(url)).text)
            break
    counts = {name[1:]: value for name, value in found.items() if name[0] == "saga_engine_request_seconds_count"}
    assert counts == {
        ("startSaga", "201"): 1,
        ("none", "404"): 2,
        ("showSaga", "404"): 1,
        ("listSagas", "200"): 1,
        ("none", "405"): 1,
        ("followSaga", "200"): 1,
    }
    assert (found["saga_engine_followers",], found["saga_engine_open_requests",]) == (1, 1)
    assert found["saga_engine_ready", "database"] == 1


async def test_who_has_gone_is_counted_no_more(telling: tuple[httpx.AsyncClient, str]) -> None:
    http, url = telling
    saga_id = await started(http, "t-1")
    async with http.stream("GET", f"/api/sagas/{saga_id}/events") as response:
        await anext(sent(response))
    async with asyncio.timeout(LIMIT_S):
        while values((await http.get(url)).text)["saga_engine_followers",] > 0:  # noqa: ASYNC110 - it is told over HTTP
            await asyncio.sleep(TEXT_FRESH_S / 2)


async def test_the_process_is_ready_as_long_as_its_store_answers(telling: tuple[httpx.AsyncClient, str]) -> None:
    http, url = telling
    ready = await http.get(url.replace("/metrics", "/ready"))
    assert ready.json() == {"status": "ready", "checks": {"database": "ok"}}
