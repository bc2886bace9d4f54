"""The OpenAPI document is true: what it allows, and what it does not, is answered as it says, and never by a defect."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.orders import OPERATIONS
from docs.generator.api import OPENAPI, openapi
from saga_engine.api.app import ENGINE, application
from saga_engine.api.counters import ApiCounters
from saga_engine.api.serving import server
from saga_engine.bootstrap.desk import at_hand
from saga_engine.settings import Settings
from saga_engine.sql.engine import open_engine
from store import orders

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0
Case: TypeAlias = schemathesis.Case[Any]
EXAMPLES = 3
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


async def _serve(settings: Settings, listening: socket.socket, stop: threading.Event) -> None:
    async with at_hand(settings) as desk:
        running = server(application(desk, ApiCounters(), OPERATIONS), settings)
        serving = asyncio.create_task(running.serve(sockets=[listening]))
        await asyncio.to_thread(stop.wait)
        running.should_exit = True
        await serving


@contextmanager
def in_a_thread(settings: Settings) -> Iterator[str]:
    """The engine's API and the project's orders, served to whoever blocks: the url."""
    stop = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, listening, stop)))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    shutil.copy(ROOT / "definitions" / "place_order.yaml", settings.root / "definitions")
    engine = open_engine(settings.participant("order").database.get_secret_value())
    orders.metadata.create_all(engine)
    engine.dispose()
    with in_a_thread(settings) as one:
        yield one


def check(ask: Callable[[Case], None], cases: SearchStrategy[Case]) -> None:
    """Ask with some of the cases, the same every time."""
    run = hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(case=cases)(ask))
    run()


def asking(url: str) -> Callable[[Case], None]:
    def ask(case: Case) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS, timeout=LIMIT_S)

    return ask


def test_the_committed_document_is_the_one_that_is_served() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == openapi(), "run `make docs-reference`"


def test_whatever_is_asked_is_answered_as_the_document_says(url: str) -> None:
    saga = {"saga": "trip", "input": {"trip": "t-1"}}
    known = {"saga_id": httpx.post(f"{url}/api/sagas", json=saga, timeout=LIMIT_S).json()["id"]}
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    asked = 0
    for result in schema.exclude(path_regex="/events$").get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        asked += 1
        for mode in schemathesis.GenerationMode:
            if mode is schemathesis.GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue  # There is nothing in it that could be wrong.
            parameters = known if "{saga_id}" in operation.path else None
            check(asking(url), operation.as_strategy(generation_mode=mode, path_parameters=parameters))
    assert asked == len(ENGINE) + len(OPERATIONS) - 2
