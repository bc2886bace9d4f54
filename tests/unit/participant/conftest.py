"""A participant's database with the inbox tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox_tables
from tests.unit.participant.bench import Bench


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'payment.db'}")
    inbox_tables.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.fixture
def unfenced() -> Bench:
    return Bench(None)
