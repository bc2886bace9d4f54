"""Everything that one run shares: the seed's mix, the databases, the broker, the clock of the machine, the recorder.

Owns what exists once. Starts nothing: hosts, clients and nemesis live in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.testing.virtual_time import BEGIN
from tests.simulation.acks import EarlyAcks
from tests.simulation.chance import Chance
from tests.simulation.conduct import Conduct
from tests.simulation.databases import Database
from tests.simulation.effects import Outside, Service, services
from tests.simulation.faults import ByChance, Calm, Faults, Point, Strike, Striker
from tests.simulation.images import engine_image, participant_image
from tests.simulation.mix import Mix, mix
from tests.simulation.recorder import Recorder
from tests.simulation.wires import Network
from tests.simulation.workloads import Workload, workload


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is about. `rejected`: a step whose command is always rejected, past all chance."""

    seed: int
    workload: Workload
    mix: Mix
    striker: Callable[[Faults], Striker]
    rejected: str | None = None


def setting_of(seed: int) -> Setting:
    """What a seed draws."""
    chance = Chance(seed)
    chosen = workload(chance.of("workload"))
    drawn = mix(chance.of("mix"), chosen)
    return Setting(
        seed, chosen, drawn, lambda faults: ByChance(chance.of("strikes"), drawn.strikes, faults, drawn.latency)
    )


class World:
    """The world of one run, before anything happens in it. To be made in the running event loop.

    `allowed`: the only faults that hit, by name; None: all that are drawn.
    """

    def __init__(self, setting: Setting, allowed: Set[str] | None = None) -> None:
        self.seed = setting.seed
        self.chance = Chance(setting.seed)
        self.workload = setting.workload
        self.mix = setting.mix
        self.faults = Faults(allowed)
        self.defects: list[str] = []
        self.healed = False
        self._clock_offset = 0
        self._loop = asyncio.get_running_loop()
        self.recorder = Recorder(self.machine_time)
        self.outside = Outside(self.recorder)
        self.conduct = Conduct(setting.seed, self.mix.acts, self.faults, self.mix.longest, setting.rejected)
        tick = self.recorder.tick
        self.store = Database("store", engine_image(), tick)
        definitions = [one for versions in self.workload.definitions.values() for one in versions.values()]
        self.services: list[Service] = list(services(definitions))
        self.participants = {
            one.name: Database(one.name, participant_image(), tick) for one in self.services if one.fenced
        }
        self.broker = MemoryBroker(ack_wait=self.mix.ack_wait, duplicate_window=self.mix.duplicate_window)
        self.early_acks = EarlyAcks(self.store.connection)
        chance = self.chance.of("network")
        self.network = Network(self.broker, self.recorder, self.early_acks, chance, self.mix.longest)
        self.striker = Replaceable(setting.striker(self.faults))

    def machine_time(self) -> int:
        """The clock of the machine that all run on, in microseconds since 1970. It may jump."""
        return BEGIN + round(self._loop.time() * 1_000_000) + self._clock_offset

    def jump(self, seconds: float) -> None:
        self._clock_offset += round(seconds * 1_000_000)

    def restart_after(self) -> float:
        """How long a dead process is gone."""
        random = self.chance.of("restarts")
        return random.uniform(0.1, 5.0)

    def defect(self, what: str, cause: BaseException | None) -> None:
        """Something happened that no fault excuses."""
        self.defects.append(f"{what}: {type(cause).__name__}: {cause}" if cause is not None else what)

    def heal(self) -> None:
        """No fault strikes any more."""
        self.healed = True
        self.striker.now = Calm()
        self.conduct.heal()
        for database in (self.store, *self.participants.values()):
            database.trouble = None
        if not self.broker.up.is_set():
            self.broker.start()

    def close(self) -> None:
        for database in (self.store, *self.participants.values()):
            database.close()


class Replaceable:
    """A striker that is replaced by another while processes hold on to it."""

    def __init__(self, now: Striker) -> None:
        self.now = now

    def strike(self, process: str, point: Point) -> Strike | None:
        return self.now.strike(process, point)

    def latency(self) -> float:
        return self.now.latency()
