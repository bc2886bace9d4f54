"""`saga doctor` on set-ups that are broken on purpose, each in one way: it names the cause, and what to type next.

Real files, a real PostgreSQL and real nats-servers; only a nats-server that is too old is played.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from sqlalchemy import text

from saga_engine.envelope import PARTITIONS
from saga_engine.ports.store import LeaseChange
from saga_engine.sql.engine import AUTOCOMMIT, open_engine
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import REPOSITORY, Project
from tests.databases import NewDatabase
from tests.nats_fixtures import NatsServer

ORDER = '{"order_id": "o-1", "customer_id": "c-1", "amount": 1000}'


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of `saga doctor -o json` said."""

    code: int
    findings: tuple[dict[str, str], ...]

    def named(self, check: str, severity: str, *words: str) -> dict[str, str]:
        """The one finding of that check and severity whose place or text holds all these words."""
        found = [
            one
            for one in self.findings
            if (one["check"], one["severity"]) == (check, severity)
            and all(word in f"{one['where']} {one['what']}" for word in words)
        ]
        assert found, self.findings
        assert found[0]["why"]
        assert found[0]["next"]
        return found[0]

    def errors(self) -> set[str]:
        """The checks that found an error."""
        return {one["check"] for one in self.findings if one["severity"] == "error"}


def examined(project: Project, *options: str) -> Report:
    done = project.saga("doctor", "-o", "json", *options)
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert said["healthy"] == (done.returncode == 0), done.stderr
    return Report(done.returncode, tuple(said["findings"]))


def edit(path: Path, old: str, new: str) -> None:
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new), encoding="utf-8")


@pytest.fixture
def shop(project: MakeProject) -> Project:
    """This repository's project, on SQLite files that are not made yet, and the embedded nats-server, not started."""
    return project(REPOSITORY)


def test_a_project_that_never_ran_has_warnings_and_nothing_is_made_by_looking_at_it(shop: Project) -> None:
    report = examined(shop)
    assert report.code == 0
    report.named("nats", "warning", "embedded nats-server does not run")
    assert not (shop.folder / ".saga").exists()


def test_a_running_project_is_well_and_the_text_says_so(shop: Project) -> None:
    shop.run()
    started = shop.saga("start", "place_order", "--input", ORDER, "--wait")
    assert started.returncode == 0, started.stderr
    done = shop.saga("doctor")
    assert done.returncode == 0, done.stdout
    assert "0 errors, 0 warnings, 0 skipped" in done.stderr, done.stdout
    _project, well = done.stdout.splitlines()
    assert re.match(r"ok      \d+ checks: configuration, versions ", well)
    for looked_at in ("workers 3", "orchestrators", "streams 4"):
        assert looked_at in well.split("  (")[0].split(", "), well
    every = shop.saga("doctor", "--all").stdout
    for line in ("workers: payment: is at work", "1 orchestrator alive", "streams: SAGA_COMMANDS: as it must be"):
        assert line in every


# The project's own files


def test_a_key_of_the_configuration_that_does_not_exist_is_named_with_its_line(shop: Project) -> None:
    edit(shop.folder / "config.yaml", "database: sqlite:///.saga/engine.db", "databse: sqlite:///.saga/engine.db")
    report = examined(shop)
    assert report.code == 1
    report.named("configuration", "error", "config.yaml:", 'unknown key "databse"')


def test_a_handler_that_does_not_import_is_named_with_its_line_and_hides_nothing_else(shop: Project) -> None:
    edit(shop.folder / "participants" / "payment.py", "import time", "import nosuch_module")
    report = examined(shop)
    assert report.code == 1
    report.named("handlers", "error", "payment.py:", "nosuch_module")
    report.named("nats", "warning", "does not run")


def test_a_definition_that_is_not_sound_is_named_with_its_line(shop: Project) -> None:
    edit(shop.folder / "definitions" / "place_order.yaml", "kind: retriable", "kind: retryable")
    report = examined(shop)
    assert report.code == 1
    report.named("definitions", "error", "place_order.yaml:", "retryable")


