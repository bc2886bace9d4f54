"""How to reach NATS: addresses, credentials, TLS, time limits. Secrets never show in a repr, a log line or an error.

Knows what nats-py's `connect` wants; opens no connection itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypedDict
from urllib.parse import unquote, urlsplit

from saga_engine.errors import UsageError
from saga_engine.extras import Extra, install_extra

_SCHEMES: Final = ("nats", "tls")
_DEFAULT_PORT: Final = 4222


class ClientOptions(TypedDict, total=False):
    """The part of nats-py's connect options that depends on the settings."""

    servers: list[str]
    name: str
    user: str
    password: str
    token: str
    user_credentials: str
    nkeys_seed: str
    inbox_prefix: str
    tls: ssl.SSLContext
    tls_handshake_first: bool


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where NATS is and how to log in. Times in seconds.

    `servers`: urls of one cluster, `nats://` or `tls://`, with or without `user:password@` or `token@`. `credentials`
    and `nkey_seed` name files. `tls_first`: encrypt before a word is said, which the server must be set to
    (`handshake_first`); else its greeting comes in the clear. `provision` False: streams and consumers are created by
    somebody else, and nothing beyond pulling, acknowledging and publishing is asked of the server (least privilege).
    `least_payload`: bytes of a message that the server must take; the largest command has about 700 KiB.
    `replicas`, `event_age` and `dead_age` apply to streams that are created here; existing ones keep what they have.
    """

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    name: str = "saga-engine"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    nkey_seed: Path | None = None
    tls: bool = False
    tls_first: bool = False
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    inbox_prefix: str = "_INBOX"
    provision: bool = True
    replicas: int = 1
    event_age: float = 7 * 86_400.0
    dead_age: float = 90 * 86_400.0
    connect_timeout: float = 2.0
    publish_timeout: float = 5.0
    close_timeout: float = 5.0
    ack_wait: float = 5.0
    check_interval: float = 3.0
    least_payload: int = 1_048_576

    def __repr__(self) -> str:
        return f"NatsSettings(servers={self.address!r}, name={self.name!r})"

    @property
    def address(self) -> str:
        """The urls without what logs in, for messages to people."""
        return ",".join(without_secrets(url) for url in self.servers)

    @property
    def wants_tls(self) -> bool:
        """Whether a connection without TLS is to be refused."""
        asked = self.tls or self.tls_first or self.tls_ca is not None or self.tls_certificate is not None
        return asked or any(url.startswith("tls://") for url in self.servers)


def without_secrets(url: str) -> str:
    """The url without user, password and token."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2]
    return f"{scheme}://{rest.rpartition('@')[2]}"


def client_options(settings: NatsSettings) -> ClientOptions:
    """What nats-py's `connect` gets.

    Raises `UsageError` for a malformed url, missing files, or credentials that need a package that is not installed.
    """
    if not settings.servers:
        raise UsageError("nats: no server url is set; expected at least one, such as nats://127.0.0.1:4222")
    options = ClientOptions(servers=[], name=settings.name, inbox_prefix=settings.inbox_prefix)
    for url in settings.servers:
        address, login = _split_login(url)
        options["servers"].append(address)
        options.update(login)
    if settings.user is not None:
        options["user"] = settings.user
    if settings.password is not None:
        options["password"] = settings.password
    if settings.token is not None:
        options["token"] = settings.token
    if settings.credentials is not None:
        options["user_credentials"] = str(_key_file(settings.credentials, "credentials"))
    if settings.nkey_seed is not None:
        options["nkeys_seed"] = str(_key_file(settings.nkey_seed, "nkey_seed"))
    if settings.wants_tls:
        options["tls"] = _tls_context(settings)
        options["tls_handshake_first"] = settings.tls_first
    return options


def _split_login(url: str) -> tuple[str, ClientOptions]:
    """Take the login out of a url, so that it can show up neither in the client's errors nor in its logs."""
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        port = parts.port
    except ValueError:
        raise _bad_url(url) from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise _bad_url(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}:{port or _DEFAULT_PORT}"
    if parts.username is None:
        return address, {}
    if parts.password is None:
        return address, {"token": unquote(parts.username)}
    return address, {"user": unquote(parts.username), "password": unquote(parts.password)}


def _bad_url(url: str) -> UsageError:
    expected = ", ".join(f"{scheme}://host:port" for scheme in _SCHEMES)
    return UsageError(f"nats: {without_secrets(url)!r} is not a server url; expected one of {expected}")


def _key_file(path: Path, setting: str) -> Path:
    if not path.is_file():
        raise UsageError(f"nats: {setting} names {path}, which is not a file")
    if find_spec("nkeys") is None:
        raise UsageError(
            f"nats: {setting} needs the package 'nkeys', which is not installed: {install_extra(Extra.NKEYS)}"
        )
    return path


def _tls_context(settings: NatsSettings) -> ssl.SSLContext:
    files: Mapping[str, Path | None] = {
        "tls_ca": settings.tls_ca,
        "tls_certificate": settings.tls_certificate,
        "tls_key": settings.tls_key,
    }
    for setting, path in files.items():
        if path is not None and not path.is_file():
            raise UsageError(f"nats: {setting} names {path}, which is not a file")
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.tls_certificate is not None:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except ssl.SSLError as error:
        raise UsageError(f"nats: the TLS files cannot be used ({error.reason}); expected PEM files") from error
    return context
