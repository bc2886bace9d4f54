"""How a saga of the test kit tells what became of it, and what a failed test shows of it without being asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from saga_engine.testing.system import SagaSystem

DEBIT = """
saga: pay
steps: [{step: debit, call: payment.debit, compensate: {call: payment.refund}}]
"""

DEPOSIT = """
saga: rent
steps:
  - {step: offer, call: flat.offer, compensate: none}
  - step: pay
    call: bank.debit
    with: {amount: "${{ steps.offer.result.deposit }}"}
    compensate: {call: bank.refund}
"""


def test_a_saga_says_by_itself_why_it_was_compensated() -> None:
    with SagaSystem(DEPOSIT) as system:
        saga = system.start("rent", key="r-1")
        why = "step pay: expression: steps.offer.result.deposit is not there"
        assert repr(saga) == f"<saga rent r-1: compensated, {why}>"
        assert saga.course.splitlines()[:2] == ["saga rent r-1 is compensated", f"  {why}"]
        empty = 'unscripted, so with an empty result: flat.offer; participant("flat").on("offer").succeeds({...})'
        assert empty in system.course
        system.participant("flat").on("offer").succeeds({"deposit": 5})
        assert system.start("rent", key="r-2").ended() == "completed"


def test_a_saga_says_by_itself_what_blocks_it() -> None:
    with SagaSystem(DEPOSIT) as system:
        system.participant("flat").on("offer").succeeds({"deposit": 5})
        system.participant("bank").on("debit").rejects("no_money", "the account is empty")
        assert repr(system.start("rent", key="r-1")).endswith("step pay: no_money: the account is empty>")
        assert "unscripted" not in system.course
    with SagaSystem(DEBIT) as system:
        system.participant("payment").on("debit").is_silent(after_effect=True)
        saga = system.start("pay")
        saga.cancel()
        system.participant("payment").on("refund").fails("closed", "come back tomorrow")
        saga.becomes("blocked")
        assert "cancelled" in repr(saga)
        assert "blocked at step debit: closed: come back tomorrow" in repr(saga)


def test_of_a_long_course_the_latest_events_are_told() -> None:
    items = "saga: many\nsteps: [{step: each, for_each: {in: [%s], as: i}, call: a.b, compensate: none}]\n"
    with SagaSystem(items % ", ".join(["1"] * 60)) as system:
        saga = system.start("many")
        lines = saga.course.splitlines()
        assert lines[1].strip() == f"{len(saga.events) - 100} earlier events"
        assert lines[-1].endswith("SagaCompleted")


CONFTEST = """
pytest_plugins = ["saga_engine.testing.pytest_plugin"]
"""
FAILING_TEST = """
def test_rent(saga_system):
    assert saga_system.start("rent", key="r-1").ended() == "completed"


def test_nothing_of_it(saga_system):
    saga_system.start("rent", key="r-2")
"""


def test_a_failed_test_shows_why_its_saga_ended_otherwise(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "rent.yaml").write_text(DEPOSIT, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_rent.py").write_text(FAILING_TEST, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "--rootdir", str(tmp_path), str(tmp_path)]
    # The run that this test is in has told its own workers what they are.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the test's sagas" in done.stdout
    assert "step pay: expression: steps.offer.result.deposit is not there" in done.stdout
    assert "r-2" not in done.stdout
