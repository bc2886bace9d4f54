"""The pages of a process: alive from its start, ready when all that it needs is there, every metric of the table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.metrics.process import TEXT_FRESH_S, Telling
from saga_engine.metrics.readings import Lagging, Told
from saga_engine.metrics.table import API, COMMON, EVENTSTORE, ORCHESTRATOR, PROJECTION, WORKER, Kind
from saga_engine.orchestrator.counters import Counters
from saga_engine.participant.counters import WorkCounters
from saga_engine.tally import BOUNDS_US, Tally
from saga_engine.testing.virtual_time import run


class Orchestrator:
    def __init__(self) -> None:
        self.counters = Counters(events=7)
        self.waiting, self.cached, self.partitions = 3, 5, 16


class Worker:
    def __init__(self, name: str) -> None:
        self.name = name
        self.counters = WorkCounters(received=9)
        self.hanging = 1


class Api:
    def __init__(self) -> None:
        self.answered = {("startSaga", "201"): Tally()}
        self.answered["startSaga", "201"].add(7_000)
        self.open, self.following = 2, 1


class Listener:
    counts: Mapping[str, int] = {"taken": 4, "put_back": 1}


class Follower:
    name, events = "takings", 12


class Eventstore:
    stored, waiting, published, unpublished, followers = 6, 2, 5, 1, 3
    appending = Tally()


class World:
    """What is looked at: each is there, or not."""

    def __init__(self) -> None:
        self.there = {"database": True, "nats": True}
        self.lag: Lagging | None = Lagging(behind=3, held_back=1, seconds=2.5)
        self.counted: Mapping[tuple[str, str], int] | None = {("order", "blocked"): 2}

    async def database(self) -> bool:
        return self.there["database"]

    async def nats(self) -> bool:
        return self.there["nats"]

    async def lagging(self) -> Lagging | None:
        return self.lag

    async def open_sagas(self) -> Mapping[tuple[str, str], int] | None:
        return self.counted


async def asked(tell: Telling, path: str) -> tuple[int, str]:
    page = await tell.pages[path]()
    return page.status.value, page.body.decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def telling(world: World) -> Telling:
    tell = Telling("1.2.3")
    workers = [Worker("hotel"), Worker("bank")]
    checks = {"database": world.database, "nats": world.nats}
    losses = MemoryTransport(MemoryBroker()).losses
    told = Told(Orchestrator(), workers, Api(), losses, [Listener(), Listener()], [Follower()], Eventstore())
    tell.works(told, checks, world.open_sagas, {"takings": world.lagging})
    return tell


async def test_a_process_that_starts_is_alive_and_not_ready() -> None:
    tell = Telling("1.2.3")
    assert (await asked(tell, "/health"))[0] == 200
    status, body = await asked(tell, "/ready")
    assert (status, json.loads(body)) == (503, {"status": "not ready", "checks": {"starting": "not there"}})
    assert (await asked(tell, "/metrics"))[0] == 200


async def test_a_process_is_ready_when_all_is_there_and_says_what_is_not(telling: Telling, world: World) -> None:
    world.there["nats"] = False
    status, body = await asked(telling, "/ready")
    assert (status, json.loads(body)["checks"]) == (503, {"database": "ok", "nats": "not there"})
    assert (await asked(telling, "/health"))[0] == 200
    world.there["nats"] = True
    status, body = await asked(telling, "/ready")
    assert (status, json.loads(body)["status"]) == (200, "ready")


async def test_every_metric_of_the_table_is_told_with_its_kind_and_no_other(telling: Telling) -> None:
    _, text = await asked(telling, "/metrics")
    families = {
        family.name: (family.type, family.documentation)
        for family in text_string_to_metric_families(text)
        if family.name.startswith("saga_engine")
    }
    expected = {
        metric.name.removesuffix("_total"): (metric.kind.value, metric.meaning)
        for metric in (*COMMON, *ORCHESTRATOR, *WORKER, *PROJECTION, *API, *EVENTSTORE)
    }
    assert families == expected


async def test_values_come_from_what_is_counted_at_the_moment(telling: Telling, world: World) -> None:
    found = samples((await asked(telling, "/metrics"))[1])
    assert found["saga_engine_events_total", frozenset()] == 7
    assert found["saga_engine_waiting_sagas", frozenset()] == 3
    assert found["saga_engine_commands_received_total", frozenset({("participant", "bank")})] == 9
    assert found["saga_engine_open_sagas", frozenset({("saga", "order"), ("status", "blocked")})] == 2
    assert found["saga_engine_ready", frozenset({("check", "nats")})] == 1
    asked_of_api = frozenset({("operation", "startSaga"), ("status", "201")})
    assert found["saga_engine_request_seconds_count", asked_of_api] == 1
    assert (found["saga_engine_open_requests", frozenset()], found["saga_engine_followers", frozenset()]) == (2, 1)
    assert found["saga_engine_info", frozenset({("version", "1.2.3")})] == 1
    assert found["saga_engine_heard_events_total", frozenset({("result", "taken")})] == 8
    view = frozenset({("projection", "takings")})
    names = ("events_total", "behind_sagas", "held_back_sagas", "lag_seconds")
    assert [found[f"saga_engine_projection_{name}", view] for name in names] == [12, 3, 1, 2.5]
    parts = ("events_total", "published_total", "waiting_appends", "unpublished_aggregates", "followers")
    assert [found[f"saga_engine_eventstore_{part}", frozenset()] for part in parts] == [6, 5, 2, 1, 3]


def test_whoever_asks_all_the_time_gets_the_same_for_a_second() -> None:
    async def asking() -> None:
        tell, orchestrator = Telling("1.2.3"), Orchestrator()
        tell.works(Told(orchestrator), {})
        first = await asked(tell, "/metrics")
        orchestrator.counters.events += 1
        assert await asked(tell, "/metrics") == first
        await asyncio.sleep(TEXT_FRESH_S)
        found = samples((await asked(tell, "/metrics"))[1])
        assert found["saga_engine_events_total", frozenset()] == 8

    run(asking())


async def test_a_store_that_does_not_answer_leaves_a_gap_and_no_zero(world: World) -> None:
    tell = Telling("1.2.3")
    world.counted = world.lag = None
    told = Told(Orchestrator(), followers=[Follower()])
    tell.works(told, {"database": world.database}, world.open_sagas, {"takings": world.lagging})
    found = samples((await asked(tell, "/metrics"))[1])
    assert not [name for name, _ in found if name in ("saga_engine_open_sagas", "saga_engine_projection_lag_seconds")]
    assert found["saga_engine_projection_events_total", frozenset({("projection", "takings")})] == 12
    assert found["saga_engine_events_total", frozenset()] == 7


async def test_a_histogram_counts_up_to_each_bound(telling: Telling) -> None:
    tell = Telling("1.2.3")
    worker = Worker("bank")
    for microseconds in (900, 1_000, 1_001, 90_000_000_000):
        worker.counters.conclude("pay", "succeeded", microseconds)
    tell.works(Told(workers=[worker]), {})
    labels = {("participant", "bank"), ("command", "pay"), ("result", "succeeded")}
    found = samples((await asked(tell, "/metrics"))[1])

    def bucket(bound: str) -> float:
        return found["saga_engine_command_seconds_bucket", frozenset({*labels, ("le", bound)})]

    assert [bucket(bound) for bound in ("0.001", "0.0025", "86400", "+Inf")] == [2, 3, 3, 4]
    assert found["saga_engine_command_seconds_count", frozenset(labels)] == 4
    assert found["saga_engine_command_seconds_sum", frozenset(labels)] == pytest.approx(90_000.002901)
    assert len([name for name, _ in found if name == "saga_engine_command_seconds_bucket"]) == len(BOUNDS_US) + 1


def test_names_follow_the_rules_of_prometheus() -> None:
    metrics = (*COMMON, *ORCHESTRATOR, *WORKER, *PROJECTION, *API, *EVENTSTORE)
    assert len({metric.name for metric in metrics}) == len(metrics)
    for metric in metrics:
        assert metric.name.startswith("saga_engine_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.name.endswith("_seconds") or metric.kind is not Kind.HISTOGRAM
