"""One trace of a saga, from its caller to its last event, whoever goes on with it: in memory and in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import Engine

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.envelope import PARTITIONS, Message
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.inline import inline
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.starting import Started
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.registry import merge
from saga_engine.participant.worker import Worker
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox_tables
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run
from saga_engine.tracing import Tracing
from saga_engine.wire.headers import EVENT_TRACEPARENT, TRACEPARENT
from tests.unit.core.sagas import saga
from tests.unit.orchestrator.support import loaded

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = "0af7651916cd43dd8448eb211c80319c"
ORDER = saga(
    """
    step: book, call: hotel.book, with: {n: 1}, emit: Booked, compensate: {call: hotel.cancel}
    step: pay, call: bank.pay, compensate: none
    """
)


class Exported:
    """The spans of one process, and what makes them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")
        self.tracing = Tracing(self.tracer)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        spans: Sequence[ReadableSpan] = self._exporter.get_finished_spans()
        return spans


class Town:
    """A store, a broker, and processes that come and go. `hotel` has a database, `bank` has none."""

    def __init__(self, tracing: Tracing | None) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.clock = VirtualClock(loop)
        self.store = MemoryEventStore(self.clock.now)
        self.broker = MemoryBroker()
        self.published: list[Message] = []
        self.seen: list[tuple[str, str | None, int]] = []
        self.declines = False
        self.deaf = 0
        definition = loaded(ORDER)
        self.client = Client(
            self.store,
            lambda: {definition.saga: {definition.version: definition}},
            TimeOrderedIds(random.Random(1).randbytes),
            self.clock,
            load_tracing=lambda: tracing,
        )
        self.saga = definition.saga

    @asynccontextmanager
    async def orchestrating(self, tracing: Tracing | None) -> AsyncIterator[None]:
        tokens = Tokens({"k": b"secret"})
        transport = _Heard(self.broker, self.published, deaf=self.deaf)
        orchestrator = Orchestrator("one", self.store, transport, tokens, self.clock, inline, tracing=tracing)
        task = asyncio.create_task(orchestrator.run())
        try:
            yield
        finally:
            orchestrator.stop()
            await task

    @asynccontextmanager
    async def working(self, database: Engine, tracing: Tracing | None) -> AsyncIterator[None]:
        hotel, bank = Participant("hotel"), Participant("bank")

        @hotel.command("book")
        def book(ctx: Context) -> None:
            self._see(ctx)

        @hotel.command("cancel")
        def cancel(ctx: Context) -> None:
            self._see(ctx)

        @bank.command("pay")
        async def pay(ctx: Context) -> None:
            await self.clock.sleep(1)
            self._see(ctx)
            if self.declines:
                raise Rejected("declined")

        workers = [
            Worker(one, _Heard(self.broker, []), database, {}, self.clock, run_sync=inline, tracing=tracing)
            for one in merge([hotel, bank]).values()
        ]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield
        finally:
            for worker in workers:
                await worker.stop()
            await asyncio.gather(*tasks)

    def _see(self, ctx: Context) -> None:
        """What a handler sees: its trace context, and the current span of OpenTelemetry for what it calls."""
        current = trace.get_current_span().get_span_context()
        self.seen.append((ctx.step, ctx.traceparent, current.span_id))

    def start(self, traceparent: str | None) -> Started:
        started = self.client.start(self.saga, {}, key="o-1", traceparent=traceparent)
        assert isinstance(started, Started)
        self.ring()
        return started

    def ring(self) -> None:
        for partition in range(PARTITIONS):
            self.broker.ring(partition)

    async def until(self, started: Started, status: Status) -> None:
        async with asyncio.timeout(600):
            while self.client.status(started.saga_id).status != status:
                await self.clock.sleep(0.1)


class _Heard(MemoryTransport):
    """Remembers what it was given to publish. The first `deaf` acknowledgements do not reach it."""

    def __init__(self, broker: MemoryBroker, heard: list[Message], deaf: int = 0) -> None:
        super().__init__(broker)
        self._heard = heard
        self._deaf = deaf

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        self._heard += messages
        acknowledged = await super().publish(messages)
        unheard, self._deaf = min(self._deaf, len(messages)), max(0, self._deaf - len(messages))
        return [*([False] * unheard), *acknowledged[unheard:]]


@pytest.fixture
def database() -> Engine:
    engine = open_engine("sqlite:///:memory:")
    inbox_tables.create_all(engine)
    return engine


def tree(spans: Sequence[ReadableSpan]) -> dict[str, str]:
    """The name of each span's parent, by the span's name."""
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent.span_id, "the caller") if span.parent else "none" for span in spans}


def _began(span: ReadableSpan) -> int:
    return span.start_time or 0