def test_a_command_without_a_handler_is_named_even_if_an_old_catalogue_knows_it(shop: Project) -> None:
    edit(shop.folder / "compensations" / "payment.py", "def refund(", "def give_back(")
    report = examined(shop)
    assert report.code == 1
    report.named("commands", "error", "place_order.yaml", "payment.refund", "payment serves debit, give_back")


def test_settings_for_a_participant_without_handlers_are_a_warning(shop: Project) -> None:
    edit(shop.folder / "config.yaml", "  payment:\n    database", "  payments:\n    database")
    report = examined(shop)
    assert report.code == 0
    report.named("configuration", "warning", "participants.payments")


# SQLite


def test_a_revision_whose_label_is_no_databases_is_named_with_the_label_that_was_meant(shop: Project) -> None:
    edit(shop.folder / "store" / "migrations" / "versions" / "0003_payments.py", '("payment",)', '("paymet",)')
    report = examined(shop)
    found = report.named("revisions", "warning", "0003_payments", '"paymet"', 'did you mean "payment"?')
    assert found["next"] == "correct branch_labels, then saga db upgrade"
    bare = [one["where"] for one in report.findings if "no revisions of its own" in one["what"]]
    assert bare == ["payment"]


def test_a_database_file_that_is_no_database_is_named(shop: Project) -> None:
    (shop.folder / ".saga").mkdir()
    (shop.folder / ".saga" / "engine.db").write_bytes(b"this is no database" * 500)
    report = examined(shop)
    assert report.code == 1
    report.named("database", "error", "engine.db", "not a database")
    assert [one["where"] for one in report.findings if one["severity"] == "skipped"] == ["orchestrators and sagas"]


def test_a_database_file_that_is_a_folder_is_named(shop: Project) -> None:
    (shop.folder / ".saga" / "order.db").mkdir(parents=True)
    report = examined(shop)
    assert report.errors() == {"database"}
    report.named("database", "error", "order: ", "order.db")


# PostgreSQL


@pytest.fixture
def on_postgres(shop: Project, postgres_database: NewDatabase) -> Project:
    """The project with its engine's database on PostgreSQL, without tables."""
    shop.environment["SAGA_DATABASE"] = postgres_database()
    return shop


def execute(project: Project, *statements: str) -> None:
    engine = open_engine(project.environment["SAGA_DATABASE"])
    try:
        with engine.connect() as connection:
            connection.execution_options(isolation_level=AUTOCOMMIT)
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def pretend(project: Project, function: str) -> None:
    """Let a function of ours take the place of the server's own in this database."""
    name = project.environment["SAGA_DATABASE"].partition("?")[0].rpartition("/")[2]
    execute(
        project, f"CREATE FUNCTION public.{function}", f"ALTER DATABASE {name} SET search_path = public, pg_catalog"
    )


def test_a_database_server_that_is_not_there_is_unreachable(shop: Project) -> None:
    shop.environment["SAGA_DATABASE"] = f"postgresql://app@127.0.0.1:{free_port()}/saga"
    report = examined(shop)
    assert report.errors() == {"database"}
    report.named("database", "error", "engine: postgresql://app@127.0.0.1", "the server cannot be reached")


def test_a_database_server_that_refuses_the_login_is_told_apart_and_its_password_is_not_shown(
    on_postgres: Project,
) -> None:
    url = on_postgres.environment["SAGA_DATABASE"]
    on_postgres.environment["SAGA_DATABASE"] = url.replace("://postgres:", "://nobody:s3cr3t", 1)
    assert "nobody" in on_postgres.environment["SAGA_DATABASE"], url
    done = on_postgres.saga("doctor")
    assert done.returncode == 1
    assert "the login was refused" in done.stdout
    assert "s3cr3t" not in done.stdout + done.stderr


def test_a_database_that_is_not_on_its_server_is_named(on_postgres: Project) -> None:
    execute(on_postgres, "SELECT 1")
    head, _, rest = on_postgres.environment["SAGA_DATABASE"].rpartition("/saga_test")
    on_postgres.environment["SAGA_DATABASE"] = f"{head}/nosuch{rest}"
    report = examined(on_postgres)
    report.named("database", "error", "engine: ", "has no database of that name")


