"""What stands around the orchestrator gets by with a user of NATS of its own, and none may more than it needs.

A real nats-server with the users of `saga auth export`, and the engine's own adapters logged in as them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from saga_engine.adapters.nats import permissions
from saga_engine.adapters.nats.client import FastClient
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.bootstrap.access import nats_users, provision
from saga_engine.bootstrap.listeners import project_listening
from saga_engine.cli.views.access import nats_fragment, password_variable
from saga_engine.doctor import broker, listeners, streams, workers
from saga_engine.doctor.finding import Severity
from saga_engine.envelope import DomainEvent, Message
from saga_engine.errors import UsageError
from saga_engine.settings.sections import EventstoreSection, NatsSection
from saga_engine.settings.settled import Settings
from saga_engine.wire.events import event_to_message
from saga_engine.wire.subjects import COMMANDS, EVENTS, REPLIES
from tests.nats_fixtures import NatsServer
from tests.security.guarded import PASSWORD
from tests.security.refusals import PATIENCE_S, all_refused, login

DEFINITION = """\
saga: follow_up
version: 1
key: ${{ input.order_id }}
on: {subject: SHOP.ordered, input: {order_id: "${{ event.data.order_id }}"}}
steps:
  - step: collected
    wait:
      event: Collected
      on: {subject: CARRIER.collected, key: "${{ event.data.order_id }}"}
      timeout: 2d
  - step: pack
    kind: retriable
    call: warehouse.pack
    with: {order_id: "${{ input.order_id }}"}
    emit: {event: Packed, subject: SHOP.packed}
