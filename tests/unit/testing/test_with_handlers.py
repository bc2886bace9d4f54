"""The test kit with a whole project: its handlers, its tables, its settings, and the plugin as a project names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from saga_engine.testing.system import SagaSystem

CONFTEST = 'pytest_plugins = ["saga_engine.testing.pytest_plugin"]\n'
DEFINITION = """\
saga: greet
steps:
  - step: hello
    call: greeter.hello
    compensate: none
"""
TEST = """\
def test_it_greets(saga_system):
    assert saga_system.start("greet").ended() == "completed"
"""


def test_a_projects_handlers_write_into_databases_in_memory(saga_system_with_handlers: SagaSystem) -> None:
    system = saga_system_with_handlers
    saga = system.start("place_order", {"order_id": "o-1", "customer_id": "alice", "amount": 4200})
    assert saga.ended() == "completed"
    with system.database("order").connect() as connection:
        assert connection.execute(text("SELECT status FROM orders")).scalars().all() == ["approved"]


def test_a_projects_settings_and_compensations_are_its_own(saga_system_with_handlers: SagaSystem) -> None:
    system = saga_system_with_handlers
    saga = system.start("place_order", {"order_id": "o-1", "customer_id": "alice", "amount": 99_999_999})
    assert saga.ended() == "compensated"
    assert saga.failure is not None
    assert saga.failure.code == "card_declined"
    with system.database("order").connect() as connection:
        assert connection.execute(text("SELECT status FROM orders")).scalars().all() == ["rejected"]


def test_a_script_before_a_projects_handlers_injects_what_they_do_not_do(
    saga_system_with_handlers: SagaSystem,
) -> None:
    system = saga_system_with_handlers
    system.participant("payment").on("debit").is_silent(after_effect=True)
    saga = system.start("place_order", {"order_id": "o-1", "customer_id": "alice", "amount": 4200})
    assert saga.ended() == "compensated"
    with system.database("payment").connect() as connection:
        assert connection.execute(text("SELECT kind FROM payments ORDER BY kind")).scalars().all() == [
            "debit",
            "refund",
        ]


def test_a_database_that_is_not_there_is_told_with_those_that_are(saga_system_with_handlers: SagaSystem) -> None:
    with pytest.raises(ValueError, match=r"no participant named 'hall' has a database; those that have: .*\bpayment\b"):
        saga_system_with_handlers.database("hall")


def test_a_project_names_the_plugin_and_its_tests_have_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "greet.yaml").write_text(DEFINITION)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_greet.py").write_text(TEST)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
