"""Bugs of the worker: its inbox, its tombstones, and what it answers when its database is in trouble."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, Executable, delete

from saga_engine.core.events import Direction
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.errors import UnavailableError
from saga_engine.participant import executor, fence, inbox
from saga_engine.participant.accounts import Job
from saga_engine.participant.answers import Answer, Answered, Disposition
from saga_engine.participant.deliveries import Deliveries
from saga_engine.participant.executor import Executor
from saga_engine.participant.failures import answer_failure
from saga_engine.participant.fence import Act, Fence
from saga_engine.participant.inbox import Recorded, Row
from saga_engine.participant.ledger import Ledger
from saga_engine.participant.signature import Handler
from saga_engine.participant.worker import Worker
from saga_engine.sql.schema import inbox as inbox_table
from saga_engine.sql.transaction import CommitUnknownError, run_transaction
from tests.simulation.bugs.seeded import Replacement, SeededBug, seeded

T = TypeVar("T")

_CLEANED_EVERY_S: Final = 5.0
_KEPT_US: Final = 10_000_000


@seeded("C3", "C5")
def no_tombstone() -> Iterator[Replacement]:
    """A compensation that finds nothing to undo answers so, and leaves nothing behind to meet the command."""
    real = Fence._undo

    def undo(self: Fence, command: Command, now: int, act: Act, connection: Connection, ledger: Ledger) -> list[Row]:
        rows = real(self, command, now, act, connection, ledger)
        return [row for row in rows if row.outcome is not Recorded.TOMBSTONE]

    yield Replacement(Fence, "_undo", undo)


@seeded("C1")
def inbox_row_in_a_second_transaction() -> Iterator[Replacement]:
    """The effect is committed first and the inbox row after it, in a transaction of its own."""

    def commit(self: Fence, command: Command, now: int, act: Act) -> Answer:
        def effect(connection: Connection) -> tuple[Answer, list[Row]]:
            ledger = Ledger(connection, [command])
            answer = self._enter(command, now, connection, ledger, act)
            return answer, list(ledger._added.values())

        answer, rows = run_transaction(self._engine, effect, repeatable=True)
        if rows:
            run_transaction(self._engine, lambda connection: inbox.add(connection, rows, now), repeatable=True)
        return answer

    yield Replacement(Fence, "_commit", commit)


@seeded("C1", "C3", "C5", "C6")
def inbox_rows_deleted_by_age_alone() -> Iterator[Replacement]:
    """The inbox is cleaned of what is older than ten seconds: nobody will ask for that again."""

    async def forget(self: Worker, engine: Engine) -> None:
        while True:
            await self._clock.sleep(_CLEANED_EVERY_S)
            old = delete(inbox_table).where(inbox_table.c.recorded_at < self._clock.now() - _KEPT_US)
            with suppress(UnavailableError):
                await self._run_sync(partial(_execute, engine, old))

    yield Replacement(Worker, "_forget", forget)


def _execute(engine: Engine, statement: Executable) -> None:
    run_transaction(engine, lambda connection: connection.execute(statement), repeatable=True)


@seeded("C1", "C3", "C5")
def a_new_key_for_each_attempt() -> Iterator[Replacement]:
    """The number of the attempt is part of the key under which a command stands in the inbox."""
    real = Fence.execute

    def execute(self: Fence, handler: Handler, command: Command, now: int) -> Answer:
        if command.attempt > 1 and command.address.direction is Direction.FORWARD:
            address = copy.copy(command.address)
            object.__setattr__(address, "key", replace(address, step=f"{address.step}-{command.attempt}").key)
            command = replace(command, address=address)
        return real(self, handler, command, now)

    yield Replacement(Fence, "execute", execute)


@seeded("B3")
def an_outage_counted_as_attempts() -> Iterator[Replacement]:
    """Every error is answered `failed`, also that the participant's own database is away."""

    def troubled(command: Command, error: Exception) -> Disposition:
        return Answered(answer_failure(command, error))

    yield Replacement(executor, "_troubled", troubled)


@seeded("C7")
def an_unknown_commit_taken_for_a_no() -> Iterator[Replacement]:
    """A commit whose outcome is unknown has failed, so the command is rejected: it had no effect."""
    real = executor._troubled

    def once(engine: Engine, work: Callable[[Connection], T], **options: object) -> T:
        return run_transaction(engine, work)

    def troubled(command: Command, error: Exception) -> Disposition:
        if isinstance(error, CommitUnknownError):
            return Answered(Answer(Outcome.REJECTED, code="not_committed"))
        return real(command, error)

    yield Replacement(fence, "run_transaction", once)
    yield Replacement(executor, "_troubled", troubled)


@seeded("C2", "C3", "D1")
def an_answer_whatever_the_commit_says() -> Iterator[Replacement]:
    """The reply is what the handler returned, also when the transaction around it could not be committed."""

    def commit(self: Fence, command: Command, now: int, act: Act) -> Answer:
        made: list[Answer] = []

        def transact(connection: Connection) -> None:
            made.append(self._transact_one(command, now, act, connection))

        try:
            run_transaction(self._engine, transact, tries=1)
        except UnavailableError:
            if not made:
                raise
        return made[-1]

    yield Replacement(Fence, "_commit", commit)


@seeded("C3", "C7")
def a_rejection_of_a_redelivery_taken_as_definite() -> Iterator[Replacement]:
    """A handler without an inbox may deny what an earlier delivery of the same send has done before its worker died."""
    real = Executor.execute

    async def execute(self: Executor, command: Command, redelivered: bool) -> Disposition:
        return await real(self, command, redelivered and self.fences(command.command))

    yield Replacement(Executor, "execute", execute)


@seeded("D1")
def a_command_acknowledged_before_it_is_committed() -> Iterator[Replacement]:
    """A command is acknowledged when it is taken, so that nobody else is given it meanwhile."""
    real = Deliveries._execute

    async def execute(self: Deliveries, job: Job) -> None:
        await self._subscription.ack([job.delivery])
        await real(self, job)

    yield Replacement(Deliveries, "_execute", execute)


BUGS: Final[tuple[SeededBug, ...]] = (
    no_tombstone,
    inbox_row_in_a_second_transaction,
    inbox_rows_deleted_by_age_alone,
    a_new_key_for_each_attempt,
    an_outage_counted_as_attempts,
    an_unknown_commit_taken_for_a_no,
    an_answer_whatever_the_commit_says,
    a_rejection_of_a_redelivery_taken_as_definite,
    a_command_acknowledged_before_it_is_committed,
)
