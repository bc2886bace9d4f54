"""An operation of an HTTP API: where it is, what it takes and gives, and what does it. Routes are made from it.

Owns that form, and the way from a Starlette request to an answer. Knows no saga.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, TypeAlias, get_origin
from uuid import UUID

from pydantic import BaseModel, ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from saga_engine.api.bodies import misfit
from saga_engine.api.exchange import Exchange, exchange_of
from saga_engine.api.problems import Problem
from saga_engine.definition.model import Json

if TYPE_CHECKING:
    from saga_engine.bootstrap.desk import Desk


@dataclass(frozen=True, slots=True)
class Request:
    """A request to an operation. `query`: its parameters, checked."""

    http: HttpRequest
    desk: Desk
    query: BaseModel | None
    exchange: Exchange

    @property
    def caller(self) -> str | None:
        """The name of the token that was brought."""
        return self.exchange.caller

    @property
    def traceparent(self) -> str | None:
        """The trace context to go on from, as in a start: the request's own span, or, untraced, the caller's."""
        return self.exchange.traceparent

    def concerns(self, saga_id: UUID) -> UUID:
        """Say that it is about this saga, to the log and to its span; the same id."""
        self.exchange.concerns(saga_id)
        return saga_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: a JSON document, or an event stream of these lines."""

    body: Json | AsyncIterator[str]
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


Does: TypeAlias = Callable[[Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` as in `/api/orders/{order_id}`; `parameters`: what each name in it means.

    `takes`: the model of its body; `query` and `headers`: what else it takes. `gives`: by status, the model of what it
    answers; None for an event stream. `problems`: the statuses that it may end with beside those that all have.
    """

    method: HTTPMethod
    path: str
    name: str
    summary: str
    does: Does
    gives: Mapping[HTTPStatus, type[BaseModel] | None]
    takes: type[BaseModel] | None = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    problems: Sequence[HTTPStatus] = ()
    tag: str = "sagas"


def routes(desk: Desk, operations: Sequence[Operation]) -> list[Route]:
    """Starlette's routes for these operations: one for each path, which answers other methods with 405."""
    paths: dict[str, list[Operation]] = {}
    for one in operations:
        paths.setdefault(one.path, []).append(one)
    return [Route(path, _endpoint(desk, those), methods=[one.method for one in those]) for path, those in paths.items()]


def _endpoint(desk: Desk, operations: Sequence[Operation]) -> Callable[[HttpRequest], Awaitable[Response]]:
    by_method = {str(one.method): one for one in operations}

    async def endpoint(http: HttpRequest) -> Response:
        # Starlette adds HEAD to GET: it is the same without the body, which the server leaves out.
        operation = by_method[HTTPMethod.GET if http.method == HTTPMethod.HEAD else http.method]
        exchange = exchange_of(http.scope)
        exchange.asks(operation.name, operation.path)
        answer = await operation.does(Request(http, desk, _query(http, operation), exchange))
        if isinstance(answer.body, AsyncIterator):
            kept = {"Cache-Control": "no-store", **answer.headers}
            return StreamingResponse(answer.body, answer.status, kept, "text/event-stream")
        return JSONResponse(answer.body, answer.status, answer.headers)

    return endpoint


def _query(http: HttpRequest, operation: Operation) -> BaseModel | None:
    if operation.query is None:
        return None
    lists = {name for name, one in operation.query.model_fields.items() if get_origin(one.annotation) is tuple}
    given = http.query_params
    try:
        return operation.query.model_validate(
            {name: given.getlist(name) if name in lists else _only(given.getlist(name), name) for name in given}
        )
    except ValidationError as error:
        raise misfit(error) from None


def _only(values: Sequence[str], name: str) -> str:
    if len(values) > 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{name}: is given {len(values)} times; once, please")
    return values[0]
