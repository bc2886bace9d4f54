"""The bytes of NATS's client protocol that every message costs: publish frames and header blocks, both ways.

Pure. Source: the client protocol of the NATS documentation (PUB, HPUB) and ADR-4 (headers).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from nats.errors import BadHeaderError, BadSubjectError

_VERSION: Final = "NATS/1.0"
_BLANK: Final = re.compile(r"[ \t\r\n]")
_LINE_BREAKS: Final = str.maketrans("\r\n", "  ")


def publish_frame(subject: str, reply: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """One message as the server reads it. `reply` may be empty.

    Raises:
        BadSubjectError: a subject that is empty, or holds white space, which would end the protocol's line.
        BadHeaderError: a header's name holds a line break.
    """
    if not subject or _BLANK.search(subject + reply):
        raise BadSubjectError
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (f"{subject} {reply}".encode(), len(body), body)
    block = header_block(headers)
    sizes = f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n"
    return b"".join((sizes.encode(), block, body, b"\r\n"))


def repeated_frames(subjects: Collection[str], reply: str, body: bytes) -> bytes:
    """The same message without headers to many subjects. Raises as `publish_frame`."""
    if not all(subjects) or _BLANK.search("".join(subjects) + reply):
        raise BadSubjectError
    rest = f" {reply} {len(body)}\r\n{body.decode()}\r\n"
    return "".join([f"PUB {subject}{rest}" for subject in subjects]).encode()


def header_block(headers: Mapping[str, str]) -> bytes:
    """The headers as they are sent. A line break in a value becomes a space: it would begin another header."""
    block = _block(headers.items())
    breaks = len(headers) + 2
    # One look at the whole instead of one at each name and value.
    if block.count("\n") != breaks or block.count("\r") != breaks:
        block = _block([(name, value.translate(_LINE_BREAKS)) for name, value in headers.items()])
        if block.count("\n") != breaks or block.count("\r") != breaks:
            raise BadHeaderError(next(name for name in headers if name != name.translate(_LINE_BREAKS)))
    return block.encode()


def _block(headers: Iterable[tuple[str, str]]) -> str:
    return "\r\n".join((_VERSION, *map(": ".join, headers), "\r\n"))


def read_headers(block: bytes) -> dict[str, str]:
    """The headers of a message; a status line of the server becomes `Status` and `Description`.

    What is no UTF-8 is replaced, a line without a colon is left out.
    """
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, str] = {}
    if first != _VERSION:
        status, _, description = first.removeprefix(_VERSION).strip().partition(" ")
        headers["Status"] = status
        if description:
            headers["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers
