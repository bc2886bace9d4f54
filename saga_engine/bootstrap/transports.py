"""The project's transport: NATS as configured, or the embedded nats-server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from saga_engine.adapters.embedded.supervisor import embedded_server
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.settings.sections import NatsSection
from saga_engine.settings.settled import Settings


@asynccontextmanager
async def transport(settings: Settings, wait: float) -> AsyncIterator[NatsTransport]:
    """A connection to NATS: to the configured servers, or to the project's own nats-server, started if need be.

    Raises:
        TransportUnavailableError: it cannot be reached within `wait` seconds.
        UsageError: the settings are wrong, or the embedded server is not installed.
    """
    if settings.nats.url is not None:
        connected = await connect(nats_settings(settings.nats, settings.nats.url.get_secret_value()), wait=wait)
        try:
            yield connected
        finally:
            await connected.close()
        return
    async with embedded_server(settings.data_folder) as url:
        connected = await connect(nats_settings(settings.nats, url), wait=wait)
        try:
            yield connected
        finally:
            await connected.close()


def nats_settings(section: NatsSection, url: str) -> NatsSettings:
    """The adapter's settings for the servers of `url`."""
    tls = section.tls
    return NatsSettings(
        servers=tuple(server.strip() for server in url.split(",")),
        user=section.user,
        password=section.password.get_secret_value() if section.password else None,
        token=section.token.get_secret_value() if section.token else None,
        credentials=section.credentials,
        nkey_seed=section.nkey_seed,
        tls=tls is not None,
        tls_ca=tls.ca if tls else None,
        tls_certificate=tls.certificate if tls else None,
        tls_key=tls.key if tls else None,
        inbox_prefix=section.inbox_prefix,
        provision=section.provision,
        replicas=section.replicas,
    )
