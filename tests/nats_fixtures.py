"""Fixtures: a real nats-server on a free loopback port, that a test may also kill, restart and rob of its store.

A `conftest.py` next to the tests imports the fixtures that they use. Knows no test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import nats
import pytest
from nats.js.errors import NotFoundError

from saga_engine.adapters.embedded.child import die_with_parent
from saga_engine.adapters.embedded.place import Identity, Place, greets, server_binary
from saga_engine.wire.subjects import COMMANDS, DEAD, EVENTS, REPLIES

START_TIMEOUT = 60.0


class NatsServer:
    """A nats-server that stays on one port and one store over restarts."""

    def __init__(self, directory: Path, extra_configuration: str = "") -> None:
        self.place = Place(directory)
        self.identity: Identity = self.place.choose_identity()
        self.place.write_configuration(self.identity)
        with self.place.configuration.open("a", encoding="utf-8") as configuration:
            configuration.write(extra_configuration)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.identity.url

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(server_binary()), "-c", str(self.place.configuration)], preexec_fn=die_with_parent()
        )
        until = time.monotonic() + START_TIMEOUT
        while not greets(self.identity):
            assert self._process.poll() is None, f"it has ended\n{self._said()}"
            assert time.monotonic() < until, f"no answer within {START_TIMEOUT} s\n{self._said()}"
            time.sleep(0.005)

    def _said(self) -> str:
        log = self.place.log
        return log.read_text(encoding="utf-8") if log.exists() else f"nats-server has written no {log}"

    def kill(self) -> None:
        """End it as a crash would: no time to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Take its store away. Only while it does not run."""
        assert self._process is None
        rmtree(self.place.store)

    def pause(self) -> None:
        """Let it hang: its connections stay open, and it answers nothing from the moment this returns."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for the whole run. Leave it running; see `own_nats_server` for one that may be killed."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def nats_url(nats_server: NatsServer) -> str:
    """The url of the shared server, without any stream of an earlier test."""
    client = await nats.connect(nats_server.url)
    jetstream = client.jetstream()
    for name in (COMMANDS, REPLIES, EVENTS, DEAD):
        try:
            await jetstream.delete_stream(name)
        except NotFoundError:
            continue
    await client.close()
    return nats_server.url


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server for one test, which may do anything to it."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.kill()
