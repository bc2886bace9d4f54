"""A failing schedule as a person reads it: what is broken, the faults it takes, one screen of what happened.

Owns the text. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from saga_engine.audit.history import Record
from saga_engine.audit.records.clients import ClientAnswered, ClientCalled
from saga_engine.audit.records.messages import Delivered, Published
from saga_engine.audit.records.participants import LedgerRow
from saga_engine.audit.records.stored import StoredEvent
from saga_engine.audit.records.surroundings import Fault, ProcessChanged
from saga_engine.testing.virtual_time import BEGIN
from tests.simulation.run import Result

_LINES: Final = 45
_WIDTH: Final = 150
_DASHES_OF_AN_ID: Final = 4


def report(result: Result, whole: int) -> str:
    """`result` is the shrunk run of a seed that had `whole` faults."""
    lines = [f"seed {result.seed} ({result.saga}): {len(result.violations)} violations"]
    lines += [f"  {violation}" for violation in result.violations[:6]]
    lines += [f"it takes {len(result.hits)} of its {whole} faults:", *(f"  {hit.name}" for hit in result.hits[:20])]
    lines += ["what happened:", *timeline(result)]
    lines += [f"run it again: make simulate SEEDS=1 FROM={result.seed}"]
    return "\n".join(lines)


def timeline(result: Result) -> Sequence[str]:
    """Everything in its order, the last screen of it, around the saga that is wrong where one is named."""
    concerned = next(
        (word.rstrip(":") for line in result.violations for word in line.split() if word.count("-") == 4), ""
    )
    rows = sorted(_rows(result.history, concerned))
    return [f"  {at:10.3f}  {text}"[:_WIDTH] for _, at, text in rows[-_LINES:]]


def _rows(records: Sequence[Record], concerned: str) -> Iterator[tuple[int, float, str]]:
    for record in records:
        order, at, saga_id = (getattr(record, name, None) for name in ("order", "at", "saga_id"))
        if (
            isinstance(order, int)
            and isinstance(at, int)
            and (not concerned or saga_id is None or str(saga_id) == concerned)
        ):
            yield order, (at - BEGIN) / 1_000_000, _told(record)


def _told(record: Record) -> str:
    match record:
        case StoredEvent():
            return f"stored     v{record.version} {record.type} {record.data}"
        case Published():
            told = {True: "", False: " (not acknowledged)", None: " (killed)"}[record.acknowledged]
            what = f"{record.carried} {_short(record.key)} attempt {record.attempt} send {record.send}"
            return f"published  {record.process}: {what} {record.outcome or record.name} {record.code}{told}"
        case Delivered():
            return f"delivered  {record.process}: {record.carried} {_short(record.message_id)} ({record.deliveries})"
        case LedgerRow():
            return f"effect     {record.participant}: {_short(record.key)} {record.kind}"
        case Fault():
            return f"FAULT      {record.kind} {record.target}"
        case ProcessChanged():
            return f"process    {record.process} {record.change}"
        case ClientCalled():
            return f"client     {record.call_id} {record.verb} {record.key}"
        case ClientAnswered():
            return f"client     {record.call_id} {record.answer}"
        case _:
            return type(record).__name__.lower()


def _short(key: str | None) -> str:
    """Without the saga's id."""
    return (key or "").partition("/")[2]
