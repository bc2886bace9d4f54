"""What comes of one delivery of a command: an answer to send, or one of the ways to give none. Values only."""

from __future__ import annotations

from typing import TypeAlias

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command, Reply
from saga_engine.immutable import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of a reply. `effect`: for a compensation that succeeded, whether there was anything to undo."""

    outcome: Outcome
    result: Json = None
    code: str = ""
    message: str = ""
    effect: Effect = Effect.UNDONE


def failed(code: str, message: str) -> Answer:
    """Effect unknown; not stored, so that the next attempt is run."""
    return Answer(Outcome.FAILED, code=code, message=message)


@dataclass(frozen=True, slots=True)
class Answered:
    """Reply, then acknowledge the command."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class PutBack:
    """No reply: it is nobody's fault. The command comes again, later and later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """No reply and no further delivery: a newer send of the same command comes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """To the dead letters, with the reason, and an answer, so that the saga moves on."""

    reason: str
    answer: Answer


Disposition: TypeAlias = Answered | PutBack | Dropped | Dead


def reply_to(command: Command, answer: Answer, fenced: bool) -> Reply:
    """The reply to this send. Where a rejection is no answer (`must_succeed`) it goes out as a failure."""
    refused = answer.outcome is Outcome.REJECTED and rejection_fails(command)
    return Reply(
        address=command.address,
        participant=command.participant,
        partition=command.partition,
        attempt=command.attempt,
        send=command.send,
        outcome=Outcome.FAILED if refused else answer.outcome,
        result=answer.result,
        code=answer.code,
        message=answer.message,
        effect=answer.effect,
        fenced=fenced,
        token=command.token,
        traceparent=command.traceparent,
    )


def rejection_fails(command: Command) -> bool:
    """Whether a rejection counts as a failure here: in a compensation, and past the point of no return."""
    return command.must_succeed or command.address.direction is Direction.COMPENSATE
