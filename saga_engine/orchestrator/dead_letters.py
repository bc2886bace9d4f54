"""What an operator does with dead letters: find them, and put what they hold back on its subject.

Owns the order of these: a letter is removed only when the broker has confirmed what it held. Decides nothing about a
saga: it was told of a failure when the letter was written, and judges for itself whether an answer still counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from saga_engine.ports import DeadLetter, DeadLetters, Transport
from saga_engine.wire import REASON, Unreadable, original_of

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant: of a participant, below a sequence, and with this text in their reason (any case)."""

    participant: str | None = None
    reason: str | None = None
    before: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether the reason is one that is meant; the rest is the port's to filter."""
        return self.reason is None or self.reason.casefold() in letter.headers.get(REASON, "").casefold()


@dataclass(frozen=True, slots=True)
class Sent:
    """Put back on `subject`; the letter is gone."""

    sequence: int
    subject: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Still a dead letter, or none at all."""

    sequence: int
    reason: str


Sending: TypeAlias = Sent | NotSent


async def find_letters(letters: DeadLetters, wanted: LetterFilter, limit: int) -> Sequence[DeadLetter]:
    """At most `limit` letters without bodies, newest first."""
    found: list[DeadLetter] = []
    before = wanted.before
    while len(found) < limit:
        size = _PAGE if wanted.reason is not None else min(_PAGE, limit - len(found))
        page = await letters.newest(size, before=before, participant=wanted.participant)
        found += [letter for letter in page if wanted.takes(letter)]
        if len(page) < size:
            break
        before = page[-1].sequence
    return found[:limit]


async def send_letters(transport: Transport, letters: DeadLetters, sequences: Sequence[int]) -> AsyncIterator[Sending]:
    """Put letters back, one after the other, each told as it is done.

    Killed between the two halves, the letter is still there: sent again within two minutes, the broker knows its
    message id; later the inbox of the participant, or the state of the saga, knows what it was.
    """
    for sequence in sequences:
        letter = await letters.get(sequence)
        if letter is None or letter.body is None:
            yield NotSent(sequence, "there is no such letter (any more)")
            continue
        message = original_of(letter.headers, letter.body, sequence)
        if isinstance(message, Unreadable):
            yield NotSent(sequence, message.reason)
        elif not all(await transport.publish([message])):
            yield NotSent(sequence, "the broker did not confirm it in time; send it again")
        else:
            await letters.remove(sequence)
            yield Sent(sequence, message.subject)
