"""Writes the history of a run down while it happens, and counts what shows that the faults were felt.

Owns the counter that orders everything. What the databases hold in the end is read by `dump`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from saga_engine.audit.history import Record
from saga_engine.audit.recording import delivered, published
from saga_engine.audit.records.messages import Carried, Published
from saga_engine.audit.records.surroundings import Fault, ProcessChange, ProcessChanged
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Message


class Recorder:
    """The history so far, as `records`. `counts`: how often something happened that only a fault can bring about."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.records: list[Record] = []
        self.counts: Counter[str] = Counter()
        self.now = now
        self._order = 0
        self._published: dict[int, int] = {}

    def tick(self) -> int:
        """The next number of the order of all that happens."""
        self._order += 1
        return self._order

    def add(self, record: Record) -> None:
        self.records.append(record)

    def published(self, message: Message, process: str, *, forged: bool = False) -> int:
        """A message is handed to the transport; where its record stands, for `acknowledged`."""
        record = published(message, self.now(), order=self.tick(), process=process, forged=forged)
        self._count(record)
        self.records.append(record)
        return len(self.records) - 1

    def acknowledged(self, place: int, verdict: bool) -> None:
        record = self.records[place]
        assert isinstance(record, Published)
        self.records[place] = replace(record, acknowledged=verdict)

    def delivered(self, message: Message, deliveries: int, process: str) -> None:
        self.counts["redeliveries"] += deliveries > 1
        self.records.append(delivered(message, deliveries, self.now(), process=process, order=self.tick()))

    def fault(self, kind: str, target: str, until: int | None = None, detail: str = "") -> None:
        self.records.append(Fault(kind, target, self.now(), until, self.tick(), detail))

    def process(self, name: str, role: str, change: ProcessChange) -> None:
        self.records.append(ProcessChanged(name, role, change, self.now(), self.tick()))

    def _count(self, record: Published) -> None:
        if record.carried is Carried.COMMAND and record.send > 1:
            self.counts["re-sends"] += 1
        if record.carried is Carried.REPLY and record.code == "tombstone":
            self.counts["tombstones used"] += 1
        if record.carried is Carried.REPLY and record.outcome is Outcome.FAILED:
            self.counts["failed replies"] += 1
