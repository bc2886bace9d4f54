"""With 1,000,000 ended sagas in the store: what a new one costs, and what `saga list` and `saga show` wait for.

The million is made by SQL inside the database: the rows and events of one saga that has really run, copied under new
ids and keys, older than all others; then statistics are gathered, as autovacuum would in time.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from statistics import median
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import Engine, event

from benchmarks.orders import orders
from benchmarks.records import Figures
from benchmarks.stage import Stage
from benchmarks.workloads.in_turn import compare, fresh
from saga_engine.cli import main

MILLION: Final = 1_000_000
_CHUNK: Final = 100_000
_NEW: Final = 5_000
_LOOKS: Final = 11

# 48 bits of milliseconds, a hundred to each, then the version and variant of UUIDv7 over bits that differ.
_ID: Final = """(lpad(to_hex(%(from_ms)s::bigint + i / 100), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8'
    || substr(md5(i::text), 4, 15))::uuid"""
_STREAMS: Final = f"""INSERT INTO saga_streams (stream_id, saga, key, generation, definition_version, definition_hash,
    "partition", version, published, status, next_due, started_at, ended_at)
    SELECT {_ID}, saga, 'filled-' || i, 1, definition_version, definition_hash, i %% 16, version, published, status,
    next_due, started_at, ended_at
    FROM saga_streams, generate_series(%(first)s::bigint, %(last)s::bigint) AS i WHERE stream_id = %(template)s"""
_KEYS: Final = f"""INSERT INTO saga_keys (key, saga, generation, stream_id, input_hash)
    SELECT 'filled-' || i, saga, 1, {_ID}, input_hash
    FROM saga_keys, generate_series(%(first)s::bigint, %(last)s::bigint) AS i WHERE stream_id = %(template)s"""
_EVENTS: Final = f"""INSERT INTO saga_events (stream_id, version, type, data, at, batch_id)
    SELECT {_ID}, version, type, data, at, batch_id
    FROM saga_events, generate_series(%(first)s::bigint, %(last)s::bigint) AS i WHERE stream_id = %(template)s
    ORDER BY i, version"""


async def measure(stage: Stage, sagas: int = MILLION) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    await stage.run("order", sagas=_NEW)
    template = (await stage.load.start("order", list(orders(1, fail=False, tag="template"))))[0]
    await stage.load.ended([template])
    began = time.perf_counter()
    await asyncio.to_thread(_fill, stage.engine.url, template, sagas)
    filled_s = time.perf_counter() - began
    async with fresh(stage) as empty:
        figures, foreign = await compare(stage, empty)
    listed = await asyncio.to_thread(_database_ms, stage, "list")
    shown = await asyncio.to_thread(_database_ms, stage, "show", f"filled-{sagas // 2}")
    return {**figures, "list_ms": listed, "show_ms": shown, "filled_s": filled_s, "sagas": sagas}, foreign


def _fill(url: str, template: UUID, sagas: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        # A filled row that a crash would lose is no loss.
        connection.execute("SET synchronous_commit = off")
        for first in range(1, sagas + 1, _CHUNK):
            from_ms = (template.int >> 80) - sagas // 100 - 1
            last = min(first + _CHUNK - 1, sagas)
            values = {"from_ms": from_ms, "first": first, "last": last, "template": template}
            for statement in (_STREAMS, _KEYS, _EVENTS):
                connection.execute(statement, values)
        connection.execute("VACUUM (ANALYZE) saga_streams, saga_keys, saga_events")
        connection.execute("CHECKPOINT")


def _database_ms(stage: Stage, *arguments: str) -> float:
    """Milliseconds that a command of the CLI, run in this process, waits for its statements; the median of some."""
    took = []
    for _ in range(_LOOKS):
        said = io.StringIO()
        with _statements() as spent, redirect_stdout(said), redirect_stderr(said):
            code = main(stage.engine.arguments(*arguments), project=stage.engine.folder)
        if code != 0:
            raise RuntimeError(f"`saga {' '.join(arguments)}` ended with {code}: {said.getvalue()}")
        took.append(sum(spent) * 1e3)
    return median(took)


@contextmanager
def _statements() -> Iterator[list[float]]:
    """Seconds of each statement that this process has executed, until the end of the block."""
    spent: list[float] = []

    def before(*_: object) -> None:
        spent.append(-time.perf_counter())

    def after(*_: object) -> None:
        spent[-1] += time.perf_counter()

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield spent
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
