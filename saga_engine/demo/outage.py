"""The outage in the demo: when the worker is killed, when it comes back, and which sagas that hits.

Owns the choice of the moment: the worker is to be killed in mid-command. Starts no saga, knows no process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from saga_engine.demo.scenes import Absence, Act, Stage
from saga_engine.settings.sections import DemoKill

PATIENCE_S: Final = 5.0
"""How long a moment is waited for in which the worker executes a command; then it is killed anyway."""


class Outage:
    """One outage of the participant in `kill`; None: there is none. `now`: monotonic time in seconds."""

    def __init__(self, kill: DemoKill | None, total: int, stage: Stage, now: Callable[[], float]) -> None:
        self.absence = Absence.NEVER if kill is None else Absence.NOT_YET
        self._kill = kill
        self._total = total
        self._stage = stage
        self._now = now
        self._patience_ends: float | None = None
        self._back_at = 0.0
        self._seen: Mapping[UUID, str] = {}

    def look(self, acts: Sequence[Act]) -> Sequence[Act]:
        """Kill the worker or bring it back if it is time to; the acts with what that has done to them."""
        kill = self._kill
        if kill is None:
            return acts
        if self.absence is Absence.NOT_YET and len(acts) >= min(kill.after, self._total):
            return self._wait_for_the_moment(kill, acts)
        if self.absence is Absence.KILLED and self._now() >= self._back_at:
            return self._bring_back(kill, acts)
        if self.absence is Absence.STARTING and self._stage.works(kill.participant):
            return self._back(kill, acts)
        return acts

    def _wait_for_the_moment(self, kill: DemoKill, acts: Sequence[Act]) -> Sequence[Act]:
        if self._patience_ends is None:
            self._patience_ends = self._now() + PATIENCE_S
        asked = self._asked(kill, acts)
        # What was asked at the look before, too, has reached the worker by now and is being executed.
        struck = {saga_id: step for saga_id, step in asked.items() if self._seen.get(saga_id) == step}
        self._seen = asked
        if not struck and self._now() < self._patience_ends:
            return acts
        self._stage.kill(kill.participant)
        self.absence = Absence.KILLED
        self._back_at = self._now() + kill.back / 1e6
        return [replace(act, struck=struck.get(act.saga_id)) for act in acts]

    def _bring_back(self, kill: DemoKill, acts: Sequence[Act]) -> Sequence[Act]:
        # A reply may have been on its way at the kill. It has been taken by now: who still waits was struck indeed.
        asked = self._asked(kill, acts)
        self._stage.bring_back(kill.participant)
        self.absence = Absence.STARTING
        return [
            replace(act, held_up=act.saga_id in asked, struck=act.struck and asked.get(act.saga_id)) for act in acts
        ]

    def _back(self, kill: DemoKill, acts: Sequence[Act]) -> Sequence[Act]:
        self.absence = Absence.BACK
        asked = self._asked(kill, acts)
        return [replace(act, held_up=act.held_up or act.saga_id in asked) for act in acts]

    def _asked(self, kill: DemoKill, acts: Sequence[Act]) -> Mapping[UUID, str]:
        return self._stage.at_work(kill.participant, [act.saga_id for act in acts if not act.stopped])
