"""History files: what is written is read, several writers are merged, and what is no record is named."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import cast, get_args
from uuid import UUID

import pytest

from saga_engine.audit.files import HistoryError, Writer, decode, encode, merge, read
from saga_engine.audit.history import Kept, Record, Section
from saga_engine.audit.records.messages import Carried, Published
from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.audit.records.stored import StoredEvent, StreamRow
from saga_engine.audit.records.surroundings import Fault
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import StreamHead

SAGA = UUID(int=7)
RECORDS: list[Record] = [
    Kept((Section.STREAMS, Section.ORDER)),
    StoredEvent(SAGA, 1, "SagaStarted", '{"saga":"s"}', 5, UUID(int=9), order=1),
    StreamRow(StreamHead(SAGA, "s", "k", 1, 1, "h", 3, 4, 4, "completed", None, 5, 9)),
    Published(
        Carried.REPLY, "saga.reply.3.order", 6, order=2, saga_id=SAGA, outcome=Outcome.SUCCEEDED, effect=Effect.NONE
    ),
    LedgerRow("order", "k", SAGA, "create", 2, Direction.COMPENSATE, LedgerKind.EMPTY_COMPENSATION, 7, 3, -12),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("kind", get_args(Record), ids=lambda kind: cast(type, kind).__name__)
def test_every_kind_of_record_has_a_line_of_its_own(kind: type[Record]) -> None:
    assert fields(kind), "a record says something"
    line = encode(RECORDS[0]).replace(b'"Kept"', f'"{kind.__name__}"'.encode())
    required = [field.name for field in fields(kind) if field.default is MISSING]
    if required == ["sections"]:
        assert isinstance(decode(line), Kept)
    else:
        with pytest.raises(HistoryError, match=required[0]):
            decode(line)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"record":"Kept"}', b'{"record":"Rumour","value":{}}', b"\xff"])
def test_what_is_no_record_is_named(line: bytes) -> None:
    with pytest.raises(HistoryError, match="not a record of a history"):
        decode(line)


def test_files_of_several_writers_are_merged_by_their_order(tmp_path: Path) -> None:
    for name, orders in (("one", (1, 4, 6)), ("two", (2, 3, 5))):
        with Writer(tmp_path / name) as writer:
            writer.write(Kept((Section.FAULTS,)))
            for order in orders:
                writer.write(Fault("kill", name, at=100 - order, order=order))
    merged = list(merge([tmp_path / "one", tmp_path / "two"]))
    assert [record.order for record in merged if isinstance(record, Fault)] == [1, 2, 3, 4, 5, 6]
    assert len(merged) == 8


def test_without_an_order_they_are_merged_by_time(tmp_path: Path) -> None:
    for name, times in (("one", (10, 40)), ("two", (20, 30))):
        with Writer(tmp_path / name) as writer:
            for at in times:
                writer.write(Fault("kill", name, at=at))
    merged = merge([tmp_path / "one", tmp_path / "two"])
    assert [record.at for record in merged if isinstance(record, Fault)] == [10, 20, 30, 40]


def test_a_line_that_a_killed_writer_left_half_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "killed"
    path.write_bytes(encode(RECORDS[0]) + b"\n" + encode(RECORDS[1])[:-5])
    assert list(read(path)) == [RECORDS[0]]


def test_a_whole_line_that_is_no_record_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(encode(RECORDS[0]) + b"\n{}\n")
    with pytest.raises(HistoryError, match="odd:2: "):
        list(read(path))
