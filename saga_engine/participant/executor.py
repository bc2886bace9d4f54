"""Decides what becomes of one command: refuse it, put it back, or run its handler and answer.

Owns the order of the checks. Knows no transport: deliveries, acknowledgements and replies are the worker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.errors import UnavailableError, UsageError
from saga_engine.participant.answers import Answer, Answered, Dead, Disposition, Dropped, PutBack, failed
from saga_engine.participant.failures import answer_failure
from saga_engine.participant.fence import Fence
from saga_engine.participant.horizon import past_horizon
from saga_engine.participant.poison import MAX_CRASHED_TRIES, Tries
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.signature import Handler
from saga_engine.participant.unfenced import run_unfenced
from saga_engine.ports import Clock, RunSync
from saga_engine.sql.trouble import is_infrastructure
from saga_engine.wire import POISON

_MAX_UNKNOWN = 1_000

log = structlog.get_logger("saga_engine.participant")


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
        run_sync: RunSync,
    ) -> None:
        if engine is None and participant.fenced:
            first = participant.fenced[0]
            what = f"participant {participant.name!r} has no database, and its handler {first.command!r} needs one"
            how = f"set participants.{participant.name}.database in config.yaml, or make the handler async"
            raise UsageError(f"{what} ({first.place}); {how}")
        self._participant = participant
        self._settings = settings
        self._clock = clock
        self._run_sync = run_sync
        self._fence = None if engine is None else Fence(participant, engine, settings)
        self._tries = None if engine is None else Tries(engine)
        self._unknown: set[str] = set()
        self._began: dict[str, int] = {}

    def fences(self, command: str) -> bool:
        """Whether the replies of this command say that an inbox protects it."""
        handler = self._participant.handlers.get(command)
        return handler is not None and handler.fenced

    def in_thread_since(self, key: str) -> int | None:
        """When (microseconds) a thread began with the command of this key; None when none is at it."""
        return self._began.get(key)

    async def execute(self, command: Command, redelivered: bool) -> Disposition:
        """Run one delivery of a command. `redelivered`: this very send may have been tried before."""
        handler = self._participant.handlers.get(command.command)
        if handler is None:
            return self._put_back_unknown(command.command)
        now = self._clock.now()
        if past_horizon(command.issued_at, now):
            reason = "the command is older than the horizon of 90 d, so the inbox may have forgotten its outcome"
            return Dead(reason, failed("horizon", reason))
        if not handler.fenced and command.deadline <= now:
            return Dropped("its deadline has passed, and no inbox protects its handler")
        try:
            tried = redelivered or command.send > 1
            if self._tries is not None and tried:
                answer = await self._try(self._tries, handler, command, now)
            else:
                answer = await self._run(handler, command, now)
        except (UnavailableError, SQLAlchemyError) as error:
            if isinstance(error, UnavailableError) or is_infrastructure(error):
                return PutBack(f"{type(error).__name__}: {error}")
            # The handler left the transaction unusable: it swallowed an error of the database, or rolled back.
            answer = answer_failure(command, error)
        if isinstance(answer, Dead):
            return answer
        if redelivered and not handler.fenced and answer.outcome is Outcome.REJECTED:
            # An earlier delivery of this send may have had an effect before its worker died: nobody can deny it.
            answer = failed(answer.code, answer.message)
        return Answered(answer)

    async def _try(self, tries: Tries, handler: Handler, command: Command, now: int) -> Answer | Dead:
        crashed = await self._run_sync(partial(tries.begin, command.key, now))
        if crashed >= MAX_CRASHED_TRIES:
            reason = f"{crashed} tries of this command did not come to an end: its handler kills or outlives the worker"
            return Dead(reason, failed(POISON, reason))
        try:
            answer = await self._run(handler, command, now)
        except Exception:
            await self._run_sync(partial(tries.end, command.key))
            raise
        await self._run_sync(partial(tries.end, command.key))
        return answer

    async def _run(self, handler: Handler, command: Command, now: int) -> Answer:
        fence = self._fence
        if fence is not None and handler.fenced:
            return await self._run_sync(partial(self._run_fenced, fence, handler, command, now))
        refusal = None if fence is None else await self._run_sync(partial(fence.admit, command, now))
        if refusal is not None:
            return refusal
        seconds = (command.deadline - self._clock.now()) / 1_000_000
        return await run_unfenced(handler, command, self._settings, seconds)

    def _run_fenced(self, fence: Fence, handler: Handler, command: Command, now: int) -> Answer:
        self._began[command.key] = self._clock.now()
        try:
            return fence.execute(handler, command, now)
        finally:
            del self._began[command.key]

    def _put_back_unknown(self, command: str) -> PutBack:
        what = f"{self._participant.name}.{command}"
        if command not in self._unknown and len(self._unknown) < _MAX_UNKNOWN:
            self._unknown.add(command)
            known = ", ".join(sorted(self._participant.handlers))
            log.warning("no handler for a command: it waits for a worker that has one", command=what, known=known)
        return PutBack(f"{what} has no handler in this worker")
