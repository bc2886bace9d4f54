"""The fence: a handler's effect and its inbox row in one transaction of the participant's own database.

Owns the protocol of stored replies and tombstones (design: at most one effect per command, none after its tombstone).
It rests on the inbox's primary key alone, so it holds at READ COMMITTED and above, whoever else is at work:

- a repeated command finds its row and gets the stored reply; of two that run at once, one loses the insert;
- a compensation that finds no forward row inserts a tombstone in its place; the forward command that was under way then
  loses its insert, and with it everything it did;
- a compensation that loses that insert to the forward command starts over, and finds it done.

Several commands may share the transaction, each behind a savepoint: the rules are the same, since each sees in the
ledger what those before it will put on record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import Connection, Engine, event

from saga_engine.core.events import Direction, Effect
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.errors import StoreUnavailableError, UsageError
from saga_engine.handling import handled
from saga_engine.participant import inbox
from saga_engine.participant.answers import Answer, rejection_fails
from saga_engine.participant.context import Context, Rejected, context_of
from saga_engine.participant.failures import answer_failure, bounded
from saga_engine.participant.horizon import may_be_forgotten
from saga_engine.participant.inbox import Recorded, Row
from saga_engine.participant.ledger import Ledger, LostRaceError
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.results import decode_result, encode_result
from saga_engine.participant.sharing import SharedTransaction
from saga_engine.participant.signature import Handler
from saga_engine.sql.savepoint import MissedError
from saga_engine.sql.transaction import run_query, run_transaction
from saga_engine.sql.trouble import Trouble, classify, is_infrastructure

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

_MAX_LOST_RACES: Final = 20
TRIES_OF_A_BATCH: Final = 2
"""After so many aborts a batch is given up as such: somebody else wants what one of its commands wants."""
_CAREFUL_FOR: Final = 16
"""Batches that make savepoints after one in which a command had to be taken back; before that they hope for the best,
and one that is disappointed is done again with savepoints."""
_IN_HANDLER: Final = "saga_engine.in_handler"

Act: TypeAlias = Callable[[Connection, Json], Row]
"""Does what a command asks, given the result of what it undoes; the row to put on record."""

Attempt: TypeAlias = Callable[[Act], Answer]
"""Does it and puts it on record, or neither."""


class HandlerFailedError(Exception):
    """Carries a handler's exception (its cause) out of the transaction, past the retries meant for the database."""


class LeftUnusableError(Exception):
    """A handler swallowed an error of the database, which had ended what it did."""

    def __init__(self) -> None:
        super().__init__(
            "the handler went on after an error of the database: let it pass, or use ctx.db.begin_nested()"
        )


