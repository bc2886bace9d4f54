"""A project whose every process has a user and a role of its own, as `saga auth export` prints them.

Owns setting that up on real servers. Knows no test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from saga_engine.adapters.nats.settings import NatsSettings
from tests.acceptance.projects import LEDGER, Project
from tests.databases import run_sql
from tests.nats_fixtures import NatsServer

PASSWORD = "pass-of-{user}"
PARTICIPANTS = ("order", "payment")


@dataclass(frozen=True, slots=True)
class Guarded:
    """The project, the server that guards it, and its databases as an administrator reaches them."""

    project: Project
    server: NatsServer
    databases: Mapping[str, str]

    def url(self, role: str, database: str = "engine") -> str:
        """A database as a role reaches it."""
        return make_url(self.databases[database]).set(username=role).render_as_string(hide_password=False)

    def settings(self, user: str) -> NatsSettings:
        """How this user connects."""
        return NatsSettings(
            servers=(self.server.url,),
            user=user,
            password=PASSWORD.format(user=user),
            inbox_prefix=f"_INBOX_{user}",
            provision=False,
        )

    def as_(self, user: str, role: str) -> Project:
        """The project in the hands of this user of NATS and this role in all databases."""
        own = copy(self.project)
        own.environment = self.project.environment | {
            "SAGA_NATS__URL": self.server.url,
            "SAGA_NATS__USER": user,
            "SAGA_NATS__PASSWORD": PASSWORD.format(user=user),
            "SAGA_NATS__INBOX_PREFIX": f"_INBOX_{user}",
            "SAGA_NATS__PROVISION": "false",
            "SAGA_DATABASE": self.url(role),
        }
        for name in PARTICIPANTS:
            own.environment[f"SAGA_PARTICIPANTS__{name.upper()}__DATABASE"] = self.url(role, name)
        return own


@contextmanager
def guarded(folder: Path, databases: Mapping[str, str]) -> Iterator[Guarded]:
    """Set everything up with what `saga auth export` prints, and take it away again."""
    (folder / "project").mkdir()
    project = Project(folder / "project", LEDGER, databases)
    exported = project.saga("auth", "export")
    assert exported.returncode == 0, exported.stderr
    server = NatsServer(folder / "nats", exported.stdout)
    with pytest.MonkeyPatch.context() as environment:
        for variable in re.findall(r"password: \$(\w+)", exported.stdout):
            user = variable.removeprefix("SAGA_NATS_").lower()
            environment.setenv(variable, PASSWORD.format(user=user))
        server.start()
    found = Guarded(project, server, databases)
    logins = _script(project).split("\n-- 2.")[0]
    run_sql(databases["engine"], *_statements(logins))
    try:
        _set_up(found)
        yield found
    finally:
        project.close()
        server.kill()
        _take_away(databases, re.findall(r"^CREATE ROLE (\w+)", logins, re.MULTILINE))


def _script(project: Project) -> str:
    exported = project.saga("auth", "export", "--format", "sql")
    assert exported.returncode == 0, exported.stderr
    return exported.stdout


def _set_up(found: Guarded) -> None:
    early, late = _script(found.project).split("\n-- 3.")
    schema = early.split("\n-- 2.")[1]
    for url in found.databases.values():
        run_sql(url, *_statements(schema.partition("\n")[2]))
    upgraded = found.as_("deploy", "saga_migrate").saga("db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    for section in late.split("\n-- In the database of ")[1:]:
        run_sql(found.databases[section.split(",")[0]], *_statements(section.partition("\n")[2]))
    provisioned = found.as_("deploy", "saga_migrate").saga("nats", "provision")
    assert provisioned.returncode == 0, provisioned.stderr


def _take_away(databases: Mapping[str, str], roles: Sequence[str]) -> None:
    """Roles are the server's, not a database's, and other tests share the server."""
    for url in databases.values():
        run_sql(url, *(f"DROP OWNED BY {role} CASCADE" for role in roles))
    run_sql(databases["engine"], *(f"DROP ROLE {role}" for role in roles))


def _statements(script: str) -> list[str]:
    return [line.split(";")[0] for line in script.splitlines() if line and not line.startswith("--")]
