"""Connections that leave this machine in plain text: which the settings allow, and the refusal of them.

Looks at settings only: what a server offers today, somebody in between may take away tomorrow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from saga_engine.errors import UsageError
from saga_engine.settings.settled import Settings
from saga_engine.settings.shown import shown_url

ENCRYPTED: Final = ("require", "verify-ca", "verify-full")
"""The values of PostgreSQL's `sslmode` with which nothing is ever sent in plain text."""

_ALLOW: Final = "--insecure, SAGA_INSECURE=true or `insecure: true`"


def refuse_plain_text(settings: Settings) -> None:
    """Let nobody read data and passwords on their way by accident.

    Raises:
        UsageError: a server beyond loopback may be spoken to in plain text, and `insecure` does not say that it may.
    """
    found = [] if settings.insecure else list(plain_text(settings))
    if found:
        raise UsageError("\n".join(found))


def plain_text(settings: Settings) -> Iterator[str]:
    """Each connection beyond loopback that may be in plain text, where it is configured, and what to do about it."""
    for url, place in database_urls(settings).items():
        host, mode = database_host(url), sslmode(url)
        if host is not None and not is_local(host) and mode not in ENCRYPTED:
            yield (
                f"{place}: {shown_url(url)}: the connection to {host} may be in plain text (sslmode is {mode}); add "
                f"?sslmode=verify-full&sslrootcert=FILE to it, or allow it with {_ALLOW}"
            )
    broker = settings.nats.url
    if broker is not None and settings.nats.tls is None and nats_in_plain_text(broker.get_secret_value()):
        yield (
            f"nats.url: {shown_url(broker.get_secret_value())}: the connection may be in plain text; set nats.tls "
            f"(ca: FILE), or write tls:// in nats.url, or allow it with {_ALLOW}"
        )


def database_urls(settings: Settings) -> Mapping[str, str]:
    """Each database once, and where it is configured first."""
    urls = {settings.database.get_secret_value(): "database"}
    if settings.eventstore is not None and settings.eventstore.database is not None:
        urls.setdefault(settings.eventstore.database.get_secret_value(), "eventstore.database")
    for name, one in settings.participants.items():
        urls.setdefault(one.database.get_secret_value(), f"participants.{name}.database")
    for name, view in settings.projections.items():
        urls.setdefault(view.database.get_secret_value(), f"projections.{name}.database")
    return urls


def nats_in_plain_text(url: str) -> bool:
    """Whether one of the servers, which stand with commas between them, is neither here nor always encrypted."""
    servers = [server.strip() for server in url.split(",")]
    far = any(not is_local(urlsplit(server).hostname or "") for server in servers)
    return far and not all(server.startswith(("tls://", "wss://")) for server in servers)


def database_host(url: str) -> str | None:
    """Where a database is: of several hosts the first that is not this machine. None for a file."""
    if url.startswith("sqlite"):
        return None
    parts = urlsplit(url)
    options = _options(parts.query)
    # As the library of PostgreSQL looks for it: an address before a name, and what a service file says, which
    # may be any host, before the environment.
    name, address = options.get("host") or parts.hostname, options.get("hostaddr")
    if not name and not address and ("service" in options or "PGSERVICE" in os.environ):
        return "the host of a service file"
    said = address or os.environ.get("PGHOSTADDR") or name or os.environ.get("PGHOST", "")
    hosts = [host.rpartition(":")[0] if host.count(":") == 1 else host for host in unquote(said).split(",")]
    return next((host for host in hosts if not is_local(host)), hosts[0])


def sslmode(url: str) -> str:
    """What a database url says of encryption, or what PostgreSQL's library takes it to say."""
    return _options(urlsplit(url).query).get("sslmode") or os.environ.get("PGSSLMODE", "prefer")


def _options(query: str) -> dict[str, str]:
    return {name: ",".join(values) for name, values in parse_qs(query).items()}


def is_local(host: str) -> bool:
    """Whether a host is this machine: a loopback address, localhost, or the folder of a Unix socket."""
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
