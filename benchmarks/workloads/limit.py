"""The limit of this machine, now: the group-commit loop of `benchmarks.limit`, in processes of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import orjson

from benchmarks.records import Figures
from benchmarks.stage import Servers

DEFAULT_SAGAS: Final = 20_000


async def measure(servers: Servers, sagas: int) -> tuple[Figures, float]:
    """The figures, and the foreign share. RuntimeError when the loop failed or lost a row."""
    database = await asyncio.to_thread(servers.postgres.create, "benchmark_limit")
    await asyncio.to_thread(servers.postgres.checkpoint)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.limit", database, servers.nats.url, str(sagas)),
        *(f"postgres={servers.postgres.pid}", f"nats-server={servers.nats.pid}"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the limit could not be measured; it ended with status {process.returncode}")
    figures: dict[str, float] = orjson.loads(said)
    foreign = figures.pop("foreign")
    return {**figures, "sagas": sagas}, foreign
