"""The HTTP API, the event store and projections get by with a role of their own on a real PostgreSQL, and nothing else.

The grants are those of `saga auth export --format sql` for this repository's project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ProgrammingError

from saga_engine import databases
from saga_engine.bootstrap.access import sql_roles
from saga_engine.bootstrap.clients import client
from saga_engine.bootstrap.projections import store_and_projections
from saga_engine.bootstrap.stores import open_store
from saga_engine.core.inputs import Cancel
from saga_engine.definition.model import Json
from saga_engine.doctor.databases import examine
from saga_engine.doctor.finding import Severity
from saga_engine.eventstore.event import SAGA, Aggregate, Entry, NewEvent, Stored
from saga_engine.eventstore.library import Library
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.handlers import load_participants, load_projections
from saga_engine.orchestrator.starting import Started
from saga_engine.participant.registry import merge
from saga_engine.projections.lag import lag_of
from saga_engine.projections.rebuild import rebuild_in_steps
from saga_engine.settings.sections import Config, EventstoreSection, ParticipantSection, ProjectionSection
from saga_engine.settings.settled import Settings, settle
from saga_engine.sql.engine import open_engine
from saga_engine.sql.grants import MIGRATE, SqlRole
from saga_engine.sql.transaction import run_query
from store import order_view
from tests.acceptance.projects import REPOSITORY
from tests.databases import NewDatabase, run_sql

ORDER: dict[str, Json] = {"order_id": "o-1", "customer_id": "c-1", "amount": 100}
PARTICIPANTS = ("order", "payment", "review")
PLACES = ("engine", *PARTICIPANTS, "order_view", "eventstore")


@dataclass(frozen=True, slots=True)
class Place:
    """This repository's project, each of its databases apart. `urls`: as an administrator reaches them."""

    urls: dict[str, str]

    def url(self, role: str, database: str) -> str:
        return make_url(self.urls[database]).set(username=role).render_as_string(hide_password=False)

    def settings(self, role: str | None = None) -> Settings:
        """The project in the hands of this role."""
        at = {name: SecretStr(self.url(role, name) if role else url) for name, url in self.urls.items()}
        return settle(
            Config(
                database=at["engine"],
                participants={name: ParticipantSection(database=at[name]) for name in PARTICIPANTS},
                projections={"order_view": ProjectionSection(database=at["order_view"])},
                eventstore=EventstoreSection(database=at["eventstore"], event_types=("ORDERS.*",)),
            ),
            REPOSITORY,
        )

    def databases(self, role: str) -> list[databases.Database]:
        settings = self.settings(role)
        participants = merge(load_participants(REPOSITORY)).values()
        found = databases.databases(settings, participants, load_projections(REPOSITORY).values())
        return [*found, *databases.eventstore_databases(settings)]


@pytest.fixture(scope="module")
def place(postgres_database: NewDatabase) -> Iterator[Place]:
    place = Place({name: postgres_database() for name in PLACES})
    roles = sql_roles(place.settings())
    names = sorted({role.name for role in roles})
    run_sql(place.urls["engine"], *(f"CREATE ROLE {name} LOGIN" for name in names))
    try:
        _grant(place, [role for role in roles if role.first])
        for database in place.databases(MIGRATE):
            databases.upgrade(place.settings(MIGRATE), database)
        _grant(place, [role for role in roles if not role.first])
        yield place
    finally:
        # Roles are the server's, not a database's, and other tests share the server.
        for url in place.urls.values():
            run_sql(url, *(f"DROP OWNED BY {name} CASCADE" for name in names))
        run_sql(place.urls["engine"], *(f"DROP ROLE {name}" for name in names))


def _grant(place: Place, roles: list[SqlRole]) -> None:
    for role in roles:
        for database in PLACES if role.database is None else (role.database,):
            run_sql(place.urls[database], *role.grants)


def test_the_api_starts_shows_and_cancels_sagas_and_reads_what_the_project_keeps(place: Place) -> None:
    with closing(client(place.settings("saga_api"))) as api:
        started = api.start("place_order", ORDER)
        assert isinstance(started, Started)
        api.act(started.saga_id, partial(Cancel, who="ops", why="a test"))
        view = api.view(started.saga_id)
        assert view.state.key == "o-1"
        assert sum(api.counts().values()) == 1
        assert api.start("place_order", ORDER) != started, "the saga there is"
    engine = open_engine(place.url("saga_api", "order_view"))
    try:
        assert run_query(engine, lambda connection: order_view.orders_of(connection, "c-1")) == []
    finally:
        engine.dispose()
    run_sql(place.url("saga_api", "order"), "SELECT * FROM orders")


