"""Logging in to a guarded nats-server as one of its users, and waiting for what it refuses. Knows no test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import nats
from nats.aio.client import Client

from tests.security.guarded import PASSWORD

PATIENCE_S = 60


async def login(url: str, user: str, complaints: list[str] | None = None) -> Client:
    """A plain connection as that user. What the server refuses is added to `complaints`."""

    async def complain(error: Exception) -> None:
        if complaints is not None:
            complaints.append(str(error))

    return await nats.connect(
        url,
        user=user,
        password=PASSWORD.format(user=user),
        inbox_prefix=f"_INBOX_{user}",
        error_cb=complain,
        allow_reconnect=False,
    )


async def all_refused(complaints: list[str], subjects: Sequence[str]) -> None:
    """Every one of these has been complained about: nats-py tells a while after the server did."""

    def missing() -> list[str]:
        return [subject for subject in subjects if not any(f'"{subject}"'.lower() in c.lower() for c in complaints)]

    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while missing():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.01)
    assert missing() == []
