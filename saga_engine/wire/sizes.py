"""How many bytes a message has to a server, and how many get through. Knows no kind of message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_BYTES: Final = 900 * 1024
"""Of a message that must get through whatever is in it: a server takes 1 MiB by default, headers included."""


def sent_size(headers: Mapping[str, str], body: bytes) -> int:
    """How many bytes a server counts against its limit: the body and, when there are any, the encoded headers."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return len(body) + (len(f"NATS/1.0\r\n{lines}\r\n".encode()) if lines else 0)