def test_pending_migrations_are_named_with_their_database(on_postgres: Project) -> None:
    report = examined(on_postgres)
    assert report.errors() == {"migrations"}
    assert report.named("migrations", "error", "engine: ", "0001_event_streams")["next"] == "saga db upgrade"


def test_a_database_that_a_newer_release_has_migrated_is_named(on_postgres: Project) -> None:
    assert on_postgres.saga("db", "upgrade").returncode == 0
    execute(on_postgres, "UPDATE saga_revisions_engine SET version_num = '0999_from_the_future'")
    report = examined(on_postgres)
    report.named("migrations", "error", "engine: ", "0999_from_the_future", "newer release")


def test_a_database_server_that_is_too_old_is_named_with_the_version_that_is_expected(on_postgres: Project) -> None:
    assert on_postgres.saga("db", "upgrade").returncode == 0
    pretend(on_postgres, "version() RETURNS text LANGUAGE sql AS $$ SELECT 'PostgreSQL 9.6.24 on x86_64' $$")
    report = examined(on_postgres)
    report.named("database", "warning", "PostgreSQL 9.6 is too old", "14.0")


def test_a_database_whose_clock_is_off_is_named_with_how_far(on_postgres: Project) -> None:
    assert on_postgres.saga("db", "upgrade").returncode == 0
    pretend(
        on_postgres,
        "clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        "$$ SELECT pg_catalog.clock_timestamp() + interval '10 minutes' $$",
    )
    what = examined(on_postgres).named("clock", "warning", "engine: ")["what"]
    ahead = re.search(r"(\d+) min(?: (\d+) s)? ahead", what)
    assert ahead is not None, what
    # Connecting counts for half of the way there, and takes a while on a busy machine.
    assert 580 < 60 * int(ahead[1]) + int(ahead[2] or 0) < 620


# NATS


@contextmanager
def serving(directory: Path, extra: str = "", *, replaced: str | None = None) -> Iterator[NatsServer]:
    """A nats-server with more, or quite another, configuration."""
    server = NatsServer(directory, extra)
    if replaced is not None:
        name, port = server.identity.name, server.identity.port
        server.place.configuration.write_text(f"server_name: {name}\nhost: 127.0.0.1\nport: {port}\n{replaced}")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def on_nats(shop: Project, own_nats_server: NatsServer) -> Project:
    """The project with a nats-server of its own, without streams."""
    shop.environment["SAGA_NATS__URL"] = own_nats_server.url
    return shop


def manage(project: Project, *streams: StreamConfig, then: ConsumerConfig | None = None) -> None:
    """Make these streams, a consumer on the first of them, and put one message on each."""

    async def make() -> None:
        client = await nats.connect(project.environment["SAGA_NATS__URL"])
        jetstream = client.jetstream()
        for stream in streams:
            await jetstream.add_stream(stream)
        if then is not None:
            await jetstream.add_consumer(streams[0].name or "", then)
        for stream in streams:
            await jetstream.publish((stream.subjects or [""])[0].replace(">", "payment.debit"), b"{}")
        await client.close()

    asyncio.run(make())


COMMANDS = StreamConfig(
    name="SAGA_COMMANDS",
    subjects=["saga.command.>"],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.NEW,
    storage=StorageType.FILE,
)


def test_a_nats_server_that_is_not_there_is_unreachable(shop: Project) -> None:
    shop.environment["SAGA_NATS__URL"] = f"nats://127.0.0.1:{free_port()}"
    report = examined(shop)
    assert report.errors() == {"nats"}
    report.named("nats", "error", "cannot reach")


def test_a_nats_server_that_hangs_does_not_hang_the_doctor(on_nats: Project, own_nats_server: NatsServer) -> None:
    own_nats_server.pause()
    try:
        report = examined(on_nats)
    finally:
        own_nats_server.resume()
    report.named("nats", "error", "cannot reach")
    assert "database" in {one["check"] for one in report.findings if one["severity"] == "ok"}


def test_a_nats_server_that_refuses_the_login_is_told_apart(shop: Project, tmp_path: Path) -> None:
    with serving(tmp_path / "own", "authorization { user: app, password: right }\n") as server:
        shop.environment |= {
            "SAGA_NATS__URL": server.url,
            "SAGA_NATS__USER": "app",
            "SAGA_NATS__PASSWORD": "wrong-one",
        }
        report = examined(shop)
    report.named("nats", "error", "refused the login")
    assert "wrong-one" not in str(report.findings)


