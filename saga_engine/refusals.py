"""Why a saga was not started, as errors in the words of a person.

Owns that wording and which exit code each refusal has.
"""

from __future__ import annotations

from typing import assert_never

from saga_engine.bootstrap.definitions import difference
from saga_engine.definition.inputs import InputRejected
from saga_engine.errors import SagaEngineError, UsageError
from saga_engine.orchestrator.starting import (
    AlreadyStarted,
    DefinitionChanged,
    KeyConflict,
    Started,
    StartOutcome,
    StartRefused,
)


def refusal(outcome: StartOutcome | InputRejected | DefinitionChanged) -> Started | AlreadyStarted | SagaEngineError:
    """What was started, or the error that says why nothing was."""
    match outcome:
        case Started() | AlreadyStarted():
            return outcome
        case KeyConflict():
            return SagaEngineError(
                f"conflict: key {outcome.key!r} belongs to saga {outcome.saga_id}, which has another input; "
                "use another key, or the same input"
            )
        case StartRefused():
            return SagaEngineError(outcome.reason)
        case InputRejected():
            return UsageError("\n".join(f"--input: {problem}" for problem in outcome.problems))
        case DefinitionChanged():
            return UsageError(difference(outcome))
    assert_never(outcome)
