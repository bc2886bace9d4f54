"""What may stand in config.yaml, section by section, with its default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    model_validator,
)

from saga_engine.private import DATA_FOLDER
from saga_engine.settings.values import (
    ApiToken,
    DatabaseUrl,
    Duration,
    EventTypes,
    Listening,
    ListenOn,
    Name,
    NatsUrl,
)


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
    """The event store service, `saga eventstore`.

    `listen`: host:port. `database`: that of its events (default: the engine's own). `event_types`: which it takes, as
    subjects with the wildcards of NATS (default: all). `token`: what callers must bring; `certificate` and `key`:
    files, relative to the project's root. Beyond loopback a token is needed, and a certificate unless `insecure` is
    set.
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
