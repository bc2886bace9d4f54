"""The settings of a project: what may stand in config.yaml, the defaults, and what the engine is wired from.

Owns names, types and defaults. Knows no file, environment variable or flag: `configuration` reads those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SecretStr,
    model_validator,
)

from saga_engine.definition.durations import EXPECTED, format_duration, parse_duration
from saga_engine.definition.model import Json
from saga_engine.private import DATA_FOLDER

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"

_HIGHEST_PORT = 65_535
_DIALECTS = ("sqlite", "postgresql", "cockroachdb")


def _database_url(url: SecretStr) -> SecretStr:
    dialect = re.split(r"[+:]", url.get_secret_value(), maxsplit=1)[0]
    if dialect not in _DIALECTS or "://" not in url.get_secret_value():
        raise ValueError(f"must be a database URL that starts with {'://, '.join(_DIALECTS)}://")
    if dialect == "sqlite" and not _sqlite_file(url.get_secret_value()):
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


class Section(BaseModel):
    """A part of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TlsSection(Section):
    """TLS towards NATS. Paths are relative to the project's root."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _a_client_certificate_has_both_parts(self) -> TlsSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class NatsSection(Section):
    """How to reach NATS. Without `url` the engine starts and supervises a nats-server of its own.

    `credentials` and `nkey_seed` name files, relative to the project's root. `provision` false: streams and consumers
    are made by somebody else, for an account that may not make them. `replicas` applies to streams that are created.
    """

    url: NatsUrl | None = None
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    credentials: Path | None = None
    nkey_seed: Path | None = None
    tls: TlsSection | None = None
    inbox_prefix: str = "_INBOX"
    provision: bool = True
    replicas: int = Field(default=1, ge=1, le=5)

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> NatsSection:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together: give both or neither")
        ways = {"user": self.user, "token": self.token, "credentials": self.credentials, "nkey_seed": self.nkey_seed}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"there is one way to log in, but {' and '.join(given)} are given: keep one")
        if self.url is None and (given or self.tls is not None):
            raise ValueError("url is missing: the embedded server takes no login and no TLS")
        return self


class ParticipantSection(Section):
    """One participant: its own database (default `.saga/<name>.db`), and what its handlers see as `ctx.settings`."""

    database: DatabaseUrl | None = None
    concurrency: int = Field(default=8, ge=1, le=1000)
    settings: Mapping[str, JsonValue] = Field(default_factory=dict)


class ProjectionSection(Section):
    """One projection: its own database (default `.saga/<name>.db`), and how often it looks for what no bell told it."""

    database: DatabaseUrl | None = None
    sweep: Duration = Field(default=5_000_000, ge=10_000)


class OrchestratorSection(Section):
    """How the orchestrator works.

    `batch`: sagas in one commit. `backlog`: inputs held before intake waits. `cached_sagas`: folded states kept.
    `due_poll`: how often due sagas are looked for.
    """

    batch: int = Field(default=500, ge=1, le=10_000)
    backlog: int = Field(default=1_000, ge=1)
    cached_sagas: int = Field(default=20_000, ge=0)
    due_poll: Duration = Field(default=1_000_000, ge=10_000)


class LimitsSection(Section):
    """What may not be passed. `open_sagas`: of one definition that have not ended, when one more is started."""

    open_sagas: int | None = Field(default=None, ge=1)


class EventstoreSection(Section):
    """The event store service, `saga eventstore`. `listen`: host:port. `database`: that of its events (default: the

    engine's own). `event_types`: which it takes, as subjects with the wildcards of NATS (default: all). `token`: what
    callers must bring; `certificate` and `key`: files, relative to the project's root. Beyond loopback a token is
    needed, and a certificate unless `insecure` is set.
    """

    listen: ListenOn = Listening("127.0.0.1", 50051)
    database: DatabaseUrl | None = None
    event_types: EventTypes = ()
    token: SecretStr | None = Field(default=None, min_length=16)
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _a_certificate_has_both_parts(self) -> EventstoreSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class ApiSection(Section):
    """The HTTP API, `saga api`. `listen`: a port or host:port. `tokens`: what callers must bring, by the caller's name.

    `certificate` and `key`: files, relative to the project's root. Beyond loopback a token is needed, and a certificate
    unless `insecure` is set.
    """

    listen: ListenOn = Listening("127.0.0.1", 3000)
    tokens: Mapping[Name, ApiToken] = Field(default_factory=dict)
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _a_certificate_has_both_parts(self) -> ApiSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class DemoSaga(Section):
    """Sagas that `saga demo` starts. In the strings of `input`, `{id}` is replaced by an id that is new for each."""

    title: str
    input: Mapping[str, JsonValue]
    count: int = Field(default=1, ge=1, le=1000)


class DemoKill(Section):
    """Whose worker `saga demo` kills (SIGKILL), and how long it stays away.

    It is killed in mid-command, as soon as that many sagas have been started.
    """

    participant: Name
    after: int = Field(ge=1)
    back: Duration = 3_000_000


class DemoSection(Section):
    """What `saga demo` runs. `settings`: by participant, laid over its own settings during the demo."""

    saga: Name
    runs: tuple[DemoSaga, ...] = Field(min_length=1)
    settings: Mapping[Name, Mapping[str, JsonValue]] = Field(default_factory=dict)
    kill: DemoKill | None = None


class Config(Section):
    """Everything that config.yaml may say. `saga_engine` marks the file as a project's and names the format.

    `insecure` lets connections beyond loopback be in plain text, which are refused otherwise.
    """

    saga_engine: Literal[1] = 1
    insecure: bool = False
    database: DatabaseUrl = SecretStr(f"sqlite:///{DATA_FOLDER}/engine.db")
    nats: NatsSection = NatsSection()
    participants: Mapping[Name, ParticipantSection] = Field(default_factory=dict)
    projections: Mapping[Name, ProjectionSection] = Field(default_factory=dict)
    orchestrator: OrchestratorSection = OrchestratorSection()
    limits: LimitsSection = LimitsSection()
    metrics: ListenOn | None = None
    eventstore: EventstoreSection | None = None
    api: ApiSection = ApiSection()
    demo: DemoSection | None = None


@dataclass(frozen=True, slots=True)
class ParticipantSettings:
    """One participant's settings, defaults filled in."""

    name: str
    database: SecretStr
    concurrency: int
    settings: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """One projection's settings, defaults filled in. `sweep` in microseconds."""

    name: str
    database: SecretStr
    sweep: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine is wired from: the configuration over a project's root, every path absolute."""

    root: Path
    database: SecretStr
    nats: NatsSection = field(default_factory=NatsSection)
    participants: Mapping[str, ParticipantSettings] = field(default_factory=dict)
    projections: Mapping[str, ProjectionSettings] = field(default_factory=dict)
    orchestrator: OrchestratorSection = field(default_factory=OrchestratorSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    metrics: Listening | None = None
    eventstore: EventstoreSection | None = None
    api: ApiSection = field(default_factory=ApiSection)
    demo: DemoSection | None = None
    insecure: bool = False

    @property
    def data_folder(self) -> Path:
        """Where the project's SQLite files and the embedded nats-server live."""
        return self.root / DATA_FOLDER

    def with_nats(self, nats: NatsSection) -> Settings:
        """The same, with another way to reach NATS."""
        return replace(self, nats=nats)

    def participant(self, name: str) -> ParticipantSettings:
        """The settings of that participant; one that the configuration does not name has the defaults."""
        return self.participants.get(name) or _participant(self.root, name, ParticipantSection())

    def projection(self, name: str) -> ProjectionSettings:
        """The settings of that projection; one that the configuration does not name has the defaults."""
        return self.projections.get(name) or _projection(self.root, name, ProjectionSection())


def settle(config: Config, root: Path) -> Settings:
    """The settings that a configuration means below `root`: defaults filled in, paths made absolute."""
    return Settings(
        root=root,
        database=_absolute(config.database, root),
        nats=_absolute_paths(config.nats, root),
        participants={name: _participant(root, name, section) for name, section in config.participants.items()},
        projections={name: _projection(root, name, section) for name, section in config.projections.items()},
        orchestrator=config.orchestrator,
        limits=config.limits,
        metrics=config.metrics,
        eventstore=config.eventstore and _absolute_eventstore(config.eventstore, root),
        api=_absolute_api(config.api, root),
        demo=config.demo,
        insecure=config.insecure,
    )


def shown_url(url: str) -> str:
    """A URL fit for people: its password, or a token that stands for a user, is replaced by `***`."""
    # Greedy up to the last @: a password that was not percent-encoded may hold any sign, and hiding too much is safe.
    login = re.match(r"(\w[\w+]*://(?!/))([^:@/]*)(:?)(.*)@(.*)", url)
    if login is not None:
        scheme, user, colon, _, rest = login.groups()
        is_token = scheme in ("nats://", "tls://", "ws://", "wss://") and not colon
        url = f"{scheme}{'***' if is_token else user}{':***' if colon else ''}@{rest}"
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", r"\1***", url)


def _participant(root: Path, name: str, section: ParticipantSection) -> ParticipantSettings:
    # pydantic's JsonValue and our Json are the same set of values under two spellings.
    own = cast(Mapping[str, Json], section.settings)
    return ParticipantSettings(name, _database_of(name, section.database, root), section.concurrency, own)


def _projection(root: Path, name: str, section: ProjectionSection) -> ProjectionSettings:
    return ProjectionSettings(name, _database_of(name, section.database, root), section.sweep)


def _database_of(name: str, given: SecretStr | None, root: Path) -> SecretStr:
    return _absolute(given or SecretStr(f"sqlite:///{DATA_FOLDER}/{name}.db"), root)


def _sqlite_file(url: str) -> str:
    """The path in a SQLite URL as written, empty when it names no file."""
    path = url.partition(":///")[2].partition("?")[0]
    return "" if path == ":memory:" else path


def _absolute(url: SecretStr, root: Path) -> SecretStr:
    text = url.get_secret_value()
    if not text.startswith("sqlite"):
        return url
    path = _sqlite_file(text)
    return SecretStr(text.replace(f":///{path}", f":///{root / path}", 1))


def _absolute_paths(nats: NatsSection, root: Path) -> NatsSection:
    tls = nats.tls
    return nats.model_copy(
        update={
            "credentials": nats.credentials and root / nats.credentials,
            "nkey_seed": nats.nkey_seed and root / nats.nkey_seed,
            "tls": tls and tls.model_copy(update={n: p and root / p for n, p in tls if isinstance(p, Path)}),
        }
    )


def _absolute_eventstore(section: EventstoreSection, root: Path) -> EventstoreSection:
    return section.model_copy(
        update={
            "database": section.database and _absolute(section.database, root),
            "certificate": section.certificate and root / section.certificate,
            "key": section.key and root / section.key,
        }
    )


def _absolute_api(api: ApiSection, root: Path) -> ApiSection:
    files = {"certificate": api.certificate, "key": api.key}
    return api.model_copy(update={name: path and root / path for name, path in files.items()})
