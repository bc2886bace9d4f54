"""Server-sent events: what happened to a saga, and then what happens, until it has ended or the server stops.

Owns the form on the wire, the pace of its heartbeat and how many may follow. Knows not what an event says.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from saga_engine.api.operation import Request
from saga_engine.api.problems import Problem
from saga_engine.core.state import Phase
from saga_engine.definition.model import Json
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.client import SagaView

HEARTBEAT_S: Final = 15.0
MOST_FOLLOWERS: Final = 500
_MOST_VERSION: Final = 2**53


@dataclass(frozen=True, slots=True)
class Sent:
    """An event: `id` is the version that a client comes back with as `Last-Event-ID`."""

    id: int
    name: str
    data: Json

    def __str__(self) -> str:
        return f"id: {self.id}\nevent: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=True)}\n\n"


def last_event_id(request: Request) -> int:
    """Behind which version the client wants to go on.

    Raises:
        Problem: it is no version.
    """
    text = (request.header("last-event-id") or "").strip()
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= _MOST_VERSION):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"Last-Event-ID: {text[:50]!r} is no version")
    return int(text or 0)


def follow(
    request: Request, first: SagaView, after: int, tell: Callable[[SagaView, int], Sequence[Sent]]
) -> AsyncIterator[str]:
    """The stream of what `tell` makes of the events behind a version; it ends with an event `end`.

    Raises:
        Problem: as many follow already as may.
    """
    followers = request.exchange.counters.followers
    if len(followers) >= MOST_FOLLOWERS:
        said = f"{MOST_FOLLOWERS} follow already; come back later"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", said, headers={"Retry-After": "5"})
    return _followed(request, first, after, tell, followers)


async def _followed(
    request: Request,
    view: SagaView,
    after: int,
    tell: Callable[[SagaView, int], Sequence[Sent]],
    followers: set[object],
) -> AsyncIterator[str]:
    desk, saga_id = request.desk, view.state.saga_id
    mine = object()
    followers.add(mine)
    try:
        yield "retry: 1000\n\n"
        while True:
            for sent in tell(view, after):
                yield str(sent)
            after = max(after, view.state.version)
            if view.state.phase is Phase.ENDED:
                yield str(Sent(after, "end", {"status": str(view.state.status)}))
                return
            grown = await desk.following.beyond(saga_id, after, HEARTBEAT_S)
            if desk.following.ended:
                return
            if not grown:
                yield ": still here\n\n"
                continue
            try:
                view = await desk.ask(lambda client: client.view(saga_id))
            except UnavailableError:
                yield ": the store is away\n\n"
    finally:
        followers.discard(mine)
