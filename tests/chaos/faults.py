"""What can be done to the system: each fault from its beginning to its end, with a record of it.

Owns how a fault is done and undone, and that each target suffers one at a time. When is the nemesis'.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saga_engine.audit.records.surroundings import Fault
from tests.chaos.fleet import Fleet, Member
from tests.chaos.processes import Report
from tests.chaos.proxy import SOUND, Behaviour, Link
from tests.chaos.servers import BROKER, DATABASE


class Act(StrEnum):
    """What is done. Each kill is followed by a start."""

    KILL_ORCHESTRATOR = "kill orchestrator"
    KILL_WORKER = "kill worker"
    KILL_BROKER = "kill broker"
    KILL_DATABASE = "kill database"
    WIPE = "wipe broker"
    ROLL_BACK = "roll broker back"
    PAUSE_ORCHESTRATOR = "pause orchestrator"
    PAUSE_WORKER = "pause worker"
    PAUSE_BROKER = "pause broker"
    PAUSE_DATABASE = "pause database"
    NETWORK = "network"


KILLS: Final = frozenset(
    {
        Act.KILL_ORCHESTRATOR,
        Act.KILL_WORKER,
        Act.KILL_BROKER,
        Act.KILL_DATABASE,
        Act.WIPE,
        Act.ROLL_BACK,
    }
)

NETWORK_FAULTS: Final[Mapping[str, Behaviour]] = {
    "delay": Behaviour(delay=0.2),
    "cut": Behaviour(refuse=True),
    "half-open": Behaviour(swallow_up=True),
    "no way up": Behaviour(frozen_up=True),
    "no way down": Behaviour(frozen_down=True),
    "slow": Behaviour(rate=20_000),
    "slices": Behaviour(slices=1),
}
CUT: Final = "cut"


EVERYBODY_CHANCE: Final = 0.2
"""That a network fault hits all links to one server, not those of one process."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds, each drawn between two bounds. Pauses reach past a lease (2 s) and an ack wait (5 s).

    `forgotten`: what a rolled-back broker does not remember.
    """

    down: tuple[float, float] = (0.0, 2.0)
    member_pause: tuple[float, float] = (1.0, 8.0)
    server_pause: tuple[float, float] = (0.5, 5.0)
    network: tuple[float, float] = (1.0, 10.0)
    forgotten: tuple[float, float] = (2.0, 8.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fault that is about to be done, its targets taken. `network`: which kind, of a network fault."""

    doing: Coroutine[object, object, None]
    network: str | None = None


