"""Group A: the event store. Streams without gaps, legal, appended once, kept under the definition of their start.

Owns these invariants. Told from stored rows, and A6 from what clients were told too; A7 is `derivation`'s.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from typing import Final
from uuid import UUID

import orjson

from saga_engine.audit.case import UNFOLDABLE, Case, Surroundings
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import CommonInvariant, Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.legality import objection
from saga_engine.audit.records.clients import ClientAnswer, ClientCalled, ClientVerb
from saga_engine.codec import SNAPSHOT_FORMAT, UnknownEventError, decode_state
from saga_engine.core.evolve import fold
from saga_engine.core.state import SagaState
from saga_engine.definition.inputs import input_hash
from saga_engine.envelope import partition_of


@invariant("A1", Section.STREAMS)
def gapless(case: Case) -> Findings:
    """A1: The versions of a stream are 1 to n: none is missing, none is there twice, and n is what its row says."""
    versions = Counter(event.version for event in case.stored)
    last = max(versions, default=0)
    for version, times in sorted(versions.items()):
        if times > 1:
            yield Finding(f"version {version} is there {times} times", "once")
    missing = [version for version in range(1, last + 1) if version not in versions]
    if missing:
        yield Finding(f"no event has version {_brief(missing)}", f"versions 1 to {last} without a gap")
    if case.saga.row is None:
        if case.stored:
            yield Finding(f"{len(case.stored)} events, but no row of the saga", "a row in saga_streams")
    elif case.saga.row.head.version != last:
        yield Finding(f"the last event has version {last}", f"version {case.saga.row.head.version}, as its row says")


def _brief(versions: list[int]) -> str:
    shown = ", ".join(map(str, versions[:5]))
    return f"{shown} and {len(versions) - 5} more" if len(versions) > 5 else shown


@invariant("A3", Section.STREAMS)
def legal(case: Case) -> Findings:
    """A3: Every event is legal in the state that the events before it lead to, and none follows the end."""
    state = SagaState(case.saga.saga_id)
    for row, event in zip(case.stored, case.events, strict=False):
        why = objection(case.plan, state, event)
        if why is not None:
            yield Finding(f"version {row.version} is {row.type}, but {why}", "an event that this state allows")
        try:
            state = fold(state, [event])
        except UNFOLDABLE:
            yield Finding(f"version {row.version}, {row.type}, cannot be folded", "an event about what was there")
            return
    if case.unreadable is not None:
        yield Finding(case.unreadable, "an event that this release can read")


@invariant("A4", Section.STREAMS)
def row_is_the_fold(case: Case) -> Findings:
    """A4: A saga's row says what the fold of its stream says."""
    state, row = case.folded, case.saga.row
    if state is None or row is None:
        return
    head = row.head
    pairs: dict[str, tuple[object, object]] = {
        "status": (head.status, state.status.value),
        "saga": (head.saga, state.saga),
        "key": (head.key, state.key),
        "generation": (head.generation, state.generation),
        "partition": (head.partition, partition_of(head.stream_id)),
        "started_at": (head.started_at, case.stored[0].at),
        "ended_at": (head.ended_at, state.ended_at),
    }
    for name, (kept, folded) in pairs.items():
        if kept != folded:
            yield Finding(f"its row has {name} {kept!r}", f"{folded!r}, as its events say")
    if not 0 <= head.published <= head.version:
        yield Finding(f"it is published up to version {head.published}", f"at most version {head.version}")


@invariant("A4", Section.STREAMS, Section.SNAPSHOTS)
def snapshot_is_the_fold(case: Case) -> Findings:
    """A4: A snapshot is the fold of the events up to its version."""
    kept = case.saga.snapshot
    if kept is None or case.folded is None:
        return
    if not 1 <= kept.version <= len(case.states):
        yield Finding(f"a snapshot of version {kept.version}", f"one of versions 1 to {len(case.states)}")
        return
    try:
        state = decode_state(kept.data.encode(), SagaState(case.saga.saga_id))
    except UnknownEventError as error:
        # One of another release is left aside by the engine too, which reads the events then.
        if not _is_of_another_format(kept.data):
            yield Finding(str(error), "a snapshot that can be read")
        return
    if state != case.states[kept.version - 1]:
        yield Finding(f"the snapshot of version {kept.version} differs from the events", "the fold of the events")


def _is_of_another_format(data: str) -> bool:
    try:
        said = orjson.loads(data)
    except ValueError:
        return False
    found = said.get("format") if isinstance(said, dict) else None
    return isinstance(found, int) and found != SNAPSHOT_FORMAT


