"""The engine's operations that act on a saga: an operator's verbs, and signals, with a dry run for each.

Owns their paths and who is recorded. What came of a verb is said by `operating`.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPMethod, HTTPStatus
from typing import Final, cast
from uuid import uuid4

from saga_engine.api import models
from saga_engine.api.bodies import body
from saga_engine.api.operation import Answer, Does, Operation, Request
from saga_engine.api.problems import Problem
from saga_engine.api.sagas import ID, saga_id
from saga_engine.core.events import Verb
from saga_engine.core.inputs import Cancel, Input, Operate, Resume, Suspend
from saga_engine.core.state import split
from saga_engine.definition.model import Json
from saga_engine.definition.values import MAX_PAYLOAD, canonical_json, payload_problem
from saga_engine.operating import (
    Act,
    Performed,
    Rehearsed,
    Result,
    Verdict,
    perform,
    rehearse,
    signal_act,
    verdict_json,
)
from saga_engine.orchestrator.client import Client
from saga_engine.words import MOST_WORDS


def _who(request: Request, said: str | None) -> str:
    """Who is recorded: whom the caller names, and always by which token."""
    by = "the API" if request.caller is None else f"the API's token {request.caller}"
    # Where it is too long, what the caller says of himself is cut off, never which token it was.
    return by if said is None else f"{said[: MOST_WORDS - len(f' by {by}')]} by {by}"


async def _done(request: Request, act: Act, *, dry_run: bool) -> Answer:
    wanted = saga_id(request)

    def do(client: Client) -> Performed | Rehearsed:
        head = client.status(wanted)
        return rehearse(client, act, head) if dry_run else perform(client, act, [head])

    done = await request.desk.ask(do)
    if isinstance(done, Rehearsed):
        return Answer({**verdict_json(act, done.verdict), "dry_run": True, "events": list(done.events)})
    request.desk.bell.ring(done.changed)
    return _answer(act, done.verdicts[0])


def _answer(act: Act, verdict: Verdict) -> Answer:
    document = {**verdict_json(act, verdict), "dry_run": False}
    if verdict.result is Result.REFUSED:
        # A problem has a `status` of its own.
        more = {name: value for name, value in document.items() if name not in ("status", "message")}
        raise Problem(HTTPStatus.CONFLICT, "refused", verdict.message, {**more, "saga_status": verdict.status})
    return Answer(document)


def _whole(verb: str, make: Callable[[int, str, str], Input]) -> Does:
    """A verb on the saga as a whole."""

    async def does(request: Request) -> Answer:
        said = await body(request.http, models.Act)
        who = _who(request, said.who)
        return await _done(request, Act(verb, lambda at: make(at, who, said.why)), dry_run=said.dry_run)

    return does


def _on_blocked(verb: Verb, model: type[models.ActOnStep]) -> Does:
    """A verb on blocked steps."""

    async def does(request: Request) -> Answer:
        said = await body(request.http, model, empty=True)
        if said.item is not None and said.step is None:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "item: goes with step")
        # A saga names an item as it is addressed, step/item: that is taken too.
        name, index = (said.step, said.item) if said.step is None or said.item is not None else split(said.step)
        who, why = _who(request, said.who), said.why or ""
        act = Act(verb.value, lambda at: Operate(at, verb, who, why, name, index))
        return await _done(request, act, dry_run=said.dry_run)

    return does


async def _signal(request: Request) -> Answer:
    said = await body(request.http, models.SendSignal)
    data = cast(Json, said.data)
    problem = payload_problem(data)
    if problem is None and len(canonical_json(data)) > MAX_PAYLOAD:
        problem = f"E402 at most {MAX_PAYLOAD:,} bytes"
    if problem is not None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "input", f"data: {problem}")
    return await _done(request, signal_act(said.id or str(uuid4()), said.event, data), dry_run=said.dry_run)


def _operation(
    verb: str, does: Does, takes: type[models.Taken], summary: str, *, body_required: bool = True
) -> Operation:
    return Operation(
        HTTPMethod.POST,
        f"/api/sagas/{{saga_id}}/{verb}",
        f"{verb}Saga",
        summary,
        does,
        {HTTPStatus.OK: models.VerdictDocument},
        takes=takes,
        body_required=body_required,
        parameters=ID,
        problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        tag="verbs",
    )


OPERATIONS: Final = (
    _operation("cancel", _whole("cancel", Cancel), models.Act, "End a saga early: what it did is compensated."),
    _operation("suspend", _whole("suspend", Suspend), models.Act, "Send nothing for a saga until it is resumed."),
    _operation("resume", _whole("resume", Resume), models.Act, "Let a suspended saga go on."),
    _operation(
        "retry",
        _on_blocked(Verb.RETRY, models.ActOnStep),
        models.ActOnStep,
        "Try a blocked step again.",
        body_required=False,
    ),
    _operation(
        "skip",
        _on_blocked(Verb.SKIP, models.ActOnStepWithReason),
        models.ActOnStepWithReason,
        "Give up a blocked compensation: its effect stands.",
    ),
    _operation(
        "resolve",
        _on_blocked(Verb.RESOLVE, models.ActOnStepWithReason),
        models.ActOnStepWithReason,
        "Say that a person has undone a blocked step by hand.",
    ),
    _operation(
        "signal", _signal, models.SendSignal, "Tell a saga that something has happened; repeated, it changes nothing."
    ),
)
