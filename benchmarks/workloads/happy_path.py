"""The common workload: order sagas of three steps that all succeed, handlers without a database, 1,000 in flight.

Also what it takes: write transactions on PostgreSQL, CPU time of every process, the orchestrator's memory.
"""

from __future__ import annotations

from benchmarks.machine import peak_memory_mb
from benchmarks.records import Figures
from benchmarks.stage import Stage


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    before = stage.servers.postgres.write_transactions()
    loaded = await stage.run("order")
    transactions = stage.servers.postgres.write_transactions() - before
    return {
        "sagas_per_s": loaded.sagas_per_s,
        "sagas": loaded.sagas,
        "write_transactions_per_saga": transactions / loaded.sagas,
        "orchestrator_mb": peak_memory_mb(stage.engine.orchestrator.pid),
        **loaded.usage.per_saga(loaded.sagas),
    }, loaded.usage.foreign
