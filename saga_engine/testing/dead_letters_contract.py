"""What every `DeadLetters` must do, as a suite of tests: derive a class and give it a `desk`.

    class TestMyDeadLetters(DeadLettersContract):
        @pytest.fixture
        async def desk(self) -> AsyncIterator[Desk]: ...

Knows no adapter. Needs pytest with pytest-asyncio in auto mode to run, and neither to be imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.orchestrator.dead_letters import LetterFilter, NotSent, Sent, find_letters, send_letters
from saga_engine.orchestrator.verdicts import Verdict
from saga_engine.ports.dead_letters import DeadLetters
from saga_engine.ports.events import HeardEvent
from saga_engine.ports.transport import Transport
from saga_engine.testing.transport_harness import TransportHarness, collect, command
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.headers import MESSAGE_ID, REASON, RESENT


@dataclass(frozen=True, slots=True)
class Desk:
    """A fresh broker, a connection to it, and its dead letters."""

    harness: TransportHarness
    transport: Transport
    letters: DeadLetters

    async def bury(self, count: int, participant: str = "order", reason: str = "no good") -> Sequence[Message]:
        """Write letters about commands that are numbered from 1."""
        originals = [command(number, participant) for number in range(1, count + 1)]
        letters = [dead_letter(participant, original, reason) for original in originals]
        assert all(await self.transport.publish(letters))
        return originals

    async def sequences(self, limit: int = 100, before: int | None = None, participant: str | None = None) -> list[int]:
        found = await self.letters.newest(limit, before=before, participant=participant)
        return [letter.sequence for letter in found]


def _no_event(event: HeardEvent) -> Verdict:
    raise AssertionError(f"the letter of a command was taken for an event on {event.delivery.message.subject}")


class DeadLettersContract:
    """The suite. Every test gets a fresh broker."""

    async def test_nothing_was_buried_yet(self, desk: Desk) -> None:
        assert await desk.sequences() == []
        assert await desk.letters.get(1) is None
        await desk.letters.remove(1)

    async def test_letters_are_listed_newest_first_without_their_bodies(self, desk: Desk) -> None:
        await desk.bury(2, "order", "fünf is no number")
        await desk.bury(1, "payment")
        newest, _, oldest = await desk.letters.newest(10)
        assert (newest.participant, newest.sequence) == ("payment", 3)
        assert (oldest.participant, oldest.sequence, oldest.body) == ("order", 1, None)
        assert oldest.headers[REASON] == "fünf is no number"
        assert oldest.size == len(b'{"number":1}')
        assert 0 < oldest.at <= newest.at

    async def test_pages_follow_each_other(self, desk: Desk) -> None:
        await desk.bury(7)
        assert await desk.sequences(3) == [7, 6, 5]
        assert await desk.sequences(3, before=5) == [4, 3, 2]
        assert await desk.sequences(3, before=2) == [1]
        assert await desk.sequences(3, before=1) == []
        assert await desk.sequences(3, before=1_000) == [7, 6, 5]

    async def test_a_participants_letters_are_found_among_many_of_others(self, desk: Desk) -> None:
        await desk.bury(2, "rare")
        await desk.bury(40, "loud")
        await desk.bury(1, "rare")
        await desk.bury(40, "loud")
        assert await desk.sequences(10, participant="rare") == [43, 2, 1]
        assert await desk.sequences(1, participant="rare") == [43]
        assert await desk.sequences(10, before=43, participant="rare") == [2, 1]
        assert await desk.sequences(10, participant="nobody") == []

    async def test_a_letter_is_read_whole_and_removed(self, desk: Desk) -> None:
        (_, original, _) = await desk.bury(3)
        letter = await desk.letters.get(2)
        assert letter is not None
        assert (letter.body, letter.size, letter.participant) == (original.body, len(original.body), "order")
        assert letter.headers["saga-original-subject"] == original.subject
        await desk.letters.remove(2)
        assert await desk.letters.get(2) is None
        assert await desk.sequences() == [3, 1]
        await desk.letters.remove(2)

    async def test_a_letter_without_a_body_is_a_letter(self, desk: Desk) -> None:
        await desk.transport.publish([dead_letter("order", Message("saga.command.order.create", {}, b"", None), "why")])
        letter = await desk.letters.get(1)
        assert letter is not None
        assert (letter.body, letter.size) == (b"", 0)

    async def test_what_is_put_back_arrives_as_it_was_under_a_new_message_id(self, desk: Desk) -> None:
        (original,) = await desk.bury(1)
        done = [one async for one in send_letters(desk.transport, desk.letters, [1, 9], _no_event)]
        assert done == [Sent(1, original.subject), NotSent(9, "there is no such letter (any more)")]
        (delivery,) = await collect(await desk.transport.commands("order"), 1)
        sent = delivery.message
        assert (sent.subject, sent.body) == (original.subject, original.body)
        assert sent.headers["saga-key"] == original.headers["saga-key"]
        assert sent.headers[RESENT] == "1"
        assert sent.headers[MESSAGE_ID] not in ("", original.message_id)
        assert REASON not in sent.headers
        assert await desk.sequences() == []

    async def test_letters_are_found_by_their_reason_through_many_pages(self, desk: Desk) -> None:
        await desk.bury(3, reason="Not JSON: at all")
        await desk.bury(600, reason="other")
        found = await find_letters(desk.letters, LetterFilter(reason="not json"), 2)
        assert [letter.sequence for letter in found] == [3, 2]

    async def test_an_unreachable_broker_is_told_and_nothing_is_lost(self, desk: Desk) -> None:
        await desk.bury(1)
        await desk.harness.stop()
        try:
            await desk.letters.newest(1)
        except TransportUnavailableError:
            return
        raise AssertionError("an unreachable broker listed letters")
