"""One thing that was found: how bad it is, what, where, why it matters, and what to do next.

Knows neither what is examined nor how a finding is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error`: something does not work. `skipped`: could not be looked at, since something else is wrong."""

    ERROR = "error"
    WARNING = "warning"
    SKIPPED = "skipped"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: which check it comes from, by a name that stays the same. `next`: a command to type, or what to edit."""

    check: str
    severity: Severity
    where: str
    what: str
    why: str = ""
    next: str = ""


def fine(check: str, where: str, what: str) -> Finding:
    """What was looked at and is as it should be."""
    return Finding(check, Severity.OK, where, what)


def skipped(check: str, where: str, what: str) -> Finding:
    """What could not be looked at; the finding that says why stands beside it."""
    return Finding(check, Severity.SKIPPED, where, what)
