"""The SQL store against the memory store as its model: the same calls, whatever they are, give the same answers."""

from __future__ import annotations

from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.envelope import PARTITIONS
from saga_engine.ports.store import Append, Lease, LeaseChange, Settlement, Snapshot, StreamFilter
from saga_engine.sql.engine import open_engine
from saga_engine.sql.migrate import ENGINE_BRANCH, upgrade
from saga_engine.testing.store_samples import Samples, advance, definition

STATUSES = ("running", "blocked", "completed")
times = st.none() | st.integers(0, 5)
sagas = st.integers(0, 5)
versions = st.integers(1, 6)


class TwoStores(RuleBasedStateMachine):
    """Six sagas, few keys and small numbers, so that calls meet each other."""

    def __init__(self) -> None:
        super().__init__()
        engine = open_engine("sqlite:///:memory:")
        upgrade(engine, ENGINE_BRANCH)
        self.sql, self.model = SqlEventStore(engine), MemoryEventStore()
        self.samples = Samples()
        self.ids: list[UUID] = [self.samples.id() for _ in range(6)]

    def teardown(self) -> None:
        self.sql.close()

    def appended(self, batch: list[Append]) -> None:
        assert list(self.sql.append(batch)) == list(self.model.append(batch))

    @rule(saga=sagas, key=st.sampled_from("ab"), name=st.sampled_from(("x", "y")), due=times, events=st.integers(1, 3))
    def start(self, saga: int, key: str, name: str, due: int | None, events: int) -> None:
        if self.ids[saga] in self.model.versions(self.ids):
            self.ids[saga] = self.samples.id()
        start = self.samples.start(stream_id=self.ids[saga], key=key, saga=name, due=due, events=events)
        self.appended([start])

    @rule(
        wanted=st.dictionaries(sagas, versions, max_size=4),
        events=st.integers(1, 2),
        published=versions,
        due=times,
        status=st.sampled_from(STATUSES),
        ended_at=times,
    )
    def advance(
        self,
        wanted: dict[int, int],
        events: int,
        published: int,
        due: int | None,
        status: str,
        ended_at: int | None,
    ) -> None:
        self.appended(
            [
                advance(
                    self.ids[saga], at, events=events, published=published, due=due, status=status, ended_at=ended_at
                )
                for saga, at in wanted.items()
            ]
        )

    @rule(saga=sagas, version=versions, published=versions, due=times)
    def settle(self, saga: int, version: int, published: int, due: int | None) -> None:
        for store in (self.sql, self.model):
            store.settle([Settlement(self.ids[saga], version, published, due)])

    @rule(saga=sagas, version=versions)
    def snapshot(self, saga: int, version: int) -> None:
        if self.model.versions(self.ids).get(self.ids[saga], 0) >= version:
            for store in (self.sql, self.model):
                store.save_snapshots([Snapshot(self.ids[saga], version, b"%d" % version)])

    @rule(name=st.sampled_from("pq"), owner=st.sampled_from("mn"), end=st.integers(0, 2), seen=times)
    def lease(self, name: str, owner: str, end: int, seen: int | None) -> None:
        change = LeaseChange(name, owner, end, None if seen is None else Lease(name, owner, seen))
        assert self.sql.change_leases([change]) == self.model.change_leases([change])

    @rule(version=st.none() | st.integers(1, 2), text=st.sampled_from("ab"))
    def register(self, version: int | None, text: str) -> None:
        record = definition(version, text)
        assert self.sql.register([record]) == self.model.register([record])
        assert self.sql.definition(record.hash) == self.model.definition(record.hash)

    @rule(after=st.dictionaries(sagas, st.integers(0, 6), max_size=4))
    def load(self, after: dict[int, int]) -> None:
        wanted = {self.ids[saga]: version for saga, version in after.items()}
        assert self.sql.load(wanted) == self.model.load(wanted)

    @rule(now=st.integers(0, 6), limit=st.integers(1, 4))
    def due(self, now: int, limit: int) -> None:
        every = range(PARTITIONS)
        assert list(self.sql.due(every, now, limit)) == list(self.model.due(every, now, limit))
        assert list(self.sql.due_with_events(every, now, limit)) == list(self.model.due_with_events(every, now, limit))

    @rule(partition=st.integers(0, PARTITIONS - 1), after=st.none() | sagas)
    def unpublished(self, partition: int, after: int | None) -> None:
        where = None if after is None else self.ids[after]
        assert list(self.sql.unpublished(partition, where, 3)) == list(self.model.unpublished(partition, where, 3))

    @rule(name=st.none() | st.sampled_from("xy"), statuses=st.sets(st.sampled_from(STATUSES)), before=st.none() | sagas)
    def page(self, name: str | None, statuses: set[str], before: int | None) -> None:
        wanted = StreamFilter(name, sorted(statuses), None if before is None else self.ids[before], limit=3)
        assert list(self.sql.list(wanted)) == list(self.model.list(wanted))

    @invariant()
    def the_stores_hold_the_same(self) -> None:
        assert self.sql.heads(self.ids) == self.model.heads(self.ids)
        assert dict(self.sql.counts()) == dict(self.model.counts())
        assert list(self.sql.leases()) == list(self.model.leases())
        assert list(self.sql.definitions()) == list(self.model.definitions())
        assert [list(self.sql.find(key)) for key in "ab"] == [list(self.model.find(key)) for key in "ab"]


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
