"""Statements that are compiled once and run on the driver's cursor: the same rows and errors as by SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, MetaData, Select, Table, bindparam, event, insert, select, text, tuple_
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.schema import Column
from sqlalchemy.types import Integer, LargeBinary

from saga_engine.sql.direct import Statement
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import Id
from saga_engine.sql.transaction import run_query, run_transaction
from tests.databases import POSTGRES, Database

Numbers: TypeAlias = Select[tuple[int]]
Parameters: TypeAlias = dict[str, list[Any]]  # Any: numbers, or pairs of an id and a number

ID = Column("id", Id, primary_key=True)
TABLE = Table("thing", MetaData(), ID, Column("data", LargeBinary), Column("n", Integer))
ADD = Statement(insert(TABLE))
ALL = Statement(select(TABLE.c.n, TABLE.c.data, TABLE.c.id).order_by(TABLE.c.n))
AMONG = select(TABLE.c.n).where(TABLE.c.n.in_(bindparam("some", expanding=True))).order_by(TABLE.c.n)
PAIRS = select(TABLE.c.n).where(tuple_(TABLE.c.id, TABLE.c.n).in_(bindparam("some", expanding=True)))


@pytest.fixture
def engine(empty_database: Database) -> Iterator[Engine]:
    engine = open_engine(empty_database.url)
    with engine.begin() as connection:
        TABLE.create(connection)
    run_transaction(engine, lambda connection: ADD.execute_many(connection, [row(n) for n in range(9)]))
    yield engine
    engine.dispose()


def row(n: int) -> dict[str, object]:
    return {"id": UUID(int=n), "data": bytes([n]) if n else None, "n": n}


def test_values_come_back_as_the_columns_have_them(engine: Engine) -> None:
    found = run_query(engine, ALL.fetch)
    assert found == [(n, bytes([n]) if n else None, UUID(int=n)) for n in range(9)]
    assert {type(each) for each in found} == {tuple}


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 9, 1_025])
def test_a_list_of_any_length_finds_what_sqlalchemy_finds(engine: Engine, length: int) -> None:
    numbers = {"some": list(range(length))}
    pairs = {"some": [(UUID(int=n), n) for n in range(length)]}
    for statement, parameters in ((AMONG, numbers), (PAIRS, pairs)):
        expected = run_query(engine, partial(executed, statement, parameters))
        assert run_query(engine, partial(fetched, Statement(statement), parameters)) == expected
        assert len(expected) == min(length, 9)


def executed(statement: Numbers, parameters: Parameters, connection: Connection) -> list[tuple[int]]:
    return [tuple(found) for found in connection.execute(statement, parameters)]


def fetched(statement: Statement[tuple[int]], parameters: Parameters, connection: Connection) -> list[tuple[int]]:
    return statement.fetch(connection, parameters)


def test_lists_of_different_lengths_share_few_texts(engine: Engine) -> None:
    among = Statement(AMONG)
    with listened(engine) as sent:
        for length in range(100):
            run_query(engine, partial(fetched, among, {"some": list(range(length))}))
    assert len(sent) == 100
    assert len(set(sent)) == 9


def test_who_listens_to_an_engine_is_told_every_statement(engine: Engine) -> None:
    with listened(engine) as sent:
        run_transaction(engine, lambda connection: ADD.execute(connection, row(10)))
        run_transaction(engine, lambda connection: ADD.execute_many(connection, [row(11), row(12)]))
        run_query(engine, ALL.fetch)
    assert [statement.split()[0] for statement in sent if not statement.startswith("BEGIN")] == [
        "INSERT",
        "INSERT",
        "SELECT",
    ]


def test_a_parameter_without_a_value_is_a_mistake_before_anything_is_sent(engine: Engine) -> None:
    with pytest.raises(KeyError, match="data"):
        run_transaction(engine, lambda connection: ADD.execute(connection, {"id": UUID(int=10), "n": 10}))


def test_an_error_of_the_driver_is_raised_as_that_of_sqlalchemy_and_takes_all_back(engine: Engine) -> None:
    def work(connection: Connection) -> None:
        ADD.execute(connection, row(10))
        ADD.execute(connection, row(1))

    with pytest.raises(IntegrityError) as raised:
        run_transaction(engine, work)
    assert not raised.value.connection_invalidated
    assert "INSERT INTO thing" in str(raised.value)
    assert len(run_query(engine, ALL.fetch)) == 9


def test_a_statement_in_a_transaction_that_was_ended_is_refused_as_sqlalchemy_refuses(engine: Engine) -> None:
    def work(connection: Connection) -> None:
        connection.begin_nested().rollback()
        ADD.execute(connection, row(10))
        connection.rollback()
        ADD.execute(connection, row(11))

    with pytest.raises(InvalidRequestError):
        run_transaction(engine, work)
    assert len(run_query(engine, ALL.fetch)) == 9


@pytest.mark.parametrize("empty_database", [POSTGRES], indirect=True)
def test_connections_that_were_lost_are_replaced_unnoticed(engine: Engine, empty_database: Database) -> None:
    with engine.connect() as one, engine.connect() as another:
        assert one.connection.driver_connection is not another.connection.driver_connection
    with empty_database.engine() as administrator, administrator.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert len(run_query(engine, ALL.fetch)) == 9
    assert run_transaction(engine, lambda connection: ADD.execute(connection, row(10))) == 1


@contextmanager
def listened(engine: Engine) -> Iterator[list[str]]:
    """The statements that a listener of this engine is told."""
    sent: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)
