"""100,000 sagas that wait for a signal: the orchestrator's memory, and how soon it makes progress after a restart."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from benchmarks.machine import Meter, cpu_seconds, memory_mb, peak_memory_mb
from benchmarks.orders import orders
from benchmarks.records import Figures
from benchmarks.stage import Stage

WAITING: Final = 100_000
_TOGETHER: Final = 1_000
_IDLE_SHARE: Final = 0.1
_LOOK_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 300.0


async def measure(stage: Stage, waiting: int = WAITING) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    meter = Meter(stage.engine.roles, own="load")
    for some in range(0, waiting, _TOGETHER):
        await stage.load.start("waiting", [{"order_id": f"waiting-{some + one}"} for one in range(_TOGETHER)])
    await _idle(stage)
    peak, now = (of(stage.engine.orchestrator.pid) for of in (peak_memory_mb, memory_mb))
    usage = meter.stop()
    await asyncio.to_thread(stage.engine.stop, "orchestrator")
    progress = await _restart(stage)
    await _idle(stage)
    figures = {
        "orchestrator_mb": peak,
        "orchestrator_mb.at_rest": now,
        "orchestrator_mb.after_restart": peak_memory_mb(stage.engine.orchestrator.pid),
        "restart_s": progress,
        "starts_per_s": waiting / usage.wall_s,
    }
    return figures, usage.foreign


async def _restart(stage: Stage) -> float:
    """Seconds from the orchestrator's start until a saga that was started before it has ended."""
    started = await stage.load.start("order", list(orders(1, fail=False, tag="after-restart")))
    began = time.perf_counter()
    starting = asyncio.create_task(asyncio.to_thread(stage.engine.start_orchestrator))
    await stage.load.ended(started)
    took = time.perf_counter() - began
    await starting
    return took


async def _idle(stage: Stage) -> None:
    """Wait until the orchestrator has nothing to do any more."""
    async with asyncio.timeout(_PATIENCE_S):
        spent, before = cpu_seconds(stage.engine.orchestrator.pid), 0.0
        while spent - before > _IDLE_SHARE * _LOOK_EVERY_S:
            await asyncio.sleep(_LOOK_EVERY_S)
            before, spent = spent, cpu_seconds(stage.engine.orchestrator.pid)
