"""The happy path with the engine's database in a SQLite file, every commit synced (`synchronous = FULL`)."""

from __future__ import annotations

from benchmarks.machine import peak_memory_mb
from benchmarks.records import Figures
from benchmarks.stage import Stage


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    loaded = await stage.run("order")
    return {
        "sagas_per_s": loaded.sagas_per_s,
        "sagas": loaded.sagas,
        "orchestrator_mb": peak_memory_mb(stage.engine.orchestrator.pid),
        **loaded.usage.per_saga(loaded.sagas),
    }, loaded.usage.foreign
