"""Processes at work tell over HTTP what their stores hold: their counts are those of SQL."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from saga_engine.sql.engine import open_engine
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, PATIENCE, Project, Service, eventually
from tests.nats_fixtures import NatsServer

SAGAS = 40
DECLINED_EVERY = 5
DECLINED = SAGAS // DECLINED_EVERY


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def run(project: Project, port: int, *arguments: str) -> Service:
    project.environment["SAGA_METRICS"] = str(port)
    return project.begin(*arguments)


def got(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def told(port: int) -> Mapping[tuple[str, ...], float]:
    """The values by name, and by the values of the labels in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(got(port, "/metrics")[1])
        for sample in family.samples
    }


def ended(found: Mapping[tuple[str, ...], float]) -> float:
    return sum(value for name, value in found.items() if name[0] == "saga_engine_sagas_ended_total")


def commands_done(found: Mapping[tuple[str, ...], float], participant: str) -> float:
    return sum(
        value
        for name, value in found.items()
        if name[0] == "saga_engine_command_seconds_count" and name[2:] == (participant, "succeeded")
    )


def counted(url: str, statement: str) -> Sequence[tuple[object, ...]]:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def test_counts_of_orchestrator_and_workers_equal_those_of_their_stores(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    orchestrating, working = free_port(), free_port()
    run(made, orchestrating, "--orchestrator").ready()
    run(made, working, "--worker", "order", "--worker", "payment").ready()
    statuses = made.wait_for_end(made.start_orders(SAGAS, declined_every=DECLINED_EVERY))
    assert statuses == {"completed": SAGAS - DECLINED, "compensated": DECLINED}

    eventually(lambda: ended(told(orchestrating)) == SAGAS, "what is committed to be counted")
    found, store = told(orchestrating), f"sqlite:///{made.folder}/.saga/engine.db"
    for status, count in counted(store, "SELECT status, count(*) FROM saga_streams GROUP BY status"):
        assert found["saga_engine_sagas_ended_total", "place_order", str(status)] == count
    assert found["saga_engine_saga_seconds_count", "place_order"] == SAGAS
    # Who starts a saga commits its first two events: that it was started, and the first command.
    [(events,)] = counted(store, "SELECT count(*) FROM saga_events WHERE version > 2")
    assert found["saga_engine_events_total",] == events
    outcomes = {"StepSucceeded": ("forward", "succeeded"), "StepRejected": ("forward", "rejected")}
    by_type = "SELECT type, count(*) FROM saga_events WHERE type IN ('StepSucceeded', 'StepRejected') GROUP BY type"
    for kind, count in counted(store, by_type):
        labels = ("place_order", *outcomes[str(kind)])
        steps = [
            value
            for name, value in found.items()
            if name[0] == "saga_engine_step_replies_total" and (name[3], name[1], name[2]) == labels
        ]
        assert sum(steps) == count

    for participant in ("order", "payment"):
        done = sum(made.effects(participant).values())
        eventually(lambda: commands_done(told(working), participant) == done, f"{done} commands of {participant}")  # noqa: B023  # awaited at once
    inboxes = told(working)
    assert inboxes["saga_engine_command_seconds_count", "debit", "payment", "rejected"] == DECLINED
    assert "saga_engine_events_total" not in {name for name, *_ in inboxes}, "a worker orchestrates nothing"


def test_a_process_is_ready_while_nats_is_there_and_lives_on_without_it(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    port = free_port()
    service = run(made, port)
    eventually(lambda: got(port, "/health")[0] == 200, "the process to answer")
    eventually(lambda: got(port, "/ready")[0] == 200, "the process to be ready")
    needed = ("database", "database of order", "database of payment", "nats")
    assert json.loads(got(port, "/ready")[1])["checks"] == dict.fromkeys(needed, "ok")

    own_nats_server.kill()
    eventually(lambda: got(port, "/ready")[0] == 503, "NATS to be missed")
    assert json.loads(got(port, "/ready")[1])["checks"]["nats"] == "not there"
    assert got(port, "/health")[0] == 200
    assert told(port)["saga_engine_ready", "nats"] == 0

    own_nats_server.start()
    eventually(lambda: got(port, "/ready")[0] == 200, "the process to be ready again")
    assert service.stop() == 0


def test_a_second_process_whose_port_is_taken_says_so_and_works(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    port = free_port()
    run(made, port, "--orchestrator").ready()
    second = run(made, port, "--worker", "order", "--worker", "payment")
    second.ready()
    assert "a port of its own" in second.log
    assert made.wait_for_end(made.start_orders(1)) == {"completed": 1}
