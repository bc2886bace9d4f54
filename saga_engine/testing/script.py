"""What a participant is told to do with a command in a test, in order: succeed, reject, fail, be silent.

Owns the course of such a script. Knows no transport, handler or saga.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.definition.durations import EXPECTED, parse_duration
from saga_engine.definition.model import Json
from saga_engine.participant.context import CODE


@dataclass(frozen=True, slots=True)
class Succeeds:
    result: Json


@dataclass(frozen=True, slots=True)
class Rejects:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Fails:
    code: str
    message: str


Outcome: TypeAlias = Succeeds | Rejects | Fails


@dataclass(frozen=True, slots=True)
class Silence:
    """No reply until then (microseconds; None: never). `after_effect`: commands are executed, their replies lost."""

    until: int | None
    after_effect: bool


@dataclass(slots=True)
class _Part:
    """One part of a script: an outcome so many `times` (None: for ever), or a silence of so many microseconds."""

    outcome: Outcome | None
    times: int | None = None
    length: int | None = None
    after_effect: bool = False
    ends_at: int | None = None


class Script:
    """What follows one after the other; a part without an end holds for ever. After the last one: as if unscripted.

    Each part returns the script, so that they are written in a row: `fails(times=2).succeeds({"receipt": "R-1"})`.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._parts: list[_Part] = []

    def succeeds(self, result: Json = None, *, times: int | None = None) -> Script:
        """Do it, with this result (left out: an empty object)."""
        return self._outcome(Succeeds({} if result is None else result), times)

    def rejects(self, code: str, message: str = "", *, times: int | None = None) -> Script:
        """Refuse it for good, without effect, as a handler does by raising `Rejected`."""
        return self._outcome(Rejects(_checked(code), message), times)

    def fails(self, code: str = "error", message: str = "", *, times: int | None = None) -> Script:
        """Fail, as a handler does by raising anything else: the effect is unknown, the command is tried again."""
        return self._outcome(Fails(_checked(code), message), times)

    def is_silent(self, *, for_: str | None = None, after_effect: bool = False) -> Script:
        """Give no reply for this time, counted from the first command that comes (left out: for ever).

        What came meanwhile is executed when the time is over. With `after_effect` it is executed at once, as the next
        part of the script says, and the reply is lost.
        """
        length = None if for_ is None else parse_duration(for_)
        if for_ is not None and length is None:
            raise ValueError(f"for_={for_!r} is not {EXPECTED}")
        return self._add(_Part(None, length=length, after_effect=after_effect))

    def silence(self) -> Silence | None:
        """Whether the participant is silent about a command that comes, or a reply that goes out, now."""
        now = self._now()
        while self._parts and self._parts[0].outcome is None:
            part = self._parts[0]
            if part.length is None:
                return Silence(None, part.after_effect)
            if part.ends_at is None:
                part.ends_at = now + part.length
            if now < part.ends_at:
                return Silence(part.ends_at, part.after_effect)
            del self._parts[0]
        return None

    def outcome(self) -> Outcome | None:
        """What the command that is executed now comes to; None: the script says nothing (any more)."""
        for i, part in enumerate(self._parts):
            if part.outcome is None:
                continue
            if part.times is not None:
                part.times -= 1
                if part.times == 0:
                    del self._parts[i]
            return part.outcome
        return None

    def _outcome(self, outcome: Outcome, times: int | None) -> Script:
        if times is not None and times < 1:
            raise ValueError(f"times={times}: at least once, or leave it out for every time")
        return self._add(_Part(outcome, times=times))

    def _add(self, part: _Part) -> Script:
        last = self._parts[-1] if self._parts else None
        if last is not None and last.times is None and last.length is None:
            raise ValueError("nothing can follow what has no end: say times=... or for_=... before it")
        self._parts.append(part)
        return self


@dataclass(frozen=True, slots=True)
class Scripted:
    """A script, and what it is for: a command (None: any), those payloads that have at least these values."""

    command: str | None
    where: Mapping[str, Json]
    script: Script

    def concerns(self, command: str, payload: Json) -> bool:
        has = payload if isinstance(payload, Mapping) else {}
        fits = all(name in has and has[name] == value for name, value in self.where.items())
        return fits and self.command in (None, command)


def _checked(code: str) -> str:
    if not CODE.fullmatch(code):
        raise ValueError(f"the code {code!r} must match {CODE.pattern}, for example card_declined")
    return code
