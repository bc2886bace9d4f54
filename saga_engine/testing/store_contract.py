"""What every event store must do, as a suite of tests: derive a class from `StoreContract` and give it a `store`.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Iterator[EventStore]: ...   # empty, with its tables

This file holds what concerns appending. Knows no adapter. Needs pytest to run, and not to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import TypeVar
from uuid import UUID

from saga_engine.envelope import EventRecord, partition_of
from saga_engine.ports.store import Append, Appended, Conflict, EventStore, KeyTaken, Settlement
from saga_engine.testing.store_keeping_contract import KeepingContract
from saga_engine.testing.store_reading_contract import ReadingContract
from saga_engine.testing.store_samples import DUE, HOUR_US, Samples, advance, loaded, records, started, versions_of, won

T = TypeVar("T")
RACERS = 4


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run these calls in a thread each, begun together."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def _sagas(store: EventStore, number: int, samples: Samples | None = None) -> list[UUID]:
    samples = samples or Samples()
    return [*started(store, *(samples.start() for _ in range(number)))]


class AppendingContract:
    """Starts, appends, conflicts and races."""

    def test_a_start_makes_a_stream_with_its_events(self, store: EventStore) -> None:
        samples = Samples()
        start = samples.start(saga="place_order", key="order-7", events=3, due=DUE)
        assert store.append([start]) == [Appended(3)]
        stream = loaded(store, start.stream_id)
        assert stream.events == tuple(start.events)
        head = stream.head
        assert (head.stream_id, head.saga, head.key, head.generation) == (start.stream_id, "place_order", "order-7", 1)
        assert (head.definition_version, head.definition_hash) == (1, "hash-1")
        assert (head.version, head.published, head.status, head.next_due) == (3, 0, "running", DUE)
        assert (head.started_at, head.ended_at) == (start.events[0].at, None)
        assert head.partition == partition_of(start.stream_id)

    def test_event_data_comes_back_byte_for_byte(self, store: EventStore) -> None:
        start = Samples().start()
        texts = ['{"a":"\\u0000"}', '{"ü":"€ 𝄞","n":1.50}', '"\\"quoted\\" and \\\\"', "null", '{ "spaces" : [1,  2] }']
        events = tuple(EventRecord(at + 1, "E", text.encode(), 5) for at, text in enumerate(texts))
        store.append([replace(start, events=events)])
        assert [event.data.decode() for event in loaded(store, start.stream_id).events] == texts

    def test_a_business_key_comes_back_whatever_is_in_it(self, store: EventStore) -> None:
        samples = Samples()
        keys = ["NULL", 'a,"b"', "{c}", "d\\e", "two\nlines", " ", "€ 𝄞", "'; --", "%s %(ids)s"]
        starts = [samples.start(key=key) for key in keys]
        assert store.append(starts) == [Appended(1)] * len(keys)
        assert [loaded(store, start.stream_id).head.key for start in starts] == keys
        assert [record.stream_id for key in keys for record in store.find(key)] == [one.stream_id for one in starts]

    def test_an_append_at_the_expected_version_is_written(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=2))
        outcome = store.append([advance(saga, 2, events=2, published=1, status="compensating")])
        assert outcome == [Appended(4)]
        stream = loaded(store, saga)
        assert versions_of(stream) == [1, 2, 3, 4]
        assert (stream.head.version, stream.head.published, stream.head.status) == (4, 1, "compensating")

    def test_an_append_at_another_version_is_a_conflict_and_writes_nothing(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=2))
        before = loaded(store, saga)
        assert store.append([advance(saga, 1, status="lost")]) == [Conflict()]
        assert store.append([advance(saga, 3, status="lost")]) == [Conflict()]
        assert loaded(store, saga) == before

    def test_an_append_to_a_stream_that_is_not_there_is_a_conflict(self, store: EventStore) -> None:
        missing = Samples().id()
        assert store.append([advance(missing, 1)]) == [Conflict()]
        assert store.load({missing: 0}) == {}

    def test_losers_drop_out_of_a_batch_and_the_others_are_committed(self, store: EventStore) -> None:
        samples = Samples()
        one, two, three = started(store, *(samples.start() for _ in range(3)))
        fresh = samples.start()
        batch = [advance(three, 1), advance(two, 5), fresh, advance(one, 1)]
        assert store.append(batch) == [Appended(2), Conflict(), Appended(1), Appended(2)]
        assert store.versions([one, two, three, fresh.stream_id]) == {one: 2, two: 1, three: 2, fresh.stream_id: 1}

    def test_verdicts_come_in_the_order_of_the_call(self, store: EventStore) -> None:
        samples = Samples()
        starts = [samples.start(events=number) for number in (3, 1, 2)]
        assert store.append(starts[::-1]) == [Appended(2), Appended(1), Appended(3)]

    def test_an_empty_batch_is_no_work(self, store: EventStore) -> None:
        assert list(store.append([])) == []

    def test_a_batch_that_no_store_can_write_is_refused_whole(self, store: EventStore) -> None:
        samples = Samples()
        good, other = samples.start(), samples.start()
        gap = replace(other, events=records(1, 1))
        for bad in ([good, good], [good, gap], [good, replace(other, events=())], [good, replace(other, new=None)]):
            try:
                store.append(bad)
            except ValueError:
                assert store.versions([good.stream_id, other.stream_id]) == {}
            else:
                raise AssertionError(f"the store took {bad}")

    def test_next_due_only_becomes_earlier(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(due=DUE))
        for version, due, expected in ((1, DUE + HOUR_US, DUE), (2, None, DUE), (3, DUE - 5, DUE - 5)):
            store.append([advance(saga, version, due=due)])
            assert loaded(store, saga).head.next_due == expected

    def test_next_due_becomes_later_only_where_the_append_says_so(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(due=DUE))
        for version, due in ((1, DUE + HOUR_US), (2, DUE), (3, None), (4, DUE)):
            store.append([replace(advance(saga, version, due=due), moves_due=True)])
            assert loaded(store, saga).head.next_due == due

    def test_a_due_time_is_set_where_there_was_none(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(due=None))
        assert loaded(store, saga).head.next_due is None
        store.append([advance(saga, 1, due=DUE)])
        assert loaded(store, saga).head.next_due == DUE

    def test_the_published_cursor_never_goes_back(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start(events=3))
        store.settle([Settlement(saga, 3, 3, DUE)])
        store.append([advance(saga, 3, published=1)])
        assert loaded(store, saga).head.published == 3

    def test_the_end_is_kept_when_later_events_follow_it(self, store: EventStore) -> None:
        (saga,) = started(store, Samples().start())
        store.append([advance(saga, 1, status="completed", ended_at=77)])
        store.append([advance(saga, 2, status="completed")])
        assert loaded(store, saga).head.ended_at == 77


class KeyContract:
    """Business keys and racing starts."""

    def test_a_taken_key_names_its_holder_and_writes_nothing(self, store: EventStore) -> None:
        samples = Samples()
        first = samples.start(key="order-1", input_hash="first")
        second = samples.start(key="order-1", input_hash="second")
        started(store, first)
        assert store.append([second]) == [KeyTaken(first.stream_id, "first")]
        assert store.load({second.stream_id: 0}) == {}
        assert [record.stream_id for record in store.find("order-1")] == [first.stream_id]

    def test_of_two_starts_with_one_key_in_a_batch_one_wins(self, store: EventStore) -> None:
        samples = Samples()
        first, second = samples.start(key="order-1"), samples.start(key="order-1")
        assert store.append([first, second]) == [Appended(1), KeyTaken(first.stream_id, "input")]

    def test_a_key_is_free_in_another_saga_and_in_the_next_generation(self, store: EventStore) -> None:
        samples = Samples()
        base = samples.start(saga="place_order", key="k", generation=1)
        started(store, base, samples.start(saga="refund", key="k"), samples.start(key="k", generation=2))

    def test_of_racing_starts_with_one_key_exactly_one_wins(self, store: EventStore) -> None:
        samples = Samples()
        for number in range(5):
            starts = [samples.start(key=f"order-{number}") for _ in range(RACERS)]
            outcomes = [verdict for (verdict,) in at_once([partial(store.append, [start]) for start in starts])]
            assert won(outcomes) == 1
            winner = starts[outcomes.index(Appended(1))].stream_id
            losers = [outcome for outcome in outcomes if outcome != Appended(1)]
            assert losers == [KeyTaken(winner, "input")] * (RACERS - 1)
            assert [record.stream_id for record in store.find(f"order-{number}")] == [winner]


class RacingContract:
    """Several threads on the same sagas."""

    def test_of_racing_appends_at_one_version_exactly_one_wins(self, store: EventStore) -> None:
        sagas = _sagas(store, 6)
        for version in range(1, 6):
            batches = [[advance(saga, version, text=f"{racer}") for saga in sagas] for racer in range(RACERS)]
            verdicts = at_once([partial(store.append, batch) for batch in batches])
            for outcomes in zip(*verdicts, strict=True):
                assert sorted(map(repr, outcomes)) == sorted(map(repr, [Appended(version + 1)] + [Conflict()] * 3))
        assert {tuple(versions_of(loaded(store, saga))) for saga in sagas} == {(1, 2, 3, 4, 5, 6)}

    def test_overlapping_batches_in_any_order_lose_nothing(self, store: EventStore) -> None:
        sagas = _sagas(store, 12)
        wanted = 6

        def climb(racer: int) -> int:
            """Append to all, in an order of its own, until each saga has its events."""
            mine, order = 0, sagas[racer:] + sagas[:racer]
            while True:
                at = store.versions(order)
                batch = [advance(saga, at[saga], text=f"{racer}") for saga in order if at[saga] < wanted]
                if not batch:
                    return mine
                mine += won(store.append(batch))

        assert sum(at_once([partial(climb, racer) for racer in range(RACERS)])) == len(sagas) * (wanted - 1)
        assert {tuple(versions_of(loaded(store, saga))) for saga in sagas} == {(1, 2, 3, 4, 5, 6)}

    def test_writers_of_disjoint_sagas_do_not_lose_to_each_other(self, store: EventStore) -> None:
        samples = Samples()
        shares = [_sagas(store, 10, samples) for _ in range(RACERS)]

        def write(share: Sequence[Append]) -> int:
            return won(store.append(share))

        for version in range(1, 5):
            batches = [[advance(saga, version) for saga in share] for share in shares]
            assert at_once([partial(write, batch) for batch in batches]) == [10] * RACERS


class StoreContract(AppendingContract, KeyContract, RacingContract, ReadingContract, KeepingContract):
    """The whole suite."""
