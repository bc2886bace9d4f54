"""What our client rests on in nats-py: the private names that it uses are there, and do what it takes them for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest
from nats.errors import ConnectionClosedError
from nats.protocol.parser import Parser

from saga_engine.adapters.nats.client import FastClient
from saga_engine.adapters.nats.frames import publish_frame
from tests.nats_fixtures import NatsServer

DEADLINE = 90.0


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[FastClient]:
    client = FastClient()
    await client.connect(nats_server.url)
    yield client
    await client.close()


class Heard:
    """Takes messages; `until` waits for so many."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self._news = asyncio.Event()

    def take(self, subject: str, reply: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.messages.append((subject, reply, body, headers))
        self._news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.messages) < count:
                self._news.clear()
                await self._news.wait()


async def echo(client: FastClient) -> None:
    heard = Heard()
    subscription = await client.listen("here.*", heard.take)
    await client.send([publish_frame("here.a", "back", b"1", {"k": "v"}), publish_frame("here.b", "", b"2")])
    await heard.until(2)
    assert heard.messages == [("here.a", "back", b"1", {"k": "v"}), ("here.b", "", b"2", {})]
    await subscription.unsubscribe()
    assert subscription._id not in client.takers


async def test_messages_are_taken_as_they_are_read_and_never_wait_in_a_queue_of_nats_py(client: FastClient) -> None:
    subscription = await client.listen("queue", Heard().take)
    await client.send([publish_frame("queue", "", b"1")] * 3)
    await client.flush()
    assert (subscription.delivered, subscription.pending_msgs) == (0, 0)
    await echo(client)


async def test_with_nats_pys_own_parser_messages_still_come(client: FastClient) -> None:
    client._ps = Parser(client)
    await echo(client)


def writer_of(client: FastClient) -> asyncio.StreamWriter:
    writer: object = getattr(client._transport, "_io_writer", None)
    assert isinstance(writer, asyncio.StreamWriter), "nats-py has renamed what we write to: messages go its slower way"
    return writer


async def test_what_nothing_waits_before_is_written_without_waking_nats_pys_task(client: FastClient) -> None:
    await client.flush()
    written: list[bytes] = []
    with pytest.MonkeyPatch.context() as watched:
        watched.setattr(writer_of(client), "write", written.append)
        await client.send([publish_frame("a", "", b"1"), publish_frame("b", "", b"2")])
    assert written == [publish_frame("a", "", b"1") + publish_frame("b", "", b"2")]
    assert client._flush_queue is not None
    assert client._flush_queue.empty()


async def test_what_waits_to_be_written_goes_first(client: FastClient) -> None:
    heard = Heard()
    await client.listen("order", heard.take)
    await client._send_command(publish_frame("order", "", b"1"))
    await client.send([publish_frame("order", "", b"2")])
    await client.send([publish_frame("order", "", b"3")])
    await heard.until(3)
    assert [body for _, _, body, _ in heard.messages] == [b"1", b"2", b"3"]


async def test_a_server_that_takes_too_little_is_left_to_nats_py_which_waits(
    client: FastClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.adapters.nats.client._MOST_BUFFERED", 0)
    await client.flush()
    with pytest.MonkeyPatch.context() as watched:
        watched.setattr(writer_of(client), "write", ClosedByUvloop().write)
        await echo(client)


async def test_nothing_is_handed_over_once_the_connection_has_ended(client: FastClient) -> None:
    await client.close()
    with pytest.raises(ConnectionClosedError):
        await client.send([publish_frame("a", "", b"")])


class ClosedByUvloop:
    """A connection to a socket that uvloop has closed, which nats-py has not noticed yet."""

    def write(self, *_: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    writelines = readline = write


CALLS: Mapping[str, Callable[[FastClient], Awaitable[object]]] = {
    "send": lambda client: client.send([publish_frame("a", "", b"")]),
    "subscribe": lambda client: client.subscribe("a"),
    "publish": lambda client: client.publish("a", b""),
    "ask": lambda client: client.request("a", b"", timeout=DEADLINE),
    "enter": lambda client: client._process_connect_init(),
}


@pytest.fixture
def socket_closed(client: FastClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as closed:
        closed.setattr(client, "_transport", ClosedByUvloop())
        yield


@pytest.mark.usefixtures("socket_closed")
@pytest.mark.parametrize("call", CALLS)
async def test_a_socket_that_was_closed_a_moment_ago_ends_the_session_and_no_more(
    client: FastClient, call: str
) -> None:
    # nats-py's task that writes has ended by the same error, and says nothing: who calls then writes himself.
    assert client._flusher_task is not None
    client._flusher_task.cancel()
    await asyncio.wait([client._flusher_task])
    with pytest.raises(ConnectionClosedError):
        await CALLS[call](client)


async def test_a_write_to_a_socket_that_was_closed_a_moment_ago_ends_the_session_and_no_more(
    client: FastClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.flush()
    monkeypatch.setattr(writer_of(client), "write", ClosedByUvloop().write)
    with pytest.raises(ConnectionClosedError):
        await client.send([publish_frame("a", "", b"")])


@pytest.mark.usefixtures("socket_closed")
async def test_a_flush_to_a_socket_that_was_closed_a_moment_ago_ends_the_session_and_no_more(
    client: FastClient,
) -> None:
    with pytest.raises(ConnectionClosedError):
        await client.flush()
