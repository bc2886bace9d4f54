"""What a turn is decided on: the cache, a snapshot and what followed, a stream read as it was found due."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.codec import encode_state
from saga_engine.core.state import Status
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.turns import Turn
from saga_engine.ports.store import LoadedStream, Settlement, Snapshot
from tests.unit.core.sagas import saga
from tests.unit.orchestrator.support import (
    BEGIN,
    LOOP,
    SECOND,
    ManualClock,
    Office,
    sent,
    state_of,
    turn,
    turns,
)
from tests.unit.orchestrator.watched import WatchedStore


def test_a_snapshot_is_written_every_two_hundred_events_and_revives_the_saga(
    watched: tuple[Office, WatchedStore],
) -> None:
    _, store = watched
    office = Office(LOOP, store=store)
    saga_id, transactor = office.start({"items": list(range(150))}), office.transactor()
    first = turn(transactor, saga_id)
    assert store.load({saga_id: 0})[saga_id].snapshot is None
    transactor.upkeep.acknowledged(saga_id, state_of(first).version)
    turn(transactor, saga_id, *[office.reply("each", item=n) for n in range(60)])
    snapshot = store.load({saga_id: 0})[saga_id].snapshot
    assert snapshot is not None
    assert snapshot.version == 2 + 150 + 60
    done = turn(transactor, saga_id, office.reply("each", item=60))
    transactor.upkeep.acknowledged(saga_id, state_of(done).version)
    turn(transactor, saga_id, office.reply("each", item=61))
    store.loads.clear()
    revived = turn(office.transactor(), saga_id)
    assert revived.state == state_of(turn(transactor, saga_id))
    assert store.loads == [{saga_id: 0}], "read from the snapshot, not whole"


@pytest.mark.parametrize("change", [{"format": 2}, {"state": {"mood": "good"}}], ids=["format", "field"])
def test_a_saga_whose_snapshot_another_release_wrote_is_read_whole(change: dict[str, object]) -> None:
    office = Office()
    saga_id = office.start()
    before = state_of(turn(office.transactor(), saga_id, office.reply("one")))
    unreadable = json.dumps({**json.loads(encode_state(before)), **change}).encode()
    office.store.settle([Settlement(saga_id, before.version, before.version, office.clock.now())])
    office.store.save_snapshots([Snapshot(saga_id, before.version, unreadable)])
    done = turn(office.transactor(), saga_id, office.reply("two"))
    assert done.trouble == ""
    assert state_of(done).status is Status.COMPLETED


def test_what_was_unsent_below_a_snapshot_is_still_sent(watched: tuple[Office, WatchedStore]) -> None:
    _, store = watched
    office = Office(LOOP, store=store)
    saga_id = office.start({"items": list(range(250))})
    assert store.load({saga_id: 0})[saga_id].snapshot is not None
    revived = turn(office.transactor(), saga_id)
    assert len(revived.unsent) == 250


def test_a_start_that_lost_its_key_leaves_no_snapshot() -> None:
    office = Office(LOOP)
    assert isinstance(office.store, MemoryEventStore)
    first = office.start({"items": list(range(250))}, key="k")
    office.start_all([office.request({"items": list(range(250))}, key="k")])
    assert list(office.store._snapshots) == [first]


def test_sagas_that_are_not_used_leave_the_cache_and_their_cursor_behind(office: Office) -> None:
    ids, transactor = [office.start(key=f"k-{n}") for n in range(3)], office.transactor(capacity=2)
    turn(transactor, ids[0])
    transactor.upkeep.acknowledged(ids[0], 2)
    for saga_id in ids[1:]:
        turn(transactor, saga_id)
    assert office.store.heads(ids[:1])[ids[0]].published == 2
    assert sent(turn(transactor, ids[0])) == []
    assert sent(turn(transactor, ids[1])) == ["2 one forward 1"], "left the cache unsent, and is sent now"


def test_a_saga_that_was_used_since_stays_in_the_cache_before_one_that_was_not(
    watched: tuple[Office, WatchedStore],
) -> None:
    office, store = watched
    ids, transactor = [office.start(key=f"k-{n}") for n in range(3)], office.transactor(capacity=2)
    for saga_id in (ids[0], ids[1], ids[0], ids[2]):
        turn(transactor, saga_id)
    store.loads.clear()
    turn(transactor, ids[0])
    assert store.loads == []
    turn(transactor, ids[1])
    assert store.loads == [{ids[1]: 0}]


@pytest.mark.parametrize(("items", "kept"), [(2, False), (30, True)], ids=["short", "long"])
def test_only_a_long_saga_leaves_the_cache_with_a_snapshot(items: int, kept: bool) -> None:
    office = Office(LOOP)
    first, second = (office.start({"items": list(range(items))}, key=key) for key in ("a", "b"))
    transactor = office.transactor(capacity=1)
    turn(transactor, first)
    turn(transactor, second)
    assert (office.store.load({first: 0})[first].snapshot is not None) is kept


def test_sagas_that_are_handed_over_are_forgotten_once_the_store_knows_what_was_acknowledged(office: Office) -> None:
    gone, kept = office.start(key="gone"), office.start(key="kept")
    mine, theirs = office.transactor(), office.transactor()
    turns(mine, Turn(gone), Turn(kept))
    mine.upkeep.acknowledged(gone, 2)
    mine.upkeep.acknowledged(kept, 2)
    finish(mine.upkeep.hand_over(lambda saga_id: saga_id == gone))
    assert {head.published for head in office.store.heads([gone]).values()} == {2}
    assert {head.published for head in office.store.heads([kept]).values()} == {1}
    turn(theirs, gone, office.reply("one"))
    assert state_of(turn(mine, gone)).version == 4, "read anew, not remembered"


def found_due(office: Office, saga_id: UUID) -> Turn:
    """The turn of a saga that was read whole as it was found due."""
    (found,) = office.store.due_with_events(range(16), office.clock.now(), 2)
    assert isinstance(found, LoadedStream)
    assert found.head.stream_id == saga_id
    return Turn(saga_id, (office.due(),), seen=found.head.version, due_since=found.head.next_due, loaded=found)


def test_a_saga_that_was_read_as_it_was_found_due_is_not_read_again(watched: tuple[Office, WatchedStore]) -> None:
    office, store = watched
    transactor = office.transactor()
    saga_id = office.start({"n": 1})
    turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))
    turn(transactor, saga_id, office.reply("one"))
    store.loads.clear()
    fresh = office.start({"n": 2})
    done = turns(transactor, found_due(office, fresh))[0]
    assert sent(done) == ["2 one forward 1"]
    assert store.loads == []
    assert transactor.upkeep.knows_better(store.heads([fresh])[fresh]) == BEGIN + 30 * SECOND


def test_a_saga_that_was_read_as_it_was_found_due_is_loaded_where_its_definition_is_not_at_hand(
    watched: tuple[Office, WatchedStore],
) -> None:
    office, store = watched
    saga_id = office.start()
    assert sent(turns(office.transactor(), found_due(office, saga_id))[0]) == ["2 one forward 1"]
    assert store.loads == [{saga_id: 0}]


def test_what_was_read_as_it_was_found_due_counts_no_more_once_somebody_is_known_to_have_written(
    watched: tuple[Office, WatchedStore],
) -> None:
    office, _ = watched
    transactor = office.transactor()
    saga_id = office.start()
    stale = found_due(office, saga_id)
    assert turn(office.transactor(), saga_id, office.reply("one")).committed
    turn(transactor, office.start({"n": 2}))
    stale.seen = 4
    assert state_of(turns(transactor, stale)[0]).version == 4


def test_a_commit_that_is_lost_after_such_a_reading_is_decided_again_on_what_is_stored() -> None:
    clock = ManualClock()
    store = WatchedStore(clock)
    office = Office(saga("step: rest, sleep: 5m\nstep: one, call: p.one, compensate: none"), store=store)
    transactor = office.transactor()
    turn(transactor, office.start({"n": 1}))
    saga_id = office.start({"n": 2})
    office.clock.time += 301 * SECOND
    (stale,) = [
        Turn(
            found.head.stream_id, (office.due(),), seen=found.head.version, due_since=found.head.next_due, loaded=found
        )
        for found in store.due_with_events(range(16), office.clock.now(), 9)
        if isinstance(found, LoadedStream) and found.head.stream_id == saga_id
    ]

    def somebody_else() -> None:
        store.before_append = lambda: None
        assert turns(office.transactor(), Turn(saga_id, (office.due(),)))[0].committed

    store.before_append = somebody_else
    store.loads.clear()
    done = turns(transactor, stale)[0]
    assert not done.committed
    assert store.loads == [{saga_id: 0}, {saga_id: 0}], "by the other one, and anew"
    assert state_of(done).version == store.versions([saga_id])[saga_id]
