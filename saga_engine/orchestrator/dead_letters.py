"""What an operator does with dead letters: find them, put what they hold back on its subject, have events taken.

Owns the order of these: a letter is removed only when what it held is confirmed, or committed. Decides nothing about a
saga: it was told of a failure when the letter was written, and judges for itself whether an answer still counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from saga_engine.envelope import partition_of
from saga_engine.orchestrator.event_letters import event_of, is_event
from saga_engine.orchestrator.verdicts import Done, Verdict
from saga_engine.ports.dead_letters import DeadLetter, DeadLetters
from saga_engine.ports.events import HeardEvent
from saga_engine.ports.transport import Transport
from saga_engine.wire.dead_letters import original_of
from saga_engine.wire.headers import REASON
from saga_engine.wire.reading import Unreadable

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
class EventTaken:
    """The event has led to something for `saga_id`, or to nothing (None), for a reason; the letter is gone."""

    sequence: int
    subject: str
    saga_id: UUID | None
    why: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Still a dead letter, or none at all."""

    sequence: int
    reason: str


Sending: TypeAlias = Sent | EventTaken | NotSent

TakeEvent: TypeAlias = Callable[[HeardEvent], Verdict]
"""Takes an event as a listener would. Blocking. Raises what opening the store does."""


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


async def send_letters(
    transport: Transport, letters: DeadLetters, sequences: Sequence[int], take: TakeEvent
) -> AsyncIterator[Sending]:
    """Put letters back, one after the other, each told as it is done.

    An event is not put back on its subject, where everybody would hear it again: it is taken here, for the saga that it
    was for.

    Killed between the two halves, the letter is still there: sent again within two minutes, the broker knows its
    message id; later the inbox of the participant, or the state of the saga, knows what it was.
    """
    for sequence in sequences:
        letter = await letters.get(sequence)
        if letter is None or letter.body is None:
            yield NotSent(sequence, "there is no such letter (any more)")
            continue
        done = await (_taken(transport, letter, take) if is_event(letter) else _sent(transport, letter, letter.body))
        if not isinstance(done, NotSent):
            await letters.remove(sequence)
        yield done


async def _sent(transport: Transport, letter: DeadLetter, body: bytes) -> Sent | NotSent:
    message = original_of(letter.headers, body, letter.sequence)
    if isinstance(message, Unreadable):
        return NotSent(letter.sequence, message.reason)
    if not all(await transport.publish([message])):
        return NotSent(letter.sequence, "the broker did not confirm it in time; send it again")
    return Sent(letter.sequence, message.subject)


async def _taken(transport: Transport, letter: DeadLetter, take: TakeEvent) -> EventTaken | NotSent:
    event = event_of(letter)
    if isinstance(event, Unreadable):
        return NotSent(letter.sequence, event.reason)
    # Here: there is nothing else that this loop has to do meanwhile.
    verdict = take(event)
    if not isinstance(verdict, Done):
        return NotSent(letter.sequence, verdict.reason)
    if verdict.saga_id is not None:
        await transport.ring([partition_of(verdict.saga_id)])
    return EventTaken(letter.sequence, event.delivery.message.subject, verdict.saga_id, verdict.why)
