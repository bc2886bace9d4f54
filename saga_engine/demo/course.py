"""What `saga demo` does: starts the sagas that the configuration names, has a worker killed on the way, waits for all.

Owns the course of events, as scenes. The kill is the outage's; who acts and who draws is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, cast

from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.demo.outage import Outage
from saga_engine.demo.scenes import Act, Scene, Stage
from saga_engine.errors import SagaEngineError
from saga_engine.settings.sections import DemoSaga, DemoSection

PACE_S: Final = 0.25
"""Between two starts: slow enough to watch."""
LONGEST_S: Final = 120.0
_LOOK_S: Final = 0.05


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
        self._outage = Outage(demo.kill, len(self._waiting), stage, timing.now)
        self._scene = Scene(0.0, len(self._waiting), (), self._outage.absence)

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
            acts = [self._looked_at(act) for act in self._outage.look(self._scene.acts)]
            elapsed = self._timing.now() - began
            absence = self._outage.absence
            since = self._scene.since if absence is self._scene.absence else elapsed
            self._scene = replace(self._scene, elapsed=elapsed, acts=acts, absence=absence, since=since)
            yield self._scene
            if self._scene.elapsed > LONGEST_S:
                keys = ", ".join(act.key for act in acts if not act.stopped)
                raise SagaEngineError(f"the demo was not over after {LONGEST_S:.0f} s; still under way: {keys}")
            self._timing.sleep(_LOOK_S)

    def _start(self, run: DemoSaga) -> None:
        text = json.dumps(run.input).replace("{id}", self._new_id())
        saga_id, key = self._stage.start(self._demo.saga, cast(Mapping[str, Json], json.loads(text)))
        act = Act(run.title, saga_id, key, Status.RUNNING)
        self._scene = replace(self._scene, acts=[*self._scene.acts, act])

    def _looked_at(self, act: Act) -> Act:
        return act if act.stopped else replace(act, status=Status(self._stage.look(act.saga_id).status))


def worth_showing(acts: Sequence[Act], took: Callable[[Act], float]) -> Sequence[Act]:
    """For each title the quickest saga, and of those that the outage held up one that was struck, else the longest.

    So each is another story: none is told twice under one title.
    """
    shown: list[Act] = []
    for title in dict.fromkeys(act.title for act in acts):
        own = [act for act in acts if act.title == title]
        if undisturbed := [act for act in own if not act.held_up]:
            shown.append(min(undisturbed, key=took))
        if held_up := [act for act in own if act.held_up]:
            shown.append(max(held_up, key=lambda one: (one.struck is not None, took(one))))
    return shown


def _interleaved(runs: Sequence[DemoSaga]) -> list[DemoSaga]:
    rounds = zip_longest(*([run] * run.count for run in runs))
    return [run for one in rounds for run in one if run is not None]
