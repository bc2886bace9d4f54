"""The three calls over a real gRPC connection: what they answer, and each refusal with its status and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import grpc
import pytest

from saga_engine.envelope import EventRecord
from saga_engine.eventstore import eventstore_pb2 as wire
from saga_engine.eventstore.event import MOST_DATA_BYTES
from saga_engine.eventstore.server import Endpoint, Work
from saga_engine.eventstore.service import MOST_BYTES
from saga_engine.ports.store import Append, NewStream
from tests.databases import SQLITE, Database, migrated
from tests.integration.eventstore.samples import with_tables
from tests.integration.eventstore.serving import Client, Running, event, ids, refusal, running, tokened, told, until

SAGA_ID = UUID("01930000-0000-7000-8000-000000000001")
TOKEN = "a-token-of-some-length"


@pytest.fixture
async def server(events_database: Database) -> AsyncIterator[Running]:
    async with running(events_database) as made:
        yield made


@pytest.fixture
async def sqlite_server(tmp_path: Path) -> AsyncIterator[Running]:
    """For what is decided before any database is asked."""
    database = with_tables(migrated(Database(SQLITE, f"sqlite:///{tmp_path}/events.db")))
    async with running(database) as made:
        yield made


def by_aggregate(aggregate_id: str = "o-1", **fields: str | int) -> wire.GetEventsRequest:
    request = wire.GetEventsRequest(aggregate_id=aggregate_id)
    for name, value in fields.items():
        setattr(request, name, value)
    return request


async def test_an_event_is_created_published_and_read_with_its_version_and_time(server: Running) -> None:
    created = await server.client.create(event("e-1"))
    assert (created.is_success, created.error, created.version) == (True, "", 1)
    (read,) = await server.client.get(by_aggregate())
    expected = event("e-1")
    expected.version = 1
    expected.time.CopyFrom(created.time)
    assert read == expected
    assert await server.client.get(wire.GetEventsRequest(event_id="e-1")) == [expected]
    assert await server.client.get(wire.GetEventsRequest(event_id="e-1", aggregate_id="o-1")) == [expected]
    await until(lambda: bool(server.broker.events))
    assert [(one.subject, one.message_id) for one in server.broker.events] == [("ORDERS.created", "e-1")]


async def test_an_event_without_data_is_read_as_one(server: Running) -> None:
    await server.client.create(event("e-1", event_data=""))
    assert [one.event_data for one in await server.client.get(by_aggregate())] == [""]


async def test_a_repetition_gets_the_same_answer_and_another_event_of_that_id_is_refused(server: Running) -> None:
    first = await server.client.create(event("e-1"))
    await server.client.create(event("e-2"))
    assert await server.client.create(event("e-1")) == first
    status, said = await refusal(server.client.create(event("e-1", event_data="{}")))
    assert status is grpc.StatusCode.ALREADY_EXISTS
    assert "'e-1' belongs to another event, version 1 of order 'o-1'" in said


async def test_many_at_the_same_time_get_versions_without_gap_or_double(server: Running) -> None:
    answers = await asyncio.gather(*(server.client.create(event(f"e-{i % 100}")) for i in range(200)))
    assert sorted({answer.version for answer in answers}) == list(range(1, 101))
    assert [one.version for one in await server.client.get(by_aggregate())] == list(range(1, 101))


async def test_an_expected_version_that_is_not_there_is_told_with_the_one_that_is(server: Running) -> None:
    await server.client.create(event("e-1"), expected=0)
    status, said = await refusal(server.client.create(event("e-2"), expected=0))
    assert (status, "is at version 1, expected 0" in said) == (grpc.StatusCode.ABORTED, True)
    assert (await server.client.create(event("e-2"), expected=1)).version == 2


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        ({"event_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "event_id is empty"),
        ({"event_id": "a/1"}, grpc.StatusCode.INVALID_ARGUMENT, "only the ids of saga events have"),
        ({"event_id": "a b"}, grpc.StatusCode.INVALID_ARGUMENT, "without spaces"),
        ({"event_id": "e\r\nce-id: x"}, grpc.StatusCode.INVALID_ARGUMENT, "event_id"),
        ({"event_type": ""}, grpc.StatusCode.INVALID_ARGUMENT, "event_type is empty"),
        ({"event_type": "ORDERS.*"}, grpc.StatusCode.INVALID_ARGUMENT, "no subject"),
        ({"event_type": "$JS.API.STREAM.DELETE.X"}, grpc.StatusCode.INVALID_ARGUMENT, "no subject"),
        ({"event_type": "_INBOX.x"}, grpc.StatusCode.INVALID_ARGUMENT, "no subject"),
        ({"event_type": "saga.command.order.create"}, grpc.StatusCode.INVALID_ARGUMENT, "the engine's own"),
        ({"aggregate_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "aggregate_id is empty"),
        ({"aggregate_id": "o\0"}, grpc.StatusCode.INVALID_ARGUMENT, "cannot be printed"),
        ({"aggregate_id": "ü" * 128}, grpc.StatusCode.INVALID_ARGUMENT, "has 256 bytes"),
        ({"aggregate_type": ""}, grpc.StatusCode.INVALID_ARGUMENT, "aggregate_type is empty"),
        ({"stream": "a\nb"}, grpc.StatusCode.INVALID_ARGUMENT, "stream"),
        ({"event_data": "{"}, grpc.StatusCode.INVALID_ARGUMENT, "is not JSON"),
        ({"event_data": "NaN"}, grpc.StatusCode.INVALID_ARGUMENT, "is not JSON"),
        ({"event_data": f'"{"x" * MOST_DATA_BYTES}"'}, grpc.StatusCode.RESOURCE_EXHAUSTED, "at most 262144"),
        ({"event_data": f'"{"x" * 3 * MOST_DATA_BYTES}"'}, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
        ({"aggregate_type": "saga"}, grpc.StatusCode.PERMISSION_DENIED, "read-only"),
    ],
)
async def test_what_cannot_be_an_event_is_refused_with_what_was_expected(
    sqlite_server: Running, wrong: dict[str, str], status: grpc.StatusCode, said: str
) -> None:
    fields = {"event_id": "e-1"} | wrong
    found, text = await refusal(sqlite_server.client.create(event(fields.pop("event_id"), **fields)))
    assert (found, said in text) == (status, True), text


async def test_version_and_time_are_not_the_clients_to_give(sqlite_server: Running) -> None:
    given = event("e-1")
    given.version = 7
    status, said = await refusal(sqlite_server.client.create(given))
    assert (status, "given by the event store" in said) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    status, said = await refusal(sqlite_server.client.create(event("e-1"), expected=-1))
    assert (status, "expected_version is -1" in said) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        (wire.GetEventsRequest(), grpc.StatusCode.INVALID_ARGUMENT, "both empty"),
        (wire.GetEventsRequest(event_id="e\0"), grpc.StatusCode.INVALID_ARGUMENT, "cannot be printed"),
        (wire.GetEventsRequest(aggregate_id="o\0"), grpc.StatusCode.INVALID_ARGUMENT, "cannot be printed"),
        (by_aggregate(limit=5), grpc.StatusCode.INVALID_ARGUMENT, "need aggregate_type"),
        (by_aggregate(after_version=5), grpc.StatusCode.INVALID_ARGUMENT, "need aggregate_type"),
        (by_aggregate(aggregate_type="order", limit=-1), grpc.StatusCode.INVALID_ARGUMENT, "limit is -1"),
        (
            by_aggregate(aggregate_type="order", after_version=-1),
            grpc.StatusCode.INVALID_ARGUMENT,
            "after_version is -1",
        ),
        (wire.GetEventsRequest(event_id="e-1", limit=2), grpc.StatusCode.INVALID_ARGUMENT, "one event"),
        (wire.GetEventsRequest(event_id="nobody"), grpc.StatusCode.NOT_FOUND, "no event 'nobody'"),
        (wire.GetEventsRequest(event_id="e-1", aggregate_id="o-2"), grpc.StatusCode.NOT_FOUND, "of aggregate 'o-2'"),
        (wire.GetEventsRequest(event_id=f"{SAGA_ID}/0"), grpc.StatusCode.NOT_FOUND, "no event"),
        (wire.GetEventsRequest(event_id=f"{SAGA_ID}/{'9' * 30}"), grpc.StatusCode.NOT_FOUND, "no event"),
        (by_aggregate("o-9"), grpc.StatusCode.NOT_FOUND, "no event of aggregate 'o-9'"),
        (by_aggregate("o-1", aggregate_type="payment"), grpc.StatusCode.NOT_FOUND, "no event of payment 'o-1'"),
    ],
)
async def test_a_request_that_finds_nothing_or_means_nothing_says_why(
    sqlite_server: Running, request_: wire.GetEventsRequest, status: grpc.StatusCode, said: str
) -> None:
    await sqlite_server.client.create(event("e-1"))
    found, text = await refusal(sqlite_server.client.get(request_))
    assert (found, said in text) == (status, True), text


async def test_an_aggregate_is_read_page_by_page_to_its_end(server: Running) -> None:
    await asyncio.gather(*(server.client.create(event(f"e-{i}")) for i in range(250)))
    read: list[wire.Event] = []
    while page := await server.client.get(by_aggregate(aggregate_type="order", after_version=len(read), limit=120)):
        assert len(page) <= 120
        read += page
    assert [one.version for one in read] == list(range(1, 251))


async def test_more_than_fits_into_one_answer_is_refused_whole_and_paged_on_request(sqlite_server: Running) -> None:
    client = sqlite_server.client
    large = f'"{"x" * (MOST_DATA_BYTES - 2)}"'
    count = MOST_BYTES // MOST_DATA_BYTES + 1
    for i in range(count):
        await client.create(event(f"e-{i}", event_data=large))
    status, said = await refusal(client.get(by_aggregate()))
    assert (status, "page by page" in said) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    page = await client.get(by_aggregate(aggregate_type="order", limit=count))
    assert 0 < len(page) < count
    rest = await client.get(by_aggregate(aggregate_type="order", after_version=len(page), limit=count))
    assert len(page) + len(rest) == count


async def test_a_stream_tells_what_was_then_what_comes_each_once_and_in_order(server: Running) -> None:
    for i in range(110):
        await server.client.create(event(f"e-{i}"))
    stream = server.client.stream(by_aggregate())
    seen = [await told(stream) for _ in range(110)]
    writing = asyncio.gather(*(server.client.create(event(f"l-{i}")) for i in range(60)))
    seen += [await told(stream) for _ in range(60)]
    await writing
    assert [one.version for one in seen] == list(range(1, 171))
    stream.cancel()


async def test_a_stream_goes_on_after_a_version_and_waits_for_aggregates_that_are_not_there_yet(
    server: Running,
) -> None:
    await server.client.create(event("e-1"))
    await server.client.create(event("e-2"))
    later = server.client.stream(by_aggregate(aggregate_type="order", after_version=1))
    unborn = server.client.stream(by_aggregate("o-9"))
    assert ids([await told(later)]) == [("e-2", 2)]
    for name in ("order", "payment"):
        await server.client.create(event(f"n-{name}", aggregate_id="o-9", aggregate_type=name))
    assert {(await told(unborn)).event_id for _ in range(2)} == {"n-order", "n-payment"}
    later.cancel()
    unborn.cancel()


async def test_a_stream_tells_what_another_server_has_stored(events_database: Database) -> None:
    async with running(events_database) as one, running(events_database) as other:
        stream = one.client.stream(by_aggregate())
        await other.client.create(event("e-1"))
        assert ids([await told(stream)]) == [("e-1", 1)]
        stream.cancel()


async def test_a_stream_of_one_event_ends_with_it(sqlite_server: Running) -> None:
    await sqlite_server.client.create(event("e-1"))
    assert ids([one async for one in sqlite_server.client.stream(wire.GetEventsRequest(event_id="e-1"))]) == [
        ("e-1", 1)
    ]
    assert (await refusal(sqlite_server.client.stream(wire.GetEventsRequest(event_id="e-2")).read()))[
        0
    ] is grpc.StatusCode.NOT_FOUND
    assert (await refusal(sqlite_server.client.stream(by_aggregate(aggregate_type="order", limit=1)).read()))[
        0
    ] is grpc.StatusCode.INVALID_ARGUMENT


async def test_open_streams_end_when_the_server_stops_and_say_how_to_go_on(sqlite_server: Running) -> None:
    await sqlite_server.client.create(event("e-1"))
    stream = sqlite_server.client.stream(by_aggregate())
    await told(stream)
    sqlite_server.stop.set()
    status, said = await refusal(told(stream))
    assert (status, "after_version" in said) == (grpc.StatusCode.UNAVAILABLE, True)
    await asyncio.wait_for(sqlite_server.task, 60)


async def test_the_streams_of_sagas_are_read_and_followed_but_not_written(
    server: Running, events_database: Database
) -> None:
    sagas = events_database.open_store()
    try:
        new = NewStream("place_order", "o-1", 1, "hash", 1, "definition")
        facts = [EventRecord(1, "SagaStarted", b'{"input":{}}', 1_000_000), EventRecord(2, "CommandIssued", b"{}", 2)]
        sagas.append([Append(SAGA_ID, 0, facts[:1], "running", 0, None, None, new)])
        stream = server.client.stream(by_aggregate(str(SAGA_ID)))
        first = await told(stream)
        assert (first.event_id, first.event_type, first.aggregate_type) == (f"{SAGA_ID}/1", "SagaStarted", "saga")
        assert (first.event_data, first.stream, first.version) == ('{"input":{}}', "place_order", 1)
        assert first.time.ToMicroseconds() == 1_000_000
        sagas.append([Append(SAGA_ID, 1, facts[1:], "running", 0, None, None, None)])
        assert ids([await told(stream)]) == [(f"{SAGA_ID}/2", 2)]
        stream.cancel()
    finally:
        sagas.close()
    assert ids(await server.client.get(by_aggregate(str(SAGA_ID)))) == [(f"{SAGA_ID}/1", 1), (f"{SAGA_ID}/2", 2)]
    assert ids(await server.client.get(wire.GetEventsRequest(event_id=f"{SAGA_ID}/2"))) == [(f"{SAGA_ID}/2", 2)]
    status, _ = await refusal(server.client.create(event("e-1", aggregate_id=str(SAGA_ID), aggregate_type="saga")))
    assert status is grpc.StatusCode.PERMISSION_DENIED


async def test_it_tells_what_it_has_stored_and_published_and_who_follows(tmp_path: Path) -> None:
    database = with_tables(migrated(Database(SQLITE, f"sqlite:///{tmp_path}/events.db")))
    works: list[Work] = []
    async with running(database, tell=works.append) as server:
        (work,) = works
        assert (work.stored, work.published, work.followers) == (0, 0, 0)
        for _ in range(2):
            await server.client.create(event("e-1"))
        stream = server.client.stream(by_aggregate())
        await stream.read()
        await until(lambda: work.published == 1)
        assert (work.stored, work.appending.count, work.waiting, work.unpublished, work.followers) == (1, 2, 0, 0, 1)
        stream.cancel()
        await until(lambda: work.followers == 0)


async def test_a_type_that_is_not_among_those_of_this_event_store_is_refused(tmp_path: Path) -> None:
    database = with_tables(migrated(Database(SQLITE, f"sqlite:///{tmp_path}/events.db")))
    async with running(database, Endpoint("127.0.0.1:0", event_types=("ORDERS.*",))) as server:
        assert (await server.client.create(event("e-1"))).is_success
        status, said = await refusal(server.client.create(event("e-2", event_type="BILLS.sent")))
        assert status is grpc.StatusCode.PERMISSION_DENIED
        assert "'BILLS.sent' is not taken here; expected ORDERS.*" in said


async def test_only_who_brings_the_token_is_answered(events_database: Database) -> None:
    async with running(events_database, tokened(TOKEN)) as server:
        assert (await server.client.create(event("e-1"))).is_success
        for token in (None, "", "another-token-of-some-length", TOKEN[:-1]):
            stranger = Client(server.channel, token)
            for call in (
                stranger.create(event("e-2")),
                stranger.get(by_aggregate()),
                stranger.stream(by_aggregate()).read(),
            ):
                status, said = await refusal(call)
                assert (status, TOKEN in said) == (grpc.StatusCode.UNAUTHENTICATED, False)
        assert ids(await server.client.get(by_aggregate())) == [("e-1", 1)]
