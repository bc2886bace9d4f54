"""The services of the simulated system: each on a host that starts it again when it has died.

Owns how the real parts are put together for one process, and their names. What kills them is others' doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias, TypeVar

from sqlalchemy import Engine

from saga_engine.audit.records.surroundings import ProcessChange
from saga_engine.clock import StoreClock
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.service import Orchestrator
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.participant.worker import Worker
from tests.simulation.effects import Service, handlers
from tests.simulation.processes import Process
from tests.simulation.stores import open_store
from tests.simulation.world import World

T = TypeVar("T")

Serve: TypeAlias = Callable[["Host", Process], Coroutine[object, object, None]]

_SAMPLE_S: Final = 30.0
_SELDOM_S: Final = 300.0
"""How often a process asks for the time: in short runs and in long ones."""

_STOP_S: Final = 10.0
_AGAIN_S: Final = 1.0


class Host:
    """One service, life after life. `process` is its present life; None between two."""

    def __init__(self, world: World, name: str, role: str, serve: Serve) -> None:
        self.process: Process | None = None
        self.lives = 0
        self.name = name
        self.role = role
        self.down_for = 0.0
        self.stop: Callable[[], Coroutine[object, object, None]] | None = None
        self._world = world
        self._serve = serve

    async def run(self) -> None:
        """Start it, and start it again whenever it has ended."""
        while True:
            await self._live()
            down, self.down_for = self.down_for, 0.0
            await asyncio.sleep(down or self._world.restart_after())

    async def _live(self) -> None:
        world = self._world
        self.lives += 1
        name = self.name if world.mix.same_name else f"{self.name}.{self.lives}"
        process = self.process = Process(name, self.role, world.striker)
        world.recorder.process(name, self.role, ProcessChange.STARTED)
        task = process.start(self._serve(self, process))
        change = ProcessChange.STOPPED
        await asyncio.wait([task])
        if not process.alive:
            change = ProcessChange.KILLED
        elif not task.cancelled() and task.exception() is not None:
            change = ProcessChange.DIED
            world.defect(f"{name} died by itself", task.exception())
        process.kill()
        self.process = self.stop = None
        world.recorder.process(name, self.role, change)


def orchestrator_host(world: World, number: int) -> Host:
    """A host that runs an orchestrator."""

    async def serve(host: Host, process: Process) -> None:
        store = open_store(world, process)
        clock = _clock(world, process)
        tokens = Tokens(await patiently(process, store.reply_keys))
        orchestrator = Orchestrator(
            process.name, store, world.network.connect(process), tokens, clock, process.run_sync, world.mix.tuning
        )

        async def stop() -> None:
            orchestrator.stop()

        host.stop = stop
        try:
            await _alongside(orchestrator.run(), _keep_time(world, clock))
        finally:
            counts, counters = world.recorder.counts, orchestrator.counters
            counts["late replies"] += sum(counters.ignored.values())
            counts["forged replies found"] += counters.forged

    return Host(world, f"orchestrator-{number}", "orchestrator", serve)


def worker_host(world: World, service: Service, number: int) -> Host:
    """A host that runs a worker of a participant."""

    async def serve(host: Host, process: Process) -> None:
        clock = _clock(world, process)
        engine: Engine | None = world.participants[service.name].open(process) if service.fenced else None
        worker = Worker(
            handlers(service, process, world.conduct, world.recorder, world.outside),
            world.network.connect(process),
            engine,
            {},
            clock,
            run_sync=process.run_sync,
            ack_wait=world.mix.ack_wait,
        )
        host.stop = lambda: worker.stop(_STOP_S)
        await _alongside(worker.run(), _keep_time(world, clock))

    return Host(world, f"{service.name}-{number}", "worker", serve)


def _clock(world: World, process: Process) -> StoreClock:
    """The store's clock; SQLite's is the machine's, which fails nobody."""

    def ask() -> int:
        process.check()
        return world.machine_time()

    rate = 1 + world.mix.drift * (1 if len(process.name) % 2 else -1)
    loop = asyncio.get_running_loop()
    clock = StoreClock(ask, lambda: round(loop.time() * rate * 1_000_000_000))
    clock.sample()
    return clock


async def _keep_time(world: World, clock: StoreClock) -> None:
    while True:
        await clock.sleep(_SELDOM_S if world.mix.long else _SAMPLE_S)
        clock.sample()


async def patiently(process: Process, call: Callable[[], T]) -> T:
    """Ask a store that may be away when a process starts."""
    while True:
        try:
            return await process.run_sync(call)
        except UnavailableError:
            await asyncio.sleep(_AGAIN_S)


async def _alongside(service: Coroutine[object, object, None], helper: Coroutine[object, object, None]) -> None:
    """Run the service, and the helper as long."""
    helping = asyncio.create_task(helper)
    try:
        await service
    finally:
        helping.cancel()
