"""All sagas at one moment, as a picture, as one line, and as JSON. Owns the wording; counts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from saga_engine.cli.output import Part, Styled, aligned, rfc3339
from saga_engine.cli.overview import Overview
from saga_engine.cli.views.saga import status_part
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.documents.saga import head_json
from saga_engine.elapsed import elapsed
from saga_engine.envelope import StreamHead

_ALWAYS: Final = (Status.RUNNING, Status.COMPLETED)
"""A column each; the other statuses have one when there are such sagas, so that the table is narrow."""

_LEAST_NEWEST: Final = 3


def overview_line(overview: Overview) -> list[Part]:
    """Everything that matters, on one line."""
    blocked = overview.of(Status.BLOCKED)
    return [
        f"started {_rate(overview.started_per_s)}  ended {_rate(overview.ended_per_s)}  open {overview.open:,}  ",
        Styled(f"blocked {blocked:,}", "red" if blocked else None),
        f"  oldest open {_oldest(overview)}",
    ]


def overview_lines(overview: Overview, rows: int) -> list[list[Part]]:
    """A picture of at most so many rows: the line, a table by saga name, the newest sagas."""
    names = sorted({name for name, _ in overview.counts})
    shown = names[: max(rows - _LEAST_NEWEST - 6, 1)]
    statuses = [status for status in Status if overview.of(status) or status in _ALWAYS]
    lines: list[list[Part]] = [overview_line(overview), []]
    lines += aligned(
        ["SAGA", *(status.upper() for status in statuses)],
        [[name, *(_count(overview, name, status) for status in statuses)] for name in shown],
    )
    if len(shown) < len(names):
        lines.append([Styled(f"and {len(names) - len(shown)} more; choose one with --saga NAME", dim=True)])
    lines.append([])
    newest = [_newest(head, overview.at) for head in overview.newest]
    lines += aligned(["NEWEST", "KEY", "STATUS", "TIME", "ID"], newest)
    return lines[:rows]


def overview_json(overview: Overview) -> Mapping[str, Json]:
    """One look, for programs."""
    sagas: dict[str, dict[str, Json]] = {}
    for (name, status), count in sorted(overview.counts.items()):
        sagas.setdefault(name, {})[status] = count
    return {
        "at": rfc3339(overview.at),
        "started_per_s": _rounded(overview.started_per_s),
        "ended_per_s": _rounded(overview.ended_per_s),
        "open": overview.open,
        "blocked": overview.of(Status.BLOCKED),
        "oldest_open": None if overview.oldest is None else head_json(overview.oldest),
        "sagas": sagas,
    }


def _rate(per_s: float | None) -> str:
    return "-/s" if per_s is None else f"{per_s:.1f}/s"


def _rounded(per_s: float | None) -> float | None:
    return None if per_s is None else round(per_s, 3)


def _oldest(overview: Overview) -> str:
    one = overview.oldest
    return "none" if one is None else f"{one.saga} {one.key} for {elapsed(overview.at - one.started_at)}"


def _newest(head: StreamHead, now: int) -> Sequence[Part]:
    took = elapsed((now if head.ended_at is None else head.ended_at) - head.started_at)
    return head.saga, head.key, status_part(head.status), took, Styled(str(head.stream_id), dim=True)


def _count(overview: Overview, name: str, status: Status) -> Part:
    count = overview.counts.get((name, status), 0)
    return Styled(f"{count:,}", status_part(status).colour) if count else Styled("-", dim=True)
