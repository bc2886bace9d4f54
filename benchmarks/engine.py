"""Our engine as it is deployed: one orchestrator process and one participants process of `saga run`, over real servers.

Owns the processes and the project's folder. Knows no workload.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine

from benchmarks.effects import tables
from benchmarks.servers import Nats, Postgres
from saga_engine.bootstrap.clients import client
from saga_engine.configuration import load
from saga_engine.orchestrator.client import Client
from saga_engine.settings.settled import Settings

PARTICIPANTS: Final = ("order", "payment", "ledger", "bank")
FENCED: Final = ("ledger", "bank")

_PROJECT: Final = Path(__file__).parent / "project"
_REPOSITORY: Final = Path(__file__).parents[1]
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """One `saga run` process."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_ready(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        while b"Running" not in self.log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"`saga run` did not become ready:\n{self.log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order. RuntimeError when it failed or said that something went wrong."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(_PATIENCE_S)
        if status != 0:
            raise RuntimeError(f"`saga run` ended with status {status}:\n{self.log.read_text()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine over one database.

    `url`: that database; `settings`: of the project, for a client; `flags`: what the command line is told by `--set`.
    """

    url: str
    folder: Path
    settings: Settings
    flags: Sequence[str]
    servers: Mapping[str, int]
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def roles(self) -> Mapping[str, int]:
        """The first process of each role, servers included."""
        return {**{name: service.pid for name, service in self.services.items()}, **self.servers}

    @property
    def orchestrator(self) -> Service:
        return self.services["orchestrator"]

    def start_orchestrator(self) -> None:
        self._start("orchestrator", ["--orchestrator"])

    def start_participants(self) -> None:
        self._start("participants", [f"--worker={name}" for name in PARTICIPANTS])

    def stop(self, *names: str) -> None:
        """End these services in order; without a name, all."""
        for name in names or tuple(self.services):
            self.services.pop(name).stop()

    def client(self) -> Client:
        """A client in this process. Close it after use."""
        return client(self.settings, new=True)

    def arguments(self, *arguments: str) -> Sequence[str]:
        """The command line's arguments with this engine's settings."""
        return [*(part for flag in self.flags for part in ("--set", flag)), *arguments]

    def saga(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the CLI to its end. RuntimeError, with what it said, when it failed."""
        ended = subprocess.run(
            [sys.executable, "-m", "saga_engine", *self.arguments(*arguments)],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise RuntimeError(f"`saga {' '.join(arguments)}` ended with {ended.returncode}: {ended.stderr}")
        return ended

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "saga_engine", *self.arguments("--log-level", "warning", "run", *arguments)],
                cwd=self.folder,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.services[name] = Service(process, log)
        self.services[name].wait_until_ready()


def environment() -> Mapping[str, str]:
    """Of a process of ours: without settings of whoever runs the benchmarks, and with this copy of the engine."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    return ours | {"PYTHONPATH": str(_REPOSITORY)}


@contextmanager
def installed(
    folder: Path,
    nats: Nats,
    postgres: Postgres,
    database: str,
    *,
    sqlite: bool = False,
    definitions: Mapping[str, str] | None = None,
) -> Iterator[Engine]:
    """The benchmark project below `folder` with its databases set up and nothing running yet; all is ended after.

    The engine's database is a new one of that name on PostgreSQL, or a SQLite file; participants keep theirs on
    PostgreSQL. `definitions`: YAML of more definitions, by file name.
    """
    project = folder / database
    shutil.copytree(_PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    for name, definition in (definitions or {}).items():
        (project / "definitions" / name).write_text(definition)
    url = f"sqlite:///{project / 'engine.db'}" if sqlite else postgres.create(database)
    places = {"database": url, "nats.url": nats.url}
    for name in FENCED:
        places[f"participants.{name}.database"] = _participant_database(postgres, f"{database}_{name}")
    flags = tuple(f"{place}={value}" for place, value in places.items())
    settings = load(project, flags).settings
    servers = {"nats-server": nats.pid} if sqlite else {"nats-server": nats.pid, "postgres": postgres.pid}
    engine = Engine(url, project, settings, flags, servers)
    engine.saga("db", "upgrade")
    try:
        yield engine
        engine.stop()
    finally:
        for service in engine.services.values():
            service.kill()


def _participant_database(postgres: Postgres, name: str) -> str:
    url = postgres.create(name)
    made = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        tables.create_all(made)
    finally:
        made.dispose()
    return url
