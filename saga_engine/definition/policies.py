"""`retry` and `timeout`: their keys, their bounds, and the defaults of the language.

Owns the numbers that hold when the author says nothing (design: Temporal's names, Richardson's kinds). Which step may
have which policy is for `steps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saga_engine.definition import reading
from saga_engine.definition.durations import LONGEST_US
from saga_engine.definition.model import Jitter, Retry, Timeout
from saga_engine.definition.section import Section

_SECOND: Final = 1_000_000

FORWARD_RETRY: Final = Retry(
    maximum_attempts=5,
    initial_interval_us=_SECOND,
    backoff_coefficient=2.0,
    maximum_interval_us=30 * _SECOND,
    jitter=Jitter.FULL,
    non_retryable_errors=(),
)
COMPENSATION_RETRY: Final = Retry(
    maximum_attempts=20,
    initial_interval_us=_SECOND,
    backoff_coefficient=2.0,
    maximum_interval_us=600 * _SECOND,
    jitter=Jitter.FULL,
    non_retryable_errors=(),
)
TIMEOUT: Final = Timeout(reply_us=30 * _SECOND, total_us=None)

MOST_ATTEMPTS: Final = 1_000_000
RETRY_KEYS: Final = (
    "maximum_attempts",
    "initial_interval",
    "backoff_coefficient",
    "maximum_interval",
    "jitter",
    "non_retryable_errors",
)


@dataclass(frozen=True, slots=True)
class RetryPart:
    """What the author said about retries; None where nothing was said, or nothing that could be read."""

    maximum_attempts: int | None = None
    initial_interval_us: int | None = None
    backoff_coefficient: float | None = None
    maximum_interval_us: int | None = None
    jitter: Jitter | None = None
    non_retryable_errors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TimeoutPart:
    """What the author said about time limits."""

    reply_us: int | None = None
    total_us: int | None = None


def read_retry(parent: Section) -> RetryPart:
    """The keys under `retry`."""
    section = parent.section("retry", "retry fields")
    if section is None:
        return RetryPart()
    section.only(*RETRY_KEYS)
    part = RetryPart(
        maximum_attempts=_attempts(section),
        initial_interval_us=section.duration("initial_interval"),
        backoff_coefficient=section.number("backoff_coefficient", 1, 1_000, "E213"),
        maximum_interval_us=section.duration("maximum_interval"),
        jitter=section.choice("jitter", Jitter),
        non_retryable_errors=_codes(section),
    )
    if (part.initial_interval_us or 0) > (part.maximum_interval_us or LONGEST_US):
        message = '"maximum_interval" is shorter than "initial_interval"'
        section.report.at(section.at("maximum_interval"), "E218", message, "at least as long")
    return part


def _attempts(section: Section) -> int | None:
    node = section.get("maximum_attempts")
    if node is not None and reading.shape(node).strip('"') in ("unlimited", "infinite", "null", ".inf"):
        section.report.at(node.at, "E213", "a retry without bound", f"an integer from 1 to {MOST_ATTEMPTS}")
        return None
    return section.integer("maximum_attempts", 1, MOST_ATTEMPTS, "E213")


def _codes(section: Section) -> tuple[str, ...] | None:
    items = section.items("non_retryable_errors", "codes of errors")
    if items is None:
        return None
    codes = [reading.plain_text(section.report, item, "the code of an error") for item in items]
    return tuple(code for code in codes if code is not None)


def read_timeout(parent: Section) -> TimeoutPart:
    """The keys under `timeout`."""
    section = parent.section("timeout", "reply and total")
    if section is None:
        return TimeoutPart()
    section.only("reply", "total")
    part = TimeoutPart(section.duration("reply"), section.duration("total"))
    if (part.reply_us or 0) > (part.total_us or LONGEST_US):
        section.report.at(section.at("total"), "E218", '"total" is shorter than "reply"', "at least as long")
    return part


def merged_retry(base: Retry, *parts: RetryPart) -> Retry:
    """The base with what the parts say, the later ones first in rank.

    An interval that is made longer than the longest one pulls that along, unless the same part names both.
    """
    for part in parts:
        initial = base.initial_interval_us if part.initial_interval_us is None else part.initial_interval_us
        longest = max(initial, base.maximum_interval_us)
        base = Retry(
            base.maximum_attempts if part.maximum_attempts is None else part.maximum_attempts,
            initial,
            base.backoff_coefficient if part.backoff_coefficient is None else part.backoff_coefficient,
            longest if part.maximum_interval_us is None else part.maximum_interval_us,
            base.jitter if part.jitter is None else part.jitter,
            base.non_retryable_errors if part.non_retryable_errors is None else part.non_retryable_errors,
        )
    return base


def merged_timeout(base: Timeout, *parts: TimeoutPart) -> Timeout:
    """The base with what the parts say, the later ones first in rank.

    A total below the reply time cuts that short, unless the same part names both.
    """
    for part in parts:
        total = base.total_us if part.total_us is None else part.total_us
        reply = base.reply_us if total is None else min(base.reply_us, total)
        base = Timeout(reply if part.reply_us is None else part.reply_us, total)
    return base


def without_bound(retry: Retry, timeout: Timeout) -> tuple[Retry, Timeout]:
    """The policies of a step that is never given up: no last attempt, no code that ends it, no total time."""
    return (
        Retry(None, retry.initial_interval_us, retry.backoff_coefficient, retry.maximum_interval_us, retry.jitter, ()),
        Timeout(timeout.reply_us, None),
    )
