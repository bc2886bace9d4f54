"""The commands of the README as a new user types them, and the mistakes that a new user makes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.projects import REPOSITORY, Project

ORDER = '{"order_id": "o-1", "customer_id": "c-1", "amount": 1000}'
TOO_MUCH = '{"order_id": "o-2", "customer_id": "c-1", "amount": 99999999}'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """This repository's project with `saga run` under way."""
    made = Project(tmp_path_factory.mktemp("project"), REPOSITORY)
    made.run()
    yield made
    made.close()


def test_an_order_is_completed_and_shown(running: Project) -> None:
    started = running.saga("start", "place_order", "--input", ORDER, "--wait")
    assert started.returncode == 0, started.stderr
    assert "completed" in started.stdout
    shown = json.loads(running.saga("show", "o-1", "-o", "json").stdout)
    assert {name: shown[name] for name in ("saga", "version", "key", "status", "failure")} == {
        "saga": "place_order",
        "version": 2,
        "key": "o-1",
        "status": "completed",
        "failure": None,
    }
    assert shown["input"] == json.loads(ORDER) | {
        "restaurant_id": "",
        "created_on": "0001-01-01T00:00:00Z",
        "items": [],
    }
    assert [(step["step"], step["status"], step["attempts"]) for step in shown["steps"]] == [
        ("create_order", "succeeded", 1),
        ("debit_payment", "succeeded", 1),
        ("review_order", "succeeded", 1),
        ("approve_order", "succeeded", 1),
    ]
    assert shown["steps"][1]["result"]["receipt"].startswith("R-")
    assert shown["started_at"] <= shown["ended_at"]


def test_an_order_above_the_limit_is_rejected_and_its_history_says_so(running: Project) -> None:
    started = running.saga("start", "place_order", "--input", TOO_MUCH, "--wait")
    assert started.returncode == 5, started.stderr
    assert "compensated" in started.stdout
    lines = [json.loads(line) for line in running.saga("history", "o-2", "-o", "jsonl").stdout.splitlines()]
    assert [line["version"] for line in lines] == list(range(1, len(lines) + 1))
    assert "CompensationBegan" in [line["type"] for line in lines]
    compensated = next(line for line in lines if line["type"] == "StepCompensated")
    assert compensated["data"] == {"step": "create_order", "effect": "undone"}
    assert compensated["emits"] == "OrderRejected"
    with sqlite3.connect(running.folder / ".saga" / "order.db") as orders:
        status = orders.execute("SELECT status, reason FROM orders WHERE order_id = 'o-2'").fetchone()
    orders.close()
    assert status == ("rejected", "card_declined")


def test_the_same_key_and_input_is_one_saga_and_another_input_a_conflict(running: Project) -> None:
    first = json.loads(running.saga("start", "place_order", "--input", ORDER, "-o", "json").stdout)
    again = running.saga("start", "place_order", "--input", ORDER, "-o", "json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["id"] == first["id"]
    other = running.saga("start", "place_order", "--input", ORDER.replace("1000", "1001"))
    assert other.returncode == 1
    assert _one_line(other.stderr).startswith("Error: conflict: key 'o-1'")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("start", "place_ordr", "--input", ORDER), 3, "place_ordr"),
        (("start", "place_order", "--input", ORDER.replace("1000", "0")), 2, "$.amount"),
        (("start", "place_order", "--input", "{"), 2, "not JSON"),
        (("start", "place_order", "--input", "@missing.json"), 2, "missing.json"),
        (("start", "place_order", "--input", ORDER, "--version", "7"), 3, "version 7"),
        (("show", "no-such-key"), 3, "no-such-key"),
        (("show", "01a2070e-2abb-7000-b80a-b931a3294b99"), 3, "01a2070e"),
        (("history", "no-such-key"), 3, "no-such-key"),
        (("validate", "broken.yaml"), 2, "broken.yaml:5:5: E"),
        (("validate", "not-there.yaml"), 2, "not-there.yaml"),
        (("run", "--worker", "shipping"), 2, "shipping"),
        (("--set", "databse=sqlite:///x.db", "list"), 2, "database"),
        (("--set", "database=postgresql://u@127.0.0.1:1/x", "list"), 4, "127.0.0.1:1"),
        (("--set", "database=postgresql://u:s3cret@127.0.0.1:1/x", "list"), 2, "secret may not stand"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_clear_line_with_its_exit_code(
    running: Project, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (running.folder / "broken.yaml").write_text(
        "saga: x\nversion: 1\nsteps:\n  - step: a\n    colour: blue\n    call: order.create\n    compensate: none\n"
    )
    ended = running.saga(*arguments)
    assert ended.returncode == code, (ended.stdout, ended.stderr)
    line = _one_line(ended.stderr + ended.stdout if arguments[0] == "validate" else ended.stderr)
    assert says in line
    assert "s3cret" not in line


def test_a_start_needs_only_the_database(project_without_servers: Project) -> None:
    started = project_without_servers.saga("start", "place_order", "--input", ORDER)
    assert started.returncode == 0, started.stderr
    shown = json.loads(project_without_servers.saga("show", "o-1", "-o", "json").stdout)
    assert shown["status"] == "running"
    assert json.loads(project_without_servers.saga("list", "-o", "json").stdout)[0]["key"] == "o-1"


@pytest.fixture
def project_without_servers(tmp_path: Path) -> Project:
    """A project whose NATS is nowhere."""
    return Project(tmp_path, REPOSITORY, SAGA_NATS__URL="nats://127.0.0.1:1")


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    made = Project(tmp_path, REPOSITORY, SAGA_DATABASE="postgresql://u:s3cret@127.0.0.1:1/x")
    ended = made.saga("show", "o-1")
    assert ended.returncode == 4
    assert "127.0.0.1" in _one_line(ended.stderr)
    assert "s3cret" not in ended.stdout + ended.stderr


def _one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]
