"""The nemesis: deals faults from a shuffled deck, one after the other from a seed, several at a time.

Owns when what is done, and the count of it. How it is done is `faults`'; judges nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.faults import KILLS, Act, Faults

FULL_DECK: Final[Mapping[Act, int]] = {
    Act.KILL_ORCHESTRATOR: 8,
    Act.KILL_WORKER: 10,
    Act.KILL_BROKER: 2,
    Act.KILL_DATABASE: 2,
    Act.WIPE: 1,
    Act.ROLL_BACK: 1,
    Act.PAUSE_ORCHESTRATOR: 2,
    Act.PAUSE_WORKER: 3,
    Act.PAUSE_BROKER: 1,
    Act.PAUSE_DATABASE: 1,
    Act.NETWORK: 10,
}
"""Cards that are shuffled and dealt, then shuffled again: so that every fault has its share of every run."""

SHORT_DECK: Final[Mapping[Act, int]] = {
    Act.KILL_ORCHESTRATOR: 2,
    Act.KILL_WORKER: 2,
    Act.KILL_DATABASE: 1,
    Act.WIPE: 1,
    Act.NETWORK: 2,
}


@dataclass(slots=True)
class Done:
    """What was done, counted: by act, and by kind of network fault."""

    acts: Counter[Act] = field(default_factory=Counter)
    network: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        return sum(count for act, count in self.acts.items() if act in KILLS)


class Nemesis:
    """Deals faults until the time is over. `between`: seconds from one to the next, on average."""

    def __init__(self, faults: Faults, seed: int, deck: Mapping[Act, int], between: float) -> None:
        self.done = Done()
        self._faults = faults
        self._chance = random.Random(f"{seed}/nemesis")
        self._deck = deck
        self._between = between
        self._cards: deque[Act] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Do harm for so long, then wait until the last faults are over. Raises what went wrong in doing it."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for task in [task for task in self._under_way if task.done()]:
                self._under_way.discard(task)
                task.result()
            self._deal()
            await asyncio.sleep(min(until - now, self._chance.uniform(0.2, 1.8) * self._between))
        await asyncio.gather(*self._under_way)

    def _deal(self) -> None:
        if not self._cards:
            cards = [act for act, count in self._deck.items() for _ in range(count)]
            self._chance.shuffle(cards)
            self._cards.extend(cards)
        act = self._cards.popleft()
        prepared = self._faults.prepare(act)
        if prepared is None:
            # Its targets are being dealt with already: it comes up again later.
            self._cards.append(act)
            return
        self.done.acts[act] += 1
        if prepared.network is not None:
            self.done.network[prepared.network] += 1
        self._under_way.add(asyncio.create_task(prepared.doing))
