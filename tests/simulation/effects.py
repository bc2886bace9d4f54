"""The test participants: handlers that write what they do into a ledger, in the transaction of their inbox row.

Owns effects, money and semantic locks. How a handler conducts itself is drawn by `conduct`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import Connection

from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.core.events import Direction
from saga_engine.definition.model import Call, Definition, Json
from saga_engine.envelope import parse_key
from saga_engine.participant.context import Context, Rejected
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.results import ResultRefusedError
from saga_engine.participant.signature import Handler
from tests.simulation.conduct import Act, Conduct
from tests.simulation.processes import Process
from tests.simulation.recorder import Recorder

_DONE: Final = "SELECT amount, account FROM ledger WHERE key = ? AND kind = 'effect'"
_ENTER: Final = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, tick())"
_MOVE: Final = "UPDATE accounts SET amount = amount + ? WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Service:
    """A participant as the definitions need it: its commands, and whether an inbox protects them."""

    name: str
    commands: tuple[str, ...]
    fenced: bool


def services(definitions: Sequence[Definition]) -> Sequence[Service]:
    """The participants that these definitions call. One whose name begins with `outside` has no database."""
    commands: dict[str, dict[str, None]] = {}
    for definition in definitions:
        for step in definition.steps:
            if isinstance(step.action, Call):
                for target in (step.action, step.action.compensation):
                    if target is not None:
                        commands.setdefault(target.participant, {})[target.command] = None
    return [Service(name, tuple(sorted(of)), not name.startswith("outside")) for name, of in sorted(commands.items())]


class Outside:
    """What handlers without a database act upon: it knows the idempotency keys it was called with.

    Same key, same answer, as the contract of such handlers wants it: a command that it has declined it declines
    whenever that comes again. Another attempt, past the point of no return, is another question.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._known: dict[str, None] = {}
        self._declined: dict[tuple[str, int], None] = {}

    def decline(self, ctx: Context) -> None:
        """Never do this, if it has not been done."""
        if ctx.idempotency_key not in self._known:
            self._declined[ctx.idempotency_key, ctx.attempt] = None

    def has_declined(self, ctx: Context) -> bool:
        return (ctx.idempotency_key, ctx.attempt) in self._declined

    def act(self, ctx: Context, participant: str) -> None:
        key = ctx.idempotency_key
        if key in self._known:
            return
        forward = _forward_key(key)
        backward = ctx.direction is Direction.COMPENSATE
        self._known[key] = None
        kind = LedgerKind.EFFECT
        if backward:
            kind = LedgerKind.COMPENSATION if forward in self._known else LedgerKind.EMPTY_COMPENSATION
        recorder = self._recorder
        row = LedgerRow(
            participant, key, ctx.saga_id, ctx.step, ctx.item, ctx.direction, kind, recorder.now(), recorder.tick()
        )
        recorder.add(row)


def handlers(
    service: Service, process: Process, conduct: Conduct, recorder: Recorder, outside: Outside
) -> MergedParticipant:
    """The handlers of one worker process of a participant."""
    make = _fenced if service.fenced else _unfenced
    made = {command: make(service.name, command, process, conduct, recorder, outside) for command in service.commands}
    return MergedParticipant(service.name, made)


def _fenced(
    participant: str, command: str, process: Process, conduct: Conduct, recorder: Recorder, _outside: Outside
) -> Handler:
    def run(ctx: Context, payload: object) -> Json:
        manner = conduct.run(ctx.idempotency_key, ctx.direction, asyncio.get_running_loop().time())
        if manner.act is Act.HANG:
            process.block(manner.seconds)
        result = _write(ctx, command, payload, recorder.now())
        if manner.act in (Act.CRASH, Act.POISON, Act.DENY):
            raise process.die()
        _answer(manner.act)
        return result

    return _handler(command, run, fenced=True)


def _unfenced(
    participant: str, command: str, process: Process, conduct: Conduct, _recorder: Recorder, outside: Outside
) -> Handler:
    async def run(ctx: Context, _payload: object) -> Json:
        manner = conduct.run(ctx.idempotency_key, ctx.direction, asyncio.get_running_loop().time())
        if manner.act is Act.REJECT:
            outside.decline(ctx)
            raise Rejected("declined")
        if outside.has_declined(ctx):
            raise Rejected("declined")
        if manner.early:
            _answer(manner.act)
        if manner.act is Act.HANG:
            await asyncio.sleep(manner.seconds)
        process.check()
        outside.act(ctx, participant)
        if manner.act in (Act.CRASH, Act.POISON, Act.DENY):
            raise process.die()
        _answer(manner.act)
        return {"by": command}

    return _handler(command, run, fenced=False)


def _handler(command: str, function: Callable[..., object], *, fenced: bool) -> Handler:
    return Handler(command, function, fenced, _anything(), None, "<simulation>")


@cache
def _anything() -> TypeAdapter[object]:
    return TypeAdapter(object)


def _answer(act: Act | None) -> None:
    match act:
        case Act.REJECT:
            raise Rejected("declined", "says the simulation")
        case Act.FAIL | Act.FAIL_FOR_EVER:
            raise ConnectionResetError("says the simulation")
        case Act.FAIL_FOR_GOOD:
            raise ResultRefusedError("fatal", "says the simulation")


def _write(ctx: Context, command: str, payload: object, now: int) -> Json:
    """Do the work and put it into the ledger."""
    db = ctx.db
    fields = payload if isinstance(payload, Mapping) else {}
    account, amount = fields.get("account", "alice"), fields.get("move", 0)
    assert isinstance(account, str)
    assert isinstance(amount, int)
    kind = LedgerKind.EFFECT
    if ctx.direction is Direction.COMPENSATE:
        done = db.exec_driver_sql(_DONE, (_forward_key(ctx.idempotency_key),)).first()
        kind = LedgerKind.EMPTY_COMPENSATION if done is None else LedgerKind.COMPENSATION
        amount, account = (0, account) if done is None else (-done[0], done[1])
    entry = (ctx.idempotency_key, str(ctx.saga_id), ctx.step, ctx.item, ctx.direction.value, kind.value)
    db.exec_driver_sql(_ENTER, (*entry, amount, account, now))
    if amount:
        db.exec_driver_sql(_MOVE, (amount, account))
        if "to" in fields:
            db.exec_driver_sql(_MOVE, (-amount, fields["to"]))
    _mark(db, ctx, command)
    return {"by": command, "receipt": ctx.step}


def _mark(db: Connection, ctx: Context, command: str) -> None:
    """The semantic lock of an order: pending from its creation until it is approved or rejected."""
    if command == "create":
        db.exec_driver_sql("INSERT INTO locks VALUES (?, 'order')", (str(ctx.saga_id),))
    elif command in ("approve", "reject"):
        db.exec_driver_sql("DELETE FROM locks WHERE saga_id = ? AND what = 'order'", (str(ctx.saga_id),))


def _forward_key(key: str) -> str:
    address = parse_key(key)
    assert address is not None
    return address.undoes
