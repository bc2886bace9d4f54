"""What tests run in processes of their own. Imports little, since each process imports it anew."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.ports.store import Append
from saga_engine.sql.engine import open_engine
from saga_engine.sql.migrate import upgrade
from saga_engine.testing.store_samples import advance, won

WAIT_S = 200


def upgrade_all(urls: Sequence[str], project: str, together: Barrier, results: Queue[list[str]]) -> None:
    """Migrate every database, each together with the other processes; what was applied goes into `results`."""
    for url in urls:
        engine = open_engine(url)
        together.wait(timeout=WAIT_S)
        results.put(upgrade(engine, "order", [Path(project)]) + upgrade(engine, "engine", [Path(project)]))
        engine.dispose()


def climb(
    lanes: Sequence[tuple[str, str]],
    contended: Sequence[UUID],
    starts: Sequence[Append],
    version: int,
    together: Barrier,
    results: Queue[tuple[str, int, int]],
) -> None:
    """In every (url, isolation): start these sagas, and append to the contended ones until they are at `version`.

    What goes into `results` is the url, how many starts won and how many appends.
    """
    for url, isolation in lanes:
        store = SqlEventStore(open_engine(url), isolation=isolation)
        together.wait(timeout=WAIT_S)
        started, appended = won(store.append(starts)), 0
        while batch := [advance(each, at) for each, at in store.versions(contended).items() if at < version]:
            appended += won(store.append(batch))
        results.put((url, started, appended))
        store.close()
