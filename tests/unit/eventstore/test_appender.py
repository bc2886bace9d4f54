"""Appends that come together share a commit; each learns its own outcome, and a failure reaches those it concerns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from saga_engine.errors import StoreUnavailableError
from saga_engine.eventstore import appender as module
from saga_engine.eventstore.appender import Appender, OverloadedError
from saga_engine.eventstore.event import Aggregate, AppendOutcome, Entry, NewEvent, Stored
from saga_engine.tasks import end_tasks

DATA = '{"amount": 5}'


def entry(event_id: str) -> Entry:
    return Entry(NewEvent(event_id, "ORDERS.created", Aggregate("o-1", "order"), DATA, ""))


class Store:
    """Notes each batch, and waits in it until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_go_on = threading.Event()
        self.error: Exception | None = None

    def append(self, entries: Sequence[Entry]) -> Sequence[AppendOutcome]:
        self.batches.append([one.event.event_id for one in entries])
        assert self.may_go_on.wait(90)
        if self.error is not None:
            raise self.error
        return [Stored(i + 1, 0, one.event.event_id == "old") for i, one in enumerate(entries)]


async def begun(store: Store, count: int) -> None:
    async with asyncio.timeout(90):
        while len(store.batches) < count:  # noqa: ASYNC110 - the batch begins in a thread
            await asyncio.sleep(0.001)


async def test_what_comes_during_a_commit_is_in_the_next_one_together() -> None:
    store, told = Store(), list[str]()
    appender = Appender(
        store.append, asyncio.to_thread, lambda entries: told.extend(one.event.event_id for one in entries)
    )
    running = asyncio.create_task(appender.run())
    first = asyncio.create_task(appender.append(entry("a")))
    await begun(store, 1)
    rest = asyncio.gather(*(appender.append(entry(name)) for name in ("b", "old", "c")))
    await asyncio.sleep(0)
    store.may_go_on.set()
    assert await first == Stored(1, 0, False)
    assert await rest == [Stored(1, 0, False), Stored(2, 0, True), Stored(3, 0, False)]
    assert store.batches == [["a"], ["b", "old", "c"]]
    assert told == ["a", "b", "c"], "the bell is for what was written now"
    await end_tasks([running])


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ZeroDivisionError("a defect")])
async def test_a_batch_that_fails_fails_for_those_in_it_and_the_next_one_goes_on(error: Exception) -> None:
    store = Store()
    store.may_go_on.set()
    appender = Appender(store.append, asyncio.to_thread, lambda _entries: None)
    running = asyncio.create_task(appender.run())
    store.error = error
    with pytest.raises(type(error)):
        await appender.append(entry("a"))
    store.error = None
    assert await appender.append(entry("a")) == Stored(1, 0, False)
    await end_tasks([running])


async def test_no_more_bytes_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING_BYTES", len(DATA))
    store = Store()
    store.may_go_on.set()
    appender = Appender(store.append, asyncio.to_thread, lambda _entries: None)
    waiting = asyncio.create_task(appender.append(entry("a")))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await appender.append(entry("b"))
    running = asyncio.create_task(appender.run())
    assert await waiting == Stored(1, 0, False)
    assert await appender.append(entry("b")) == Stored(1, 0, False)
    await end_tasks([running])


async def test_no_more_wait_than_may_and_who_has_gone_away_is_not_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    store = Store()
    store.may_go_on.set()
    appender = Appender(store.append, asyncio.to_thread, lambda _entries: None)
    waiting = [asyncio.create_task(appender.append(entry(name))) for name in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await appender.append(entry("c"))
    waiting[0].cancel()
    running = asyncio.create_task(appender.run())
    assert await waiting[1] == Stored(1, 0, False)
    assert store.batches == [["b"]]
    await end_tasks([running])
