"""Decides what becomes of a command: refuse it, put it back, or run its handler and answer.

Owns the order of the checks. Knows no transport: deliveries, acknowledgements and replies are the worker's.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.core.doubt import in_doubt
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.errors import UnavailableError, UsageError
from saga_engine.participant.answers import Answer, Answered, Dead, Disposition, Dropped, PutBack, failed
from saga_engine.participant.batch import run_batch
from saga_engine.participant.calls import HandlerCalls
from saga_engine.participant.failures import answer_failure
from saga_engine.participant.fence import Fence
from saga_engine.participant.horizon import past_horizon
from saga_engine.participant.missing import MissingHandlers
from saga_engine.participant.poison import MAX_CRASHED_TRIES, Tries
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.signature import Handler
from saga_engine.participant.unfenced import run_unfenced
from saga_engine.ports.clock import Clock
from saga_engine.sql.trouble import is_infrastructure
from saga_engine.wire.replies import POISON

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing


class Executor:
    """Executes the commands of one participant, each key by one caller at a time.

    Raises UsageError when a handler needs a database and there is none.
    """

    def __init__(
        self,
        participant: MergedParticipant,
        engine: Engine | None,
        settings: Mapping[str, Json],
        clock: Clock,
        calls: HandlerCalls,
        tracing: Tracing | None = None,
    ) -> None:
        if engine is None and participant.fenced:
            first = participant.fenced[0]
            what = f"participant {participant.name!r} has no database, and its handler {first.command!r} needs one"
            how = f"set participants.{participant.name}.database in config.yaml, or make the handler async"
            raise UsageError(f"{what} ({first.place}); {how}")
        self._participant = participant
        self._settings = settings
        self._clock = clock
        self._calls = calls
        self._fence = None if engine is None else Fence(participant, engine, settings, tracing)
        self._tries = None if engine is None else Tries(engine)
        self._missing = MissingHandlers(participant)
        self.batching = participant.batching

    def knows(self, command: str) -> bool:
        """Whether there is a handler for this command."""
        return command in self._participant.handlers

    def fences(self, command: str) -> bool:
        """Whether the replies of this command say that an inbox protects it."""
        handler = self._participant.handlers.get(command)
        return handler is not None and handler.fenced

    def batches(self, command: Command, redelivered: bool) -> bool:
        """Whether this delivery may share a transaction. One that was tried before may not: it may be poison."""
        handler = self._participant.handlers.get(command.command)
        tried = redelivered or command.resent or command.send > 1
        return handler is not None and handler.batch and not tried

    async def execute(self, command: Command, redelivered: bool) -> Disposition:
        """Run one delivery of a command. `redelivered`: this very send may have been tried before."""
        now = self._clock.now()
        handler = self._screen(command, now)
        if not isinstance(handler, Handler):
            return handler
        try:
            # What an operator sends from the dead letters is tried once, however often it had crashed before.
            tried = redelivered or (command.send > 1 and not command.resent)
            if self._tries is not None and tried:
                answer = await self._try(self._tries, handler, command, now)
            else:
                answer = await self._run(handler, command, now)
        except (UnavailableError, SQLAlchemyError) as error:
            return _troubled(command, error)
        if isinstance(answer, Dead):
            return answer
        if redelivered and not handler.fenced and answer.outcome is Outcome.REJECTED:
            # An earlier delivery of this send may have had an effect before its worker died: nobody can deny it.
            answer = failed(answer.code, in_doubt(answer.message))
        return Answered(answer)

    async def execute_many(self, commands: Sequence[Command]) -> Sequence[Disposition]:
        """Run commands that `batches` has let through, in one transaction where that is possible."""
        fence = self._fence
        assert fence is not None, "a handler for batches is fenced, and a fenced one has a database"
        now = self._clock.now()
        done: dict[int, Disposition] = {}
        work: list[tuple[Handler, Command]] = []
        for place, command in enumerate(commands):
            handler = self._screen(command, now)
            if isinstance(handler, Handler):
                work.append((handler, command))
            else:
                done[place] = handler
        outcomes = iter(await self._calls.run(commands, partial(run_batch, fence, work, now)) if work else ())
        for place, command in enumerate(commands):
            if place not in done:
                outcome = next(outcomes)
                done[place] = Answered(outcome) if isinstance(outcome, Answer) else _troubled(command, outcome)
        return [done[place] for place in range(len(commands))]

    def _screen(self, command: Command, now: int) -> Handler | Disposition:
        """The handler that is to run, or what becomes of the command without one."""
        handler = self._participant.handlers.get(command.command)
        if handler is None:
            return self._missing.disposition(command, now)
        if past_horizon(command.issued_at, now):
            reason = "the command is older than the horizon of 90 d, so the inbox may have forgotten its outcome"
            return Dead(reason, failed("horizon", reason))
        if not handler.fenced and command.deadline <= now:
            reason = "its deadline has passed, and no inbox protects its handler"
            # A newer send comes of what is still wanted; whoever sent a dead letter is told that it was not run.
            return Dead(reason, failed("deadline_passed", reason)) if command.resent else Dropped(reason)
        return handler

    async def _try(self, tries: Tries, handler: Handler, command: Command, now: int) -> Answer | Dead:
        run_sync = self._calls.run_sync
        crashed = await run_sync(partial(tries.begin, command.key, now))
        if crashed >= MAX_CRASHED_TRIES:
            reason = f"{crashed} tries of this command did not come to an end: its handler kills or outlives the worker"
            return Dead(reason, failed(POISON, reason))
        try:
            answer = await self._run(handler, command, now)
        except Exception:
            await run_sync(partial(tries.end, command.key))
            raise
        await run_sync(partial(tries.end, command.key))
        return answer

    def _run(self, handler: Handler, command: Command, now: int) -> Coroutine[object, object, Answer]:
        fence = self._fence
        if fence is None:
            return run_unfenced(handler, command, self._settings, self._clock)
        if handler.fenced:
            return self._calls.run([command], partial(fence.execute, handler, command, now))
        return self._run_admitted(fence, handler, command, now)

    async def _run_admitted(self, fence: Fence, handler: Handler, command: Command, now: int) -> Answer:
        refusal = await self._calls.run_sync(partial(fence.admit, command, now))
        return refusal or await run_unfenced(handler, command, self._settings, self._clock)


def _troubled(command: Command, error: Exception) -> Disposition:
    """What becomes of a command whose transaction failed: put back where the database is at fault, else answered."""
    if isinstance(error, UnavailableError) or is_infrastructure(error):
        return PutBack(f"{type(error).__name__}: {error}")
    # The handler left the transaction unusable: it swallowed an error of the database, or rolled back.
    return Answered(answer_failure(command, error))
