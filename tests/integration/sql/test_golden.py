"""Every statement that we send through the cockroachdb dialect, against a committed copy and a list of what to avoid.

Recorded while every call of the store is made once, so that no statement can be forgotten. After a change on purpose:
`SAGA_GOLDEN=write pytest tests/integration/sql/test_golden.py`, and read the difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, event

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.envelope import partition_of
from saga_engine.ports.store import WHOLE, Lease, LeaseChange, Settlement, Snapshot, StreamFilter
from saga_engine.sql.migrate import upgrade
from saga_engine.testing.store_samples import Samples, advance, definition, started
from tests.databases import DIALECT, Databases

GOLDEN: Final = Path(__file__).parent / "golden_cockroachdb.sql"

AVOIDED: Final = {
    r"\bSERIAL\b|BIGSERIAL|IDENTITY|nextval|CREATE SEQUENCE": "sequences are slow or not what they seem",
    r"pg_(try_)?advisory": "accepted by CockroachDB, and locks nothing",
    r"\bLISTEN\b|\bNOTIFY\b": "absent",
    r"FOR (NO KEY )?UPDATE|FOR (KEY )?SHARE|SKIP LOCKED|LOCK TABLE": "best effort at most, never a safety device",
    r"\bDOMAIN\b|DEFERRABLE|CONCURRENTLY|TRUNCATE": "absent or different",
    r"\b(ctid|xmin|xmax|txid_\w+)\b": "of PostgreSQL's storage only",
    r"ILIKE": "no index serves it there",
    r"AS OF SYSTEM TIME": "takes no parameters",
    r"SELECT \*|\.\*": "a prepared statement would break at the next migration",
    r"cluster_logical_timestamp|crdb_internal": "not for production",
    r"REFERENCES|FOREIGN KEY|CHECK \(": "one more read for each row",
    r"\bnow\(\)|CURRENT_TIMESTAMP": "times are integers that the application writes",
    r"[\w)] / [\w(]": "a decimal there, an integer elsewhere",
}


@pytest.fixture(scope="module")
def statements(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    database = databases.empty(DIALECT, tmp_path_factory.mktemp("unused"))
    with database.engine() as engine, recorded(engine) as sent:
        upgrade(engine, "engine")
        upgrade(engine, "order")
        use_everything(SqlEventStore(engine))
        return sorted({re.sub(r"\s+", " ", statement).strip() for statement in sent})


@contextmanager
def recorded(engine: Engine) -> Iterator[list[str]]:
    """The statements about our tables that an engine sends. What drivers ask of the catalogue is theirs."""
    sent: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if "saga_" in statement or "lock_timeout" in statement or "clock_timestamp" in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def use_everything(store: SqlEventStore) -> None:
    """Make every call of the port, each branch of it that has a statement of its own."""
    samples = Samples()
    first = samples.start(key="k")
    (saga,) = started(store, first)
    store.append([advance(saga, 1), samples.start(key="k"), advance(samples.id(), 1)])
    store.settle([Settlement(saga, 2, 2, None)])
    store.save_snapshots([Snapshot(saga, 1, b"")])
    store.load({saga: 0})
    store.load({saga: WHOLE})
    store.versions([saga])
    store.due([1, 2], 0, 10)
    store.due_with_events([1, 2], 0, 8)
    store.unpublished(partition_of(saga), None, 10)
    store.find("k")
    store.find("k", "place_order")
    store.list(StreamFilter())
    store.list(StreamFilter(saga="place_order", statuses=("running",), before=saga))
    store.list(StreamFilter(statuses=("running", "blocked")))
    store.counts()
    store.register([definition(1), definition(1, "changed")])
    store.definition("hash")
    store.definitions()
    store.definitions("place_order")
    store.leases()
    store.change_leases([LeaseChange("p", "me", 1, None), LeaseChange("q", "me", 1, Lease("q", "you", 1))])
    store.reply_keys()
    store.now()


def test_the_statements_are_those_that_were_reviewed(statements: list[str]) -> None:
    text = "".join(f"{statement};\n\n" for statement in statements)
    if os.environ.get("SAGA_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("avoided", AVOIDED)
def test_nothing_is_sent_that_cockroachdb_lacks_or_does_badly(statements: list[str], avoided: str) -> None:
    guilty = [statement for statement in statements if re.search(avoided, statement, re.IGNORECASE)]
    assert guilty == [], AVOIDED[avoided]


def test_no_statement_changes_a_table_twice(statements: list[str]) -> None:
    """CockroachDB refuses several modifications of one table in one statement."""
    for statement in statements:
        changed = re.findall(r"(?:INSERT INTO|UPDATE(?! SET)|DELETE FROM) (saga_\w+)", statement)
        assert len(changed) == len(set(changed)), statement


def test_the_list_of_what_to_avoid_would_find_it() -> None:
    bad = {
        "id BIGSERIAL": 0,
        "SELECT pg_advisory_lock(1)": 1,
        "NOTIFY x": 2,
        "SELECT a FROM b FOR UPDATE": 3,
        "CREATE INDEX CONCURRENTLY": 4,
        "WHERE xmin > 1": 5,
        "a ILIKE b": 6,
        "FROM a AS OF SYSTEM TIME b": 7,
        "SELECT * FROM a": 8,
        "cluster_logical_timestamp()": 9,
        "REFERENCES a": 10,
        "now()": 11,
        "a / b": 12,
    }
    rules = list(AVOIDED)
    assert {statement for statement, rule in bad.items() if not re.search(rules[rule], statement)} == set()
    assert set(bad.values()) == set(range(len(rules)))
