"""Projects in a folder of their own, run as a user runs them: real processes of the `saga` command, real servers.

Owns starting and ending those processes. Knows nothing of what a test wants to see.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar
from uuid import UUID

from sqlalchemy import text

from saga_engine.bootstrap.clients import client as project_client
from saga_engine.configuration import load
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import Started
from saga_engine.sql.engine import open_engine

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
LEDGER = Path(__file__).parent / "ledger"
SAGA = Path(sys.executable).parent / "saga"
PATIENCE = 120.0
_TAIL = 5_000


class Service:
    """One process of `saga run`, or of another command that serves."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        program: Path = SAGA,
        command: str = "run",
    ) -> None:
        self._log: IO[bytes] = (folder / f"run-{time.monotonic_ns()}.log").open("w+b")
        self.process = subprocess.Popen(
            [str(program), "--log-level", "info", command, *arguments],
            cwd=folder,
            env=dict(environment),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        """All that it has said so far."""
        return Path(self._log.name).read_text(errors="replace")

    def ready(self) -> None:
        """Wait until it says that it works."""
        eventually(lambda: "Running" in self.log or self.process.poll() is not None, "the service to be ready")
        assert self.process.poll() is None, self.log

    def kill(self) -> None:
        """SIGKILL: no time for anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and what it ended with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def counters(self) -> Mapping[str, int]:
        """What its orchestrator counted, once it was stopped."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return next(line for line in lines if line["event"] == "the orchestrator has ended")

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        # What pytest shows of a test that failed.
        sys.stdout.write(f"{self._log.name} ({self.process.returncode}):\n{self.log[-_TAIL:]}\n")
        self._log.close()


class Project:
    """A copy of a project. `databases`: urls for `engine` and for participants by name; left out: embedded."""

    def __init__(
        self, folder: Path, source: Path, databases: Mapping[str, str] | None = None, **environment: str
    ) -> None:
        self.folder = folder
        _copy(source, folder)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        for name, url in (databases or {}).items():
            place = "SAGA_DATABASE" if name == "engine" else f"SAGA_PARTICIPANTS__{name.upper()}__DATABASE"
            self.environment[place] = url
        self.environment |= environment
        self._services: list[Service] = []

    def saga(self, *arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the CLI to its end."""
        return subprocess.run(
            [str(SAGA), *arguments],
            cwd=self.folder,
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def run(self, *arguments: str, command: str = "run") -> Service:
        """Start `saga run` and wait until it works."""
        service = self.begin(*arguments, command=command)
        service.ready()
        return service

    def begin(self, *arguments: str, command: str = "run") -> Service:
        """Start `saga run`."""
        service = Service(arguments, self.folder, self.environment, command=command)
        self._services.append(service)
        return service

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the project's store."""
        before = dict(os.environ)
        os.environ.update({name: value for name, value in self.environment.items() if name.startswith("SAGA_")})
        try:
            client = project_client(load(self.folder).settings, new=True)
        finally:
            os.environ.clear()
            os.environ.update(before)
        try:
            yield client
        finally:
            client.close()

    def start_orders(self, count: int, *, declined_every: int = 5, prefix: str = "o") -> list[UUID]:
        """Start that many order sagas at once; the card of every so many is declined."""
        inputs: list[Json] = [
            {
                "order_id": f"{prefix}-{i}",
                "customer_id": "c-1",
                "amount": 99_999_999 if declined_every and i % declined_every == declined_every - 1 else 1000,
            }
            for i in range(count)
        ]
        with self.client() as client:
            outcomes = client.start_many("place_order", inputs)
        assert all(isinstance(outcome, Started) for outcome in outcomes)
        return [outcome.saga_id for outcome in outcomes if isinstance(outcome, Started)]

    def wait_for_end(self, saga_ids: Sequence[UUID], patience: float = PATIENCE) -> Counter[str]:
        """Wait until all of these have ended; how many of each status."""
        with self.client() as client:

            def ended() -> Counter[str] | None:
                statuses = Counter(client.status(saga_id).status for saga_id in saga_ids)
                return statuses if all(Status(status).ended for status in statuses) else None

            return eventually(ended, f"{len(saga_ids)} sagas to end", patience)

    def wait_for_all(self, patience: float = PATIENCE) -> Counter[str]:
        """Wait until every saga that was ever started here has ended; how many of each status."""
        with self.client() as client:

            def ended() -> Counter[str] | None:
                statuses: Counter[str] = Counter()
                for (_, status), count in client.counts().items():
                    statuses[status] += count
                return statuses if all(Status(status).ended for status in statuses) else None

            return eventually(ended, "all sagas to end", patience)

    def effects(self, participant: str) -> Counter[tuple[str, str, str]]:
        """How often each (saga, step, direction) has left a row in a ledger project's database."""
        url = self.environment.get(
            f"SAGA_PARTICIPANTS__{participant.upper()}__DATABASE", f"sqlite:///{self.folder}/.saga/{participant}.db"
        )
        engine = open_engine(url)
        try:
            with engine.connect() as connection:
                rows = connection.execute(text("SELECT saga_id, step, direction FROM effects")).all()
        finally:
            engine.dispose()
        return Counter((row[0], row[1], row[2]) for row in rows)

    def close(self) -> None:
        for service in self._services:
            service.close()


def eventually(ask: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Ask until the answer is true, at short intervals, within a bound."""
    until = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < until, f"waited {patience} s for {what}"
        time.sleep(0.02)


def _copy(source: Path, folder: Path) -> None:
    for name in ("definitions", "participants", "compensations", "store", "api", "config.yaml", "cli.py"):
        origin = source / name
        if origin.is_dir():
            shutil.copytree(origin, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif origin.exists():
            shutil.copy(origin, folder / name)
    if not (folder / "definitions").exists():
        shutil.copytree(REPOSITORY / "definitions", folder / "definitions")