class Fence:
    """Runs the fenced handlers of one participant. Blocking; safe from several threads.

    `tracing`: spans that a handler makes hang on its command's; left out: they do not.
    """

    def __init__(
        self,
        participant: MergedParticipant,
        engine: Engine,
        settings: Mapping[str, Json],
        tracing: Tracing | None = None,
    ) -> None:
        self._participant = participant
        self._engine = engine
        self._settings = settings
        self._tracing = tracing
        self._careful = 0
        event.listen(engine, "commit", _refuse_commit)

    def execute(self, handler: Handler, command: Command, now: int) -> Answer:
        """Run a command at most once in effect. `now` in microseconds.

        The handler may run again after everything it wrote was rolled back. Raises what the database raises.
        """
        return _answer(command, partial(self._run, handler, command, None), partial(self._commit, command, now))

    def execute_many(self, work: Sequence[tuple[Handler, Command]], now: int) -> Sequence[Answer]:
        """Run commands of distinct keys in one transaction, a savepoint each where need be; an answer each, in order.

        Each may run again, as in `execute`. Raises what the database raises, LostRaceError and SpoiledError: then
        nothing was done, and each is to be run by itself.
        """
        if self._careful == 0:
            try:
                return self._commit_many(work, now, hopeful=True)
            except MissedError:
                self._careful = _CAREFUL_FOR
        return self._commit_many(work, now, hopeful=False)

    def admit(self, command: Command, now: int) -> Answer | None:
        """Before an unfenced handler: a refusal when its tombstone stands; a compensation leaves one."""
        if command.address.direction is Direction.FORWARD:
            found = run_query(self._engine, lambda connection: inbox.read(connection, [command.key])).get(command.key)
            return found.answer() if found is not None and found.outcome is Recorded.TOMBSTONE else None
        tombstones = [_tombstone(command)]
        run_transaction(self._engine, lambda connection: inbox.add(connection, tombstones, now), repeatable=True)
        return None

    def _commit_many(self, work: Sequence[tuple[Handler, Command]], now: int, *, hopeful: bool) -> Sequence[Answer]:
        transact = partial(self._transact_many, work, now, hopeful)
        answers, used = run_transaction(self._engine, transact, repeatable=True, tries=TRIES_OF_A_BATCH)
        if not hopeful:
            self._careful = _CAREFUL_FOR if used else max(0, self._careful - 1)
        return answers

    def _commit(self, command: Command, now: int, act: Act) -> Answer:
        """One command in a transaction of its own."""
        for _ in range(_MAX_LOST_RACES):
            try:
                return run_transaction(self._engine, partial(self._transact_one, command, now, act), repeatable=True)
            except LostRaceError:
                continue
        raise StoreUnavailableError(f"{command.key}: lost {_MAX_LOST_RACES} races for its inbox row in a row")

    def _transact_one(self, command: Command, now: int, act: Act, connection: Connection) -> Answer:
        ledger = Ledger(connection, [command])
        answer = self._enter(command, now, connection, ledger, act)
        ledger.write(now)
        return answer

    def _transact_many(
        self, work: Sequence[tuple[Handler, Command]], now: int, hopeful: bool, connection: Connection
    ) -> tuple[Sequence[Answer], bool]:
        ledger = Ledger(connection, [command for _, command in work])
        shared = SharedTransaction(connection, hopeful=hopeful)
        answers = [
            _answer(
                command,
                partial(self._run, handler, command, shared),
                partial(self._enter_behind, shared, command, now, connection, ledger),
            )
            for handler, command in work
        ]
        shared.finish()
        ledger.write(now)
        return answers, shared.used

    def _enter_behind(
        self, shared: SharedTransaction, command: Command, now: int, connection: Connection, ledger: Ledger, act: Act
    ) -> Answer:
        try:
            return self._enter(command, now, connection, ledger, act)
        except (Rejected, HandlerFailedError):
            shared.back()
            raise

    def _enter(self, command: Command, now: int, connection: Connection, ledger: Ledger, act: Act) -> Answer:
        """The stored answer of a command, or that of the act, which goes into the ledger."""
        stored = ledger.get(command.key)
        if stored is not None and (stored.outcome is not Recorded.REJECTED or not command.must_succeed):
            return stored.answer()
        forward = command.address.direction is Direction.FORWARD
        new = [act(connection, None)] if forward else self._undo(command, now, act, connection, ledger)
        ledger.add(new)
        return new[-1].answer()

    def _undo(self, command: Command, now: int, act: Act, connection: Connection, ledger: Ledger) -> list[Row]:
        """The rows of a compensation, its own last, after the handler ran if there may be something to undo."""
        done = ledger.get(command.address.undoes)
        tombstone = [_tombstone(command)] if done is None else []
        if self._nothing_done(command, done, now):
            nothing = Row(command.key, Recorded.SUCCEEDED, command.issued_at, effect=Effect.NONE)
            return [*tombstone, nothing]
        result = command.undone_result
        if done is not None and done.result is not None:
            # The orchestrator knows no result when the reply was lost; the inbox does.
            result = decode_result(done.result)
        return [*tombstone, act(connection, result)]

    def _nothing_done(self, command: Command, done: Row | None, now: int) -> bool:
        """Whether it is certain that the forward command left no effect and will leave none."""
        if done is not None and done.outcome is not Recorded.TOMBSTONE:
            return done.outcome is Recorded.REJECTED
        if command.undone_result is not None or may_be_forgotten(command.address.saga_id, now):
            return False
        return self._inbox_knows(command.undone_command)

    def _inbox_knows(self, undone_command: str | None) -> bool:
        """Whether the effect of this forward command, had there been one, would stand in our inbox."""
        participant, _, name = (undone_command or "").partition(".")
        handler = self._participant.handlers.get(name)
        if undone_command is None or (participant == self._participant.name and handler is None):
            return not self._participant.mixed
        return participant == self._participant.name and handler is not None and handler.fenced

    def _run(
        self, handler: Handler, command: Command, shared: SharedTransaction | None, connection: Connection, result: Json
    ) -> Row:
        context = context_of(command, self._settings, result, connection, shared)
        try:
            text = encode_result(self._call(handler, command, context, connection))
        except Rejected:
            raise
        except BaseException as error:
            # Whatever a handler raises is an answer, `sys.exit` and a library's own time limits included: it runs in a
            # thread, where nobody cancels it. But for the trouble of the database, which is nobody's fault.
            if is_infrastructure(error) or classify(error) is Trouble.STALE_PLAN:
                raise
            raise HandlerFailedError from error
        if shared is not None and not shared.keep():
            raise HandlerFailedError from LeftUnusableError()
        return Row(command.key, Recorded.SUCCEEDED, command.issued_at, result=text)

    def _call(self, handler: Handler, command: Command, context: Context, connection: Connection) -> object:
        # Held on to, since a connection that broke under the handler has no info any more.
        info = connection.info
        info[_IN_HANDLER] = True
        before = handled.set(command)
        try:
            if self._tracing is None:
                return handler.call(context, command.payload)
            with self._tracing.within(command.traceparent):
                return handler.call(context, command.payload)
        finally:
            handled.reset(before)
            del info[_IN_HANDLER]


def _answer(command: Command, act: Act, attempt: Attempt) -> Answer:
    """The answer of an attempt, what the handler raised included. A rejection goes on record in one of its own."""
    try:
        return attempt(act)
    except Rejected as rejected:
        refusal = Row(
            key=command.key,
            outcome=Recorded.REJECTED,
            issued_at=command.issued_at,
            code=rejected.code,
            message=bounded(rejected.message),
        )
        if rejection_fails(command):
            return refusal.answer()
        return attempt(lambda _connection, _result: refusal)
    except HandlerFailedError as failure:
        return answer_failure(command, failure.__cause__ or failure)


def _refuse_commit(connection: Connection) -> None:
    if _IN_HANDLER in connection.info:
        raise UsageError("a handler must not commit ctx.db: its effect and its inbox row are committed together")


def _tombstone(command: Command) -> Row:
    # The compensation was issued after the command it forbids, so the tombstone outlives that one's horizon.
    return Row(command.address.undoes, Recorded.TOMBSTONE, command.issued_at)
