"""An operator at work on real processes: blocked sagas are found and ended, running ones cancelled, some told.

The hotel of these sagas can release no room until it is healed: a compensation that fails for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.orchestrator.starting import Started
from tests.acceptance.projects import Project, eventually

DEFINITION = """
saga: stay
version: 1
key: ${{ input.id }}
output: {by: "${{ steps.confirm.result.by }}"}
steps:
  - step: reserve
    call: hotel.reserve
    compensate:
      call: hotel.release
      emit: RoomReleased
      retry: {maximum_attempts: 2, initial_interval: 10ms}
  - {step: confirm, wait: {event: Confirmed}}
  - {step: check_in, kind: retriable, call: hotel.check_in}
"""
HANDLERS = '''
"""A hotel whose rooms cannot be released before a file says that it is healed."""

from __future__ import annotations

from pathlib import Path

from saga_engine.participant import Context, Participant

hotel = Participant("hotel")


@hotel.command
def reserve(ctx: Context) -> dict[str, object]:
    return {"room": 7}


@hotel.command
def release(ctx: Context) -> None:
    if not Path("healed").exists():
        raise RuntimeError("nobody is at the hotel")


@hotel.command
def check_in(ctx: Context) -> None:
    return None
'''


@pytest.fixture
def stays(tmp_path: Path) -> Iterator[Project]:
    """A running project of one hotel."""
    source = tmp_path / "source"
    for name, text in (
        ("config.yaml", "saga_engine: 1\n"),
        ("definitions/stay.yaml", DEFINITION),
        ("participants/__init__.py", ""),
        ("participants/hotel.py", HANDLERS),
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", source)
    try:
        project.run()
        yield project
    finally:
        project.close()


def ask(project: Project, *words: str) -> list[dict[str, Json]]:
    """What a command that must succeed prints as lines."""
    done = project.saga(*words, "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def start(project: Project, *keys: str) -> None:
    """Start a stay under each key, and wait until all of them wait for their confirmation."""
    with project.client() as client:
        started = client.start_many("stay", [{"id": key} for key in keys])
        ids = [one.saga_id for one in started if isinstance(one, Started)]
        assert len(ids) == len(keys)
        eventually(lambda: all("confirm" in client.view(one).state.steps for one in ids), "the sagas to wait")


def become(project: Project, status: Status, *keys: str) -> None:
    """Wait until all of these are in that status."""
    with project.client() as client:
        ids = [client.find(key) for key in keys]
        eventually(lambda: all(client.status(one).status == status for one in ids), f"{keys} to be {status}")


def happened(project: Project, key: str) -> list[str]:
    """The types of all events of a saga."""
    with project.client() as client:
        return [type(event).__name__ for event in client.view(client.find(key)).events]


def test_a_compensation_that_fails_for_ever_is_found_and_ended_by_each_of_the_verbs(stays: Project) -> None:
    keys = ("retried", "skipped", "resolved")
    start(stays, *keys)
    ask(stays, "cancel", "--saga", "stay", "--yes", "--why", "the guests are ill")
    become(stays, Status.BLOCKED, *keys)
    found = ask(stays, "list", "--status", "blocked")
    assert {row["key"] for row in found} == set(keys)
    error = {"step": "reserve", "item": None, "direction": "compensate", "message": "nobody is at the hotel"}
    for row in found:
        (blocked,) = cast(list[dict[str, Json]], row["blocked"])
        assert {name: blocked[name] for name in error} == error

    # While nothing has changed a retry only leads there again, after all its attempts.
    ask(stays, "retry", "retried")
    eventually(lambda: happened(stays, "retried").count("StepBlocked") == 2, "the retry to be blocked again")
    (stays.folder / "healed").touch()

    ask(stays, "retry", "retried", "--why", "the hotel is back")
    become(stays, Status.COMPENSATED, "retried")
    assert "StepCompensated" in happened(stays, "retried")

    assert ask(stays, "skip", "skipped", "--why", "the hotel keeps the money")[0]["status"] == "closed"
    assert ask(stays, "resolve", "resolved", "--why", "released by telephone")[0]["status"] == "compensated"
    for key in ("skipped", "resolved"):
        assert "StepCompensated" not in happened(stays, key)
    refused = stays.saga("retry", "skipped")
    assert (refused.returncode, refused.stdout) == (1, "")


def test_a_running_saga_is_cancelled_and_many_at_once(stays: Project) -> None:
    (stays.folder / "healed").touch()
    keys = [f"guest-{number}" for number in range(150)]
    start(stays, *keys)
    (planned,) = ask(stays, "plan", keys[0], "--if", "cancel")
    assert planned["status"] == "compensated"
    ask(stays, "cancel", keys[0], "--why", "the guest is ill")
    become(stays, Status.COMPENSATED, keys[0])
    assert [row["key"] for row in ask(stays, "cancel", "--saga", "stay")] == keys[1:]
    done = ask(stays, "cancel", "--saga", "stay", "--yes", "--why", "the hotel has closed")
    assert [(row["key"], row["result"]) for row in done] == [(key, "done") for key in keys[1:]]
    become(stays, Status.COMPENSATED, *keys)


def test_a_waiting_saga_is_told_and_one_that_is_suspended_goes_on_when_it_is_resumed(stays: Project) -> None:
    start(stays, "told", "late")
    ask(stays, "suspend", "late", "--why", "to look at it")
    for key in ("told", "late"):
        (told,) = ask(stays, "signal", key, "Confirmed", "--data", '{"by": "ann"}', "--id", "s-1")
        assert (told["result"], told["signal_id"]) == ("done", "s-1")
    become(stays, Status.COMPLETED, "told")
    with stays.client() as client:
        assert client.view(client.find("told")).state.output == {"by": "ann"}
    again = stays.saga("signal", "told", "Confirmed", "--id", "s-1")
    assert again.returncode == 0, again.stderr
    assert "had taken this signal before it ended" in again.stdout
    refused = stays.saga("signal", "told", "Confirmed", "--id", "s-2")
    assert refused.returncode == 1
    assert "the saga is completed already" in refused.stderr

    assert happened(stays, "late")[-2:] == ["Suspended", "SignalReceived"]
    ask(stays, "resume", "late", "--why", "all is well")
    become(stays, Status.COMPLETED, "late")
