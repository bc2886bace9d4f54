"""Moments, microseconds since 1970 in streams and ports, as text. Knows no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at: int) -> str:
    """A time in microseconds since 1970 as RFC 3339 in UTC."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")
