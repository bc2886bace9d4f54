"""The demo and the running service as a newcomer meets them: this repository's project, real processes."""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, REPOSITORY, Project

ORDER = '{"order_id": "o-1", "customer_id": "ann", "amount": 5}'


@pytest.fixture
def order_project(project: MakeProject) -> Project:
    """This repository's own project, copied."""
    return project(REPOSITORY)


def children(parent: int) -> set[int]:
    """The processes that descend from one, zombies left out, as Linux tells them."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found = {parent}
    while more := {child for child, its in parents.items() if its in found} - found:
        found |= more
    return found - {parent}


def test_the_demo_shows_what_it_promises_and_may_be_repeated(order_project: Project) -> None:
    for total in (20, 40):
        done = order_project.saga("demo")
        assert done.returncode == 0, done.stderr
        assert "worker payment was killed (kill -9)" in done.stdout
        assert "worker payment is back" in done.stdout
        assert "rejected: card_declined" in done.stdout
        assert "create_order   undone  ⇢ OrderRejected" in done.stdout
        assert "20 sagas: 14 completed, 6 compensated" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        struck = re.findall(r"^(order-\w+): .* middle of debit_payment; .*: (\w+), 1 attempt$", done.stdout, re.M)
        assert struck, done.stdout
        ledger = debits(order_project)
        assert [ledger[key] for key, _ in struck] == [{"succeeded": 1, "rejected": 0}[status] for _, status in struck]
        assert Counter(ledger.values()) == {1: total * 14 // 20}
        assert len(order_project.saga("list", "-o", "jsonl", "--limit", "100").stdout.splitlines()) == total


def debits(project: Project) -> Counter[str]:
    """How often each order was debited, as the payment service's own ledger tells."""
    with closing(sqlite3.connect(project.folder / ".saga" / "payment.db")) as ledger:
        rows = ledger.execute("SELECT order_id FROM payments WHERE kind = 'debit'").fetchall()
    return Counter(order for (order,) in rows)


def test_settings_of_the_demo_for_a_participant_that_does_not_exist_are_refused(order_project: Project) -> None:
    order_project.environment["SAGA_DEMO__SETTINGS"] = '{"paymnt": {"card_network_ms": 1}}'
    done = order_project.saga("demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "demo.settings: 'paymnt' is none of order, payment" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_service_in_order_and_leaves_no_process(
    order_project: Project, number: signal.Signals, code: int
) -> None:
    service = order_project.run()
    family = children(service.process.pid) if sys.platform == "linux" else set()
    done = order_project.saga("start", "place_order", "--input", ORDER, "--wait", "--timeout", "30s")
    assert done.returncode == 0, done.stderr
    service.process.send_signal(number)
    assert service.process.wait(timeout=PATIENCE) == code, service.log
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in family):
        assert time.monotonic() < deadline, f"left behind: {family}"
        time.sleep(0.05)


def test_a_saga_that_is_waited_for_tells_how_it_ended_by_its_exit_code(order_project: Project) -> None:
    order_project.run()
    declined = ORDER.replace('"amount": 5', '"amount": 5000000')
    done = order_project.saga("start", "place_order", "--input", declined, "--wait", "--timeout", "30s")
    assert done.returncode == 5, done.stderr
    started, ended, failure, next_ = done.stdout.splitlines()
    assert ended == "place_order o-1 is compensated"
    assert failure.startswith("  failure  debit_payment: card_declined: ")
    assert next_ == f"  next     saga show {started.split()[-1]}"


def test_parts_may_run_in_processes_of_their_own(order_project: Project) -> None:
    workers = [["--worker", name] for name in ("order", "payment", "review")]
    for roles in (["--orchestrator"], *workers):
        order_project.run(*roles)
    inputs = [ORDER.replace("o-1", f"o-{number}") for number in range(2)]
    for one in inputs:
        assert order_project.saga("start", "place_order", "--input", one).returncode == 0
    again = [order_project.saga("start", "place_order", "--input", one, "--wait", "--timeout", "30s") for one in inputs]
    assert Counter(done.returncode for done in again) == {0: 2}
