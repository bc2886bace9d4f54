"""The `DeadLetters` of a `MemoryBroker`. Owns nothing: what is kept is the broker's."""

from __future__ import annotations

from collections.abc import Sequence

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.dead_letters import DeadLetter

_MICROSECONDS = 1_000_000


class MemoryDeadLetters:
    """See `ports.DeadLetters`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def newest(
        self, limit: int, *, before: int | None = None, participant: str | None = None
    ) -> Sequence[DeadLetter]:
        """See `ports.DeadLetters`."""
        self._reach()
        found: list[DeadLetter] = []
        for sequence in reversed(self._broker.letters):
            letter = self._letter(sequence, with_body=False)
            if (before is None or sequence < before) and participant in (None, letter.participant):
                found.append(letter)
        return found[:limit]

    async def get(self, sequence: int) -> DeadLetter | None:
        """See `ports.DeadLetters`."""
        self._reach()
        return self._letter(sequence, with_body=True) if sequence in self._broker.letters else None

    async def remove(self, sequence: int) -> None:
        """See `ports.DeadLetters`."""
        self._reach()
        self._broker.letters.pop(sequence, None)

    def _reach(self) -> None:
        if not self._broker.up.is_set():
            raise TransportUnavailableError("memory broker: it is stopped")

    def _letter(self, sequence: int, *, with_body: bool) -> DeadLetter:
        at, message = self._broker.letters[sequence]
        return DeadLetter(
            sequence,
            int(at * _MICROSECONDS),
            message.subject.rpartition(".")[2],
            message.headers,
            len(message.body),
            message.body if with_body else None,
        )
