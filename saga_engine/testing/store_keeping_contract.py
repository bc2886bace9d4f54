"""What every event store keeps beside its streams: cursors, snapshots, definitions, leases, secrets, the clock.

Part of `store_contract`.
"""

from __future__ import annotations

import time

from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import EventStore, Lease, LeaseChange, Settlement, Snapshot, StreamFilter
from saga_engine.testing.store_samples import DUE, HOUR_US, Samples, advance, definition, loaded, started


class SettlingContract:
    """Published cursors and due times after a commit."""

    def test_a_settlement_moves_the_cursor_and_the_due_time(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=2), samples.start(events=2))
        store.settle([Settlement(two, 2, 2, None), Settlement(one, 2, 1, DUE + HOUR_US)])
        assert (loaded(store, one).head.published, loaded(store, one).head.next_due) == (1, DUE + HOUR_US)
        assert (loaded(store, two).head.published, loaded(store, two).head.next_due) == (2, None)

    def test_a_settlement_of_another_version_is_dropped(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=2))
        store.append([advance(saga, 2)])
        before = loaded(store, saga)
        store.settle([Settlement(saga, 2, 2, None), Settlement(Samples().id(), 1, 1, None)])
        assert loaded(store, saga) == before

    def test_a_settlement_never_moves_the_cursor_back(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=3))
        store.settle([Settlement(saga, 3, 3, DUE)])
        store.settle([Settlement(saga, 3, 1, DUE)])
        assert loaded(store, saga).head.published == 3
        store.settle([])


class CacheContract:
    """Snapshots and definitions."""

    def test_only_a_newer_snapshot_replaces_one(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=5), samples.start(events=5))
        store.save_snapshots([Snapshot(one, 3, b"3"), Snapshot(two, 2, b"2")])
        store.save_snapshots([Snapshot(two, 4, b"4"), Snapshot(one, 2, b"old")])
        assert loaded(store, one).snapshot == Snapshot(one, 3, b"3")
        assert loaded(store, two).snapshot == Snapshot(two, 4, b"4")
        store.save_snapshots([])

    def test_a_definition_is_found_by_its_hash(self, store: EventStore) -> None:
        record = definition(1, "ü")
        assert store.register([record]) == [None]
        assert store.register([record]) == [None]
        assert store.definition(record.hash) == record
        assert store.definition("nothing") is None

    def test_changed_content_under_a_version_is_refused_and_not_written(self, store: EventStore) -> None:
        first, changed, other = definition(1, "first"), definition(1, "changed"), definition(2, "other")
        store.register([first])
        assert store.register([changed, other]) == [first, None]
        assert store.definition(changed.hash) is None
        assert store.definition(other.hash) == other

    def test_a_pinned_content_needs_no_version(self, store: EventStore) -> None:
        pinned = definition(None, "expanded")
        assert store.register([pinned, definition(1)]) == [None, None]
        assert store.definition(pinned.hash) == pinned
        assert pinned not in store.definitions()

    def test_named_versions_are_listed_by_saga_and_version(self, store: EventStore) -> None:
        ten, two, refund = definition(10), definition(2), definition(1, saga="a_refund")
        store.register([ten, two, refund])
        assert store.definitions() == [refund, two, ten]
        assert store.definitions("place_order") == [two, ten]
        assert list(store.definitions("nothing")) == []


class LeaseContract:
    """Leases, secrets, the clock and the end."""

    def test_a_lease_is_taken_renewed_and_handed_back(self, store: EventStore) -> None:
        taken, renewed, back = (Lease("p1", "me", end) for end in (10, 20, 0))
        assert store.change_leases([LeaseChange("p1", "me", 10, None)]) == [True]
        assert store.change_leases([LeaseChange("p1", "me", 20, taken)]) == [True]
        assert store.leases() == [renewed]
        assert store.change_leases([LeaseChange("p1", "me", 0, renewed)]) == [True]
        assert store.leases() == [back]
        assert store.change_leases([LeaseChange("p1", "you", 30, back)]) == [True]

    def test_a_lease_that_changed_since_it_was_seen_is_not_taken(self, store: EventStore) -> None:
        store.change_leases([LeaseChange("p1", "me", 10, None)])
        stale = [None, Lease("p1", "me", 9), Lease("p1", "him", 10)]
        for seen in stale:
            assert store.change_leases([LeaseChange("p1", "you", 50, seen)]) == [False]
        assert store.change_leases([LeaseChange("p2", "you", 50, Lease("p2", "me", 1))]) == [False]
        assert store.leases() == [Lease("p1", "me", 10)]

    def test_verdicts_on_leases_come_in_the_order_of_the_call(self, store: EventStore) -> None:
        store.change_leases([LeaseChange("b", "me", 10, None)])
        wanted = [LeaseChange(name, "you", 20, None) for name in ("c", "b", "a")]
        assert store.change_leases(wanted) == [True, False, True]
        assert [lease.name for lease in store.leases()] == ["a", "b", "c"]

    def test_the_secrets_are_made_once(self, store: EventStore) -> None:
        first = dict(store.reply_keys())
        assert [len(secret) for secret in first.values()] == [32]
        assert dict(store.reply_keys()) == first

    def test_the_clock_is_near_ours_and_goes_on(self, store: EventStore) -> None:
        first, second = store.now(), store.now()
        assert abs(first - time.time_ns() // 1_000) < HOUR_US
        assert first <= second

    def test_a_closed_store_says_that_it_is_unavailable(self, store: EventStore) -> None:
        store.close()
        calls = [
            lambda: store.append([Samples().start()]),
            lambda: store.list(StreamFilter()),
            lambda: store.settle([]),
            store.now,
        ]
        for call in calls:
            try:
                call()
            except StoreUnavailableError:
                continue
            raise AssertionError("a closed store answered")
        store.close()


class KeepingContract(SettlingContract, CacheContract, LeaseContract):
    """All of these."""
