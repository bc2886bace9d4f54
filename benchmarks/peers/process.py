"""A peer's program as a process of ours: started, asked to measure, ended. The other end of `conversation`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.machine import Meter
from benchmarks.records import Figures
from benchmarks.stage import Servers

_PATIENCE_S: Final = 120.0
_REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Peer:
    """A running peer. `rate`: sagas per second as last measured."""

    name: str
    process: asyncio.subprocess.Process
    servers: Servers
    rate: float = 0.0

    async def throughput(self, seconds: float, *, failing: bool) -> tuple[Figures, float]:
        """Run as many sagas as fill the time; the figures and the foreign share."""
        sagas = max(int(self.rate * seconds), 50)
        roles = {
            "peer": self.process.pid,
            "postgres": self.servers.postgres.pid,
            "nats-server": self.servers.nats.pid,
        }
        meter = Meter(roles, own="benchmark")
        figures = await self._ask(f"throughput {sagas} {'failing' if failing else 'happy'}")
        usage = meter.stop()
        self.rate = figures["sagas_per_s"]
        return {**figures, **usage.per_saga(sagas)}, usage.foreign

    async def latency(self, sagas: int) -> tuple[Figures, float]:
        """Run one saga after the other; the figures and the foreign share."""
        meter = Meter({"peer": self.process.pid}, own="benchmark")
        return await self._ask(f"latency {sagas}"), meter.stop().foreign

    async def ready(self) -> None:
        """Wait until it can be asked."""
        await self._answer()

    async def _ask(self, question: str) -> Figures:
        assert self.process.stdin is not None
        self.process.stdin.write(question.encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> Figures:
        assert self.process.stdout is not None
        async with asyncio.timeout(_PATIENCE_S):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {await self.process.wait()}; what it said is above")
        figures: dict[str, float] = orjson.loads(line)
        return figures


@asynccontextmanager
async def peer(name: str, servers: Servers, python: Path, program: str, *arguments: str) -> AsyncIterator[Peer]:
    """Start `benchmarks/peers/PROGRAM.py` with that Python; it is ended at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", f"benchmarks.peers.{program}", *arguments),
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    one = Peer(name, process, servers)
    try:
        await one.ready()
        yield one
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
