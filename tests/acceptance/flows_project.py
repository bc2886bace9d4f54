"""The flows project while it runs: one `saga run` without the payout service, and what its sagas have left behind.

Owns how a test starts, signals and looks at a saga of it. Knows no flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text

from saga_engine.core.events import CommandIssued, Direction, Event
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.orchestrator.client import Client, SagaView
from saga_engine.orchestrator.starting import Started
from saga_engine.sql.engine import open_engine
from tests.acceptance.projects import Project, Service, eventually

FLOWS: Final = Path(__file__).parent / "flows"
PARTICIPANTS: Final = ("bank", "car", "flight", "hotel", "payout", "stock")


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """What a handler has done: its step, of a `for_each` step the item (else -1), and whether it did or undid it."""

    step: str
    direction: Direction
    item: int = -1


def did(step: str, item: int = -1) -> Effect:
    return Effect(step, Direction.FORWARD, item)


def undid(step: str, item: int = -1) -> Effect:
    return Effect(step, Direction.COMPENSATE, item)


class Flows:
    """The running project. Its participants' urls are `databases`; left out: embedded."""

    def __init__(self, project: Project, client: Client, databases: Mapping[str, str]) -> None:
        self.project = project
        self.client = client
        self._databases = databases

    def start(self, saga: str, input: Json, version: int | None = None) -> UUID:
        """Start a saga."""
        outcome = self.client.start(saga, input, version=version)
        assert isinstance(outcome, Started), outcome
        return outcome.saga_id

    def ended(self, saga_id: UUID) -> SagaView:
        """Wait for the end of a saga."""
        eventually(lambda: Status(self.client.status(saga_id).status).ended, f"saga {saga_id} to end")
        return self.client.view(saga_id)

    def waits_for(self, saga_id: UUID, step: str) -> None:
        """Wait until a saga has come to that step."""

        def opened() -> bool:
            return step in self.client.view(saga_id).state.steps

        eventually(opened, f"saga {saga_id} to come to {step}")

    def effects(self, saga_id: UUID) -> list[Effect]:
        """What was done for a saga in all databases, by time."""
        rows: list[tuple[int, Effect]] = []
        for participant in PARTICIPANTS:
            rows += self._rows(participant, saga_id)
        return [effect for _, effect in sorted(rows)]

    def payout(self) -> Service:
        """Start the payout service, which is down at first."""
        return self.project.run("--worker", "payout")

    def _rows(self, participant: str, saga_id: UUID) -> Iterator[tuple[int, Effect]]:
        embedded = f"sqlite:///{self.project.folder}/.saga/{participant}.db"
        engine = open_engine(self._databases.get(participant, embedded))
        try:
            with engine.connect() as connection:
                statement = text("SELECT at, step, direction, item FROM effects WHERE saga_id = :saga_id")
                for at, step, direction, item in connection.execute(statement, {"saga_id": str(saga_id)}):
                    yield at, Effect(step, Direction(direction), -1 if item is None else item)
        finally:
            engine.dispose()


@contextmanager
def running(folder: Path, databases: Mapping[str, str]) -> Iterator[Flows]:
    """The project, set up in a folder and at work."""
    project = Project(folder, FLOWS, databases)
    try:
        upgraded = project.saga("db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        workers = [part for name in PARTICIPANTS if name != "payout" for part in ("--worker", name)]
        project.run("--orchestrator", *workers)
        with project.client() as client:
            yield Flows(project, client, databases)
    finally:
        project.close()


def issued(events: Sequence[Event]) -> list[tuple[str, Direction, int]]:
    """The attempts of a saga in order: step, direction and number."""
    return [(event.step, event.direction, event.attempt) for event in events if isinstance(event, CommandIssued)]
