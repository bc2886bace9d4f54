"""The vectors of the inbox, played against the SDK on a SQLite database: replies, runs and the rows at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, cast

import pytest
from sqlalchemy import Engine, select

from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.answers import Answered, Dead, reply_to
from saga_engine.participant.calls import HandlerCalls
from saga_engine.participant.executor import Executor
from saga_engine.participant.registry import merge
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox, inbox_tables
from tests.unit.docs.markdown import ROOT
from tests.unit.participant.support import DAY, StoppedClock, again, compensation, forward, inline

Vector: TypeAlias = Mapping[str, Json]

VECTORS = cast(list[Vector], json.loads((ROOT / "docs" / "vectors" / "inbox.json").read_text(encoding="utf-8")))


class Broken(Exception):  # noqa: N818 - its name makes the code that the vectors name
    """What a handler that `fails` raises; its code is `broken`."""


@dataclass
class Service:
    """A participant whose one behaviour is what the step at hand says."""

    engine: Engine
    behaviour: str = ""
    runs: int = 0
    given: list[Json] = field(default_factory=list)
    clock: StoppedClock = field(default_factory=StoppedClock)

    def executor(self) -> Executor:
        payment = Participant("payment")

        def act(ctx: Context) -> dict[str, int]:
            self.runs += 1
            self.given.append(ctx.result)
            if self.behaviour == "rejects":
                raise Rejected("no")
            if self.behaviour == "fails":
                raise Broken
            return {"run": self.runs}

        payment.command("debit")(act)
        payment.command("refund")(act)
        return Executor(merge([payment])["payment"], self.engine, {}, self.clock, HandlerCalls(inline, self.clock))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    engine = open_engine(f"sqlite:///{tmp_path}/payment.db")
    inbox_tables.create_all(engine)
    yield Service(engine)
    engine.dispose()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
async def test_the_sdk_answers_as_the_vector_says(service: Service, vector: Vector) -> None:
    first = forward()
    executor = service.executor()
    sent: dict[str, Command] = {}
    for step in cast(list[Vector], vector["steps"]):
        way = cast(str, step["send"])
        command = again(sent[way]) if way in sent else first if way == "forward" else compensation(first)
        sent[way] = command
        command = replace(
            command,
            must_succeed=way == "compensate" or step.get("must_succeed") is True,
            undone_result=step.get("undone_result"),
            issued_at=command.issued_at - cast(int, step.get("age_days", 0)) * DAY,
        )
        service.behaviour = cast(str, step["handler"])
        disposition = await executor.execute(command, command.send > 1)
        assert isinstance(disposition, Dead if step.get("dead") else Answered)
        reply = reply_to(command, disposition.answer, fenced=True)
        said = {"reply": reply.outcome.value, "result": reply.result, "code": reply.code, "runs": service.runs}
        assert said == {"result": None, "code": "", **{name: step[name] for name in said if name in step}}
        assert (reply.attempt, reply.send, reply.token) == (command.attempt, command.send, command.token)
        if "effect" in step:
            assert reply.effect.value == step["effect"]
        if "given" in step:
            assert service.given[-1] == step["given"]
    with service.engine.connect() as connection:
        rows = dict(connection.execute(select(inbox.c.key, inbox.c.outcome)).tuples().all())
    assert rows == {f"{first.key.rpartition('/')[0]}/{way}": outcome for way, outcome in _rows(vector).items()}


def _rows(vector: Vector) -> Mapping[str, str]:
    return cast(Mapping[str, str], vector["rows"])
