"""What an orchestrator has done since it began, as plain counts for tests, logs and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from saga_engine.core.decider import Decided
from saga_engine.core.events import SagaClosed, SagaCompensated, SagaCompleted
from saga_engine.core.inputs import Input, ReplyReceived
from saga_engine.core.state import SagaState
from saga_engine.tally import Tally

_ENDS: Final = (SagaCompleted, SagaCompensated, SagaClosed)


@dataclass(slots=True)
class Counters:
    """`sent_again` are repeated sends of commands: none in a healthy run. `ignored` counts replies by reason.

    `events` were committed; `ended` counts sagas by name and status, `lasted` how long they took, by name; `steps` are
    the replies that sagas took, by saga, step, direction and outcome. `committing`: how long batches took to be decided
    and committed.

    `unreadable`: replies that went to the dead letters. `flooded`: those that had to wait, since too many of their saga
    waited already. `long`: sagas whose streams have become remarkably long. `forgeries`: those of `forged`, by what was
    wrong with their token.
    """

    batches: int = 0
    commits: int = 0
    events: int = 0
    replies: int = 0
    commands: int = 0
    sent_again: int = 0
    unacknowledged: int = 0
    over_sla: int = 0
    forged: int = 0
    unreadable: int = 0
    flooded: int = 0
    long: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    forgeries: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    lasted: dict[str, Tally] = field(default_factory=dict)
    committing: Tally = field(default_factory=Tally)

    def decided(self, given: Input, answer: Decided) -> None:
        """Count what was committed of one input."""
        state = answer.state
        self.events += len(answer.events)
        if isinstance(given, ReplyReceived):
            # As texts: an enum's members hash by their names, in Python.
            key = (state.saga, given.step, str(given.direction), str(given.outcome))
            self.steps[key] = self.steps.get(key, 0) + 1
        if state.ended_as is not None and any(isinstance(event, _ENDS) for event in answer.events):
            self._over(state)

    def _over(self, state: SagaState) -> None:
        self.ended[state.saga, state.status.value] += 1
        tally = self.lasted.get(state.saga)
        if tally is None:
            tally = self.lasted[state.saga] = Tally()
        tally.add((state.ended_at or state.started_at) - state.started_at)

    def shown(self) -> Mapping[str, int | Mapping[str, int]]:
        """The counts by name, for a log line."""
        by_reason = {"ignored": dict(self.ignored), "forgeries": dict(self.forgeries)}
        return {name: getattr(self, name) for name in _NUMBERS} | by_reason


_NUMBERS: Final = tuple(each.name for each in fields(Counters) if each.type == "int")
