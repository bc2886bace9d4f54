"""One measurement of the limit: `python -m benchmarks.limit POSTGRES_URL NATS_URL SAGAS ROLE=PID...` prints it as JSON.

The database of that url must be empty; ROLE=PID names the servers. A process of its own, as the orchestrator is one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import nats
import orjson
import uvloop

from benchmarks.limit.jetstream import make_streams
from benchmarks.limit.loop import ROWS_PER_SAGA, GroupCommitLoop
from benchmarks.limit.rows import EventTable
from benchmarks.load import IN_FLIGHT
from benchmarks.machine import Meter
from benchmarks.orders import orders

_WARM_UP = 500


async def measure(database: str, broker: str, sagas: int, servers: Mapping[str, int]) -> dict[str, float]:
    """Sagas per second, and CPU microseconds per saga of each role."""
    client = await nats.connect(broker, pending_size=256 * 2**20)
    await make_streams(client)
    participants = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.limit.participants", broker, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert participants.stdout is not None
        await participants.stdout.readline()
        table = EventTable(database)
        loop = GroupCommitLoop(client, table)
        await loop.start()
        await loop.run(orders(_WARM_UP, fail=False, tag="warm"), IN_FLIGHT // 10)
        prepared = iter(list(orders(sagas, fail=False, tag="limit")))
        meter = Meter({**servers, "participants": participants.pid}, own="orchestrator")
        await loop.run(prepared, IN_FLIGHT)
        usage = meter.stop()
        await loop.stop()
        table.check(loop.started, ROWS_PER_SAGA)
        table.close()
    finally:
        participants.terminate()
        await participants.wait()
    await client.close()
    return {"sagas_per_s": sagas / usage.wall_s, "foreign": usage.foreign, **usage.per_saga(sagas)}


if __name__ == "__main__":
    roles = {role: int(pid) for role, _, pid in (argument.partition("=") for argument in sys.argv[4:])}
    figures = uvloop.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), roles))
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
