"""Whoever retries a transaction does it at the pace of its engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from saga_engine.sql.engine import open_engine
from saga_engine.sql.pacing import pace
from saga_engine.sql.transaction import RETRY_FOR_S, ContendedError, run_transaction
from tests.integration.sql.faults import Fault, FaultyCommits


class Told:
    """A pacing whose pauses take no time but on its own clock."""

    def __init__(self) -> None:
        self.time = 100.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.time

    def pause(self, longest: float) -> None:
        self.pauses.append(longest)
        self.time += longest


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/paced.db")
    yield engine
    engine.dispose()


def test_a_transaction_that_always_loses_pauses_as_its_engine_says_until_the_time_is_up(engine: Engine) -> None:
    told = Told()
    pace(engine, told)
    FaultyCommits(engine, seed=1, chance=1.0, faults=(Fault.REFUSED,))

    with pytest.raises(ContendedError):
        run_transaction(engine, _nothing)

    assert RETRY_FOR_S <= told.time - 100.0 <= RETRY_FOR_S + max(told.pauses)
    assert told.pauses == sorted(told.pauses)
    assert len(told.pauses) > 5


def _nothing(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")
