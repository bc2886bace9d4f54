"""The happy path with fenced handlers: each writes its effect and its inbox row in its own PostgreSQL database."""

from __future__ import annotations

from benchmarks.records import Figures
from benchmarks.stage import Stage


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share. Participants' transactions are among the write transactions."""
    before = stage.servers.postgres.write_transactions()
    loaded = await stage.run("fenced_order")
    transactions = stage.servers.postgres.write_transactions() - before
    return {
        "sagas_per_s": loaded.sagas_per_s,
        "sagas": loaded.sagas,
        "write_transactions_per_saga": transactions / loaded.sagas,
        **loaded.usage.per_saga(loaded.sagas),
    }, loaded.usage.foreign
