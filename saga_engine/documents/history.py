"""The events of a saga's stream as rows for programs: version, type, at, data, and the domain event that each emits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from saga_engine.codec import encode_event, event_data
from saga_engine.definition.model import Json
from saga_engine.moments import rfc3339

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import SagaView


def history_rows(view: SagaView, *, after: int = 0) -> list[Mapping[str, Json]]:
    """A row for each event behind version `after`, oldest first."""
    rows: list[Mapping[str, Json]] = []
    for version, event in enumerate(view.events[after:], start=after + 1):
        record = encode_event(event, version)
        row: dict[str, Json] = {"version": version, "type": record.type, "at": rfc3339(record.at)}
        row["data"] = event_data(record)
        emitted = view.emitted.get(version)
        rows.append(row if emitted is None else {**row, "emits": emitted.name})
    return rows
