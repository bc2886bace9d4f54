"""Where messages lie that nobody could take: how they are listed, read and taken away. Knows no NATS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from saga_engine.immutable import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could work on.

    `sequence`: its number among the dead letters, `at`: since when it is one, in microseconds. `size`: bytes of its
    body. `body` None: it was only listed.
    """

    sequence: int
    at: int
    participant: str
    headers: Mapping[str, str]
    size: int
    body: bytes | None = None


class DeadLetters(Protocol):
    """The dead letters, for operators. All raise `TransportUnavailableError` when the broker does not answer."""

    async def newest(
        self, limit: int, *, before: int | None = None, participant: str | None = None
    ) -> Sequence[DeadLetter]:
        """At most `limit` letters without bodies, newest first: below that sequence, and of that participant."""
        ...

    async def get(self, sequence: int) -> DeadLetter | None:
        """One letter with its body; None when there is none of that sequence (any more)."""
        ...

    async def remove(self, sequence: int) -> None:
        """Take a letter away. One that is not there is no matter."""
        ...
