"""The bytes of NATS's client protocol: frames out, header blocks both ways, messages read from pieces of any size."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import BadHeaderError, BadSubjectError, ProtocolError

from saga_engine.adapters.nats.frames import header_block, publish_frame, read_headers, repeated_frames
from saga_engine.adapters.nats.parsing import FastParser, Take


def test_a_message_without_headers_is_a_pub() -> None:
    assert publish_frame("a.b", "", b"body") == b"PUB a.b  4\r\nbody\r\n"
    assert publish_frame("a.b", "inbox.1", b"") == b"PUB a.b inbox.1 0\r\n\r\n"


def test_a_message_with_headers_says_how_long_they_are() -> None:
    frame = publish_frame("a.b", "inbox.1", b"body", {"name": "ü"})
    assert frame == "HPUB a.b inbox.1 22 26\r\nNATS/1.0\r\nname: ü\r\n\r\nbody\r\n".encode()


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a\tb"])
def test_a_subject_that_would_end_its_line_is_refused(subject: str) -> None:
    with pytest.raises(BadSubjectError):
        publish_frame(subject, "", b"")
    with pytest.raises(BadSubjectError):
        repeated_frames(["a", subject], "", b"")


@pytest.mark.parametrize("reply", ["", "inbox.1"])
def test_a_message_to_many_subjects_is_the_same_to_each(reply: str) -> None:
    frames = repeated_frames(["a.b", "c"], reply, b"+ACK")
    assert frames == publish_frame("a.b", reply, b"+ACK") + publish_frame("c", reply, b"+ACK")
    with pytest.raises(BadSubjectError):
        repeated_frames(["a.b"], "in box", b"")


def test_a_line_break_in_a_value_begins_no_header_and_one_in_a_name_is_refused() -> None:
    assert read_headers(header_block({"why": "one\r\nNats-Msg-Id: forged"})) == {"why": "one  Nats-Msg-Id: forged"}
    with pytest.raises(BadHeaderError):
        header_block({"na\nme": "value"})


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
         {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "7"}),
        (b"NATS/1.0\r\nname:value\r\nother:\t v:w \r\nno colon\r\n\r\n", {"name": "value", "other": "v:w"}),
        (b"NATS/1.0\r\nname: \xff\r\n\r\n", {"name": "\N{REPLACEMENT CHARACTER}"}),
    ],
)  # fmt: skip
def test_status_lines_and_headers_of_other_clients_are_read(block: bytes, headers: dict[str, str]) -> None:
    assert read_headers(block) == headers


_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True), _VALUES, max_size=5))
def test_headers_are_read_as_they_were_written(headers: dict[str, str]) -> None:
    assert read_headers(header_block(headers)) == headers


class Receiver:
    """Stands for nats-py's client."""

    def __init__(self) -> None:
        self.takers: dict[int, Take] = {1: self._take}
        self.taken: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self.processed: list[tuple[int, bytes, bytes, bytes, bytes]] = []
        self.errors: list[Exception] = []
        self.pings = 0

    def _take(self, subject: str, reply: str, body: bytes, headers: Mapping[str, str]) -> None:
        if body == b"bad":
            raise ValueError("bad")
        self.taken.append((subject, reply, body, headers))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.processed.append((sid, subject, reply, data, headers))

    async def _process_ping(self) -> None:
        self.pings += 1

    async def _error_cb(self, error: Exception) -> None:
        self.errors.append(error)


WIRE = (
    b"MSG a 1 4\r\nbody\r\n"
    b"HMSG a.b 1 in.1 18 20\r\nNATS/1.0\r\nk: v\r\n\r\n\r\n\r\n"
    b"PING\r\n"
    b"MSG c 2 in.2 0\r\n\r\n"
    b"+OK\r\n"
    b"MSG d 1 in.3 1\r\nx\r\n"
)
TAKEN = [("a", "", b"body", {}), ("a.b", "in.1", b"\r\n", {"k": "v"}), ("d", "in.3", b"x", {})]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 40, len(WIRE)])
async def test_messages_are_handed_over_in_order_whatever_pieces_they_come_in(size: int) -> None:
    receiver = Receiver()
    parser = FastParser(receiver)
    for at in range(0, len(WIRE), size):
        await parser.parse(WIRE[at : at + size])
    assert receiver.taken == TAKEN
    assert receiver.processed == [(2, b"c", b"in.2", b"", b"")]
    assert receiver.pings == 1


async def test_one_that_cannot_be_taken_is_told_and_the_next_ones_come() -> None:
    receiver = Receiver()
    await FastParser(receiver).parse(b"MSG a 1 3\r\nbad\r\nMSG d 1 in.3 1\r\nx\r\n")
    assert receiver.taken == [TAKEN[2]]
    assert [str(error) for error in receiver.errors] == ["bad"]


async def test_a_line_that_is_no_message_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        await FastParser(Receiver()).parse(b"MSG a one\r\n")
