"""One trace from an HTTP request to the replies of participants: of processes that share a store and a broker only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from pydantic import SecretStr
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.api.app import application
from saga_engine.api.counters import ApiCounters
from saga_engine.bootstrap.desk import Desk, at_hand
from saga_engine.envelope import PARTITIONS
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.participant import Context, Participant
from saga_engine.participant.registry import merge
from saga_engine.participant.worker import Worker
from saga_engine.settings.sections import ApiSection
from saga_engine.settings.settled import Settings
from saga_engine.tracing import Tracing
from tests.integration.api.conftest import LIMIT_S
from tests.integration.api.test_sagas import problem
from tests.unit.test_tracing import CALLER, TRACE, Exported, attribute, tree

STAY = """
saga: stay
version: 1
steps:
  - step: book
    call: hotel.book
    emit: Booked
    compensate: none
"""
BELOW_THE_START = {
    "send hotel.book": "start stay",
    "process hotel.book": "send hotel.book",
    "receive succeeded from hotel": "process hotel.book",
    "publish Booked": "start stay",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    (settings.root / "definitions" / "stay.yaml").write_text(STAY, encoding="utf-8")
    return settings


@asynccontextmanager
async def served(settings: Settings, tracing: Tracing | None) -> AsyncIterator[tuple[httpx.AsyncClient, Desk]]:
    """The API of a process that exports its spans so."""
    async with at_hand(settings, tracing) as desk:
        transport = httpx.ASGITransport(application(desk, ApiCounters()), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client, desk


@asynccontextmanager
async def at_work(
    desk: Desk, orchestrating: Tracing | None, working: Tracing | None
) -> AsyncIterator[list[str | None]]:
    """An orchestrator and a worker; the trace contexts that its handler was given."""
    hotel, given, broker = Participant("hotel"), list[str | None](), MemoryBroker()

    @hotel.command
    async def book(ctx: Context) -> None:
        given.append(ctx.traceparent)

    orchestrator = Orchestrator(
        "one", desk.store, MemoryTransport(broker), Tokens({"k": b"secret"}), desk.clock, desk.threads,
        tracing=orchestrating,
    )  # fmt: skip
    worker = Worker(merge([hotel])["hotel"], MemoryTransport(broker), None, {}, desk.clock, tracing=working)
    tasks = [asyncio.create_task(orchestrator.run()), asyncio.create_task(worker.run())]
    try:
        for partition in range(PARTITIONS):
            broker.ring(partition)
        yield given
    finally:
        await worker.stop()
        orchestrator.stop()
        await asyncio.gather(*tasks)


async def stayed(
    settings: Settings, headers: Sequence[tuple[str, str]], spans: Sequence[Tracing | None]
) -> list[str | None]:
    """A saga that was asked for with these headers, to its end; the trace contexts its handler was given.

    `spans`: of the API, the orchestrator and the worker.
    """
    serving, orchestrating, working = spans
    async with served(settings, serving) as (http, desk):
        response = await http.post("/api/sagas", json={"saga": "stay"}, headers=headers)
        assert response.status_code == httpx.codes.CREATED, response.text
        async with at_work(desk, orchestrating, working) as given, asyncio.timeout(LIMIT_S):
            followed = await http.get(f"/api/sagas/{response.json()['id']}/events")
        assert '"status": "completed"' in followed.text
        return given


def of_one_trace(spans: Sequence[ReadableSpan], trace: str) -> dict[str, str]:
    """Each span's parent by name, of those of that trace: there is one of each."""
    mine = [span for span in spans if f"{span.context.trace_id:032x}" == trace]
    assert len({span.name for span in mine}) == len(mine)
    return tree(mine)


async def test_one_trace_goes_from_the_request_over_start_command_and_handler_to_the_reply(settings: Settings) -> None:
    api, orchestrator, worker = Exported(), Exported(), Exported()
    given = await stayed(settings, [("traceparent", CALLER)], [one.tracing for one in (api, orchestrator, worker)])

    assert [span.name for span in worker.spans] == ["process hotel.book"]
    spans = [*api.spans, *orchestrator.spans, *worker.spans]
    assert of_one_trace(spans, TRACE) == {
        "POST /api/sagas": "the caller",
        "start stay": "POST /api/sagas",
        **BELOW_THE_START,
    }
    [request] = [span for span in api.spans if span.name == "POST /api/sagas"]
    [start] = [span for span in api.spans if span.name == "start stay"]
    assert request.kind is SpanKind.SERVER
    assert attribute(request, "http.response.status_code") == httpx.codes.CREATED
    assert attribute(request, "saga.id") == attribute(start, "saga.id") is not None
    assert [one is not None and one[3:35] for one in given] == [TRACE]


