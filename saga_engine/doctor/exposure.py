"""Connections that leave this machine without encryption, or without a login, as the settings allow them.

Looks at settings only: what a server offers today, somebody in between may take away tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.exposure import ENCRYPTED, database_host, database_urls, is_local, nats_in_plain_text, sslmode
from saga_engine.settings.sections import NatsSection
from saga_engine.settings.settled import Settings
from saga_engine.settings.shown import shown_url

_CHECKED: Final = "verify-full"
_READABLE: Final = "Whoever can listen in between reads the data and the password."


def exposures(settings: Settings, insecure: bool) -> Iterator[Finding]:
    """What is not protected. `insecure`: it is meant to be so, and only a warning."""
    severity = Severity.WARNING if insecure else Severity.ERROR
    found = list(_all(settings, severity))
    yield from found
    if not found:
        yield fine("exposure", "connections", "whatever leaves this machine is encrypted and logs in")


def _all(settings: Settings, severity: Severity) -> Iterator[Finding]:
    for url, place in database_urls(settings).items():
        yield from _database(url, place, severity)
    if settings.nats.url is not None:
        yield from _nats(settings.nats, settings.nats.url.get_secret_value(), severity)


def _database(url: str, place: str, severity: Severity) -> Iterator[Finding]:
    host, mode = database_host(url), sslmode(url)
    if host is None or is_local(host) or mode == _CHECKED:
        return
    if mode not in ENCRYPTED:
        what = f"the connection to {host} may be in plain text (sslmode is {mode})"
        yield Finding("exposure", severity, f"{place}: {shown_url(url)}", what, _READABLE, _sslmode(place))
        return
    yield Finding(
        "exposure",
        Severity.WARNING,
        f"{place}: {shown_url(url)}",
        f"the connection to {host} is encrypted, but with sslmode={mode} the server's name is not checked",
        "Somebody in between can pass for the server.",
        _sslmode(place),
    )


def _sslmode(place: str) -> str:
    return f"add ?sslmode=verify-full&sslrootcert=FILE to {place}, or say --insecure"


def _nats(section: NatsSection, url: str, severity: Severity) -> Iterator[Finding]:
    servers = [server.strip() for server in url.split(",")]
    far = [server for server in servers if not is_local(urlsplit(server).hostname or "")]
    where = f"nats.url: {shown_url(url)}"
    if section.tls is None and nats_in_plain_text(url):
        next_ = "set nats.tls (ca: FILE), or write tls:// in nats.url, or say --insecure"
        yield Finding("exposure", severity, where, "the connection may be in plain text", _READABLE, next_)
    logins = (section.user, section.token, section.credentials, section.nkey_seed)
    certificate = section.tls is not None and section.tls.certificate is not None
    if far and not certificate and not any(logins) and any(urlsplit(server).username is None for server in far):
        yield Finding(
            "exposure",
            severity,
            where,
            "nobody logs in: there is no user, token, credentials, nkey_seed or client certificate",
            "Whoever reaches that port can send commands to your participants.",
            "set nats.credentials (or user and password, token, nkey_seed), or say --insecure",
        )
