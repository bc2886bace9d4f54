"""A project with one saga that can be brought into every status by hand: nobody runs it, its replies are made here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from saga_engine.bootstrap.clients import client as project_client
from saga_engine.configuration import load
from saga_engine.core.decider import Decided
from saga_engine.core.events import Direction, Effect, Verb
from saga_engine.core.inputs import Cancel, Input, Operate, Outcome, ReplyReceived, Signal, Suspend
from saga_engine.core.state import Status
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import Started

DEFINITION = """
saga: trip
version: 1
key: ${{ input.id }}
input: {type: object, required: [id], properties: {id: {type: string}}}
steps:
  - step: reserve
    call: hotel.reserve
    with: {id: "${{ input.id }}"}
    compensate: {call: hotel.release, with: {why: "${{ failure.code }}"}, retry: {maximum_attempts: 1}}
  - step: confirm
    wait: {event: Confirmed, timeout: 1h}
  - step: pay
    kind: pivot
    call: card.charge
    with: {id: "${{ input.id }}", room: "${{ steps.reserve.result.room }}"}
  - step: print
    kind: retriable
    call: desk.print
"""


def write_trip(project: Path) -> None:
    """Put the definition into a project's folder."""
    (project / "definitions").mkdir()
    (project / "definitions" / "trip.yaml").write_text(DEFINITION, encoding="utf-8")


class Trips:
    """The sagas of such a project."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def start(self, key: str) -> None:
        with self._client() as client:
            assert isinstance(client.start("trip", {"id": key}), Started)

    def give(self, key: str, *inputs: Callable[[int], Input]) -> None:
        """Each of these must lead to something."""
        with self._client() as client:
            for make in inputs:
                assert isinstance(client.act(client.find(key), make), Decided)

    def bring(self, key: str, status: Status) -> None:
        """Start a saga and bring it into this status."""
        self.start(key)
        self.give(key, *WAYS[status])
        with self._client() as client:
            assert client.status(client.find(key)).status == status

    @contextmanager
    def _client(self) -> Iterator[Client]:
        with closing(project_client(load(self._project).settings, new=True)) as client:
            yield client


def succeeds(step: str) -> Callable[[int], Input]:
    """The step's first attempt is answered: done."""
    result = {"room": 7} if step == "reserve" else None
    return lambda at: ReplyReceived(at, step, None, Direction.FORWARD, 1, 1, Outcome.SUCCEEDED, result)


def undone(step: str) -> Callable[[int], Input]:
    return lambda at: ReplyReceived(at, step, None, Direction.COMPENSATE, 1, 1, Outcome.SUCCEEDED, effect=Effect.UNDONE)


def not_undone(step: str) -> Callable[[int], Input]:
    """The only attempt at its compensation fails."""
    return lambda at: ReplyReceived(
        at, step, None, Direction.COMPENSATE, 1, 1, Outcome.FAILED, code="away", message="nobody is at the hotel"
    )


def confirmed(at: int) -> Input:
    return Signal(at, "c-1", "Confirmed", None)


def cancelled(at: int) -> Input:
    return Cancel(at, "test", "changed plans")


def suspended(at: int) -> Input:
    return Suspend(at, "test", "to look")


def skipped(at: int) -> Input:
    return Operate(at, Verb.SKIP, "test", "paid by hand")


PAID = (succeeds("reserve"), confirmed, succeeds("pay"))
UNDOING = (succeeds("reserve"), cancelled)
WAYS: dict[Status, tuple[Callable[[int], Input], ...]] = {
    Status.RUNNING: (),
    Status.SUSPENDED: (suspended,),
    Status.COMPENSATING: UNDOING,
    Status.BLOCKED: (*UNDOING, not_undone("reserve")),
    Status.COMPLETED: (*PAID, succeeds("print")),
    Status.COMPENSATED: (*UNDOING, undone("reserve")),
    Status.CLOSED: (*UNDOING, not_undone("reserve"), skipped),
}


def json_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]
