"""What every store asks of a batch of appends before it looks at anything stored."""

from __future__ import annotations

from collections.abc import Sequence

from saga_engine.ports.store import Append


def check_batch(appends: Sequence[Append]) -> None:
    """Raises `ValueError` for a batch that no store can write: a mistake of the caller, not a lost race."""
    if len({append.stream_id.int for append in appends}) != len(appends):
        raise ValueError("a batch holds several entries for one stream; expected at most one")
    for append in appends:
        if not _is_gapless(append):
            raise ValueError(
                f"append to {append.stream_id}: expected at least one event, and versions from "
                f"{append.expected_version + 1} up without gaps"
            )
        if (append.new is not None) is not (append.expected_version == 0):
            raise ValueError(f"append to {append.stream_id}: a start, and only a start, expects version 0")


def _is_gapless(append: Append) -> bool:
    version = append.expected_version
    for event in append.events:
        version += 1
        if event.version != version:
            return False
    return version > append.expected_version
