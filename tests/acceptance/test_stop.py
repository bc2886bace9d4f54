"""SIGTERM ends `saga run` within its deadline: it finishes or hands back what is under way, and loses nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saga_engine.bootstrap.services import STOP_WITHIN_S
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import SLOW
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, SAGA, Project, Service, eventually
from tests.nats_fixtures import NatsServer

INTERRUPTED = 130
AT_ONCE_S = 30.0
# What is closed after the deadline has bounds of its own; the machine may be busy.
SLACK_S = 45.0

SLOW_HANDLER = """
import time
from pathlib import Path
from store.effects import record
from saga_engine.participant import Context, Participant
payment = Participant("payment")
@payment.command
def debit(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    Path("under-way").touch()
    time.sleep({seconds})
    record(ctx)
    return {{"receipt": f"R-{{ctx.saga_id}}"}}
"""


def slow(project: Project, seconds: float) -> None:
    """Let a payment take that long; the file `under-way` tells that one has begun."""
    (project.folder / "participants" / "payment.py").write_text(SLOW_HANDLER.format(seconds=seconds))


def at_work(project: Project) -> Service:
    """A service in the middle of the only saga's payment."""
    service = project.run()
    eventually(lambda: (project.folder / "under-way").exists(), "a payment to begin")
    return service


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_handler_that_runs_is_finished_before_the_process_ends(project: MakeProject) -> None:
    made = project(LEDGER)
    slow(made, 2)
    started = made.start_orders(1)
    service = at_work(made)
    with limit(STOP_WITHIN_S + SLACK_S):
        assert service.stop() == 0, service.log
    assert made.effects("payment").total() == 1
    service = made.run()
    assert made.wait_for_end(started) == {"completed": 1}
    assert max(made.effects("payment").values()) == 1


def test_a_handler_that_hangs_is_handed_back_within_the_deadline(project: MakeProject) -> None:
    made = project(LEDGER)
    slow(made, 600)
    started = made.start_orders(1)
    service = at_work(made)
    with limit(STOP_WITHIN_S + SLACK_S):
        assert service.stop() == 0, service.log
    assert made.effects("payment").total() == 0
    slow(made, 0)
    made.run()
    assert made.wait_for_end(started) == {"completed": 1}
    assert made.effects("payment").total() == 1


def test_a_second_sigterm_leaves_at_once_and_loses_nothing(project: MakeProject) -> None:
    made = project(LEDGER)
    slow(made, 600)
    started = made.start_orders(1)
    service = at_work(made)
    service.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(timeout=1)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=AT_ONCE_S) == INTERRUPTED, service.log
    assert "Traceback" not in service.log
    slow(made, 0)
    made.run()
    assert made.wait_for_end(started) == {"completed": 1}
    assert made.effects("payment").total() == 1


def _takes_sigterm(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGTERM."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)


def test_sigterm_while_the_process_still_imports_ends_it_before_it_begins(project: MakeProject) -> None:
    made = project(LEDGER)
    process = subprocess.Popen(
        [str(SAGA), "run"], cwd=made.folder, env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        eventually(lambda: _takes_sigterm(process.pid), "the process to listen to signals")
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, b"", b"")


def test_sigterm_ends_a_process_that_waits_for_the_database_at_its_start(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    nowhere = dict.fromkeys(("engine", "order", "payment"), "postgresql://postgres@127.0.0.1:1/nowhere")
    made = project(LEDGER, nowhere, SAGA_NATS__URL=own_nats_server.url)
    service = made.begin()
    eventually(lambda: "waiting for the database" in service.log, "the service to wait")
    with limit(AT_ONCE_S):
        assert service.stop() == 0
    assert "Running" not in service.log
    assert "Error" not in service.log


def test_sigterm_ends_a_process_that_waits_for_the_broker_at_its_start(project: MakeProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        made = project(LEDGER, SAGA_NATS__URL=f"nats://127.0.0.1:{silent.getsockname()[1]}")
        service = made.begin()
        connection, _ = silent.accept()
        with connection, limit(AT_ONCE_S):
            assert service.stop() == 0
    assert "Running" not in service.log
    assert "Error" not in service.log


def test_sigterm_ends_a_process_whose_broker_hangs(project: MakeProject, own_nats_server: NatsServer) -> None:
    made = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    service = made.run()
    started = made.start_orders(50)
    own_nats_server.pause()
    with limit(STOP_WITHIN_S + SLACK_S):
        assert service.stop() == 0, service.log
    own_nats_server.resume()
    made.run()
    assert made.wait_for_end(started) == {"completed": 40, "compensated": 10}
    assert max(made.effects("order").values()) == 1


def test_sigterm_ends_a_process_whose_database_hangs(
    project: MakeProject, own_nats_server: NatsServer, postgres_databases: dict[str, str]
) -> None:
    made = project(LEDGER, postgres_databases, SAGA_NATS__URL=own_nats_server.url)
    assert made.saga("db", "upgrade").returncode == 0
    service = made.run()
    started = made.start_orders(50)
    engine = open_engine(postgres_databases["engine"], SLOW)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE saga_streams, saga_leases IN ACCESS EXCLUSIVE MODE")
        with limit(STOP_WITHIN_S + SLACK_S):
            assert service.stop() == 0, service.log
    engine.dispose()
    made.run()
    assert made.wait_for_end(started) == {"completed": 40, "compensated": 10}
    assert max(made.effects("order").values()) == 1
