"""What a workload is measured on: the servers, our engine over them, the load, and how many sagas a run has.

Owns the size of a run. Knows no workload.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine import Engine, installed
from benchmarks.load import IN_FLIGHT, Load, Loaded, load_on
from benchmarks.orders import orders
from benchmarks.servers import Nats, Postgres, nats_server, postgres

_WARM_UP = 500
_LEAST, _MOST = 3_000, 60_000
"""At least three times as many as are in flight: else a run is all beginning and end."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a run and its folder. The broker is for whoever is measured beside our engine."""

    folder: Path
    postgres: Postgres
    nats: Nats


@dataclass(slots=True)
class Stage:
    """Our engine under load. `seconds`: how long a run shall take; `sagas`: instead, how many it has."""

    servers: Servers
    engine: Engine
    load: Load
    seconds: float
    sagas: int | None = None
    _rates: dict[str, float] = field(default_factory=dict)
    _runs: int = 0

    async def run(self, saga: str, *, fail: bool = False, sagas: int | None = None) -> Loaded:
        """Put the common workload on it, as many sagas as fill the time, after a first short run that warms up."""
        if saga not in self._rates and self.sagas is None:
            self._rates[saga] = (await self._orders(saga, _WARM_UP, fail)).sagas_per_s
        count = sagas or self.sagas or self._fitting(self._rates[saga])
        await asyncio.to_thread(self.servers.postgres.checkpoint)
        loaded = await self._orders(saga, count, fail)
        self._rates[saga] = loaded.sagas_per_s
        return loaded

    async def _orders(self, saga: str, count: int, fail: bool) -> Loaded:
        self._runs += 1
        given = iter(list(orders(count, fail=fail, tag=f"{saga}-{self._runs}")))
        return await self.load.run(saga, given, "compensated" if fail else "completed", IN_FLIGHT)

    def _fitting(self, rate: float) -> int:
        return int(min(max(rate * self.seconds, _LEAST), _MOST))


@contextmanager
def servers() -> Iterator[Servers]:
    """Servers of our own, in a new folder that is gone afterwards, also when the run is ended by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # PostgreSQL would outlive us
    with (
        tempfile.TemporaryDirectory(prefix="saga-bench-") as name,
        postgres(Path(name)) as database,
        nats_server(Path(name)) as broker,
    ):
        yield Servers(Path(name), database, broker)


@asynccontextmanager
async def stage(
    on: Servers,
    database: str,
    *,
    seconds: float,
    sagas: int | None = None,
    sqlite: bool = False,
    definitions: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Our engine running over a new database of that name, with its load. `definitions`: more, YAML by file name."""
    async with AsyncExitStack() as stack:
        # Two engines on one broker would take each other's messages.
        (folder := on.folder / f"{database}-broker").mkdir()
        broker = stack.enter_context(nats_server(folder))
        engine = stack.enter_context(
            installed(on.folder, broker, on.postgres, database, sqlite=sqlite, definitions=definitions)
        )
        engine.start_orchestrator()
        engine.start_participants()
        load = await stack.enter_async_context(load_on(engine))
        yield Stage(on, engine, load, seconds, sagas)
