"""How long each saga that cannot be worked on is left alone: longer each time, until it can. Knows no reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

LONGEST_S: Final = 300.0
_MOST_DOUBLINGS: Final = 10


class Troubles:
    """Sagas in trouble, and how often each was in a row. `first`: seconds after the first time."""

    def __init__(self, first: float) -> None:
        self._first = first
        self._times: dict[UUID, int] = {}

    def again(self, saga_id: UUID) -> float:
        """It is in trouble, once more; the seconds to leave it alone for."""
        times = self._times.get(saga_id, 0)
        self._times[saga_id] = times + 1
        return min(self._first * float(1 << min(times, _MOST_DOUBLINGS)), LONGEST_S)

    def over(self, saga_ids: Iterable[UUID]) -> None:
        """These could be worked on."""
        if self._times:
            for saga_id in saga_ids:
                self._times.pop(saga_id, None)
