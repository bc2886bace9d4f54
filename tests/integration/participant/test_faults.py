"""Commits that fail, and commits of which nobody knows: one effect, and the right reply, all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import psycopg
import pytest
from sqlalchemy import Engine, PoolProxiedConnection

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.errors import StoreUnavailableError
from tests.integration.participant.ledger import entered
from tests.integration.participant.payments import Payment
from tests.unit.participant.support import compensation, forward

COMMANDS = 40


@pytest.fixture
def payment(engine: Engine) -> Payment:
    return Payment(engine)


def aborted(engine: Engine) -> Exception:
    """What the database raises at COMMIT when the transaction lost against another one."""
    if engine.dialect.name != "sqlite":
        return psycopg.errors.SerializationFailure("restart transaction")
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def unknown(engine: Engine) -> Exception:
    """What is raised when the connection or the disk fails during COMMIT."""
    if engine.dialect.name != "sqlite":
        return psycopg.errors.StatementCompletionUnknown("result is ambiguous")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@contextmanager
def commits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, commit: Callable[[Callable[[], None], Callable[[], None]], None]
) -> Iterator[None]:
    """Within this, `commit` is called for every COMMIT, with the true one and the true ROLLBACK."""
    dialect = engine.dialect
    do_commit, do_rollback = dialect.do_commit, dialect.do_rollback

    def faulty(connection: PoolProxiedConnection) -> None:
        commit(lambda: do_commit(connection), lambda: do_rollback(connection))

    with monkeypatch.context() as patched:
        patched.setattr(dialect, "do_commit", faulty)
        yield


def test_aborted_and_unknown_commits_neither_double_nor_lose_an_effect(
    payment: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, faults = Random(7), {"aborted": 0, "unknown, done": 0, "unknown, not done": 0}

    def commit(true_commit: Callable[[], None], true_rollback: Callable[[], None]) -> None:
        fault = random.choice([*faults, *[""] * 6])
        if fault == "":
            true_commit()
            return
        faults[fault] += 1
        if fault == "unknown, done":
            true_commit()
        else:
            true_rollback()
        raise aborted(payment.engine) if fault == "aborted" else unknown(payment.engine)

    done = [forward() for _ in range(COMMANDS)]
    with commits(payment.engine, monkeypatch, commit):
        for command in done:
            assert payment.run(command).outcome is Outcome.SUCCEEDED
        for command in done[: COMMANDS // 2]:
            assert payment.run(compensation(command)).effect is Effect.UNDONE
    for command in done[: COMMANDS // 2]:
        assert entered(payment.engine, command.address.saga_id) == {"debit": 1, "refund": 1}
    for command in done[COMMANDS // 2 :]:
        assert entered(payment.engine, command.address.saga_id) == {"debit": 1}
    assert min(faults.values()) >= 3


def test_an_unavailable_database_is_told_to_the_caller_and_nothing_is_done(payment: Payment) -> None:
    command = forward()
    payment.raising = StoreUnavailableError("the database does not serve")
    with pytest.raises(StoreUnavailableError):
        payment.run(command)
    assert entered(payment.engine, command.address.saga_id) == {}
    assert payment.recorded(command.key) == {}