async def test_a_request_without_a_valid_context_begins_a_trace_of_its_own(settings: Settings) -> None:
    api = Exported()
    malformed = ("", "nonsense", CALLER.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01")
    given = [[], *([("traceparent", one)] for one in malformed), [("traceparent", CALLER)] * 2]
    async with served(settings, api.tracing) as (http, _):
        for headers in given:
            assert (await http.post("/api/sagas", json={"saga": "stay"}, headers=headers)).status_code == 201
    traces = {f"{span.context.trace_id:032x}" for span in api.spans}
    assert (len(traces), TRACE in traces) == (len(given), False)
    for trace in traces:
        assert of_one_trace(api.spans, trace) == {"POST /api/sagas": "none", "start stay": "POST /api/sagas"}


@pytest.mark.parametrize("headers", [[], [("traceparent", f"00-{TRACE}-{'0' * 16}-01")]])
async def test_a_trace_that_begins_at_the_api_goes_to_the_reply_as_well(
    settings: Settings, headers: Sequence[tuple[str, str]]
) -> None:
    spans = Exported()
    await stayed(settings, headers, [spans.tracing] * 3)
    [request] = [span for span in spans.spans if span.name == "POST /api/sagas"]
    assert of_one_trace(spans.spans, f"{request.context.trace_id:032x}") == {
        "POST /api/sagas": "none",
        "start stay": "POST /api/sagas",
        **BELOW_THE_START,
    }


async def test_without_an_exporter_the_callers_context_is_carried_to_the_handler_as_it_is(settings: Settings) -> None:
    assert await stayed(settings, [("traceparent", CALLER)], [None] * 3) == [CALLER]


async def test_each_request_has_a_span_named_by_its_operation_and_what_is_refused_has_a_status(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Exported()
    async with served(settings, api.tracing) as (http, desk):
        await http.get("/api/sagas", params={"limit": "1"})
        await http.get("/api/sagas/none")
        await http.get("/api/nothing")
        await http.request("BREW", "/api/sagas")
        await http.get("/health")
        monkeypatch.setattr(desk, "ask", None)
        with capture_logs() as logs:
            problem(await http.get("/api/sagas"), 500, "defect")
    assert "a request failed" in [line["event"] for line in logs]
    assert [(span.name, attribute(span, "http.response.status_code")) for span in api.spans] == [
        ("GET /api/sagas", 200),
        ("GET /api/sagas/{saga_id}", 404),
        ("GET", 404),
        ("HTTP", 405),
        ("GET /api/sagas", 500),
    ]
    assert [span.status.is_ok for span in api.spans] == [True] * 4 + [False]
    assert "limit" not in "".join(span.to_json() for span in api.spans)


async def test_who_may_not_call_writes_into_no_trace(settings: Settings) -> None:
    guarded = replace(settings, api=ApiSection(tokens={"ops": SecretStr("o" * 32)}))
    api = Exported()
    async with served(guarded, api.tracing) as (http, _):
        problem(await http.get("/api/sagas", headers={"traceparent": CALLER}), 401, "unauthorized")
    assert not api.spans


@pytest.mark.parametrize("exported", [True, False])
async def test_what_is_logged_of_a_request_says_which_trace_and_saga(settings: Settings, exported: bool) -> None:
    async with served(settings, Exported().tracing if exported else None) as (http, _):
        with capture_logs(processors=[merge_contextvars]) as logs:
            response = await http.post("/api/sagas", json={"saga": "stay"}, headers={"traceparent": CALLER})
    [line] = logs
    expected = {
        "event": "a request was answered",
        "operation": "startSaga",
        "status": 201,
        "saga_id": response.json()["id"],
        "trace_id": TRACE,
    }
    assert {name: line.get(name) for name in expected} == expected


async def test_what_the_store_logs_for_a_request_says_which_trace_and_saga(settings: Settings) -> None:
    log = structlog.get_logger("elsewhere")
    async with served(settings, None) as (http, desk):
        asked = desk.ask

        def ask(question: object) -> object:
            def logging(client: object) -> object:
                log.warning("asked for")
                return question(client)  # type: ignore[operator]

            return asked(logging)

        desk.ask = ask  # type: ignore[method-assign,assignment]
        saga = (await http.post("/api/sagas", json={"saga": "stay"})).json()["id"]
        with capture_logs(processors=[merge_contextvars]) as logs:
            await http.get(f"/api/sagas/{saga}", headers={"traceparent": CALLER})
    [line] = [one for one in logs if one["event"] == "asked for"]
    found: Mapping[str, object] = {name: line.get(name) for name in ("saga_id", "trace_id", "operation")}
    assert found == {"saga_id": saga, "trace_id": TRACE, "operation": "showSaga"}
