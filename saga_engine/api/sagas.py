"""The engine's operations on sagas: start, list, show, history, follow. The same calls as the command line's.

Owns their paths and what answers which outcome. Verbs are `verbs`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Final, cast
from uuid import UUID

from saga_engine.api import models
from saga_engine.api.bodies import body
from saga_engine.api.operation import Answer, Operation, Request
from saga_engine.api.problems import Problem
from saga_engine.api.sse import Sent, follow, last_event_id
from saga_engine.core.verbs import useful_verbs
from saga_engine.core.waits import waits_for
from saga_engine.definition.durations import parse_duration
from saga_engine.definition.inputs import InputRejected
from saga_engine.definition.model import Json
from saga_engine.documents.history import history_rows
from saga_engine.documents.saga import saga_json
from saga_engine.documents.waits import waits_json
from saga_engine.errors import NotFoundError, SagaEngineError, UsageError
from saga_engine.listing import Listed, listed
from saga_engine.orchestrator.client import Client, SagaView
from saga_engine.orchestrator.starting import KeyConflict, Started
from saga_engine.ports.store import StreamFilter
from saga_engine.refusals import refusal

ID: Final[Mapping[str, Json]] = {
    "saga_id": {"schema": {"type": "string", "format": "uuid"}, "description": "The id that the saga was started with."}
}
TRACEPARENT: Final[Mapping[str, Mapping[str, Json]]] = {
    "traceparent": {
        "schema": {"type": "string"},
        "description": "The caller's W3C trace context, which the saga's commands, replies and events carry on.",
    }
}
"""For `Operation.headers` of an operation that starts a saga: its OpenAPI description."""

UNREADABLE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""A saga is not there, or a newer release wrote to it what this one does not know."""
LAST_EVENT_ID: Final[Mapping[str, Mapping[str, Json]]] = {
    "Last-Event-ID": {
        "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
        "description": "Go on behind this event, as browsers do by themselves.",
    }
}
"""For `Operation.headers` of an operation that answers with an event stream: its OpenAPI description."""


def saga_id(request: Request) -> UUID:
    """The id in the path.

    Raises:
        NotFoundError: it is none, so that there is no such saga.
    """
    try:
        return request.concerns(UUID(request.path["saga_id"]))
    except ValueError:
        raise NotFoundError("no saga with that id: it is no UUID; by its key a saga is found with ?key=") from None


async def start(request: Request) -> Answer:
    wanted = await body(request.http, models.StartSaga)
    outcome = await request.desk.ask(
        lambda client: client.start(
            wanted.saga,
            cast(Json, wanted.input),
            key=wanted.key,
            version=wanted.version,
            again=wanted.again,
            traceparent=request.traceparent,
        )
    )
    if isinstance(outcome, InputRejected):
        errors = [{"at": one.json_path, "code": one.code, "message": one.message} for one in outcome.problems]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "input", str(outcome), {"errors": errors})
    if isinstance(outcome, KeyConflict):
        said = f"key {outcome.key!r} belongs to saga {outcome.saga_id}, which has another input"
        raise Problem(HTTPStatus.CONFLICT, "conflict", said, {"id": str(outcome.saga_id)})
    begun = refusal(outcome)
    if isinstance(begun, SagaEngineError):
        raise Problem(HTTPStatus.CONFLICT, "refused", str(begun))
    request.desk.bell.ring([request.concerns(begun.saga_id)])
    created = isinstance(begun, Started)
    document: Json = {"id": str(begun.saga_id), "saga": wanted.saga, "key": begun.key, "created": created}
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return Answer(document, status, {"Location": f"/api/sagas/{begun.saga_id}"})


async def list_sagas(request: Request) -> Answer:
    wanted = request.query
    assert isinstance(wanted, models.ListSagas)
    found = await request.desk.ask(lambda client: _found(client, wanted))
    full = wanted.key is None and len(found.heads) == wanted.limit
    rows: list[Json] = [*found.rows()]
    return Answer({"sagas": rows, "next": str(found.heads[-1].stream_id) if full else None})


def _found(client: Client, wanted: models.ListSagas) -> Listed:
    statuses = tuple(str(status) for status in wanted.status)
    if wanted.key is None:
        older_than = None if wanted.older_than is None else parse_duration(wanted.older_than)
        return listed(client, StreamFilter(wanted.saga, statuses, wanted.before, wanted.limit), older_than)
    try:
        head = client.status(client.find(wanted.key, wanted.saga))
    except NotFoundError:
        return Listed([], {}, {})
    except UsageError:
        said = f"key: {wanted.key!r} belongs to sagas of several names; say which with the parameter saga"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", said) from None
    # The client takes an id for a key, of whatever saga it is.
    fits = head.key == wanted.key and (not statuses or head.status in statuses)
    return Listed([head] if fits else [], {}, {})


async def show(request: Request) -> Answer:
    wanted = saga_id(request)
    return Answer(await request.desk.ask(lambda client: _shown(client, client.view(wanted))))


def _shown(client: Client, view: SagaView) -> Json:
    waits = waits_json(waits_for(view.plan, view.state, client.now))
    verbs = useful_verbs(view.plan, view.state)
    return {**saga_json(view.state, list(view.plan.nodes)), "waits_for": waits, "verbs": verbs}


async def history(request: Request) -> Answer:
    wanted, query = saga_id(request), request.query
    assert isinstance(query, models.After)
    view = await request.desk.ask(lambda client: client.view(wanted))
    return Answer({"events": history_rows(view, after=query.after)})


async def events(request: Request) -> Answer:
    wanted, after = saga_id(request), last_event_id(request)
    view = await request.desk.ask(lambda client: client.view(wanted))
    return Answer(follow(request, view, after, _happened))


def _happened(view: SagaView, after: int) -> Sequence[Sent]:
    return [Sent(cast(int, row["version"]), str(row["type"]), row) for row in history_rows(view, after=after)]


OPERATIONS: Final = (
    Operation(
        HTTPMethod.POST,
        "/api/sagas",
        "startSaga",
        "Start a saga. The same key with the same input again gives the saga there is, with 200.",
        start,
        {HTTPStatus.CREATED: models.StartedSaga, HTTPStatus.OK: models.StartedSaga},
        takes=models.StartSaga,
        headers=TRACEPARENT,
        problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Operation(
        HTTPMethod.GET,
        "/api/sagas",
        "listSagas",
        "List sagas, newest first; on the first page of all, blocked ones come before the others.",
        list_sagas,
        {HTTPStatus.OK: models.SagaPage},
        query=models.ListSagas,
    ),
    Operation(
        HTTPMethod.GET,
        "/api/sagas/{saga_id}",
        "showSaga",
        "Show a saga: its steps, what it waits for, and which verbs are possible.",
        show,
        {HTTPStatus.OK: models.Saga},
        parameters=ID,
        problems=UNREADABLE,
    ),
    Operation(
        HTTPMethod.GET,
        "/api/sagas/{saga_id}/history",
        "sagaHistory",
        "The events of a saga's stream, oldest first.",
        history,
        {HTTPStatus.OK: models.History},
        query=models.After,
        parameters=ID,
        problems=UNREADABLE,
    ),
    Operation(
        HTTPMethod.GET,
        "/api/sagas/{saga_id}/events",
        "followSaga",
        "The events of a saga as server-sent events: what happened, then what happens, until it has ended.",
        events,
        {HTTPStatus.OK: None},
        parameters=ID,
        headers=LAST_EVENT_ID,
        problems=UNREADABLE,
    ),
)
