"""A payment participant whose handlers write the ledger and behave as the test says."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, text

from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant, inbox
from saga_engine.participant.answers import Answer
from saga_engine.participant.fence import Fence
from saga_engine.participant.registry import merge
from tests.integration.participant.ledger import enter
from tests.unit.participant.support import NOW, SETTINGS


async def charge(ctx: Context) -> None:
    """An unfenced handler."""


class Payment:
    """`debit` and `refund`, run through the fence; when it is `mixed` there is an unfenced `charge` too.

    Each handler enters its effect, then does what the test put into `meanwhile`, `statement` and `raising`.
    """

    def __init__(self, engine: Engine, mixed: bool = False) -> None:
        self.engine = engine
        self.results_seen: list[object] = []
        self.raising: Exception | None = None
        self.statement: str | None = None
        self.meanwhile: Callable[[str], None] | None = None
        payment = Participant("payment")
        payment.command("debit")(self._handler("debit"))
        payment.command("refund")(self._handler("refund"))
        if mixed:
            payment.command("charge")(charge)
        merged = merge([payment])["payment"]
        self._handlers = merged.handlers
        self._fence = Fence(merged, engine, SETTINGS)

    def run(self, command: Command, now: int = NOW) -> Answer:
        """Run a command; what goes out as its reply's content."""
        return self._fence.execute(self._handlers[command.command], command, now)

    def admit(self, command: Command) -> Answer | None:
        """What an unfenced handler of this participant would be told first."""
        return self._fence.admit(command, NOW)

    def recorded(self, key: str, other: str | None = None) -> dict[str, inbox.Recorded]:
        """What the inbox has on record for these keys."""
        with self.engine.connect() as connection:
            rows = inbox.read(connection, [key] if other is None else [key, other])
        return {key: row.outcome for key, row in rows.items()}

    def _handler(self, kind: str) -> Callable[[Context], dict[str, str]]:
        def handler(ctx: Context) -> dict[str, str]:
            enter(ctx.db, ctx.saga_id, kind)
            self.results_seen.append(ctx.result)
            if self.statement is not None:
                ctx.db.execute(text(self.statement))
            if self.meanwhile is not None:
                self.meanwhile(kind)
            if self.raising is not None:
                raise self.raising
            return {"receipt": f"R-{kind}"}

        return handler
