"""The OpenAPI document is true: what it allows, and what it does not, is answered as it says, and never by a defect."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import SearchStrategy, fixed_dictionaries, sampled_from
from pydantic import JsonValue, SecretStr
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
from saga_engine.bootstrap.clients import client
from saga_engine.bootstrap.desk import at_hand
from saga_engine.core.state import Status
from saga_engine.settings.settled import Settings
from store.order_view import metadata
from tests.databases import POSTGRES, SQLITE, Databases, migrated
from tests.integration.api.statuses import ENDED, STAY, sagas

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0
Case: TypeAlias = schemathesis.Case[Any]
LONG = "API_EXAMPLES" in os.environ
"""Asked for by `make api-fuzz`: on PostgreSQL as well."""
EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))
"""Of each operation, and of each kind: allowed, and not."""
Saga: TypeAlias = tuple[str, UUID]
Hints: TypeAlias = Mapping[str, JsonValue]
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A server, and what it knows: sagas of every status."""

    url: str
    sagas: Sequence[Mapping[str, UUID]]


@pytest.fixture(params=[SQLITE, POSTGRES] if LONG else [SQLITE])
def asked(request: pytest.FixtureRequest, settings: Settings, databases: Databases, tmp_path: Path) -> Iterator[Asked]:
    database = migrated(databases.empty(request.param, tmp_path))
    views = databases.empty(request.param, tmp_path)
    order_view = replace(settings.projection("order_view"), database=SecretStr(views.url))
    settings = replace(settings, database=SecretStr(database.url), projections={"order_view": order_view})
    shutil.copy(ROOT / "definitions" / "place_order.yaml", settings.root / "definitions")
    (settings.root / "definitions" / "stay.yaml").write_text(STAY, encoding="utf-8")
    with views.engine() as engine:
        metadata.create_all(engine)
    with closing(client(settings)) as engine_client:
        known = [sagas(engine_client, f"guest {number}") for number in range(1 + EXAMPLES // 20)]
    with in_a_thread(settings) as url:
        yield Asked(url, known)


def check(ask: Callable[[Case, Saga, Hints], None], cases: SearchStrategy[Case], known: Asked) -> None:
    """Ask with some of the cases, of some of the sagas; the same every time."""
    flat = [one for guest in known.sagas for one in guest.items()]
    run = hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(case=cases, saga=sampled_from(flat), hints=hinted(flat))(ask))
    run()


def hinted(known: Sequence[Saga]) -> SearchStrategy[Hints]:
    """What fits here, for parameters and members of these names: what is only generated meets nothing that there is."""
    ids = [str(saga_id) for _, saga_id in known]
    fitting: Mapping[str, Sequence[JsonValue]] = {
        "saga": ["stay", "place_order"],
        "input": [{"guest": f"guest 0 {known[0][0]}", "rooms": [1]}, {"guest": "another", "rooms": [1, 2]}],
        "key": [f"guest 0 {name}" for name, _ in known[:8]],
        "event": ["Confirmed"],
        "items": [[{"code": "p-1", "name": "Pizza", "unit_price": 1250, "quantity": 2}]],
        "order_items": [None, [{"code": "p-1", "name": "Pizza", "unit_price": 12.5, "quantity": 2}]],
        "step": ["book", "clean/0", "clean"],
        "before": ids,
        "status": [[str(status)] for status in Status],
    }
    return fixed_dictionaries({}, optional={name: sampled_from(values) for name, values in fitting.items()})


def asking(known: Asked) -> Callable[[Case, Saga, Hints], None]:
    def ask(case: Case, saga: Saga, hints: Hints) -> None:
        if "saga_id" in case.operation.path:
            # One that has not ended is followed for ever.
            ended = known.sagas[0][ENDED[saga[1].int % len(ENDED)]]
            case.path_parameters["saga_id"] = str(ended if case.operation.path.endswith("/events") else saga[1])
        for part in (case.body, case.query):
            if isinstance(part, dict):
                part.update({name: value for name, value in hints.items() if name in part})
        case.call_and_validate(base_url=known.url, checks=CHECKS, timeout=LIMIT_S)

    return ask


def test_the_committed_document_is_the_one_that_is_served() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == openapi(), "run `make docs-reference`"


def test_whatever_is_asked_is_answered_as_the_document_says(asked: Asked) -> None:
    schema = schemathesis.openapi.from_url(f"{asked.url}/api/openapi.json")
    operations = 0
    for result in schema.exclude(path_regex="/orders/.*/events$").get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        operations += 1
        for mode in schemathesis.GenerationMode:
            if mode is schemathesis.GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue  # There is nothing in it that could be wrong.
            check(asking(asked), operation.as_strategy(generation_mode=mode), asked)
    assert operations == len(ENGINE) + len(OPERATIONS) - 1
