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
from sqlalchemy.exc import DBAPIError, StatementError

from saga_engine.core.events import Event
from saga_engine.definition.model import Json
from saga_engine.errors import UnavailableError
from saga_engine.projections.checkpoints import Advance, Checkpoints
from saga_engine.projections.projection import Context, Handler, Projection
from saga_engine.projections.unseen import Happened, Unseen
from saga_engine.sql.transaction import run_transaction
from saga_engine.sql.trouble import Trouble, classify

_LONGEST: Final = 500
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_log = structlog.get_logger(__name__)


class TroubleError(Exception):
    """A handler cannot take an event. `reason` says which, and why; `left`: what can be taken before it, and that."""

    def __init__(self, unseen: Unseen, happened: Happened, reason: str) -> None:
        super().__init__(f"{unseen.head.saga} {unseen.head.key}: {reason}")
        self.unseen = unseen
        before = [one for one in unseen.happened if one.version < happened.version]
        self.left = replace(unseen, happened=before, trouble=reason)


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
            StoreUnavailableError: the projection's database cannot be asked; nothing of this was written.
        """
        left = list(unseen)
        while True:
            try:
                # Doing it twice does no harm: the second time everything is there, or nothing.
                sagas, events = run_transaction(self.engine, partial(self.apply, unseen=left), repeatable=True)
            except TroubleError as error:
                left[left.index(error.unseen)] = error.left
            else:
                return Taken(sagas, events, {one.head.stream_id: one.trouble for one in left if one.trouble})

    def apply(self, connection: Connection, unseen: Sequence[Unseen]) -> tuple[int, int]:
        """The same within a transaction: how many sagas moved on, and by how many events.

        Raises:
            TroubleError: a handler failed. The transaction must be rolled back.
        """
        if not unseen:
            return 0, 0
        stored = self.checkpoints.lock(connection, [one.head.stream_id for one in unseen])
        events = 0
        advances: list[Advance] = []
        for one in unseen:
            at = stored[one.head.stream_id]
            # Behind `after`: a rebuild began meanwhile. What lies between is read before these.
            news = [each for each in one.happened if each.version > at] if at >= one.after else []
            for each in news:
                self._handle(connection, one, each)
            if news:
                advances.append(Advance(one.head.stream_id, news[-1].version, not one.ended))
                events += len(news)
        self.checkpoints.advance(connection, advances)
        for one in unseen:
            if one.trouble is not None:
                self.checkpoints.trouble(connection, one.head.stream_id, _line(one.trouble))
        return len(advances), events

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
        except Exception as error:  # A user's code runs here: whatever it raises holds back this saga, and no other.
            if isinstance(error, DBAPIError) and classify(error) is not Trouble.OTHER:
                raise
            reason = _line(f"{event}: {_explained(error)}")
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            _log.error(
                "a projection cannot take an event",
                projection=self.projection.name,
                saga=unseen.head.saga,
                key=unseen.head.key,
                reason=reason,
                where=where,
            )
            raise TroubleError(unseen, happened, reason) from error


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


def _explained(error: Exception) -> str:
    """What was wrong, without values: they are the business of those who may read the view."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'data'}: {one['msg']}" for one in problems)
    if isinstance(error, StatementError) and error.orig is not None:
        return next(iter(str(error.orig).splitlines()), "") or type(error.orig).__name__
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _line(text: str) -> str:
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
