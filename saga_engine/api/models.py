"""What the engine's own operations take and give, as models: they check requests and describe answers.

Owns names and bounds. What stands in an answer is made by `documents`; tests hold the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from saga_engine.core.state import Status
from saga_engine.definition.durations import EXPECTED, parse_duration
from saga_engine.words import MOST_WORDS, words_problem


def _words(text: str) -> str:
    problem = words_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


def _duration(text: str) -> str:
    if parse_duration(text) is None:
        raise ValueError(f"expected {EXPECTED}")
    return text


def _truth(text: object) -> object:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def _number(text: object) -> object:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20 else text


Words = Annotated[str, Field(min_length=1, max_length=MOST_WORDS), AfterValidator(_words)]
Key = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_words)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Boolean = Annotated[bool, BeforeValidator(_truth)]
Count = Annotated[int, BeforeValidator(_number)]


class Taken(BaseModel):
    """What is sent to us: nothing unknown, nothing bent into shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StartSaga(Taken):
    """`key`: the business key, instead of the one that the definition makes of the input."""

    saga: Name
    input: dict[str, JsonValue] = Field(default_factory=dict)
    key: Key | None = None
    version: int | None = Field(default=None, ge=1, le=2**31)
    again: bool = False


class Act(Taken):
    """An operator's verb. `why` stands in the saga's history, with `who` and the name of the token."""

    why: Words
    who: Words | None = None
    dry_run: bool = False


class ActOnStep(Taken):
    """A verb on blocked steps: on all, or on `step`, of a `for_each` on `item`."""

    why: Words | None = None
    who: Words | None = None
    step: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_words)] | None = None
    item: int | None = Field(default=None, ge=0, le=2**31)
    dry_run: bool = False


class ActOnStepWithReason(ActOnStep):
    """A verb on blocked steps that leaves or assumes something, so that a reason is required."""

    why: Words


class SendSignal(Taken):
    """News for a saga, taken once per `id`; without one, an id is made."""

    event: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")]
    data: JsonValue = None
    id: Words | None = None
    dry_run: bool = False


class ListSagas(BaseModel):
    """`key`: only the newest saga of that business key. `before`: page on from below that id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saga: Name | None = None
    key: Key | None = None
    status: tuple[Status, ...] = ()
    older_than: Annotated[str, AfterValidator(_duration)] | None = Field(default=None, examples=["2h"])
    before: UUID | None = None
    limit: Count = Field(default=50, ge=1, le=1000)


class After(BaseModel):
    """`after`: only events behind that version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Count = Field(default=0, ge=0, le=2**53)


class StartedSaga(BaseModel):
    id: UUID
    saga: str
    key: str
    created: bool


class SagaRow(BaseModel):
    """A saga in a list. `blocked` and `verbs` stand there only when it is blocked."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    saga: str
    version: int
    key: str
    status: Status
    started_at: Time
    ended_at: Time | None


class SagaPage(BaseModel):
    """`next`: what to pass as `before` for the next page; null on the last one."""

    sagas: list[SagaRow]
    next: UUID | None


class Step(BaseModel):
    step: str
    status: str
    attempts: int
    result: JsonValue


class Failure(BaseModel):
    step: str | None
    code: str
    message: str


class Saga(BaseModel):
    """A saga: how it is, what it waits for, and which verbs are possible."""

    id: UUID
    saga: str
    version: int
    key: str
    status: Status
    input: JsonValue
    steps: list[Step]
    failure: Failure | None
    started_at: Time
    ended_at: Time | None
    waits_for: list[dict[str, JsonValue]]
    verbs: list[str]


class HistoryEvent(BaseModel):
    """`emits`: the name of the domain event that it published, if any."""

    version: int
    type: str
    at: Time
    data: JsonValue
    emits: str | None = None


class History(BaseModel):
    events: list[HistoryEvent]


class VerdictDocument(BaseModel):
    """What came of a verb. `events`: in a dry run, those that would have been committed; nothing was."""

    id: UUID
    saga: str
    key: str
    status: Status
    verb: str
    result: Literal["done", "nothing", "refused"]
    message: str
    signal_id: str | None = None
    dry_run: bool
    events: list[str] | None = None
