"""Connecting to NATS: what is refused at the start and how it is said, and that no secret is said with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client, ServerVersion
from nats.js.api import RetentionPolicy, StreamConfig

from saga_engine.adapters.embedded.place import is_free
from saga_engine.adapters.nats.settings import NatsSettings, client_options, without_secrets
from saga_engine.adapters.nats.streams import check_payload_limit, check_version
from saga_engine.adapters.nats.transport import connect
from saga_engine.envelope import Message
from saga_engine.errors import LoginRefusedError, TransportUnavailableError, UsageError
from saga_engine.testing.transport_harness import collect, command, reply, until, until_confirmed
from saga_engine.wire.subjects import COMMANDS
from tests.nats_fixtures import NatsServer

SECRET = "s3cr3t-p4ss"


def unused_port() -> int:
    return next(port for port in range(19_000, 20_000) if is_free(port))


@pytest.fixture
def guarded_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path, f'authorization {{\n  user: "worker"\n  password: "{SECRET}"\n}}\n')
    server.start()
    yield server
    server.kill()


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    url = f"nats://worker:{SECRET}@127.0.0.1:{unused_port()}"
    with pytest.raises(TransportUnavailableError) as refused:
        await connect(NatsSettings(servers=(url,)), wait=0.2)
    assert f"cannot reach {without_secrets(url)}" in str(refused.value)
    assert SECRET not in str(refused.value)


async def test_a_server_that_comes_up_within_the_wait_is_found(own_nats_server: NatsServer) -> None:
    own_nats_server.kill()
    connecting = asyncio.ensure_future(connect(NatsSettings(servers=(own_nats_server.url,)), wait=90.0))
    await asyncio.sleep(0.2)
    own_nats_server.start()
    transport = await connecting
    assert list(await transport.publish([command(1)])) == [True]
    await transport.close()


async def test_a_wrong_password_is_refused_at_once(guarded_server: NatsServer) -> None:
    settings = NatsSettings(servers=(guarded_server.url,), user="worker", password=f"not {SECRET}")
    async with asyncio.timeout(90):
        with pytest.raises(TransportUnavailableError, match="refused the login") as refused:
            await connect(settings, wait=60.0)
    assert SECRET not in str(refused.value)


async def test_a_refused_login_whose_reason_was_overtaken_by_the_reset_is_asked_for_again() -> None:
    logins = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        logins += 1
        writer.write(b'INFO {"server_id": "x", "version": "2.15.0", "headers": true, "max_payload": 1048576}\r\n')
        await reader.readline()
        if logins == 1:
            reset_now = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_now)
        else:
            writer.write(b"-ERR 'Authorization Violation'\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LoginRefusedError, match="Authorization Violation"):
            await connect(NatsSettings(servers=(f"nats://127.0.0.1:{port}",)), wait=0)
    assert logins > 1


@pytest.mark.parametrize("in_url", [True, False])
async def test_the_right_password_is_let_in(guarded_server: NatsServer, in_url: bool) -> None:
    if in_url:
        settings = NatsSettings(servers=(guarded_server.url.replace("//", f"//worker:{SECRET}@"),))
    else:
        settings = NatsSettings(servers=(guarded_server.url,), user="worker", password=SECRET)
    transport = await connect(settings)
    assert list(await transport.publish([command(1)])) == [True]
    await transport.close()


def test_settings_show_no_secret() -> None:
    settings = NatsSettings(servers=(f"nats://worker:{SECRET}@host:4222",), password=SECRET, token=SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert "host:4222" in repr(settings)


def test_a_login_in_the_url_becomes_an_option() -> None:
    options = client_options(NatsSettings(servers=("nats://wor%40ker:p%3Aw@[::1]:4333",)))
    assert options["servers"] == ["nats://[::1]:4333"]
    assert (options["user"], options["password"]) == ("wor@ker", "p:w")
    assert client_options(NatsSettings(servers=("nats://tok@host",)))["token"] == "tok"


@pytest.mark.parametrize("url", ["http://host:1", "ws://host:1", "nats://", "nats://host:port", "nats://host:99999"])
def test_a_malformed_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="is not a server url; expected one of nats://host:port"):
        client_options(NatsSettings(servers=(url,)))


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for settings in (
        NatsSettings(credentials=missing),
        NatsSettings(nkey_seed=missing),
        NatsSettings(tls_ca=missing),
        NatsSettings(tls_certificate=missing),
    ):
        with pytest.raises(UsageError, match=str(missing)):
            client_options(settings)


def test_a_file_that_is_no_certificate_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate", encoding="utf-8")
    with pytest.raises(UsageError, match="expected PEM files"):
        client_options(NatsSettings(tls_ca=path))


@pytest.mark.parametrize("version", ["2.9.10", "2.11.15", "2.12.6"])
def test_an_old_server_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match=rf"version {version}; expected at least 2\.11\.16 or 2\.12\.7"):
        check_version(_VersionedClient(version))


@pytest.mark.parametrize("version", ["2.11.16", "2.12.7", "2.13.0", "2.15.1", "3.0.0"])
def test_a_recent_server_is_accepted(version: str) -> None:
    check_version(_VersionedClient(version))


def test_a_server_that_would_refuse_large_commands_is_refused_itself() -> None:
    client = Client()
    client._max_payload = 65_536
    with pytest.raises(UsageError, match="at most 65,536 bytes; expected at least 1,048,576; set max_payload"):
        check_payload_limit(client, NatsSettings().least_payload)
    client._max_payload = 1_048_576
    check_payload_limit(client, NatsSettings().least_payload)


class _VersionedClient(Client):
    def __init__(self, version: str) -> None:
        super().__init__()
        self._version = version

    @property
    def connected_server_version(self) -> ServerVersion:
        return ServerVersion(self._version)


async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    lines = server.place.configuration.read_text(encoding="utf-8").split("jetstream {")[0]
    server.place.configuration.write_text(lines, encoding="utf-8")
    server.start()
    try:
        with pytest.raises(UsageError, match="JetStream is not enabled at"):
            await connect(NatsSettings(servers=(server.url,)))
    finally:
        server.kill()


async def test_a_stream_that_cannot_serve_is_refused_with_the_difference(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    config = StreamConfig(name=COMMANDS, subjects=["saga.command.order.>"], retention=RetentionPolicy.LIMITS)
    await client.jetstream().add_stream(config)
    await client.close()
    with pytest.raises(UsageError) as refused:
        await connect(NatsSettings(servers=(nats_url,)))
    for part in ("SAGA_COMMANDS", "retention is limits, expected workqueue", "discard is old, expected new"):
        assert part in str(refused.value)
    assert "expected ['saga.command.>'] among them" in str(refused.value)


async def test_a_stream_of_somebody_else_on_our_subjects_is_named(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="OTHER", subjects=["saga.command.>"]))
    try:
        with pytest.raises(UsageError, match=r"stream OTHER already takes saga\.command\.>"):
            await connect(NatsSettings(servers=(nats_url,)))
    finally:
        await jetstream.delete_stream("OTHER")
        await client.close()


async def test_limits_that_an_operator_set_are_kept(nats_url: str) -> None:
    first = await connect(NatsSettings(servers=(nats_url,)))
    await first.close()
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    config = (await jetstream.stream_info(COMMANDS)).config
    await jetstream.update_stream(config.evolve(max_msgs=12_345, duplicate_window=30.0))
    second = await connect(NatsSettings(servers=(nats_url,)))
    assert (await jetstream.stream_info(COMMANDS)).config.max_msgs == 12_345
    assert second.losses() == 0
    await second.close()
    await client.close()


async def test_a_session_that_the_server_ended_for_good_is_replaced(guarded_server: NatsServer) -> None:
    """A refused login closes nats-py for ever: here the password changes, and changes back, during an outage."""
    transport = await connect(NatsSettings(servers=(guarded_server.url,), user="worker", password=SECRET))
    right = guarded_server.place.configuration.read_text(encoding="utf-8")
    guarded_server.place.configuration.write_text(right.replace(SECRET, "changed"), encoding="utf-8")
    guarded_server.kill()
    guarded_server.start()
    await until(lambda: "authentication error" in guarded_server.place.log.read_text(encoding="utf-8"))
    guarded_server.place.configuration.write_text(right, encoding="utf-8")
    guarded_server.kill()
    guarded_server.start()
    await until_confirmed(transport, [command(1)])
    await transport.close()


async def test_a_server_that_hangs_is_left_and_found_again(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), publish_timeout=0.3, ack_wait=1.0))
    subscription = await transport.commands("order")
    await until_confirmed(transport, [command(1)])
    await subscription.ack(await collect(subscription, 1))
    own_nats_server.pause()
    assert list(await transport.publish([command(2)])) == [False]
    own_nats_server.resume()
    await until_confirmed(transport, [command(3)])
    received = {delivery.message.body for delivery in await collect(subscription, 2)}
    assert command(3).body in received
    await transport.close()


async def test_a_server_that_takes_no_more_bytes_does_not_hold_a_publish_up(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), publish_timeout=0.5))
    own_nats_server.pause()
    large = [Message("saga.command.order.create", {}, bytes(500_000), None)] * 100
    async with asyncio.timeout(90):
        assert not any(await transport.publish(large))
    own_nats_server.resume()
    await until_confirmed(transport, [command(1)])
    await transport.close()


async def test_a_login_is_never_sent_to_who_hides_that_the_server_speaks_tls() -> None:
    heard = bytearray()
    hung_up = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576,"headers":true}\r\n')
        with contextlib.suppress(OSError):
            heard.extend(await reader.read())
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(UsageError, match="TLS is asked for, but"):
            await connect(NatsSettings(servers=(f"tls://app:hunter2@127.0.0.1:{port}",)), wait=0)
        async with asyncio.timeout(90):
            await hung_up.wait()
    assert b"CONNECT" not in heard
    assert b"hunter2" not in heard


@pytest.mark.parametrize("settings", [NatsSettings(tls=True), NatsSettings(servers=("tls://",))])
async def test_a_server_without_tls_is_refused_when_tls_is_asked_for(nats_url: str, settings: NatsSettings) -> None:
    scheme = "tls" if settings.servers == ("tls://",) else "nats"
    asked = replace(settings, servers=(nats_url.replace("nats:", f"{scheme}:"),))
    with pytest.raises(UsageError, match="TLS is asked for, but"):
        await connect(asked)


async def test_a_worker_that_may_not_provision_uses_what_is_there(nats_url: str) -> None:
    owner = await connect(NatsSettings(servers=(nats_url,)))
    provided = await owner.commands("order")
    await until_confirmed(owner, [command(1)])
    await provided.ack(await collect(provided, 1))
    worker = await connect(NatsSettings(servers=(nats_url,), provision=False))
    subscription = await worker.commands("order")
    await owner.close()
    await until_confirmed(worker, [command(2)])
    assert (await collect(subscription, 1))[0].message.body == command(2).body
    client = await nats.connect(nats_url)
    await client.jetstream().delete_stream(COMMANDS)
    assert list(await worker.publish([command(3)])) == [False]
    assert worker.losses() == 0
    assert COMMANDS not in {info.config.name for info in await client.jetstream().streams_info()}
    await client.close()
    await worker.close()


async def test_closing_while_the_server_hangs_ends_within_its_time_limit(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), close_timeout=0.5))
    await transport.commands("order")
    own_nats_server.pause()
    async with asyncio.timeout(90):
        await transport.close()
    own_nats_server.resume()


async def test_sessions_that_ended_leave_no_task_behind(own_nats_server: NatsServer) -> None:
    before = asyncio.all_tasks()
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), publish_timeout=0.2))
    subscription = await transport.replies(range(16))
    await until_confirmed(transport, [reply(partition) for partition in range(16)])
    await subscription.ack(await collect(subscription, 16))
    running = len(asyncio.all_tasks() - before)
    for number in range(3):
        publishing = asyncio.ensure_future(transport.publish([command(n) for n in range(5_000)]))
        await asyncio.sleep(0.02)
        own_nats_server.kill()
        await publishing
        own_nats_server.start()
        await until_confirmed(transport, [command(number)])
        await until(lambda: len(asyncio.all_tasks() - before) <= running)
    await transport.close()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_whether_there_is_a_connection_is_told_at_any_time(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,)))
    try:
        assert transport.connected
        own_nats_server.kill()
        await until(lambda: not transport.connected)
        own_nats_server.start()
        await until(lambda: transport.connected)
    finally:
        await transport.close()
    assert not transport.connected
