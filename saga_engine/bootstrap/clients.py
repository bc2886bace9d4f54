"""The engine as its users see it: a client over the project's store and definitions, and the bell it rings."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from functools import partial
from uuid import UUID

from saga_engine.bootstrap.definitions import project_definitions
from saga_engine.bootstrap.stores import open_store
from saga_engine.bootstrap.tracing import tracing
from saga_engine.clock import StoreClock
from saga_engine.envelope import partition_of
from saga_engine.errors import UnavailableError, UsageError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.settings.settled import Settings

_RING_WAIT_S = 1.0


def client(settings: Settings, *, new: bool = False) -> Client:
    """The engine as its users see it, over the project's store and definitions. Close it after use.

    `new`: an embedded store that is not there is made.

    Raises:
        StoreUnavailableError, SchemaMissingError: as `open_store`.
    """
    store = open_store(settings, new=new)
    load = partial(project_definitions, settings.root)
    ids, most = TimeOrderedIds(secrets.token_bytes), settings.limits.open_sagas
    return Client(store, load, ids, StoreClock(store.now), most, tracing)


def broker_url(settings: Settings) -> str | None:
    """Where the project's broker is; None when it is embedded and does not run, so that nobody is there to be woken."""
    if settings.nats.url is not None:
        return settings.nats.url.get_secret_value()
    from saga_engine.adapters.embedded.place import find_url

    return find_url(settings.data_folder)


async def ring(settings: Settings, url: str, *saga_ids: UUID) -> None:
    """Wake the owners of these sagas' partitions over the broker at `url`. Their poll is the backstop."""
    from saga_engine.adapters.nats.transport import connect
    from saga_engine.bootstrap.transports import nats_settings

    with suppress(UnavailableError, UsageError, TimeoutError):
        async with asyncio.timeout(_RING_WAIT_S):
            connected = await connect(nats_settings(settings.nats, url), wait=0)
            try:
                await connected.ring(sorted({partition_of(saga_id) for saga_id in saga_ids}))
            finally:
                await connected.close()