def attribute(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


def ids(traceparent: str | None) -> tuple[str, int]:
    assert traceparent is not None
    _, trace_id, span_id, _ = traceparent.split("-")
    return trace_id, int(span_id, 16)


def test_one_trace_goes_from_the_caller_through_start_commands_handlers_and_replies_to_events(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        started = town.start(CALLER)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        assert tree(exported.spans) == {
            f"start {town.saga}": "the caller",
            "send hotel.book": f"start {town.saga}",
            "process hotel.book": "send hotel.book",
            "receive succeeded from hotel": "process hotel.book",
            "publish Booked": f"start {town.saga}",
            "send bank.pay": f"start {town.saga}",
            "process bank.pay": "send bank.pay",
            "receive succeeded from bank": "process bank.pay",
        }
        assert {f"{span.context.trace_id:032x}" for span in exported.spans} == {TRACE}
        assert {attribute(span, "saga.id") for span in exported.spans} == {str(started.saga_id)}

    run(whole())


def test_a_handler_works_within_its_span_with_a_database_and_without(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        started = town.start(CALLER)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        handling = {span.name: span.context.span_id for span in exported.spans if span.name.startswith("process")}
        seen = {step: (ids(traceparent), current) for step, traceparent, current in town.seen}
        assert seen == {
            "book": ((TRACE, handling["process hotel.book"]), handling["process hotel.book"]),
            "pay": ((TRACE, handling["process bank.pay"]), handling["process bank.pay"]),
        }
        assert trace.get_current_span() is trace.INVALID_SPAN

    run(whole())


def test_an_event_carries_the_trace_as_its_own_attribute_too(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        started = town.start(CALLER)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        [event] = [one for one in town.published if one.subject.startswith("saga.event.")]
        [span] = [span for span in exported.spans if span.name == "publish Booked"]
        assert ids(event.headers[TRACEPARENT]) == (TRACE, span.context.span_id)
        assert event.headers[EVENT_TRACEPARENT] == event.headers[TRACEPARENT]

    run(whole())


def test_after_a_restart_of_every_process_the_trace_goes_on(database: Engine) -> None:
    async def whole() -> None:
        first, second = Exported(), Exported()
        town = Town(first.tracing)
        started = town.start(CALLER)
        async with town.orchestrating(first.tracing):
            while not town.published:
                await town.clock.sleep(0.01)
        async with town.working(database, second.tracing), town.orchestrating(second.tracing):
            town.ring()
            await town.until(started, Status.COMPLETED)

        assert [span.name for span in first.spans] == [f"start {town.saga}", "send hotel.book"]
        parents = tree([*first.spans, *second.spans])
        assert {span.name: parents[span.name] for span in second.spans} == {
            "process hotel.book": "send hotel.book",
            "receive succeeded from hotel": "process hotel.book",
            "publish Booked": f"start {town.saga}",
            "send bank.pay": f"start {town.saga}",
            "process bank.pay": "send bank.pay",
            "receive succeeded from bank": "process bank.pay",
        }
        assert {f"{span.context.trace_id:032x}" for span in (*first.spans, *second.spans)} == {TRACE}

    run(whole())


def test_a_compensation_hangs_on_the_same_trace_and_says_what_came_of_each_command(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        town.declines = True
        started = town.start(CALLER)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPENSATED)

        results = {span.name: attribute(span, "saga.result") for span in exported.spans}
        assert results["process bank.pay"] == "rejected"
        assert results["process hotel.cancel"] == "succeeded"
        assert tree(exported.spans)["send hotel.cancel"] == f"start {town.saga}"

    run(whole())


def test_a_send_that_the_broker_has_not_acknowledged_is_a_fault_in_its_span_alone(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        town.deaf = 1
        started = town.start(CALLER)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        faults = {span.name for span in exported.spans if span.status.status_code is StatusCode.ERROR}
        first = min((span for span in exported.spans if span.name.startswith("send")), key=_began)
        assert (faults, first.status.status_code) == ({"send hotel.book"}, StatusCode.ERROR)

    run(whole())


def test_without_tracing_the_callers_context_is_carried_through_unchanged(database: Engine) -> None:
    async def whole() -> None:
        town = Town(None)
        started = town.start(CALLER)
        async with town.working(database, None), town.orchestrating(None):
            await town.until(started, Status.COMPLETED)

        assert {message.headers.get(TRACEPARENT) for message in town.published} == {CALLER}
        assert [traceparent for _, traceparent, _ in town.seen] == [CALLER, CALLER]

    run(whole())


@pytest.mark.parametrize("traceparent", [None, "", "nonsense", CALLER.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01"])
def test_what_is_no_trace_context_is_not_carried(traceparent: str | None, database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(None)
        started = town.start(traceparent)
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        assert not exported.spans
        assert not any(TRACEPARENT in message.headers for message in town.published)

    run(whole())


def test_a_start_within_a_span_of_the_callers_own_program_hangs_on_it() -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        with exported.tracer.start_as_current_span("the caller's own"):
            town.start(None)

        assert tree(exported.spans)[f"start {town.saga}"] == "the caller's own"

    run(whole())


def test_no_span_holds_a_value_of_a_payload(database: Engine) -> None:
    async def whole() -> None:
        exported = Exported()
        town = Town(exported.tracing)
        canary: Json = {"card": "4111-canary"}
        started = town.client.start(town.saga, canary, key="o-9", traceparent=CALLER)
        assert isinstance(started, Started)
        town.ring()
        async with town.working(database, exported.tracing), town.orchestrating(exported.tracing):
            await town.until(started, Status.COMPLETED)

        assert exported.spans
        assert "canary" not in "".join(span.to_json() for span in exported.spans)

    run(whole())