@invariant("A5", Section.STREAMS, Section.BATCHES)
def one_batch(case: Case) -> Findings:
    """A5: A commit wrote its events of a saga once, one after the other: no batch is there twice or in pieces."""
    written: defaultdict[int, set[str]] = defaultdict(set)
    for event in case.stored:
        written[event.version].add(str(event.batch_id))
    for version, batches in written.items():
        if len(batches) > 1:
            yield Finding(f"version {version} was written by {len(batches)} commits", "one commit")
    runs = Counter(batch for batch, _ in groupby(case.stored, key=lambda event: event.batch_id))
    for batch, times in runs.items():
        if batch is None:
            yield Finding("an event has no batch id", "the id of the commit that wrote it")
        elif times > 1:
            yield Finding(f"the events of commit {batch} stand in {times} places", "one after the other")


@invariant("A6", Section.STREAMS, Section.KEYS)
def holds_its_key(case: Case) -> Findings:
    """A6: A saga's business key belongs to it, in its generation, and to no other saga."""
    key = case.saga.key
    if case.saga.row is None:
        if key is not None:
            yield Finding(f"{key.saga} {key.key!r} belongs to a saga that has no row", "the saga")
        return
    head = case.saga.row.head
    own = (head.saga, head.key, head.generation)
    if key is None or (key.saga, key.key, key.generation) != own:
        held = "nothing" if key is None else f"{key.saga} {key.key!r} generation {key.generation}"
        yield Finding(f"the saga holds {held}", f"the key {head.key!r} of {head.saga}, generation {head.generation}")
    elif case.course.started is not None and input_hash(case.course.started.input) != key.input_hash:
        yield Finding("its key was taken with another input", "the hash of the input in its first event")


@invariant("A6", Section.CLIENTS, Section.STREAMS)
def starts_once(around: Surroundings) -> Findings:
    """A6: A start that was acknowledged is there, once for its key; the same key with another input is a conflict."""
    calls = {call.call_id: call for call in around.calls if call.verb is ClientVerb.START}
    begun: Counter[UUID] = Counter()
    inputs: defaultdict[tuple[str, str, int], set[str]] = defaultdict(set)
    for answer in around.answers:
        call = calls.get(answer.call_id)
        if call is None or answer.answer not in (ClientAnswer.DONE, ClientAnswer.EXISTING):
            continue
        generation = None if answer.saga_id is None else around.sagas.get(answer.saga_id)
        if generation is None or answer.saga_id is None:
            yield Finding(f"{_start(call)} was acknowledged as {answer.saga_id}, which is not there", "the saga")
            continue
        begun[answer.saga_id] += answer.answer is ClientAnswer.DONE
        inputs[(call.saga, call.key, generation)].add(call.input_hash)
    for saga_id, times in begun.items():
        if times > 1:
            yield Finding(f"{times} starts were told that they began {saga_id}", "one, and that it exists for others")
    for (saga, key, _), hashes in inputs.items():
        if len(hashes) > 1:
            yield Finding(f"{saga} {key!r} was acknowledged for different inputs", "a conflict for all but one")


def _start(call: ClientCalled) -> str:
    return f"the start of {call.saga} {call.key!r}"


@invariant("A8", Section.STREAMS, Section.DEFINITIONS)
def keeps_its_definition(case: Case) -> Findings:
    """A8: A saga keeps the definition it was started with, and that is stored unchanged."""
    row, started = case.saga.row, case.course.started
    if row is not None and started is not None:
        pinned = (row.head.definition_hash, row.head.definition_version)
        if pinned != (started.definition_hash, started.definition_version):
            seen = f"its row names version {pinned[1]} ({pinned[0][:12]})"
            yield Finding(seen, f"version {started.definition_version} ({started.definition_hash[:12]}), as it started")
    named = started.definition_hash if started is not None else row.head.definition_hash if row is not None else None
    if named is None:
        return
    known = case.around.definition(named)
    if known is None:
        yield Finding(f"definition {named[:12]} is not stored", "the definition it was started with")
    elif not known.sound:
        yield Finding(f"the content stored as definition {named[:12]} has another hash", "its own hash")
    elif known.plan is None:
        yield Finding(f"definition {named[:12]} cannot be read", "a definition")


SAGA: Final[tuple[SagaInvariant, ...]] = (
    gapless,
    legal,
    row_is_the_fold,
    snapshot_is_the_fold,
    one_batch,
    holds_its_key,
    keeps_its_definition,
)
COMMON: Final[tuple[CommonInvariant, ...]] = (starts_once,)
