"""What the engine is wired from: the configuration over a project's root, defaults filled in, every path absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from pydantic import (
    SecretStr,
)

from saga_engine.definition.model import Json
from saga_engine.errors import UsageError
from saga_engine.private import DATA_FOLDER
from saga_engine.settings.sections import (
    ApiSection,
    Config,
    DemoSection,
    EventstoreSection,
    LimitsSection,
    NatsSection,
    OrchestratorSection,
    ParticipantSection,
    ProjectionSection,
)
from saga_engine.settings.values import Listening, sqlite_file


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


def _participant(root: Path, name: str, section: ParticipantSection) -> ParticipantSettings:
    # pydantic's JsonValue and our Json are the same set of values under two spellings.
    own = cast(Mapping[str, Json], section.settings)
    return ParticipantSettings(name, _database_of(name, section.database, root), section.concurrency, own)


def _projection(root: Path, name: str, section: ProjectionSection) -> ProjectionSettings:
    return ProjectionSettings(name, _database_of(name, section.database, root), section.sweep)


def _database_of(name: str, given: SecretStr | None, root: Path) -> SecretStr:
    return _absolute(given or SecretStr(f"sqlite:///{DATA_FOLDER}/{name}.db"), root)


def _absolute(url: SecretStr, root: Path) -> SecretStr:
    text = url.get_secret_value()
    if not text.startswith("sqlite"):
        return url
    path = sqlite_file(text)
    if "?" in str(root / path):
        # What comes behind it would be taken for options, and several databases for one file.
        raise UsageError(
            f"{root / path}: the url of a SQLite database can name no file with a ? in its path; rename the project's "
            "folder, or name files elsewhere in config.yaml, as in sqlite:////var/lib/shop/engine.db"
        )
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
