"""Connections to a PostgreSQL or CockroachDB that never wait for ever: for an answer here, for us over there.

A server that hangs, or a proxy that has lost its other side, keeps a connection open and says nothing; and a client
that vanished leaves its locks behind until the server misses it. Knows no table and no retry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.abc import PQGen

from saga_engine.sql.patience import Patience

R = TypeVar("R")

# SQLAlchemy hands on what psycopg's `connect` takes, untyped.
_Arguments: TypeAlias = Any


def connecting(patience: Patience) -> Callable[..., psycopg.Connection[Any]]:
    """A `connect` for connections of that patience."""

    class Bounded(_BoundedConnection):
        answer_within = patience.answer

    def connect(*arguments: _Arguments, **named: _Arguments) -> psycopg.Connection[Any]:
        connection = Bounded.connect(*arguments, **named)
        try:
            connection.autocommit = True
            # Not at the start of the session, where a pooler in between may refuse it.
            connection.execute(f"SET idle_in_transaction_session_timeout = {round(patience.idle * 1_000)}")
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


class _BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an exchange takes longer than `answer_within` seconds."""

    answer_within: float

    def wait(self, gen: PQGen[R], *arguments: _Arguments, **named: _Arguments) -> R:
        within = self.answer_within
        try:
            return super().wait(_until(gen, time.monotonic() + within), *arguments, **named)
        except _NoAnswerError:
            # What comes later would be taken for the answer to something else.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {within:.0f} s: the connection is given up") from None


class _NoAnswerError(Exception):
    """The time for an exchange is over."""


def _until(gen: PQGen[R], deadline: float) -> Generator[Any, Any, R]:
    """The same exchange, asked at every wake-up (psycopg's are at most 0.1 s apart) whether it takes too long."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise _NoAnswerError
            wanted = gen.send(ready)
    except StopIteration as ended:
        result: R = ended.value
        return result
