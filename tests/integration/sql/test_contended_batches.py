"""A batch that loses again and again is halved, so that what nobody else wants is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from saga_engine.adapters.sql.append import TRIES_OF_A_BATCH, Appender
from saga_engine.adapters.sql.sqlite_writer import SqliteWriter
from saga_engine.ports.store import Append, Appended
from saga_engine.sql.transaction import ContendedError
from saga_engine.testing.store_samples import Samples, advance, started
from tests.databases import SQLITE, Databases


class ContendedWriter(SqliteWriter):
    """Loses every batch that holds more than one saga, and every batch that holds the wanted one."""

    def __init__(self, wanted: UUID | None) -> None:
        self.sizes: list[int] = []
        self._wanted = wanted

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        self.sizes.append(len(advances))
        if len(advances) > 1 or any(append.stream_id == self._wanted for append in advances):
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("UPDATE", None, error)
        return super().advance(connection, advances, batch_id)


def test_a_contended_batch_is_halved_down_to_single_sagas(databases: Databases, tmp_path: Path) -> None:
    with databases.migrated(SQLITE, tmp_path) as database, database.engine() as engine:
        store = database.open_store()
        samples = Samples()
        sagas = started(store, *(samples.start() for _ in range(5)))
        writer = ContendedWriter(wanted=None)
        outcomes = Appender(engine, writer, None, uuid4).append([advance(saga, 1) for saga in sagas])
        assert outcomes == [Appended(2)] * 5
        assert store.versions(sagas) == dict.fromkeys(sagas, 2)
        assert writer.sizes == [5] * TRIES_OF_A_BATCH + [2] * TRIES_OF_A_BATCH + [1, 1] + [3] * TRIES_OF_A_BATCH + [
            1,
            *[2] * TRIES_OF_A_BATCH,
            1,
            1,
        ]
        store.close()


def test_a_saga_that_somebody_else_always_wins_does_not_hold_back_those_before_it(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.adapters.sql.append.RETRY_FOR_S", 0.1)
    with databases.migrated(SQLITE, tmp_path) as database, database.engine() as engine:
        store = database.open_store()
        samples = Samples()
        sagas = started(store, *(samples.start() for _ in range(3)))
        appender = Appender(engine, ContendedWriter(wanted=sagas[-1]), None, uuid4)
        with pytest.raises(ContendedError, match="try again"):
            appender.append([advance(saga, 1) for saga in sagas])
        assert store.versions(sagas) == {sagas[0]: 2, sagas[1]: 2, sagas[2]: 1}
        store.close()
