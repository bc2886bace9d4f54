"""What a handler is given, and how it says no. Knows no inbox, transport or worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import Connection, Executable

from saga_engine.core.events import Direction
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.errors import UsageError
from saga_engine.immutable import dataclass

CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Rejected(Exception):  # noqa: N818 - a handler says `raise Rejected(...)`: it is an answer, not an error
    """A definite business rejection: nothing was done, and asking again would not change that.

    Whatever the handler wrote through `ctx.db` is rolled back. `code` is what the saga's author branches on and shows
    as `failure.code`; it matches `[a-z][a-z0-9_]{0,62}`, else ValueError. In a compensation, and past the point of no
    return, a rejection is no answer: it counts as a failure and the command is tried again.
    """

    def __init__(self, code: str, message: str = "") -> None:
        if not CODE.fullmatch(code):
            raise ValueError(f"a rejection's code must match {CODE.pattern}, for example card_declined; got {code!r}")
        super().__init__(code, message)
        self.code = code
        self.message = message


class Shared(Protocol):
    """The transaction of a command that shares it with others."""

    def take(self) -> None:
        """The command is about to use the database."""
        ...

    def write(self, statement: Executable, values: Mapping[str, object] | None) -> None:
        """Make this write before the commit, after all that was asked for before it; at once after `take`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of a handler.

    `idempotency_key` is the same for every try of this command, for ever: pass it on to whatever is called outside.
    `attempt` counts from 1. `item` is the index within a `for_each` step. `result` is, in a compensation, the result of
    the step to undo, or None when it is not known. `settings` is `participants.<name>.settings` of the configuration.
    """

    idempotency_key: str
    saga_id: UUID
    saga: str
    step: str
    item: int | None
    attempt: int
    direction: Direction
    result: Json
    settings: Mapping[str, Json]
    traceparent: str | None
    connection: Connection | None = field(default=None, repr=False)
    shared: Shared | None = field(default=None, repr=False)

    @property
    def db(self) -> Connection:
        """The transaction of this command, in which the inbox row is written too: never commit it or roll it back.

        The database may ask for the whole transaction once more (a serialization failure, a lost race), so a handler
        can run again after everything it wrote was rolled back. UsageError in an `async def` handler, which has none.
        """
        if self.connection is None:
            raise UsageError("an async handler has no database transaction; a handler that uses ctx.db is a plain def")
        if self.shared is not None:
            self.shared.take()
        return self.connection

    def write(self, statement: Executable, values: Mapping[str, object] | None = None) -> None:
        """Have an INSERT, UPDATE or DELETE made in the transaction of this command, whose result nobody looks at.

        Of commands that share a transaction (`batch=True`) those that follow each other with the same statement, built
        once, reach the database together, until the handler asks for `db`, which sees them. One that the database
        refuses fails the command, there or at its end: never ask here for what the handler would catch. UsageError as
        for `db`.
        """
        if self.shared is None:
            self.db.execute(statement, values)
        else:
            self.shared.write(statement, values)


def context_of(
    command: Command,
    settings: Mapping[str, Json],
    result: Json,
    connection: Connection | None = None,
    shared: Shared | None = None,
) -> Context:
    """What the handler of this command is given."""
    return Context(
        idempotency_key=command.key,
        saga_id=command.address.saga_id,
        saga=command.saga,
        step=command.address.step,
        item=command.address.item,
        attempt=command.attempt,
        direction=command.address.direction,
        result=result,
        settings=settings,
        traceparent=command.traceparent,
        connection=connection,
        shared=shared,
    )
