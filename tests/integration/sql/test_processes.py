"""Several processes on one store: what they start and append is written once, and nothing is lost."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from saga_engine.testing.store_samples import Samples, loaded, started, versions_of
from tests.databases import SQL_LANES, Databases, migrated
from tests.integration.sql.processes import WAIT_S, climb

PROCESSES, CONTENDED, STARTS, VERSION = 3, 8, 20, 15


def test_processes_race_for_keys_and_versions_without_loss(databases: Databases, tmp_path: Path) -> None:
    samples = Samples()
    lanes = [migrated(databases.empty(lane, tmp_path)) for lane in SQL_LANES]
    contended = [samples.start() for _ in range(CONTENDED)]
    for lane in lanes:
        store = lane.open_store()
        started(store, *contended)
        store.close()
    ids = [start.stream_id for start in contended]
    shared_keys = [f"shared-{number}" for number in range(STARTS)]
    spawn = multiprocessing.get_context("spawn")
    together, results = spawn.Barrier(PROCESSES), spawn.Queue()
    processes = []
    for _ in range(PROCESSES):
        starts = [samples.start(key=key) for key in shared_keys]
        where = [(lane.url, lane.isolation) for lane in lanes]
        processes.append(spawn.Process(target=climb, args=(where, ids, starts, VERSION, together, results)))
    for process in processes:
        process.start()
    told: list[tuple[str, int, int]] = [results.get(timeout=WAIT_S) for _ in range(PROCESSES * len(lanes))]
    for process in processes:
        process.join(timeout=WAIT_S)
        assert process.exitcode == 0
    for lane in lanes:
        assert sum(started for url, started, _ in told if url == lane.url) == STARTS
        assert sum(appended for url, _, appended in told if url == lane.url) == CONTENDED * (VERSION - 1)
        store = lane.open_store()
        assert {tuple(versions_of(loaded(store, saga))) for saga in ids} == {tuple(range(1, VERSION + 1))}
        assert [len(store.find(key)) for key in shared_keys] == [1] * STARTS
        store.close()
