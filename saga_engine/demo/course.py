"""What `saga demo` does: starts the sagas that the configuration names, kills a worker on the way, and waits for all.

Owns the course of events, as scenes. Knows neither processes nor terminals: who acts and who draws is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest
from typing import Final, Protocol, cast
from uuid import UUID

from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError
from saga_engine.settings import DemoSaga, DemoSection

PACE_S: Final = 0.4
"""Between two starts: slow enough to watch."""
LONGEST_S: Final = 120.0
_LOOK_S: Final = 0.1
_STOPPED: Final = (Status.COMPLETED, Status.COMPENSATED, Status.CLOSED, Status.BLOCKED)


class Absence(StrEnum):
    """How it is with the participant whose worker gets killed."""

    NOT_YET = "not yet"
    KILLED = "killed"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Act:
    """One saga of the demo. `hit`: it was under way while the killed worker was away."""

    title: str
    saga_id: UUID
    key: str
    status: Status
    hit: bool = False

    @property
    def stopped(self) -> bool:
        return self.status in _STOPPED


@dataclass(frozen=True, slots=True)
class Scene:
    """How it stands `elapsed` seconds after the beginning; `total` sagas will be started."""

    elapsed: float
    total: int
    acts: Sequence[Act]
    absence: Absence

    @property
    def last(self) -> bool:
        """All sagas have been started and have stopped, and nobody is away."""
        return len(self.acts) == self.total and self.absence is not Absence.KILLED and all(a.stopped for a in self.acts)


class Stage(Protocol):
    """What the demo acts on."""

    def start(self, saga: str, saga_input: Json) -> tuple[UUID, str]:
        """Start a saga; its id and business key."""
        ...

    def look(self, saga_id: UUID) -> StreamHead:
        """The saga's row."""
        ...

    def kill(self, participant: str) -> None:
        """Kill the participant's worker without a warning."""
        ...

    def bring_back(self, participant: str) -> None:
        """Start the participant's worker again."""
        ...

    def check(self) -> None:
        """Raise when a process of the demo ended by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Monotonic time in seconds, and how to let some of it pass."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


class Course:
    """The course of one demo. `new_id` gives what `{id}` in an input becomes."""

    def __init__(self, demo: DemoSection, stage: Stage, new_id: Callable[[], str], timing: Timing) -> None:
        self._demo = demo
        self._stage = stage
        self._new_id = new_id
        self._timing = timing
        self._waiting = _interleaved(demo.runs)
        self._scene = Scene(0.0, len(self._waiting), (), Absence.NOT_YET)
        self._back_at = 0.0

    def scenes(self) -> Iterator[Scene]:
        """Run the demo, a scene after each look, until all is over.

        Raises `SagaEngineError` when the sagas have not all stopped in time; what the stage raises ends it too.
        """
        began = next_start = self._timing.now()
        while not self._scene.last:
            self._stage.check()
            if self._waiting and self._timing.now() >= next_start:
                self._start(self._waiting.pop(0))
                next_start += PACE_S
            self._kill_or_bring_back()
            acts = [self._looked_at(act) for act in self._scene.acts]
            self._scene = replace(self._scene, elapsed=self._timing.now() - began, acts=acts)
            yield self._scene
            if self._scene.elapsed > LONGEST_S:
                keys = ", ".join(act.key for act in acts if not act.stopped)
                raise SagaEngineError(f"the demo was not over after {LONGEST_S:.0f} s; still under way: {keys}")
            self._timing.sleep(_LOOK_S)

    def _start(self, run: DemoSaga) -> None:
        text = json.dumps(run.input).replace("{id}", self._new_id())
        saga_id, key = self._stage.start(self._demo.saga, cast(Mapping[str, Json], json.loads(text)))
        act = Act(run.title, saga_id, key, Status.RUNNING, hit=self._scene.absence is Absence.KILLED)
        self._scene = replace(self._scene, acts=[*self._scene.acts, act])

    def _kill_or_bring_back(self) -> None:
        kill, scene = self._demo.kill, self._scene
        if kill is None:
            return
        if scene.absence is Absence.NOT_YET and len(scene.acts) >= min(kill.after, scene.total):
            self._stage.kill(kill.participant)
            self._back_at = self._timing.now() + kill.back / 1e6
            acts = [replace(act, hit=not act.stopped) for act in scene.acts]
            self._scene = replace(scene, acts=acts, absence=Absence.KILLED)
        elif scene.absence is Absence.KILLED and self._timing.now() >= self._back_at:
            self._stage.bring_back(kill.participant)
            self._scene = replace(scene, absence=Absence.BACK)

    def _looked_at(self, act: Act) -> Act:
        return act if act.stopped else replace(act, status=Status(self._stage.look(act.saga_id).status))


def worth_showing(acts: Sequence[Act], took: Callable[[Act], float]) -> Sequence[Act]:
    """For each title its first saga, and the one that took longest, of those first that the kill has hit."""
    chosen: dict[str, Act] = {}
    for act in acts:
        known = chosen.setdefault(act.title, act)
        if (act.hit, took(act)) > (known.hit, took(known)):
            chosen[act.title] = act
    first = {title: next(act for act in acts if act.title == title) for title in chosen}
    shown = [act for title in chosen for act in (first[title], chosen[title])]
    return list({act.saga_id: act for act in shown}.values())


def _interleaved(runs: Sequence[DemoSaga]) -> list[DemoSaga]:
    rounds = zip_longest(*([run] * run.count for run in runs))
    return [run for one in rounds for run in one if run is not None]