def test_a_nats_server_without_jetstream_is_named(shop: Project, tmp_path: Path) -> None:
    with serving(tmp_path / "own", replaced="") as server:
        shop.environment["SAGA_NATS__URL"] = server.url
        report = examined(shop)
    assert report.errors() == {"nats"}
    report.named("nats", "error", "JetStream is not enabled")


def test_a_nats_server_that_takes_only_small_messages_is_named(shop: Project, tmp_path: Path) -> None:
    with serving(tmp_path / "own", "max_payload: 10000\n") as server:
        shop.environment["SAGA_NATS__URL"] = server.url
        report = examined(shop)
    report.named("nats", "error", "at most 10,000 bytes")


def test_tls_that_is_asked_for_and_not_offered_is_named(on_nats: Project) -> None:
    on_nats.environment["SAGA_NATS__URL"] = on_nats.environment["SAGA_NATS__URL"].replace("nats://", "tls://")
    report = examined(on_nats)
    report.named("nats", "error", "TLS is asked for")


def test_a_nats_server_that_is_too_old_is_named_with_both_versions(shop: Project) -> None:
    with played_server("2.9.0") as url:
        shop.environment["SAGA_NATS__URL"] = url
        report = examined(shop)
    report.named("nats", "error", "version 2.9.0", "2.11.16 or 2.12.7")


def test_connections_in_plain_text_beyond_this_machine_are_errors_unless_they_are_meant(on_nats: Project) -> None:
    on_nats.environment["SAGA_NATS__URL"] = on_nats.environment["SAGA_NATS__URL"].replace("127.0.0.1", "0.0.0.0")
    report = examined(on_nats)
    assert report.errors() == {"exposure"}
    report.named("exposure", "error", "nats.url", "plain text")
    report.named("exposure", "error", "nats.url", "nobody logs in")
    meant = examined(on_nats, "--insecure")
    assert meant.code == 0
    meant.named("exposure", "warning", "nats.url", "plain text")


def test_a_stream_of_another_retention_is_named(on_nats: Project) -> None:
    manage(on_nats, COMMANDS.evolve(retention=RetentionPolicy.LIMITS))
    report = examined(on_nats)
    report.named("streams", "error", "SAGA_COMMANDS", "retention is limits, expected workqueue")


def test_a_queue_that_is_full_and_one_that_is_kept_in_memory_are_named(on_nats: Project) -> None:
    replies = COMMANDS.evolve(name="SAGA_REPLIES", subjects=["saga.reply.>"], storage=StorageType.MEMORY)
    manage(on_nats, COMMANDS.evolve(max_msgs=1), replies)
    report = examined(on_nats)
    report.named("streams", "error", "SAGA_COMMANDS", "is nearly full: 1 of 1 messages")
    report.named("streams", "warning", "SAGA_REPLIES", "is kept in memory")
    report.named("streams", "warning", "SAGA_EVENTS", "is not there")


def test_streams_that_nobody_makes_are_named(on_nats: Project) -> None:
    on_nats.environment["SAGA_NATS__PROVISION"] = "false"
    report = examined(on_nats)
    assert report.errors() == {"streams"}
    assert "--retention work" in report.named("streams", "error", "SAGA_REPLIES", "provision is false")["next"]


def test_commands_that_no_worker_takes_are_named_with_their_participant(on_nats: Project) -> None:
    payment = ConsumerConfig(
        durable_name="payment", filter_subject="saga.command.payment.>", ack_policy=AckPolicy.EXPLICIT
    )
    manage(on_nats, COMMANDS, then=payment)
    report = examined(on_nats)
    assert report.errors() == {"workers"}
    assert report.named("workers", "error", "payment", "1 command waits")["next"] == "saga run --worker payment"
    report.named("workers", "warning", "order", "never had one")


