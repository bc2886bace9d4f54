"""A participant's database in every lane, with the inbox and the ledger of effects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from saga_engine.sql.schema import inbox_tables
from tests.databases import SERIALIZABLE, Database
from tests.integration.participant.ledger import metadata


@pytest.fixture
def engine(empty_database: Database) -> Iterator[Engine]:
    with empty_database.engine() as engine:
        inbox_tables.create_all(engine)
        metadata.create_all(engine)
        if empty_database.lane == SERIALIZABLE:
            yield engine.execution_options(isolation_level="SERIALIZABLE")
        else:
            yield engine
