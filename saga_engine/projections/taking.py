"""Takes events into a read model: handlers and checkpoints in one transaction, so that each event counts once.

Owns that transaction, and what becomes of a saga whose event a handler cannot take. Reads no event store.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from saga_engine.core.events import Event
from saga_engine.definition.model import Json
from saga_engine.errors import UnavailableError, words_of
from saga_engine.projections.checkpoints import Advance, Checkpoints
from saga_engine.projections.projection import Context, Handler, Projection
from saga_engine.projections.unseen import Happened, Unseen
from saga_engine.sql.transaction import run_transaction
from saga_engine.sql.trouble import Trouble, classify

_LONGEST: Final = 500
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_ABORTED: Final = "25P02"
"""What PostgreSQL answers to everything after an error, until the transaction is rolled back."""
_PASSED_OVER: Final = "(a handler has caught an error of the database: let it pass, or use ctx.db.begin_nested())"

_log = structlog.get_logger(__name__)


class TroubleError(Exception):
    """A handler cannot take an event. `reason` says which, and why; `where`: file:line, as far as it is known."""

    def __init__(self, unseen: Unseen, reason: str, where: str) -> None:
        super().__init__(f"{unseen.head.saga} {unseen.head.key}: {reason}")
        self.reason = reason
        self.where = where


@dataclass(frozen=True, slots=True)
class Taken:
    """What was committed: so many sagas moved on by so many events, and these are held back, each for a reason."""

    sagas: int
    events: int
    troubled: Mapping[UUID, str]


class Taker:
    """Takes events into one projection's tables."""

    def __init__(self, projection: Projection, engine: Engine) -> None:
        self.projection = projection
        self.engine = engine
        self.checkpoints = Checkpoints(projection.name)

    def take(self, unseen: Sequence[Unseen]) -> Taken:
        """Take these in, all in one transaction; a saga whose event cannot be taken is held back before that event.

        What somebody else has taken in meanwhile is left out, and so is what does not follow on what was. Blocking.

        Raises:
            StoreUnavailableError: the projection's database cannot be asked; what of this was not written is unseen.
        """
        try:
            return self._commit(unseen)
        except (TroubleError, SQLAlchemyError) as error:
            # A handler may spoil the transaction for those behind it, or only its end: who is at fault shows alone.
            if len(unseen) == 1 and len(unseen[0].happened) <= 1:
                return self._hold_back(unseen[0], error)
        first, second = map(self.take, _halves(unseen))
        troubled = {**first.troubled, **second.troubled}
        return Taken(first.sagas + second.sagas, first.events + second.events, troubled)

    def apply(self, connection: Connection, unseen: Sequence[Unseen]) -> Taken:
        """The same within a transaction.

        Raises:
            TroubleError: a handler failed. The transaction must be rolled back.
        """
        if not unseen:
            return Taken(0, 0, {})
        stored = self.checkpoints.lock(connection, [one.head.stream_id for one in unseen])
        events = 0
        advances: list[Advance] = []
        troubled: dict[UUID, str] = {}
        for one in unseen:
            at = stored[one.head.stream_id]
            # Behind `after`: a rebuild began meanwhile. What lies between is read before these.
            news = [each for each in one.happened if each.version > at] if at >= one.after else []
            for each in news:
                self._handle(connection, one, each)
            if news:
                advances.append(Advance(one.head.stream_id, news[-1].version, not one.ended))
                events += len(news)
                at = news[-1].version
            # Elsewhere by now: then it is not what comes next, or somebody could take it.
            if one.trouble is not None and at == one.last:
                troubled[one.head.stream_id] = _line(one.trouble)
        self.checkpoints.advance(connection, advances)
        for stream_id, reason in troubled.items():
            self.checkpoints.trouble(connection, stream_id, reason)
        return Taken(len(advances), events, troubled)

    def _commit(self, unseen: Sequence[Unseen]) -> Taken:
        # Doing it twice does no harm: the second time everything is there, or nothing.
        return run_transaction(self.engine, partial(self.apply, unseen=unseen), repeatable=True)

    def _hold_back(self, unseen: Unseen, error: TroubleError | SQLAlchemyError) -> Taken:
        """Note why its next event cannot be taken."""
        if not unseen.happened:
            raise error
        if isinstance(error, TroubleError):
            reason, where = error.reason, error.where
        else:
            reason, where = _line(f"{type(unseen.happened[0].event).__name__}: {explained(error)}"), ""
        taken = self._commit([replace(unseen, happened=(), trouble=reason)])
        if taken.troubled:
            _log.error(
                "a projection cannot take an event",
                projection=self.projection.name,
                saga=unseen.head.saga,
                key=unseen.head.key,
                reason=reason,
                where=where,
            )
        return taken

    def _handle(self, connection: Connection, unseen: Unseen, happened: Happened) -> None:
        own, sent = happened.event, happened.published
        handler = self.projection.stored_handlers.get(type(own))
        if handler is not None:
            self._call(connection, unseen, happened, type(own).__name__, handler, own)
        handler = None if sent is None else self.projection.published_handlers.get(sent.name)
        if sent is not None and handler is not None:
            self._call(connection, unseen, happened, sent.name, handler, sent.data)

    def _call(
        self,
        connection: Connection,
        unseen: Unseen,
        happened: Happened,
        event: str,
        handler: Handler,
        value: Event | Json,
    ) -> None:
        try:
            handler.call(self.projection, _context(connection, unseen, happened), value)
        except UnavailableError:
            raise
        except (Exception, SystemExit) as error:
            # A user's code runs here: whatever it raises holds back this saga, and no other.
            if isinstance(error, DBAPIError) and classify(error) is not Trouble.OTHER:
                raise
            raise TroubleError(unseen, _line(f"{event}: {explained(error)}"), _place(error, handler)) from error


def _halves(unseen: Sequence[Unseen]) -> tuple[Sequence[Unseen], Sequence[Unseen]]:
    """Half of the sagas and the other half; of one saga the first events, and those that follow them."""
    if len(unseen) > 1:
        middle = len(unseen) // 2
        return unseen[:middle], unseen[middle:]
    one = unseen[0]
    middle = len(one.happened) // 2
    first = replace(one, happened=one.happened[:middle], trouble=None)
    return [first], [replace(one, after=first.last, happened=one.happened[middle:])]


def _context(connection: Connection, unseen: Unseen, happened: Happened) -> Context:
    head = unseen.head
    return Context(
        db=connection,
        saga=head.saga,
        saga_id=head.stream_id,
        key=head.key,
        generation=head.generation,
        version=happened.version,
        at=happened.event.at,
    )


def explained(error: BaseException) -> str:
    """What was wrong, without values: they are the business of those who may read the view."""
    if isinstance(error, TroubleError):
        return str(error)
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'data'}: {one['msg']}" for one in problems)
    if isinstance(error, StatementError) and error.orig is not None:
        what = next(iter(str(error.orig).splitlines()), "") or type(error.orig).__name__
        return f"{what} {_PASSED_OVER}" if getattr(error.orig, "sqlstate", None) == _ABORTED else what
    return f"{type(error).__name__}: {words_of(error)}".removesuffix(": ")


def _place(error: BaseException, handler: Handler) -> str:
    """The last line of the handler's file that was running."""
    file = handler.place.rpartition(":")[0]
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{own[-1].lineno}" if own else handler.place


def _line(text: str) -> str:
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
