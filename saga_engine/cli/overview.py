"""All sagas, or those of one name, at one moment: how many there are of each status, how fast they come and go.

Owns the rates. Prints nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead
from saga_engine.ports.store import StreamFilter

WINDOW_US: Final = 10_000_000
"""Rates are those of the last ten seconds: long enough to be steady, short enough to see that something stops."""

_OPEN: Final = tuple(status for status in Status if not status.ended)


class Looking(Protocol):
    """What is asked: a client."""

    @property
    def now(self) -> int: ...
    def counts(self) -> Mapping[tuple[str, str], int]: ...
    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]: ...


@dataclass(frozen=True, slots=True)
class Overview:
    """How it stands at `at`. `counts`: by saga name and status. Rates are per second; None after the first look only.

    `oldest`: the saga that has been open longest. `newest`: the latest, newest first.
    """

    at: int
    counts: Mapping[tuple[str, str], int]
    started_per_s: float | None
    ended_per_s: float | None
    oldest: StreamHead | None
    newest: Sequence[StreamHead]

    def of(self, *statuses: Status) -> int:
        """How many sagas are of one of these statuses."""
        return sum(count for (_, status), count in self.counts.items() if status in statuses)

    @property
    def open(self) -> int:
        return self.of(*_OPEN)


@dataclass(slots=True)
class Overlooker:
    """Looks at all sagas of a name (None: of any), and remembers as much of it as rates need."""

    client: Looking
    saga: str | None
    most: int
    _past: deque[tuple[int, int, int]] = field(default_factory=deque)

    def look(self) -> Overview:
        """Ask the store. Raises what the client raises."""
        now = self.client.now
        counts = Counter(
            {place: count for place, count in self.client.counts().items() if self.saga in (None, place[0])}
        )
        oldest = self.client.list(StreamFilter(self.saga, _OPEN, limit=1, oldest_first=True))
        newest = self.client.list(StreamFilter(self.saga, limit=self.most))
        started, ended = self._rates(now, counts)
        return Overview(now, counts, started, ended, oldest[0] if oldest else None, newest)

    def _rates(self, now: int, counts: Mapping[tuple[str, str], int]) -> tuple[float | None, float | None]:
        ended = sum(count for (_, status), count in counts.items() if Status(status).ended)
        self._past.append((now, sum(counts.values()), ended))
        while len(self._past) > 2 and self._past[1][0] <= now - WINDOW_US:
            self._past.popleft()
        since, all_then, ended_then = self._past[0]
        if now <= since:
            return None, None
        seconds = (now - since) / 1e6
        # Sagas may be removed from a store; that is no start or end.
        return max(sum(counts.values()) - all_then, 0) / seconds, max(ended - ended_then, 0) / seconds
