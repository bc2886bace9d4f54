"""The facts of a saga's stream as a table, from `saga_engine.core.events`.

Owns when each is written, in one sentence: an event without one cannot be generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Final, get_args

from docs.generator.blocks import code, table
from saga_engine.core.events import Event

_WHEN: Final[Mapping[str, str]] = {
    "SagaStarted": "The first event. Pins the definition by the hash of its content; `input` has its defaults filled "
    "in.",
    "CommandIssued": "An attempt was decided, and sent after the commit. `payload` stands with the first attempt; "
    "later ones send the same. A compensation without a `with` of its own sends the payload of the step.",
    "StepSucceeded": "A reply `succeeded`, a signal that a `wait` took, the end of a `wait` that may run out of time, "
    "or the end of a `for_each` (`item` null, the results are those of its items).",
    "StepRejected": "Definitely no effect, final: a reply `rejected`, an expression without a value, a `wait` out "
    "of time.",
    "StepFailed": "A reply `failed`. `retry_at` is when the next attempt follows; null: none follows, the outcome "
    "is unknown.",
    "StepGivenUp": "No longer waited for. The outcome is unknown, and is compensated as if it had been done.",
    "StepSkipped": "Its `if` was false, or an operator skipped it.",
    "ItemsFixed": "The list of a `for_each`, fixed for ever.",
    "TimerSet": "A `sleep` or a `wait` began (`due` null: without a limit), or a step of unknown outcome without an "
    "inbox is left alone until its last send cannot run any more.",
    "TimerFired": "That time has come.",
    "SignalReceived": "A signal arrived. It is taken once per `signal_id`, by the oldest `wait` for its name.",
    "CompensationBegan": "From here no forward command is issued or sent again. `step` null: the saga as a whole.",
    "StepCompensated": "A compensation succeeded. `effect`: whether there was anything to undo.",
    "CompensationFailed": "An attempt at a compensation failed. `retry_at` null: its attempts are used up.",
    "StepBlocked": "A compensation is exhausted, or an expression that must have a value has none: an operator is "
    "needed.",
    "Suspended": "An operator stopped the saga: nothing is sent, replies and signals are recorded.",
    "Resumed": "It goes on; timers that came due meanwhile fire.",
    "CancelRequested": "Somebody asked to end it. `accepted` false: past the point of no return, recorded and refused.",
    "OperatorActed": "A person retried, skipped or resolved a blocked step.",
    "SagaCompleted": "Every step is closed. `output_error`: why `output` has no value; the saga is complete all "
    "the same.",
    "SagaCompensated": "Everything that was done is undone.",
    "SagaClosed": "It ended, but a compensation was skipped or exhausted: something still stands.",
}


def facts(_argument: str) -> str:
    """Every event with its fields; what a field is when it is left out stands behind it."""
    rows = []
    for event in get_args(Event):
        shown = [_field(each) for each in fields(event) if each.name != "at"]
        rows.append((f"**{event.__name__}**", _WHEN[event.__name__], ", ".join(shown)))
    return table(("event", "written when", "fields"), rows)


def event_names() -> list[str]:
    return [event.__name__ for event in get_args(Event)]


def _field(field: Field[object]) -> str:
    if field.default is MISSING:
        return code(field.name)
    default = {None: "null", True: "true", False: "false"}.get(field.default, field.default)  # type: ignore[call-overload] # any default may be asked for
    return f"{code(field.name)} ({default})"
