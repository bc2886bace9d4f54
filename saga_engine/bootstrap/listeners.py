"""The listener of a project: for which events its definitions listen, and what takes them, there or for a command."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from typing import cast

import orjson

from saga_engine.bootstrap.definitions import project_definitions
from saga_engine.bootstrap.serving import patiently
from saga_engine.bootstrap.stores import open_store
from saga_engine.bootstrap.tracing import tracing
from saga_engine.clock import StoreClock
from saga_engine.definition.children import NotExpanded, expand
from saga_engine.definition.model import Definition, Json
from saga_engine.definition.stored import definition_from_json
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.dead_letters import TakeEvent
from saga_engine.orchestrator.listener import Listener
from saga_engine.orchestrator.occasions import Occasion, Versions, occasions
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.signalling import Signaller
from saga_engine.orchestrator.taking import Taker
from saga_engine.orchestrator.transact import Transactor
from saga_engine.ports.clock import Clock
from saga_engine.ports.events import EventFeed, Listening
from saga_engine.ports.store import EventStore, RunSync
from saga_engine.ports.transport import Transport
from saga_engine.settings.settled import Settings
from saga_engine.tracing import Tracing


async def listener(
    settings: Settings,
    store: EventStore,
    feed: EventFeed,
    transport: Transport,
    clock: Clock,
    run_sync: RunSync,
    traced: Tracing | None,
) -> Listener | None:
    """What takes the events for which the project's definitions listen, or running sagas wait; None when for none.

    Raises:
        UsageError: the project's definitions cannot be loaded.
        StoreUnavailableError: the store cannot be asked for those that are registered.
    """
    found = await patiently(lambda: _occasions(settings, store), run_sync)
    if not found:
        return None
    taker = _taker(settings, store, clock, found, traced)
    return Listener(feed, transport, _listening(found), taker.take, clock, run_sync)


@contextmanager
def event_taking(settings: Settings) -> Iterator[TakeEvent]:
    """What takes a single event as the listener would, for a command. The store is opened when there is one.

    Raises, once there is one:
        UsageError: the project's definitions cannot be loaded.
        StoreUnavailableError, SchemaMissingError: as `open_store`.
    """
    with ExitStack() as opened:

        @cache
        def taker() -> Taker:
            store = opened.enter_context(closing(open_store(settings)))
            return _taker(settings, store, StoreClock(store.now), _occasions(settings, store), tracing())

        yield lambda event: taker().take([event])[0]


def project_listening(settings: Settings) -> Sequence[Listening]:
    """For what the project's definitions, as their files are, listen. Raises `UsageError` as `project_definitions`."""
    project = project_definitions(settings.root)
    whole = [one for versions in project.values() for one in versions.values()]
    return _listening(occasions(project, whole, partial(expanded, project)))


def _taker(
    settings: Settings,
    store: EventStore,
    clock: Clock,
    found: Mapping[str, Sequence[Occasion]],
    traced: Tracing | None,
) -> Taker:
    load, ids = partial(project_definitions, settings.root), TimeOrderedIds(secrets.token_bytes)
    client = Client(store, load, ids, clock, settings.limits.open_sagas, lambda: traced)
    signaller = Signaller(client, store, Transactor(store, Plans(store), StateCache(0), clock.now))
    return Taker(client, signaller, found)


def _occasions(settings: Settings, store: EventStore) -> Mapping[str, Sequence[Occasion]]:
    project = project_definitions(settings.root)
    registered = [definition_from_json(cast(Json, orjson.loads(one.content))) for one in store.definitions()]
    known: dict[str, dict[int, Definition]] = {}
    for one in registered:
        known.setdefault(one.saga, {})[one.version] = one
    return occasions(project, registered, partial(expanded, known))


def expanded(known: Versions, definition: Definition) -> Definition | None:
    """A definition with its children, of those that are known; None where one is missing."""

    def child(saga: str, version: int | None) -> Definition | None:
        versions = known.get(saga, {})
        return versions.get(max(versions) if version is None else version) if versions else None

    whole = expand(definition, child)
    return None if isinstance(whole, NotExpanded) else whole


def _listening(found: Mapping[str, Sequence[Occasion]]) -> Sequence[Listening]:
    return [found[name][0].listening for name in sorted(found)]
