"""What the demo shows: its sagas and the worker that is killed, at one moment; and the stage that it acts on.

Owns the words that course, outage and views share. Knows no order of events, no process, no terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead

_STOPPED: Final = (Status.COMPLETED, Status.COMPENSATED, Status.CLOSED, Status.BLOCKED)


class Absence(StrEnum):
    """How it is with the participant whose worker gets killed."""

    NEVER = "never"
    """The demo kills nobody."""
    NOT_YET = "not yet"
    KILLED = "killed"
    STARTING = "starting"
    """A new process was started, and is not connected yet."""
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Act:
    """One saga of the demo. `held_up`: it waited for the killed worker while that was away.

    `struck`: the step whose command the worker was executing when it was killed.
    """

    title: str
    saga_id: UUID
    key: str
    status: Status
    held_up: bool = False
    struck: str | None = None

    @property
    def stopped(self) -> bool:
        return self.status in _STOPPED


@dataclass(frozen=True, slots=True)
class Scene:
    """How it stands `elapsed` seconds after the beginning; `total` sagas will be started.

    `since`: at how many seconds after the beginning the absence became what it is.
    """

    elapsed: float
    total: int
    acts: Sequence[Act]
    absence: Absence
    since: float = 0.0

    @property
    def last(self) -> bool:
        """All sagas have been started and have stopped, and nobody is away or will be."""
        over = self.absence in (Absence.NEVER, Absence.BACK)
        return over and len(self.acts) == self.total and all(act.stopped for act in self.acts)


class Stage(Protocol):
    """What the demo acts on."""

    def start(self, saga: str, saga_input: Json) -> tuple[UUID, str]:
        """Start a saga; its id and business key."""
        ...

    def look(self, saga_id: UUID) -> StreamHead:
        """The saga's row."""
        ...

    def at_work(self, participant: str, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Which of these sagas wait for the participant to do a step, and which step. Compensations do not count."""
        ...

    def kill(self, participant: str) -> None:
        """Kill the participant's worker without a warning."""
        ...

    def bring_back(self, participant: str) -> None:
        """Start the participant's worker again, without waiting until it works."""
        ...

    def works(self, participant: str) -> bool:
        """Whether the participant's worker is connected and takes commands."""
        ...

    def check(self) -> None:
        """Raise when a process of the demo ended by itself."""
        ...
