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


def play(
    demo: DemoSection, stage: Stage, new_id: Callable[[], str], now: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Scene]:
    """Run the demo, a scene after each look, until all is over. Times are in seconds, `now` is monotonic.

    Raises `SagaEngineError` when the sagas have not all stopped in time; what `stage` raises ends it too.
    """
    waiting = _interleaved(demo.runs)
    scene = Scene(0.0, len(waiting), (), Absence.NOT_YET)
    began = now()
    next_start, back_at = began, 0.0
    while True:
        stage.check()
        if waiting and now() >= next_start:
            started = _start(demo.saga, waiting.pop(0), stage, new_id())
            hit = scene.absence is Absence.KILLED
            scene = replace(scene, acts=[*scene.acts, replace(started, hit=hit)])
            next_start += PACE_S
        scene = replace(scene, elapsed=now() - began, acts=[_looked_at(act, stage) for act in scene.acts])
        if demo.kill is not None:
            if scene.absence is Absence.NOT_YET and len(scene.acts) >= min(demo.kill.after, scene.total):
                stage.kill(demo.kill.participant)
                acts = [replace(act, hit=not act.stopped) for act in scene.acts]
                scene, back_at = replace(scene, acts=acts, absence=Absence.KILLED), now() + demo.kill.back / 1e6
            elif scene.absence is Absence.KILLED and now() >= back_at:
                stage.bring_back(demo.kill.participant)
                scene = replace(scene, absence=Absence.BACK)
        yield scene
        if scene.last:
            return
        if scene.elapsed > LONGEST_S:
            open_keys = ", ".join(act.key for act in scene.acts if not act.stopped)
            raise SagaEngineError(f"the demo was not over after {LONGEST_S:.0f} s; still under way: {open_keys}")
        sleep(_LOOK_S)


def worth_showing(acts: Sequence[Act], took: Callable[[Act], float]) -> Sequence[Act]:
    """One saga of each title, those that the kill hit before others, and of these the one that took longest."""
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


def _start(saga: str, run: DemoSaga, stage: Stage, new_id: str) -> Act:
    text = json.dumps(run.input).replace("{id}", new_id)
    saga_id, key = stage.start(saga, cast(Mapping[str, Json], json.loads(text)))
    return Act(run.title, saga_id, key, Status.RUNNING)


def _looked_at(act: Act, stage: Stage) -> Act:
    return act if act.stopped else replace(act, status=Status(stage.look(act.saga_id).status))
