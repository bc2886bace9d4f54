"""What every event store must do when it is read. Part of `store_contract`."""

from __future__ import annotations

from collections import Counter

from saga_engine.envelope import PARTITIONS
from saga_engine.ports.store import SHORT, WHOLE, EventStore, KeyRecord, Settlement, Snapshot, StreamFilter
from saga_engine.testing.store_samples import DUE, HOUR_US, Samples, advance, loaded, started, versions_of

ALL = range(PARTITIONS)


class ReadingContract:
    """Loading, what is due, what is unpublished, keys, pages and counts."""

    def test_a_stream_is_loaded_from_after_a_version(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=4), samples.start(events=3))
        streams = store.load({one: 2, two: 3, samples.id(): 0})
        assert {key: versions_of(stream) for key, stream in streams.items()} == {one: [3, 4], two: []}
        assert streams[two].head.version == 3

    def test_a_stream_is_loaded_from_its_snapshot(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=5))
        snapshot = Snapshot(saga, 3, b"state \x00\xff")
        store.save_snapshots([snapshot])
        assert (loaded(store, saga).snapshot, versions_of(loaded(store, saga))) == (snapshot, [4, 5])
        tail = store.load({saga: 1})[saga]
        assert (tail.snapshot, versions_of(tail)) == (None, [2, 3, 4, 5])

    def test_many_streams_are_loaded_at_once(self, store: EventStore) -> None:
        samples = Samples()
        sagas = started(store, *(samples.start(events=2) for _ in range(1_200)))
        streams = store.load(dict.fromkeys(sagas, 0))
        assert {key: versions_of(stream) for key, stream in streams.items()} == {key: [1, 2] for key in sagas}
        assert store.versions(sagas) == dict.fromkeys(sagas, 2)

    def test_streams_are_loaded_each_from_its_own_version(self, store: EventStore) -> None:
        samples = Samples()
        afters = [0, 1, 199, 200, 201, 399, 449, 450, 451]
        sagas = started(store, *(samples.start(events=450) for _ in afters))
        streams = store.load(dict(zip(sagas, afters, strict=True)))
        assert [versions_of(streams[saga]) for saga in sagas] == [[*range(after + 1, 451)] for after in afters]

    def test_rows_are_read_without_their_events(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=2), samples.start(events=3))
        heads = store.heads([two, one, samples.id()])
        assert heads == {one: loaded(store, one).head, two: loaded(store, two).head}
        assert store.heads([]) == {}

    def test_everything_that_stands_under_an_id_can_be_read(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=2), samples.start(events=1))
        store.append([advance(one, 2, events=2), advance(two, 1, events=1)])
        store.save_snapshots([Snapshot(one, 3, b"state")])
        streams = store.stored([two, one, samples.id()])
        assert set(streams) == {one, two}
        stream = streams[one]
        assert stream.head == loaded(store, one).head
        assert [event.version for event in stream.events] == [1, 2, 3, 4]
        assert stream.events == store.load({one: WHOLE})[one].events
        assert (stream.snapshot, streams[two].snapshot) == (Snapshot(one, 3, b"state"), None)
        assert stream.key == store.find(loaded(store, one).head.key)[0]

    def test_events_tell_which_commit_wrote_them(self, store: EventStore) -> None:
        samples = Samples()
        one, two = started(store, samples.start(events=2), samples.start(events=1))
        store.append([advance(one, 2, events=2), advance(two, 1, events=1)])
        streams = store.stored([one, two])
        first, again, last, end = streams[one].batch_ids
        assert (first, last) == (again, end)
        assert first != last
        assert streams[two].batch_ids[1] == last
        assert store.stored([]) == {}

    def test_nothing_stands_in_a_store_without_a_row(self, store: EventStore) -> None:
        started(store, Samples().start(events=2), Samples().start(key="other"))
        assert store.strays(10) == []

    def test_nothing_is_loaded_for_no_ids(self, store: EventStore) -> None:
        assert store.load({}) == {}
        assert store.versions([]) == {}

    def test_due_sagas_come_earliest_first_up_to_the_limit(self, store: EventStore) -> None:
        samples = Samples()
        late, early, never, now = started(
            store, *(samples.start(due=due) for due in (DUE + HOUR_US, DUE - 1, None, DUE))
        )
        assert [head.stream_id for head in store.due(ALL, DUE, 10)] == [early, now]
        assert [head.stream_id for head in store.due(ALL, DUE, 1)] == [early]
        assert [head.stream_id for head in store.due(ALL, DUE + 2 * HOUR_US, 10)] == [early, now, late]
        assert never not in {head.stream_id for head in store.due(ALL, 2**62, 10)}

    def test_due_sagas_are_those_of_the_partitions(self, store: EventStore) -> None:
        samples = Samples()
        mine, other = started(store, *(samples.start(stream_id=samples.id_in(partition)) for partition in (3, 4)))
        assert [head.stream_id for head in store.due([3], DUE, 10)] == [mine]
        assert [head.stream_id for head in store.due([4, 5], DUE, 10)] == [other]
        assert list(store.due([], DUE, 10)) == []

    def test_short_streams_come_with_their_events_as_they_are_found_due(self, store: EventStore) -> None:
        samples = Samples()
        brief, long, later = started(
            store,
            samples.start(events=SHORT, due=DUE - 1),
            samples.start(events=SHORT + 1),
            samples.start(events=2, due=DUE + 1),
        )
        store.save_snapshots([Snapshot(brief, 2, b"state")])
        whole = store.load({brief: WHOLE, later: WHOLE})
        long_head = store.heads([long])[long]
        assert store.due_with_events(ALL, DUE, 10) == [whole[brief], long_head]
        assert store.due_with_events(ALL, DUE + 1, 10) == [whole[brief], long_head, whole[later]]
        assert store.due_with_events(ALL, DUE + 1, 1) == [whole[brief]]
        assert list(store.due_with_events([], DUE, 10)) == []

    def test_unpublished_sagas_are_paged_by_id(self, store: EventStore) -> None:
        samples = Samples()
        here = [samples.id_in(3) for _ in range(4)]
        one, two, done, three = started(store, *(samples.start(stream_id=each) for each in here))
        started(store, samples.start(stream_id=samples.id_in(4)))
        store.settle([Settlement(done, 1, 1, DUE)])
        assert [head.stream_id for head in store.unpublished(3, None, 2)] == [one, two]
        assert [head.stream_id for head in store.unpublished(3, two, 2)] == [three]

    def test_a_saga_without_a_due_time_is_not_unpublished(self, store: EventStore) -> None:
        samples = Samples()
        (ended,) = started(store, samples.start(stream_id=samples.id_in(3)))
        store.settle([Settlement(ended, 1, 0, None)])
        assert list(store.unpublished(3, None, 10)) == []

    def test_keys_are_found_by_saga_and_newest_generation(self, store: EventStore) -> None:
        samples = Samples()
        first = samples.start(key="k", generation=1)
        again = samples.start(key="k", generation=2)
        other = samples.start(saga="cancel_order", key="k")
        started(store, first, again, other, samples.start(key="another"))
        assert store.find("k") == [
            KeyRecord("cancel_order", "k", 1, other.stream_id, "input"),
            KeyRecord("place_order", "k", 2, again.stream_id, "input"),
            KeyRecord("place_order", "k", 1, first.stream_id, "input"),
        ]
        assert [record.generation for record in store.find("k", "place_order")] == [2, 1]
        assert list(store.find("k", "refund")) == []

    def test_sagas_are_listed_newest_first_and_paged(self, store: EventStore) -> None:
        samples = Samples()
        sagas = started(store, *(samples.start() for _ in range(5)))[::-1]
        first = store.list(StreamFilter(limit=3))
        assert [head.stream_id for head in first] == sagas[:3]
        rest = store.list(StreamFilter(before=first[-1].stream_id, limit=3))
        assert [head.stream_id for head in rest] == sagas[3:]

    def test_sagas_are_listed_oldest_first_when_asked_for(self, store: EventStore) -> None:
        samples = Samples()
        statuses = ("completed", "running", "blocked", "running")
        _, *open_sagas = started(store, *(samples.start(status=status) for status in statuses))
        oldest = StreamFilter(statuses=("running", "blocked"), limit=2, oldest_first=True)
        assert [head.stream_id for head in store.list(oldest)] == open_sagas[:2]
        everywhere = store.list(StreamFilter(oldest_first=True))
        assert [head.stream_id for head in everywhere][1:] == open_sagas

    def test_sagas_are_listed_by_name_and_status(self, store: EventStore) -> None:
        samples = Samples()
        one, two, three, four = started(
            store,
            samples.start(status="running"),
            samples.start(status="blocked"),
            samples.start(status="completed"),
            samples.start(saga="refund", status="blocked"),
        )

        def ids(wanted: StreamFilter) -> list[object]:
            return [head.stream_id for head in store.list(wanted)]

        assert ids(StreamFilter(statuses=("blocked",))) == [four, two]
        assert ids(StreamFilter(saga="place_order", statuses=("blocked", "running"))) == [two, one]
        assert ids(StreamFilter(saga="place_order")) == [three, two, one]
        assert ids(StreamFilter(saga="nothing")) == []

    def test_sagas_are_counted_by_name_and_status(self, store: EventStore) -> None:
        samples = Samples()
        one, _, _ = started(store, samples.start(), samples.start(), samples.start(saga="refund"))
        store.append([advance(one, 1, status="completed")])
        expected = Counter({("place_order", "running"): 1, ("place_order", "completed"): 1, ("refund", "running"): 1})
        assert Counter(store.counts()) == expected

    def test_of_open_sagas_those_that_have_ended_are_not_counted(self, store: EventStore) -> None:
        samples = Samples()
        statuses = ("running", "running", "compensating", "blocked", "suspended", "completed", "compensated", "closed")
        started(store, *(samples.start(status=status) for status in statuses))
        still = {"running": 2, "compensating": 1, "blocked": 1, "suspended": 1}
        assert dict(store.counts(open_only=True)) == {("place_order", status): count for status, count in still.items()}

    def test_open_sagas_are_counted_up_to_a_bound(self, store: EventStore) -> None:
        samples = Samples()
        statuses = ("running", "compensating", "blocked", "suspended", "completed", "compensated", "closed")
        started(store, *(samples.start(status=status) for status in statuses), samples.start(saga="refund"))
        assert store.open_sagas("place_order", 100) == 4
        assert store.open_sagas("place_order", 3) == 3
        assert store.open_sagas("nothing", 3) == 0