def test_a_consumer_that_gives_up_on_commands_is_named(on_nats: Project) -> None:
    payment = ConsumerConfig(
        durable_name="payment", filter_subject="saga.command.payment.>", ack_policy=AckPolicy.EXPLICIT, max_deliver=3
    )
    manage(on_nats, COMMANDS, then=payment)
    examined(on_nats).named("workers", "error", "SAGA_COMMANDS/payment", "delivers at most 3 times")


def test_dead_letters_that_wait_are_named(on_nats: Project) -> None:
    manage(on_nats, StreamConfig(name="SAGA_DEAD", subjects=["saga.dead.>"]))
    report = examined(on_nats)
    assert report.named("dead letters", "warning", "1 dead letter waits")["next"] == "saga dead list"


# What the engine's database tells


@pytest.fixture
def started(shop: Project) -> Project:
    """The project with one saga that was started, and no process that orchestrates."""
    done = shop.saga("start", "place_order", "--input", ORDER)
    assert done.returncode == 0, done.stderr
    return shop


def store_file(project: Project) -> Path:
    return project.folder / ".saga" / "engine.db"


def test_a_saga_that_nobody_orchestrates_is_named(started: Project) -> None:
    report = examined(started)
    report.named("orchestrators", "error", "no orchestrator is alive, and 1 saga waits for one")


def test_a_definition_that_was_edited_under_its_version_is_named(started: Project) -> None:
    edit(
        started.folder / "definitions" / "place_order.yaml",
        "kind: retriable",
        "kind: retriable\n    timeout: {reply: 7s}",
    )
    report = examined(started)
    found = report.named("definitions", "error", "place_order.yaml", "version 2 was changed after it was registered")
    assert found["next"] == "saga definitions diff place_order"


def test_sagas_that_nobody_has_looked_at_for_long_are_named(started: Project) -> None:
    with closing(sqlite3.connect(store_file(started))) as store, store:
        store.execute("UPDATE saga_streams SET next_due = next_due - 3600000000")
        store.execute("UPDATE saga_events SET at = at - 3600000000")
    report = examined(started)
    report.named("overdue", "error", "place_order o-1", "1 saga due for more than a minute")
    report.named("unpublished", "error", "place_order o-1", "not confirmed by NATS")


def test_partitions_without_an_owner_and_leases_that_do_not_end_are_named(started: Project) -> None:
    with started.client() as client:
        store = client._store
        later = store.now() + 3_600_000_000
        taken = [LeaseChange("member/gone", "gone", later, None)]
        taken += [LeaseChange(f"partition/{one}", "gone", later, None) for one in range(PARTITIONS - 2)]
        assert all(store.change_leases(taken))
    report = examined(started)
    report.named("orchestrators", "error", "2 partitions of 16 without an owner: 14, 15")
    report.named("orchestrators", "error", "partition/0", "gone holds it for", "expected at most 2")


def test_a_reply_key_that_is_too_short_to_be_one_is_named(started: Project) -> None:
    with closing(sqlite3.connect(store_file(started))) as store, store:
        store.execute("INSERT INTO saga_reply_keys (id, secret, created_at) VALUES ('7', x'00', 1)")
    examined(started).named("reply keys", "error", "key 7 is shorter than 32 bytes")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def played_server(version: str) -> Iterator[str]:
    """A server that says it is a nats-server of that version, and knows no more than to answer pings."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        greeting = {"server_id": "old", "version": version, "max_payload": 1_048_576, "headers": True, "proto": 1}
        threading.Thread(target=_play, args=(listening, json.dumps(greeting)), daemon=True).start()
        yield f"nats://127.0.0.1:{port}"
        listening.shutdown(socket.SHUT_RDWR)


def _play(listening: socket.socket, greeting: str) -> None:
    while (accepted := _accepted(listening.accept)) is not None:
        with accepted, accepted.makefile("rwb") as lines:
            lines.write(f"INFO {greeting}\r\n".encode())
            lines.flush()
            for line in lines:
                if line.startswith(b"PING"):
                    lines.write(b"PONG\r\n")
                    lines.flush()


def _accepted(accept: Callable[[], tuple[socket.socket, object]]) -> socket.socket | None:
    """The next connection, None once nobody listens any more."""
    try:
        return accept()[0]
    except OSError:
        return None
