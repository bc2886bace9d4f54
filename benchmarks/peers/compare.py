"""The peers beside ours: which are measured, with which settings, in which order within one run.

Every repetition measures each of them once, ours among them: what is compared is close together in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from benchmarks.bench import Size
from benchmarks.peers.place import Place
from benchmarks.peers.process import Peer, peer
from benchmarks.records import Figures, Record, Run
from benchmarks.stage import Servers, stage
from benchmarks.workloads import failing_path, happy_path, latency, limit, sqlite

_ONE_BY_ONE: Final = 200
_WARM_UP_S: Final = 1.0
_FIRST_GUESS: Final = 100.0

Opening = Callable[[], AbstractAsyncContextManager[Peer]]


def openings(on: Servers, place: Place) -> Sequence[Opening]:
    """How each installed peer is started, on a database of its own."""

    def dbos() -> AbstractAsyncContextManager[Peer]:
        url = on.postgres.create("peer_dbos").replace("postgresql:", "postgresql+psycopg:")
        return peer("dbos", on, place.python, "dbos_peer", url, "4")

    def dbos_sqlite() -> AbstractAsyncContextManager[Peer]:
        (folder := on.folder / "dbos").mkdir(exist_ok=True)
        return peer("dbos_sqlite", on, place.python, "dbos_peer", f"sqlite:///{folder / 'dbos.sqlite'}", "8")

    def natsaga() -> AbstractAsyncContextManager[Peer]:
        url = on.postgres.create("peer_natsaga").replace("postgresql:", "postgresql+asyncpg:")
        return peer("natsaga", on, place.python, "natsaga_peer", "engine", url, on.nats.url)

    def restate() -> AbstractAsyncContextManager[Peer]:
        (folder := on.folder / "restate").mkdir(exist_ok=True)
        return peer("restate", on, place.python, "restate_peer", str(place.restate_server), str(folder))

    return (dbos, dbos_sqlite, natsaga) + ((restate,) if place.restate_server is not None else ())


async def compare(on: Servers, place: Place, run: Run, size: Size, told: Callable[[Record], None]) -> None:
    """Measure ours, the limit and every peer, repetition by repetition, into the run."""

    def record(workload: str, repetition: int, measured: tuple[Figures, float]) -> None:
        figures, foreign = measured
        run.records.append(Record(workload, repetition, foreign, figures))
        told(run.records[-1])

    for repetition in range(size.repetitions):
        record("limit", repetition, await limit.measure(on, size.sagas or limit.DEFAULT_SAGAS))
        async with stage(on, f"ours_{repetition}", seconds=size.seconds, sagas=size.sagas) as ours:
            record("happy_path", repetition, await happy_path.measure(ours))
            record("failing_path", repetition, await failing_path.measure(ours))
            record("latency", repetition, await latency.measure(ours))
        async with stage(on, f"ours_sqlite_{repetition}", seconds=size.seconds, sagas=size.sagas, sqlite=True) as ours:
            record("sqlite", repetition, await sqlite.measure(ours))
        for opening in openings(on, place):
            async with _warm(opening) as other:
                record(other.name, repetition, await other.throughput(size.seconds, failing=False))
                record(f"{other.name}_failing", repetition, await other.throughput(size.seconds, failing=True))
                record(f"{other.name}_latency", repetition, await other.latency(_ONE_BY_ONE))


@asynccontextmanager
async def _warm(opening: Opening) -> AsyncIterator[Peer]:
    async with opening() as other:
        other.rate = _FIRST_GUESS
        await other.throughput(_WARM_UP_S, failing=False)
        yield other
