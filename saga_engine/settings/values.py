"""What a single setting may be: addresses, durations, names, tokens, each checked and told with what was expected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
)

from saga_engine.definition.durations import EXPECTED, format_duration, parse_duration

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"

_HIGHEST_PORT = 65_535
_DIALECTS = ("sqlite", "postgresql", "cockroachdb")


def _database_url(url: SecretStr) -> SecretStr:
    dialect = re.split(r"[+:]", url.get_secret_value(), maxsplit=1)[0]
    if dialect not in _DIALECTS or "://" not in url.get_secret_value():
        raise ValueError(f"must be a database URL that starts with {'://, '.join(_DIALECTS)}://")
    if dialect == "sqlite" and not sqlite_file(url.get_secret_value()):
        raise ValueError(
            "must name a file, as in sqlite:///.saga/engine.db: a database in memory is gone with its process"
        )
    return url


def _nats_url(url: SecretStr) -> SecretStr:
    for server in url.get_secret_value().split(","):
        if urlsplit(server.strip()).scheme not in ("nats", "tls", "ws", "wss") or not urlsplit(server.strip()).hostname:
            raise ValueError("must be nats://host:port or tls://host:port; several are separated by commas")
    return url


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen. Port 0: a free one, which the log tells."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listening(value: object) -> Listening:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    found = re.fullmatch(r"(?:(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):)?([0-9]{1,5})", text, re.ASCII)
    if found is None or int(found[3]) > _HIGHEST_PORT:
        raise ValueError(
            "must be a port, as in 9464, which only this machine reaches, or host:port, as in 0.0.0.0:9464"
        )
    return Listening(found[1] or found[2] or "127.0.0.1", int(found[3]))


def _duration(value: object) -> int:
    microseconds = parse_duration(value) if isinstance(value, str) else None
    if microseconds is None:
        raise ValueError(f"must be {EXPECTED}")
    return microseconds


def _api_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]{16,512}", token.get_secret_value()):
        raise ValueError(
            "must have 16 to 512 letters, digits or signs of -._~+/=, as `openssl rand -hex 32` makes them"
        )
    return token


def _listed(value: object) -> object:
    """A list as it is; from a flag, its parts with commas between them."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _event_types(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not re.fullmatch(r"(?!saga\b)[A-Za-z0-9][A-Za-z0-9_-]*(\.([A-Za-z0-9_-]+|\*))*(\.>)?", pattern):
            raise ValueError(
                f"{pattern[:80]!r} must be a subject, as in ORDERS.created or, with wildcards after its first word, "
                "ORDERS.* or ORDERS.>; those that begin with `saga` are the engine's own"
            )
    return patterns


DatabaseUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_database_url)]
NatsUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_nats_url)]
Duration: TypeAlias = Annotated[int, BeforeValidator(_duration), PlainSerializer(format_duration)]
ListenOn: TypeAlias = Annotated[Listening, BeforeValidator(_listening), PlainSerializer(str)]
EventTypes: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_event_types)]
ApiToken: TypeAlias = Annotated[SecretStr, AfterValidator(_api_token)]
Name: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN)]


def sqlite_file(url: str) -> str:
    """The path in a SQLite URL as written, empty when it names no file."""
    path = url.partition(":///")[2].partition("?")[0]
    return "" if path == ":memory:" else path
