"""Hears the events that sagas publish, over core NATS: which saga has news, and nothing else of them is read.

Best effort: there is no consumer and nothing is acknowledged, since who listens here looks into the store anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import nats.errors
from nats.aio.msg import Msg

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.streams import capture_event_subject

OWN_SUBJECTS: Final = "saga.event.*.*"
"""Of the events whose definition names no subject of its own."""


class NatsEventBell:
    """See `ports.EventBell`. Subscribes anew with each session. `provision`: may let a stream take subjects."""

    def __init__(self, connection: Connection, provision: bool) -> None:
        self._connection = connection
        self._provision = provision

    async def listen(self, share: str, subjects: Sequence[str], heard: Callable[[UUID], None]) -> None:
        """See `ports.EventBell`. When a server is there it knows of the listener on return."""

        async def ringing(message: Msg) -> None:
            saga_id = _saga_of(message)
            if saga_id is not None:
                heard(saga_id)

        async def subscribe(session: Session) -> None:
            for subject in subjects if self._provision else ():
                # With a listener, a publisher is no longer told that no stream takes it, and would wait for the ack.
                await capture_event_subject(session.client, subject)
            for subject in (OWN_SUBJECTS, *subjects):
                await session.subscribe(subject, ringing, share)

        self._connection.on_session(subscribe)
        session = self._connection.current
        if session is not None:
            with contextlib.suppress(nats.errors.Error):
                await subscribe(session)
                await session.ask(session.client.flush())


def _saga_of(message: Msg) -> UUID | None:
    """The saga that a CloudEvent's id, stream and version, begins with. Anybody may publish anything here."""
    stream, _, _ = (message.headers or {}).get("ce-id", "").partition("/")
    try:
        return UUID(stream)
    except ValueError:
        return None
