"""The whole system under chaos: servers, orchestrators, workers and a client, each behind proxies of its own.

Owns the folder, the wiring and who is what. Does no harm: that is the nemesis'.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from tests.chaos.processes import Process, Program, Report
from tests.chaos.proxy import HOST, Link
from tests.chaos.servers import Broker, Postgres

PROJECT: Final = Path(__file__).parent / "project"
PARTICIPANTS: Final = ("order", "payment", "bank")
ENGINE: Final = "engine"
ORCHESTRATOR: Final = "orchestrator"
WORKER: Final = "worker"
CLIENT: Final = "client"
OF_EACH: Final = 2

ACCOUNTS: Final = 50
BALANCE: Final = 100_000
WALLETS: Final = "payment"
BANK: Final = "bank"

_SAGA: Final = (sys.executable, "-m", "saga_engine")
_UPGRADE_TIMEOUT_S: Final = 120.0
# Who commits cannot be read from an event. A trigger of the test's own writes it down, in the same transaction.
_COMMITS: Final = (
    "CREATE TABLE chaos_commits (application text NOT NULL, at timestamptz NOT NULL)",
    "CREATE FUNCTION chaos_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO chaos_commits "
    "VALUES (current_setting('application_name'), clock_timestamp()); RETURN NULL; END $$",
    "CREATE TRIGGER chaos_commit AFTER INSERT ON saga_events FOR EACH STATEMENT EXECUTE FUNCTION chaos_commit()",
)


class Member:
    """A process of ours and the two links through which alone it reaches the servers."""

    def __init__(self, program: Program, report: Report, database: Link, broker: Link, postgres: Postgres) -> None:
        self.process = Process(program, report)
        self.database = database
        self.broker = broker
        self._postgres = postgres

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def role(self) -> str:
        return self.process.program.role

    @property
    def links(self) -> tuple[Link, Link]:
        return (self.database, self.broker)

    @property
    def application(self) -> str:
        """What the process that runs now is called in the database."""
        return f"{self.name}.{self.process.generation}"

    def start(self, command: Sequence[str] | None = None) -> None:
        """Start it, under a name of its own in the database."""
        application = f"{self.name}.{self.process.generation + 1}"
        port = self.database.port
        environment = {
            f"SAGA_PARTICIPANTS__{name.upper()}__DATABASE": self._postgres.url(name, port, application_name=application)
            for name in PARTICIPANTS
        }
        environment["SAGA_DATABASE"] = self._postgres.url(ENGINE, port, application_name=application)
        environment["SAGA_NATS__URL"] = f"nats://{HOST}:{self.broker.port}"
        self.process.start(command, environment)


class Fleet:
    """Everything that runs, in `folder`. Make it with `Fleet.open`, end it with `close`."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.report = report
        self.postgres = Postgres(folder / "postgres", report)
        (folder / "nats").mkdir()
        self.broker = Broker(folder / "nats", report)
        self.members: dict[str, Member] = {}
        self.client: Member | None = None

    @property
    def orchestrators(self) -> list[Member]:
        return [member for member in self.members.values() if member.role == ORCHESTRATOR]

    @property
    def workers(self) -> list[Member]:
        return [member for member in self.members.values() if member.role == WORKER]

    @property
    def links(self) -> list[Link]:
        everyone = [*self.members.values(), *([self.client] if self.client is not None else [])]
        return [link for member in everyone for link in member.links]

    @property
    def processes(self) -> list[Process]:
        """All that are members or servers; the client is the harness's own."""
        return [self.broker.process, self.postgres.process, *(member.process for member in self.members.values())]

    async def open(self) -> None:
        """Start the servers, set the databases up, and start every orchestrator and worker."""
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__", ".saga"))
        await self.postgres.start()
        await self.broker.start()
        self._make_databases()
        for number in range(OF_EACH):
            await self._add(f"orchestrator-{number}", ORCHESTRATOR, ("run", "--orchestrator"))
            for participant in PARTICIPANTS:
                await self._add(f"{participant}-{number}", WORKER, ("run", "--worker", participant))
        for member in self.members.values():
            member.start()

    async def start_client(self, arguments: Sequence[str]) -> Member:
        """Start the load, a process of its own, with these arguments of `tests.chaos.client`."""
        command = (sys.executable, "-m", "tests.chaos.client", str(self.project), *arguments)
        self.client = await self._member(CLIENT, CLIENT, command)
        self.client.start()
        return self.client

    async def close(self) -> None:
        """End everything that still runs, by force, and all links."""
        client = [self.client.process] if self.client is not None else []
        for process in (*client, *(member.process for member in self.members.values())):
            if process.pid is not None:
                await process.kill()
        for link in self.links:
            await link.close()
        for server in (self.broker.process, self.postgres.process):
            if server.pid is not None:
                await server.kill()

    @contextmanager
    def connection(self, database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection of the harness's own, past every proxy."""
        with psycopg.connect(self.postgres.url(database), autocommit=True) as connection:
            yield connection

    async def _add(self, name: str, role: str, arguments: Sequence[str]) -> None:
        self.members[name] = await self._member(name, role, (*_SAGA, "--log-level", "info", *arguments))

    async def _member(self, name: str, role: str, command: Sequence[str]) -> Member:
        database, broker = Link(f"{name}-database", self.postgres.port), Link(f"{name}-broker", self.broker.port)
        await asyncio.gather(database.open(), broker.open())
        log = self.folder / f"{name}.log"
        program = Program(name, role, command, self.project, log, _environment())
        return Member(program, self.report, database, broker, self.postgres)

    def _make_databases(self) -> None:
        with self.connection("postgres") as connection:
            for name in (ENGINE, *PARTICIPANTS):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        direct = {f"SAGA_PARTICIPANTS__{name.upper()}__DATABASE": self.postgres.url(name) for name in PARTICIPANTS}
        environment = {**_environment(), **direct, "SAGA_DATABASE": self.postgres.url(ENGINE)}
        upgraded = subprocess.run(
            [*_SAGA, "db", "upgrade"],
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_UPGRADE_TIMEOUT_S,
            check=False,
        )
        assert upgraded.returncode == 0, upgraded.stderr
        with self.connection(ENGINE) as connection:
            for statement in _COMMITS:
                connection.execute(statement)
        for participant, kind in ((BANK, "account"), (WALLETS, "wallet")):
            with self.connection(participant) as connection:
                connection.cursor().executemany(
                    "INSERT INTO accounts VALUES (%s, %s)", [(f"{kind}-{n}", BALANCE) for n in range(ACCOUNTS)]
                )


def _environment() -> Mapping[str, str]:
    """Ours, without settings that somebody has set for another project; the engine is the one that we import.

    A process that ends by itself says where.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    paths = [str(PROJECT.parents[2]), *filter(None, [own.get("PYTHONPATH")])]
    return {**own, "PYTHONPATH": os.pathsep.join(paths), "SAGA_DEBUG": "1"}
