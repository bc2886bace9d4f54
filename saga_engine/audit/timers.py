"""Group B, the times: timers fire once and when they are due, attempts and delays stay within the retry policy.

Owns B8 and B9. Told from the events and the definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from saga_engine.audit.case import Case
from saga_engine.audit.course import Dated, Track
from saga_engine.audit.graph import call_of, no_return_from
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import Finding, Findings, SagaInvariant, invariant
from saga_engine.core import events as e
from saga_engine.core.events import Verb
from saga_engine.definition.model import Jitter, Kind, Retry

_Failures: TypeAlias = Sequence[Dated[e.StepFailed]] | Sequence[Dated[e.CompensationFailed]]
_LIMITED: Final = (Kind.COMPENSATABLE, Kind.READ_ONLY)


@invariant("B8", Section.STREAMS)
def fires_once_when_due(case: Case) -> Findings:
    """B8: A timer fires at most once, not before it is due, and not when what it waited for has come."""
    for track in case.course.tracks.values():
        for dated in track.fired:
            set_before = [timer for timer in track.set if timer.version < dated.version]
            seen = f"the timer of {track.place} fired at version {dated.version}"
            if not set_before:
                yield Finding(seen, "a timer that was set before")
                continue
            timer = set_before[-1]
            over = [other.version for other in track.fired] + [other.version for other in track.succeeded]
            if any(timer.version < version < dated.version for version in over):
                yield Finding(seen, f"once at most since it was set at version {timer.version}, and only while waited")
            if timer.event.due is None or dated.event.at < timer.event.due:
                yield Finding(f"{seen}, at {dated.event.at}", f"not before {timer.event.due}, when it is due")


@invariant("B9", Section.STREAMS, Section.DEFINITIONS)
def within_the_policy(case: Case) -> Findings:
    """B9: Attempts are no more, and delays between them no longer or shorter, than the retry policy says."""
    if case.plan is None:
        return
    passed = no_return_from(case.plan, case.course)
    for track in case.course.tracks.values():
        call = call_of(case.plan, track)
        if call is None:
            continue
        unbounded = call.kind not in _LIMITED or (
            call.kind is Kind.READ_ONLY and passed is not None and track.issued and track.issued[-1].version > passed
        )
        yield from _attempts(track, track.issued, track.failed, call.retry, bounded=not unbounded)
        if call.compensation is not None:
            retry = call.compensation.retry
            yield from _attempts(track, track.compensations, track.compensation_failed, retry, bounded=True)


def _attempts(
    track: Track, issues: Sequence[Dated[e.CommandIssued]], failures: _Failures, retry: Retry, *, bounded: bool
) -> Findings:
    failed = {dated.event.attempt: dated for dated in failures}
    for dated in issues:
        spent = _spent(track, issues, dated.version)
        number = dated.event.attempt - spent
        if bounded and retry.maximum_attempts is not None and number > retry.maximum_attempts:
            seen = f"attempt {number} of {track.place} ({dated.event.direction})"
            yield Finding(seen, f"at most {retry.maximum_attempts} attempts")
    for before, dated in pairwise(issues):
        failure = failed.get(before.event.attempt)
        if failure is None or _retried(track, failure.version, dated.version):
            continue
        due = failure.event.retry_at
        if due is None or dated.event.at < due:
            seen = f"attempt {dated.event.attempt} of {track.place} was issued at {dated.event.at}"
            yield Finding(seen, "no further attempt" if due is None else f"not before {due}")
    for failure in failed.values():
        number = failure.event.attempt - _spent(track, issues, failure.version)
        yield from _delay(track, failure, number, retry)


def _delay(
    track: Track, failure: Dated[e.StepFailed] | Dated[e.CompensationFailed], number: int, retry: Retry
) -> Findings:
    if failure.event.retry_at is None:
        return
    longest = _longest(retry, number)
    delay = failure.event.retry_at - failure.event.at
    shortest = longest if retry.jitter is Jitter.NONE else 0
    if not shortest <= delay <= longest:
        seen = f"{delay} us between attempts {failure.event.attempt} and {failure.event.attempt + 1} of {track.place}"
        yield Finding(seen, f"{shortest} to {longest} us")


def _longest(retry: Retry, number: int) -> int:
    """The delay after the `number`-th failed attempt, before jitter: exponential, capped."""
    delay = float(retry.initial_interval_us)
    for _ in range(number - 1):
        if delay >= retry.maximum_interval_us or retry.backoff_coefficient == 1:
            break
        delay *= retry.backoff_coefficient
    return int(min(delay, retry.maximum_interval_us))


def _spent(track: Track, issues: Sequence[Dated[e.CommandIssued]], version: int) -> int:
    """How many attempts before `version` an operator's retry has forgiven."""
    retries = [act.version for act in track.acted if act.event.verb is Verb.RETRY and act.version < version]
    return max((dated.event.attempt for dated in issues if retries and dated.version < retries[-1]), default=0)


def _retried(track: Track, after: int, before: int) -> bool:
    return any(after < act.version < before and act.event.verb is Verb.RETRY for act in track.acted)


SAGA: Final[tuple[SagaInvariant, ...]] = (fires_once_when_due, within_the_policy)
