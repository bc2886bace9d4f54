"""The status of a saga as a state machine, seen in the real decider: scenarios are played, every change is drawn.

Owns the scenarios. Draws nothing that did not happen in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from docs.generator.blocks import code, table
from saga_engine.core.evolve import evolve
from saga_engine.core.state import CompensationStatus, Phase, SagaState, Status, StepStatus
from saga_engine.core.verbs import ALLOWED
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply, resolve, resume, retry, skip, suspend

_SAGA: Final = """
saga: seen
version: 1
steps:
  - {step: a, call: p.do, compensate: {call: p.undo, retry: {maximum_attempts: 1}}}
  - {step: b, call: p.do, compensate: none}
"""
_LENIENT: Final = _SAGA.replace("{maximum_attempts: 1}", "{maximum_attempts: 1}, on_exhausted: continue")
_PAST: Final = """
saga: past
version: 1
steps:
  - {step: a, kind: retriable, call: p.do}
  - {step: b, kind: retriable, call: p.do, with: "${{ steps.a.result.absent }}"}
"""

_STATUSES: Final[Mapping[Status, str]] = {
    Status.RUNNING: "Steps are being done.",
    Status.COMPENSATING: "What was done is being undone. No forward command is issued or sent any more.",
    Status.BLOCKED: "A compensation is exhausted, or an expression that must have a value has none. An operator is "
    "needed; what does not depend on it goes on.",
    Status.SUSPENDED: "An operator stopped it. Replies, signals and cancel are recorded; nothing is sent; timers fire "
    "on resume; the saga's own time-out runs on.",
    Status.COMPLETED: "Every step is done or skipped.",
    Status.COMPENSATED: "Everything that was done is undone.",
    Status.CLOSED: "It ended, but a compensation was skipped or exhausted: something still stands.",
}


def diagram(_argument: str) -> str:
    """The state machine as a Mermaid picture: an arrow for every change of status that was seen, with its event."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, event, after in _changes():
        names = arrows.setdefault((before, after), [])
        if event not in names:
            names.append(event)
    drawn = sorted(arrows.items())
    lines = [f"    {before} --> {after}: {', '.join(sorted(names))}" for (before, after), names in drawn]
    ends = [f"    {status} --> [*]" for status in Status if status.ended]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *ends, "```"])


def statuses(which: str) -> str:
    """What a saga, a step (`step`) or its `compensation` can be."""
    if which == "saga":
        return table(("status", "means"), [(code(status), _STATUSES[status]) for status in Status])
    kind = {"step": StepStatus, "compensation": CompensationStatus}[which]
    return ", ".join(code(status.value) for status in kind) + "."


def verbs(_argument: str) -> str:
    """The table of verbs and statuses that the decider, the CLI and the documentation share."""
    rows = [
        [code(verb), *("yes" if status in allowed else "–" for status in Status)] for verb, allowed in ALLOWED.items()
    ]
    return table(["verb", *(status.value for status in Status)], rows)


def _changes() -> Iterator[tuple[str, str, str]]:
    for scenario in _scenarios():
        state = SagaState(scenario.state.saga_id)
        before = "[*]"
        for event in scenario.stream:
            state = evolve(state, event)
            after = state.status.value if state.phase is not Phase.NEW else "[*]"
            if after != before:
                yield before, type(event).__name__, after
            before = after


def _scenarios() -> Iterator[Scenario]:
    started, lenient = given(_SAGA).started(), given(_LENIENT).started()
    one_done = started.when(reply("a").succeeded())
    undoing = one_done.when(reply("b").rejected("no"))
    blocked = undoing.when(compensation("a").failed("down"))
    yield one_done.when(reply("b").succeeded())
    yield undoing.when(compensation("a").succeeded())
    yield lenient.when(reply("a").succeeded()).when(reply("b").rejected("no")).when(compensation("a").failed("down"))
    yield blocked.when(resolve("a"))
    yield blocked.when(skip("a"))
    yield blocked.when(retry("a")).when(compensation("a").succeeded())
    yield started.when(cancel()).after("1m").when(compensation("a").succeeded())
    yield started.when(suspend()).when(resume())
    yield undoing.when(suspend()).when(resume())
    yield blocked.when(suspend()).when(resume())
    yield given(_PAST).started().when(reply("a").succeeded({})).when(skip("b"))