class Faults:
    """Does faults to a fleet. `report` gets the record of each once it is over."""

    def __init__(self, fleet: Fleet, report: Report, seed: int, pace: Pace) -> None:
        self._fleet = fleet
        self._report = report
        self._chance = random.Random(f"{seed}/faults")
        self._pace = pace
        self._busy: set[str] = set()
        self._kinds: deque[str] = deque()
        self.felt: Counter[str] = Counter()
        """Network faults by kind that met a connection or the attempt of one; the others are not counted."""

    def prepare(self, act: Act) -> Prepared | None:
        """Choose the targets of a fault and take them; None when all are taken."""
        match act:
            case Act.KILL_ORCHESTRATOR | Act.PAUSE_ORCHESTRATOR:
                return self._on_member(act, self._fleet.orchestrators)
            case Act.KILL_WORKER | Act.PAUSE_WORKER:
                return self._on_member(act, self._fleet.workers)
            case Act.KILL_BROKER:
                return self._on(act, BROKER, self._kill_broker)
            case Act.WIPE:
                return self._on(act, BROKER, self._wipe_broker)
            case Act.ROLL_BACK:
                return self._on(act, BROKER, self._roll_broker_back)
            case Act.PAUSE_BROKER:
                return self._on(act, BROKER, self._pause_broker)
            case Act.KILL_DATABASE:
                return self._on(act, DATABASE, self._kill_database)
            case Act.PAUSE_DATABASE:
                return self._on(act, DATABASE, self._pause_database)
            case Act.NETWORK:
                return self._on_network()

    def _on_member(self, act: Act, members: Sequence[Member]) -> Prepared | None:
        free = [member for member in members if member.name not in self._busy]
        if not free:
            return None
        member = self._chance.choice(free)
        do = self._kill_member if act in KILLS else self._pause_member
        return self._on(act, member.name, lambda: do(member))

    def _on_network(self) -> Prepared | None:
        if not self._kinds:
            self._kinds.extend(self._chance.sample(list(NETWORK_FAULTS), len(NETWORK_FAULTS)))
        kind, server = self._kinds[0], self._chance.choice((BROKER, DATABASE))
        members = [*self._fleet.members.values(), *([self._fleet.client] if self._fleet.client is not None else [])]
        if self._chance.random() < EVERYBODY_CHANCE:
            target, links = server, [_link(member, server) for member in members]
        else:
            link = _link(self._chance.choice(members), server)
            target, links = link.name, [link]
        prepared = self._on(Act.NETWORK, target, lambda: self._disturb(kind, links), kind)
        if prepared is None:
            return None
        self._kinds.popleft()
        return Prepared(prepared.doing, kind)

    def _on(
        self, act: Act, target: str, do: Callable[[], Coroutine[object, object, None]], detail: str = ""
    ) -> Prepared | None:
        if target in self._busy:
            return None
        self._busy.add(target)
        return Prepared(self._recorded(act, target, do, detail))

    async def _recorded(
        self, act: Act, target: str, do: Callable[[], Coroutine[object, object, None]], detail: str
    ) -> None:
        began = time.time_ns() // 1_000
        try:
            await do()
        finally:
            self._busy.discard(target)
            self._report(Fault(act, target, began, time.time_ns() // 1_000, detail=detail))

    async def _kill_member(self, member: Member) -> None:
        await member.process.kill()
        await self._wait(self._pace.down)
        member.start()

    async def _pause_member(self, member: Member) -> None:
        member.process.pause()
        await self._wait(self._pace.member_pause)
        member.process.resume()

    async def _kill_broker(self) -> None:
        await self._fleet.broker.process.kill()
        await self._wait(self._pace.down)
        await self._fleet.broker.start()

    async def _wipe_broker(self) -> None:
        await self._fleet.broker.process.kill()
        self._fleet.broker.wipe()
        await self._wait(self._pace.down)
        await self._fleet.broker.start()

    async def _roll_broker_back(self) -> None:
        """What it acknowledges in between is gone, and what was done with is there again."""
        broker = self._fleet.broker
        await broker.process.kill()
        broker.keep()
        await broker.start()
        await self._wait(self._pace.forgotten)
        await broker.process.kill()
        broker.roll_back()
        await broker.start()

    async def _pause_broker(self) -> None:
        self._fleet.broker.process.pause()
        await self._wait(self._pace.server_pause)
        self._fleet.broker.process.resume()

    async def _kill_database(self) -> None:
        # SIGQUIT is PostgreSQL's immediate shutdown: the backends go too, as they do after a crash of the machine.
        await self._fleet.postgres.process.kill(self._chance.choice((signal.SIGKILL, signal.SIGQUIT)))
        await self._wait(self._pace.down)
        await self._fleet.postgres.start()

    async def _pause_database(self) -> None:
        self._fleet.postgres.pause()
        await self._wait(self._pace.server_pause)
        self._fleet.postgres.resume()

    async def _disturb(self, kind: str, links: Sequence[Link]) -> None:
        before = sum(link.suffered for link in links)
        for link in links:
            link.behave(NETWORK_FAULTS[kind])
            if kind == CUT:
                link.cut()
        await self._wait(self._pace.network)
        self.felt[kind] += sum(link.suffered for link in links) > before
        for link in links:
            link.behave(SOUND)

    async def _wait(self, bounds: tuple[float, float]) -> None:
        await asyncio.sleep(self._chance.uniform(*bounds))


def _link(member: Member, server: str) -> Link:
    return member.database if server == DATABASE else member.broker