def test_the_event_store_keeps_events_and_reads_sagas(place: Place) -> None:
    settings = place.settings("saga_eventstore")
    for database in place.databases("saga_eventstore"):
        if database.branch in ("engine", "eventstore"):
            assert databases.status(settings, database).pending == ()
    with closing(client(place.settings("saga_run"))) as starting:
        started = starting.start("place_order", ORDER | {"order_id": "o-2"})
        assert isinstance(started, Started)
    engine = open_engine(place.url("saga_eventstore", "eventstore"))
    with closing(open_store(settings, new=True)) as sagas:
        domain = SqlDomainEvents(engine, sagas.now)
        order = Aggregate("o-2", "order")
        for kind in ("created", "approved"):
            event = NewEvent(str(uuid4()), f"ORDERS.{kind}", order, "{}", "ORDERS")
            assert isinstance(domain.append([Entry(event)])[0], Stored)
        domain.mark_published({order: 2})
        assert domain.unpublished(None, 10) == []
        library = Library(domain, sagas)
        assert [one.version for one in library.read(order, 0, 10)] == [1, 2]
        assert library.read(Aggregate(str(started.saga_id), SAGA), 0, 10)[0].event.event_type == "SagaStarted"
    engine.dispose()


def test_projections_are_made_anew_and_compared(place: Place) -> None:
    with closing(client(place.settings("saga_run"))) as starting:
        starting.start("place_order", ORDER | {"order_id": "o-3"})
    with store_and_projections(place.settings("saga_projections"), []) as (view,):
        before = lag_of(view.store, view.taker, lambda _looked, _of: None)
        done = rebuild_in_steps(view.store, view.taker, view.unseen, lambda _progress: None)
        after = lag_of(view.store, view.taker, lambda _looked, _of: None)
    assert (done.looked, done.troubled) == (before.sagas, 0)
    assert (before.behind > 0, after.behind) == (True, 0)


def test_the_doctor_looks_into_every_database_as_the_role_that_owns_them(place: Place) -> None:
    found = [one for each in place.databases(MIGRATE) for one in examine(place.settings(MIGRATE), each)]
    assert {one.severity for one in found} == {Severity.OK}, found
    assert sum(one.check == "migrations" for one in found) == len(PLACES)


DENIED = {
    ("saga_api", "engine"): [
        "UPDATE saga_events SET data = '{}'",
        "DELETE FROM saga_events",
        "DELETE FROM saga_streams",
        "UPDATE saga_keys SET stream_id = stream_id",
        "INSERT INTO saga_leases VALUES ('x', 'x', 0)",
        "SELECT * FROM saga_reply_keys",
        "INSERT INTO saga_snapshots SELECT * FROM saga_snapshots",
        "CREATE TABLE mine (x int)",
    ],
    ("saga_api", "order"): ["SELECT * FROM saga_inbox", "SELECT * FROM saga_inbox_tries", "DELETE FROM orders"],
    ("saga_api", "order_view"): ["DELETE FROM order_view"],
    ("saga_api", "eventstore"): ["SELECT * FROM domain_events"],
    ("saga_eventstore", "engine"): [
        "INSERT INTO saga_events SELECT * FROM saga_events",
        "UPDATE saga_streams SET status = 'completed'",
        "SELECT * FROM saga_keys",
        "SELECT * FROM saga_reply_keys",
        "SELECT * FROM saga_definitions",
    ],
    ("saga_eventstore", "eventstore"): [
        "UPDATE domain_events SET event_data = ''",
        "DELETE FROM domain_events",
        "DELETE FROM domain_streams",
        "CREATE TABLE mine (x int)",
    ],
    ("saga_eventstore", "order"): ["SELECT * FROM orders"],
    ("saga_projections", "engine"): [
        "INSERT INTO saga_events SELECT * FROM saga_events",
        "UPDATE saga_streams SET status = 'completed'",
        "SELECT * FROM saga_keys",
        "SELECT * FROM saga_reply_keys",
    ],
    ("saga_projections", "order_view"): [
        "DROP TABLE order_view",
        "UPDATE saga_revisions_order_view SET version_num = 'x'",
    ],
    ("saga_projections", "order"): ["SELECT * FROM orders"],
    ("saga_run", "eventstore"): ["SELECT * FROM domain_events"],
    ("saga_worker_order", "order_view"): ["SELECT * FROM order_view"],
}


@pytest.mark.parametrize(
    ("role", "database", "statement"), [(*where, one) for where, some in DENIED.items() for one in some]
)
def test_what_a_role_has_no_right_to_is_refused(place: Place, role: str, database: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        run_sql(place.url(role, database), statement)


def test_in_a_database_that_is_shared_the_api_reads_nothing_but_the_streams(place: Place) -> None:
    def shown(settings: Settings) -> list[str | None]:
        return [role.database for role in sql_roles(settings) if role.name == "saga_api"]

    assert shown(place.settings()) == ["engine", *PARTICIPANTS, "order_view"]
    assert shown(Place(dict.fromkeys(PLACES, place.urls["engine"])).settings()) == ["engine"]
