"""An operation of an HTTP API: where it is, what it takes and gives, and what does it. Routes are made from it.

Owns that form, and the way from a Starlette request to an answer. Knows no saga.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, TypeAlias, get_origin
from urllib.parse import unquote_to_bytes
from uuid import UUID

from pydantic import BaseModel, ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from saga_engine.api.bodies import misfit
from saga_engine.api.exchange import Exchange, exchange_of
from saga_engine.api.problems import Problem
from saga_engine.definition.model import Json
from saga_engine.errors import NotFoundError

if TYPE_CHECKING:
    from saga_engine.bootstrap.desk import Desk


@dataclass(frozen=True, slots=True)
class Request:
    """A request to an operation. `path`: what stands in the places of its path; `query`: its parameters, checked."""

    http: HttpRequest
    desk: Desk
    path: Mapping[str, str]
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

    def header(self, name: str) -> str | None:
        """A header that means something to the operation; None without it.

        Raises:
            Problem: it is given more than once, so that nobody knows which is meant.
        """
        values = self.http.headers.getlist(name)
        return _only(values, name) if values else None

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
    return [
        _Route(path, _endpoint(desk, those), methods=[one.method for one in those]) for path, those in paths.items()
    ]


class _Route(Route):
    """Matches the path as it was sent, so that an encoded slash is part of a name, as RFC 3986 (2.2) has it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "path": scope["raw_path"].decode("latin-1")})


def _endpoint(desk: Desk, operations: Sequence[Operation]) -> Callable[[HttpRequest], Awaitable[Response]]:
    by_method = {str(one.method): one for one in operations}

    async def endpoint(http: HttpRequest) -> Response:
        # Starlette adds HEAD to GET: it is the same without the body, which the server leaves out.
        operation = by_method[HTTPMethod.GET if http.method == HTTPMethod.HEAD else http.method]
        exchange = exchange_of(http.scope)
        exchange.asks(operation.name, operation.path)
        answer = await operation.does(Request(http, desk, _path(http), _query(http, operation), exchange))
        if isinstance(answer.body, AsyncIterator):
            kept = {"Cache-Control": "no-store", **answer.headers}
            if http.method == HTTPMethod.HEAD:
                return Response(None, answer.status, kept, "text/event-stream")  # There is no end to wait for.
            return StreamingResponse(answer.body, answer.status, kept, "text/event-stream")
        return JSONResponse(answer.body, answer.status, answer.headers)

    return endpoint


def _path(http: HttpRequest) -> Mapping[str, str]:
    try:
        found = {name: unquote_to_bytes(text).decode() for name, text in http.path_params.items()}
    except UnicodeDecodeError:
        raise NotFoundError("nothing has that name: it is no UTF-8") from None
    if any("\x00" in text for text in found.values()):
        raise NotFoundError("nothing has that name: it holds the character NUL")
    return found


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
