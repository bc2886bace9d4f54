"""Commands that kill their worker: counted in the database before the handler runs, and given up after ten."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import OperationalError

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant
from saga_engine.participant.answers import Answered, Dead, Disposition, failed
from saga_engine.participant.calls import HandlerCalls
from saga_engine.participant.executor import Executor
from saga_engine.participant.poison import MAX_CRASHED_TRIES
from saga_engine.participant.registry import merge
from saga_engine.ports.store import RunSync
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox_tables, inbox_tries
from tests.unit.participant.support import StoppedClock, again, forward, inline

T = TypeVar("T")


class Killed(BaseException):
    """The process died: nothing after this runs."""


def executor(engine: Engine, behaviour: BaseException | None = None, run_sync: RunSync = inline) -> Executor:
    """A new worker process's executor; `behaviour` is what its handler raises."""
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context) -> str:
        if behaviour is not None:
            raise behaviour
        return "done"

    return Executor(merge([payment])["payment"], engine, {}, StoppedClock(), HandlerCalls(run_sync, StoppedClock()))


def counted(engine: Engine, command: Command) -> int | None:
    with engine.connect() as connection:
        return connection.execute(
            select(inbox_tries.c.tries).where(inbox_tries.c.key == command.key)
        ).scalar_one_or_none()


async def crash(engine: Engine, command: Command, repeated: bool) -> None:
    killed = Killed()

    async def until_killed(call: Callable[[], T]) -> T:
        result = call()
        if killed.__traceback__ is not None:  # the handler has raised it
            raise killed
        return result

    with pytest.raises(Killed):
        await executor(engine, killed, until_killed).execute(command, repeated)


async def test_after_ten_crashed_tries_a_command_is_given_up(engine: Engine) -> None:
    command = forward()
    await crash(engine, command, repeated=False)
    for _ in range(MAX_CRASHED_TRIES):
        await crash(engine, command, repeated=True)
    disposition = await executor(engine, AssertionError("must not run")).execute(command, True)
    assert isinstance(disposition, Dead)
    assert (disposition.answer.outcome, disposition.answer.code) == (Outcome.FAILED, "poison")
    assert "10 tries" in disposition.reason


async def test_what_an_operator_sends_again_is_tried_once_however_often_it_had_crashed(engine: Engine) -> None:
    command = again(forward())
    for _ in range(MAX_CRASHED_TRIES):
        await crash(engine, command, repeated=True)
    resent = replace(command, resent=True)
    await crash(engine, resent, repeated=False)
    buried = await executor(engine, AssertionError("must not run")).execute(resent, True)
    assert isinstance(buried, Dead)
    healed = await executor(engine).execute(resent, False)
    assert isinstance(healed, Answered)
    assert healed.answer.outcome is Outcome.SUCCEEDED


async def test_a_worker_that_can_do_it_removes_the_count(engine: Engine) -> None:
    command = forward()
    for _ in range(MAX_CRASHED_TRIES - 1):
        await crash(engine, command, repeated=True)
    assert counted(engine, command) == MAX_CRASHED_TRIES - 1
    disposition = await executor(engine).execute(command, True)
    assert isinstance(disposition, Answered)
    assert disposition.answer.outcome is Outcome.SUCCEEDED
    assert counted(engine, command) is None


async def test_a_first_try_is_not_counted(engine: Engine) -> None:
    command = forward()
    await crash(engine, command, repeated=False)
    assert counted(engine, command) is None


async def test_failures_are_not_crashes(engine: Engine) -> None:
    command = forward()
    failing = executor(engine, TimeoutError("card network"))
    for _ in range(MAX_CRASHED_TRIES + 5):
        disposition = await failing.execute(command, True)
        assert disposition == Answered(failed("timeout_error", "card network"))
    assert counted(engine, command) is None


async def test_a_stored_reply_is_given_however_often_it_is_asked_for(engine: Engine) -> None:
    command = forward()
    worker = executor(engine)
    first = await worker.execute(command, False)
    for _ in range(MAX_CRASHED_TRIES + 5):
        command = again(command)
        assert await worker.execute(command, True) == first
    assert counted(engine, command) is None


@contextmanager
def disk_full_for_deletes(engine: Engine) -> Iterator[None]:
    """The database takes counts but cannot remove them."""

    def refuse(
        _connection: Connection, _cursor: object, statement: str, _values: object, _context: object, _many: bool
    ) -> None:
        if statement.startswith("DELETE"):
            raise OperationalError(statement, {}, psycopg.errors.DiskFull("no space left"))

    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


async def test_a_count_that_could_not_be_removed_is_not_taken_for_a_crash(engine: Engine) -> None:
    command = forward()
    failing = executor(engine, TimeoutError("card network"))
    with disk_full_for_deletes(engine):
        for _ in range(MAX_CRASHED_TRIES + 5):
            assert isinstance(await failing.execute(command, True), Answered)
    assert counted(engine, command) == MAX_CRASHED_TRIES + 5
    assert isinstance(await failing.execute(command, True), Answered)
    assert counted(engine, command) is None


CRASHING_PROCESS = """
import sys
from tests.integration.participant.test_poison import run_in_process
run_in_process(sys.argv[1], sys.argv[2])
"""


def run_in_process(url: str, saga: str) -> None:
    """What a worker's process does with one redelivery; its handler kills it."""
    engine = open_engine(url)
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context) -> None:
        os._exit(9)

    worker = Executor(merge([payment])["payment"], engine, {}, StoppedClock(), HandlerCalls(inline, StoppedClock()))
    asyncio.run(execute(worker, forward(saga=UUID(saga))))


async def execute(worker: Executor, command: Command) -> Disposition:
    return await worker.execute(command, True)


async def test_a_try_is_counted_even_when_the_process_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'payment.db'}"
    engine = open_engine(url)
    inbox_tables.create_all(engine)
    command = forward()
    for tries in (1, 2):
        ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this test's loop
            [sys.executable, "-c", CRASHING_PROCESS, url, str(command.address.saga_id)], check=False, timeout=60
        )
        assert ended.returncode == 9
        assert counted(engine, command) == tries
    engine.dispose()