"""
HEARD = ("CARRIER.collected", "SHOP.ordered")
STRANGER = "stranger"
"""A user who owns a stream and publishes into it, as another application on the same server would."""

API = "$JS.API"


@dataclass(frozen=True, slots=True)
class Place:
    """A project with all that stands around an orchestrator, and the nats-server that guards it."""

    settings: Settings
    server: NatsServer

    def user(self, name: str) -> NatsSettings:
        return NatsSettings(
            servers=(self.server.url,),
            user=name,
            password=PASSWORD.format(user=name),
            inbox_prefix=f"_INBOX_{name}",
            provision=False,
        )

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncIterator[NatsTransport]:
        transport = await connect(self.user(name), wait=30)
        try:
            yield transport
        finally:
            await transport.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("around")
    (folder / "definitions").mkdir()
    (folder / "definitions" / "follow_up.yaml").write_text(DEFINITION)
    project = Settings(
        root=folder,
        database=SecretStr("sqlite:///unused.db"),
        eventstore=EventstoreSection(event_types=("SHOP.*",)),
    )
    with pytest.MonkeyPatch.context() as environment:
        # A projection would be a module of this process's `store`.
        users = [*nats_users(project), permissions.projections(["SHOP.packed"])]
        stranger = permissions.NatsUser(STRANGER, "owns CARRIER", (f"{API}.>", "SHOP.*", "CARRIER.*"), ("_INBOX.>",))
        users.append(replace(stranger, subscribe=(f"{stranger.inbox_prefix}.>",)))
        for user in users:
            environment.setenv(password_variable(user), PASSWORD.format(user=user.name))
        server = NatsServer(folder / "nats", "\n".join(nats_fragment(users)))
        server.start()
    try:
        asyncio.run(_provisioned(project, server))
        yield Place(project.with_nats(_section(server, "orchestrator")), server)
    finally:
        server.kill()


def _section(server: NatsServer, user: str) -> NatsSection:
    password = SecretStr(PASSWORD.format(user=user))
    url = SecretStr(server.url)
    return NatsSection(url=url, user=user, password=password, inbox_prefix=f"_INBOX_{user}", provision=False)


async def _provisioned(project: Settings, server: NatsServer) -> None:
    """One of the two subjects is kept by a stream of somebody else; the rest is made as `saga nats provision` does."""
    stranger = await login(server.url, STRANGER)
    await stranger.jetstream().add_stream(name="CARRIER", subjects=["CARRIER.*"])
    await stranger.close()
    for _ in range(2):
        await provision(project.with_nats(_section(server, "deploy")))


async def until(reached: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not reached():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"waited {PATIENCE_S} s for {what}")


async def test_the_events_that_sagas_listen_for_reach_the_orchestrator_and_are_acknowledged(place: Place) -> None:
    wanted = project_listening(place.settings)
    assert sorted(one.subject for one in wanted) == sorted(HEARD)
    stranger = await login(place.server.url, STRANGER)
    jetstream = stranger.jetstream()
    keepers = [(await jetstream.publish(subject, json.dumps({"order_id": "o-1"}).encode())).stream for subject in HEARD]
    assert keepers == ["CARRIER", EVENTS]
    async with place.connected("orchestrator") as orchestrator:
        subscription = await orchestrator.event_feed().listen(wanted)
        heard = set[str]()
        async with asyncio.timeout(PATIENCE_S):
            while heard != set(HEARD):
                events = await subscription.receive(10)
                heard |= {event.delivery.message.subject for event in events}
                await subscription.ack(events)
        async with asyncio.timeout(PATIENCE_S):
            for one, keeper in zip(sorted(wanted, key=lambda one: one.subject), keepers, strict=True):
                while (await jetstream.consumer_info(keeper, one.name)).ack_floor.stream_seq == 0:  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(0.01)
        await subscription.close()
    await stranger.close()


async def test_the_event_store_publishes_what_it_takes_and_a_stream_keeps_it(place: Place) -> None:
    message = Message("SHOP.created", {}, b"{}", str(uuid4()))
    async with place.connected("eventstore") as eventstore:
        assert list(await eventstore.publish([message])) == [True]
    stranger = await login(place.server.url, STRANGER)
    kept = (await stranger.jetstream().stream_info(EVENTS)).config.subjects
    assert sorted(kept or ()) == ["SHOP.*", "saga.event.>"]
    await stranger.close()


async def test_the_api_rings_and_projections_hear_what_sagas_publish(place: Place) -> None:
    rung, heard = list[int](), list[UUID]()
    own, named = (
        event_to_message(DomainEvent(uuid4(), "follow_up", "o-1", 3, "Packed", subject, {}, 1, None))
        for subject in (None, "SHOP.packed")
    )
    async with (
        place.connected("orchestrator") as orchestrator,
        place.connected("api") as api,
        place.connected("projections") as projections,
    ):
        await orchestrator.on_ring(rung.append)
        await projections.event_bell().listen("orders", ["SHOP.packed"], heard.append)
        await api.ring([7])
        await until(lambda: rung == [7], "the orchestrator to be woken")
        assert list(await orchestrator.publish([own, named])) == [True, True]
        await until(lambda: len(heard) == 2, "both events to be heard")


async def test_the_doctor_looks_at_everything_on_the_broker(place: Place) -> None:
    looking = place.user("doctor")
    async with broker.connected(looking) as client:
        assert isinstance(client, FastClient), client
        found = [*await broker.jetstream(client, looking), *await streams.examine(client, looking)]
        found += await streams.dead_letters(client, looking)
        found += await workers.examine(client, looking, ["warehouse"])
        heard = await listeners.examine(client, looking, project_listening(place.settings))
    assert [one.what for one in found if one.severity is not Severity.OK] == [
        "no worker takes its commands, at present"
    ]
    assert sorted(one.where for one in heard) == sorted(HEARD)
    # Whether the server has noticed yet that the test before has stopped listening is its own affair.
    assert all("waiting or put back" in one.what for one in heard), heard


def forbidden(place: Place) -> dict[str, list[str]]:
    """What each user may not publish, though another may."""
    listening = sorted(project_listening(place.settings), key=lambda one: one.subject)[0]
    takes = [f"{API}.CONSUMER.MSG.NEXT.CARRIER.{listening.name}", f"$JS.ACK.CARRIER.{listening.name}.1.1.1.1.0"]
    makes = [f"{API}.CONSUMER.CREATE.CARRIER.{listening.name}.CARRIER.collected", f"{API}.STREAM.UPDATE.{EVENTS}"]
    engine = ["saga.command.warehouse.pack", "saga.reply.3.warehouse", "saga.event.follow_up.Packed", "saga.wake.1"]
    looks = [f"{API}.STREAM.INFO.{EVENTS}", f"{API}.CONSUMER.INFO.CARRIER.{listening.name}", f"{API}.STREAM.NAMES"]
    return {
        "orchestrator": [*makes, f"{API}.CONSUMER.MSG.NEXT.CARRIER.other", "$JS.ACK.CARRIER.other.1.1.1.1.0"],
        "eventstore": [*takes, *makes, *engine, *looks, "CARRIER.collected", "SHOP", "SHOP.a.b", f"{API}.INFO"],
        "api": [*takes, *makes, *engine[:3], *looks, "SHOP.created", "saga.wake", f"{API}.INFO"],
        "projections": [*takes, *makes, *engine, *looks, "SHOP.packed"],
        "doctor": [*takes, *makes, *engine, f"{API}.STREAM.MSG.GET.{EVENTS}", f"{API}.STREAM.PURGE.{EVENTS}"],
        "deploy": [*takes, *engine, f"{API}.STREAM.DELETE.CARRIER", f"{API}.STREAM.UPDATE.CARRIER", "SHOP.created"],
        "worker_warehouse": [*takes, *makes, *looks, "SHOP.packed"],
    }


NOT_TO_BE_HEARD = [">", "SHOP.*", "saga.>", "saga.wake.*", "CARRIER.*", "_INBOX_orchestrator.>", "$JS.API.>"]


@pytest.mark.parametrize(
    "user", ["orchestrator", "eventstore", "api", "projections", "doctor", "deploy", "worker_warehouse"]
)
async def test_what_is_anothers_business_is_refused_subject_by_subject(place: Place, user: str) -> None:
    complaints: list[str] = []
    client = await login(place.server.url, user, complaints)
    refused = forbidden(place)[user]
    for subject in refused:
        await client.publish(subject, b"{}")
    await client.flush()
    await all_refused(complaints, refused)
    mine = ["saga.wake.*"] if user == "orchestrator" else []
    unheard = [subject for subject in NOT_TO_BE_HEARD if subject not in mine and f"_INBOX_{user}.>" != subject]
    for subject in unheard:
        await client.subscribe(subject)
    await client.flush()
    await all_refused(complaints, unheard)
    await client.close()


def test_an_event_store_that_takes_every_type_has_no_least_permission(place: Place) -> None:
    with pytest.raises(UsageError, match=r"eventstore\.event_types is missing"):
        nats_users(replace(place.settings, eventstore=EventstoreSection()))


def test_a_listener_needs_more_of_the_orchestrator_and_of_who_deploys(place: Place) -> None:
    wanted = project_listening(place.settings)
    for bare, listens in (
        (permissions.orchestrator([]), permissions.orchestrator([], wanted)),
        (permissions.deploy([]), permissions.deploy([], wanted)),
    ):
        more = set(listens.publish) - set(bare.publish)
        assert any(wanted[0].name in subject for subject in more)
        assert not any(subject.startswith((f"{API}.CONSUMER.MSG.NEXT.*.*", "$JS.ACK.*.*.>")) for subject in more)
        assert all(COMMANDS not in subject and REPLIES not in subject for subject in more)
