"""What `saga auth export` prints is enough for a whole saga and for nothing else: real nats-server, real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import ProgrammingError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import connect
from saga_engine.errors import TransportUnavailableError
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.subjects import COMMANDS, DEAD, EVENTS, REPLIES
from tests.databases import NewDatabase, run_sql
from tests.security.guarded import PASSWORD, Guarded, guarded
from tests.security.refusals import all_refused, login

STREAMS = (COMMANDS, REPLIES, EVENTS, DEAD)
API = "$JS.API"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, postgres_database: NewDatabase) -> Iterator[Guarded]:
    databases = {name: postgres_database() for name in ("engine", "order", "payment")}
    with guarded(tmp_path_factory.mktemp("guarded"), databases) as place:
        yield place


@pytest.mark.timeout(600)
def test_a_whole_saga_runs_with_a_user_and_a_role_for_each_process(place: Guarded) -> None:
    services = [
        place.as_("orchestrator", "saga_run").run("--orchestrator"),
        place.as_("worker_order", "saga_worker_order").run("--worker", "order"),
        place.as_("worker_payment", "saga_worker_payment").run("--worker", "payment"),
    ]
    cli = place.as_("cli", "saga_run")
    for number, amount in enumerate((1000, 99_999_999)):
        order = {"order_id": f"o-{number}", "customer_id": "c", "amount": amount}
        started = cli.saga("start", "place_order", "--input", json.dumps(order))
        assert started.returncode == 0, started.stderr
    assert cli.wait_for_all() == {"completed": 1, "compensated": 1}
    for arguments in (("list",), ("show", "o-0"), ("history", "o-1"), ("dead", "list"), ("keys", "list")):
        looked = cli.saga(*arguments)
        assert (looked.returncode, "rror" in looked.stderr) == (0, False), looked.stderr
    effects = place.project.effects("order") + place.project.effects("payment")
    assert (max(effects.values()), effects.total()) == (1, 5)
    for service in services:
        assert service.stop() == 0
        assert "ermission" not in service.log, service.log


@pytest.mark.timeout(300)
async def test_an_operator_reads_dead_letters_and_sends_them_again_without_making_a_consumer(place: Guarded) -> None:
    worker = await login(place.server.url, "worker_payment")
    for number in range(3):
        subject = "saga.command.payment.debit" if number else "$JS.API.STREAM.PURGE.SAGA_EVENTS"
        await worker.publish(
            "saga.dead.payment", b"{}", headers={"saga-reason": f"r{number}", "saga-original-subject": subject}
        )
    await worker.flush()
    await worker.close()
    operator = place.as_("operator", "saga_run")
    listed = await asyncio.to_thread(operator.saga, "dead", "list", "-o", "json", "--limit", "2")
    letters = json.loads(listed.stdout)
    assert [letter["reason"] for letter in letters] == ["r2", "r1"], listed.stderr
    newest = letters[0]["sequence"]
    sent = await asyncio.to_thread(operator.saga, "dead", "send", str(newest))
    assert sent.returncode == 0, sent.stderr
    refused = await asyncio.to_thread(operator.saga, "dead", "send", str(newest - 2))
    assert refused.returncode == 1
    assert "is none of a command or a reply" in refused.stdout
    looking = place.as_("cli", "saga_run")
    forbidden = await asyncio.to_thread(looking.saga, "dead", "send", str(newest - 1))
    assert forbidden.returncode == 1, "who may only look may not send"


WORKER_MAY_NOT_PUBLISH = [
    "saga.command.payment.debit",
    "saga.command.order.create",
    "saga.reply.3.payment",
    "saga.reply.3",
    "saga.event.place_order.OrderApproved",
    "saga.wake.3",
    "saga.dead.payment",
    "saga.dead.orchestrator",
    f"{API}.INFO",
    f"{API}.STREAM.NAMES",
    f"{API}.STREAM.LIST",
    *(f"{API}.STREAM.{verb}.{stream}" for stream in STREAMS for verb in ("INFO", "DELETE", "PURGE", "UPDATE")),
    *(f"{API}.STREAM.MSG.GET.{stream}" for stream in STREAMS),
    f"{API}.STREAM.MSG.DELETE.{COMMANDS}",
    f"{API}.DIRECT.GET.{COMMANDS}",
    f"{API}.STREAM.SNAPSHOT.{COMMANDS}",
    f"{API}.STREAM.RESTORE.{COMMANDS}",
    f"{API}.STREAM.CREATE.MINE",
    f"{API}.CONSUMER.CREATE.{COMMANDS}",
    f"{API}.CONSUMER.CREATE.{COMMANDS}.mine.saga.command.payment.>",
    f"{API}.CONSUMER.DURABLE.CREATE.{COMMANDS}.mine",
    f"{API}.CONSUMER.DELETE.{COMMANDS}.payment",
    f"{API}.CONSUMER.DELETE.{COMMANDS}.order",
    f"{API}.CONSUMER.PAUSE.{COMMANDS}.payment",
    f"{API}.CONSUMER.MSG.NEXT.{COMMANDS}.payment",
    f"{API}.CONSUMER.MSG.NEXT.{REPLIES}.partition_3",
    f"$JS.ACK.{COMMANDS}.payment.1.1.1.1.0",
    f"$JS.ACK.{REPLIES}.partition_3.1.1.1.1.0",
    f"$JS.ACK._.x.{COMMANDS}.payment.1.1.1.1.0",
    "_INBOX_worker_payment.x",
    "_INBOX_orchestrator.x",
    "$SYS.REQ.SERVER.PING",
]
ORCHESTRATOR_MAY_NOT_PUBLISH = [
    "saga.reply.3.payment",
    "saga.dead.order",
    *(f"{API}.STREAM.{verb}.{stream}" for stream in STREAMS for verb in ("DELETE", "PURGE", "UPDATE")),
    f"{API}.CONSUMER.CREATE.{REPLIES}",
    f"{API}.CONSUMER.MSG.NEXT.{COMMANDS}.order",
    f"$JS.ACK.{COMMANDS}.order.1.1.1.1.0",
]
CLI_MAY_NOT_PUBLISH = [
    "saga.command.payment.debit",
    "saga.reply.3.payment",
    "saga.event.place_order.OrderApproved",
    f"{API}.STREAM.MSG.DELETE.{DEAD}",
    f"{API}.STREAM.MSG.GET.{COMMANDS}",
    f"{API}.CONSUMER.CREATE.{DEAD}",
    f"{API}.STREAM.PURGE.{DEAD}",
]
DEPLOY_MAY_NOT_PUBLISH = [
    "saga.command.payment.debit",
    "saga.reply.3.payment",
    *(f"{API}.STREAM.{verb}.{stream}" for stream in STREAMS for verb in ("DELETE", "PURGE")),
    f"{API}.STREAM.UPDATE.{COMMANDS}",
    f"{API}.STREAM.CREATE.OTHER",
    f"{API}.CONSUMER.CREATE.{COMMANDS}.spy.saga.command.>",
    f"{API}.CONSUMER.MSG.NEXT.{COMMANDS}.order",
]
FORBIDDEN = {
    "worker_order": WORKER_MAY_NOT_PUBLISH,
    "orchestrator": ORCHESTRATOR_MAY_NOT_PUBLISH,
    "cli": CLI_MAY_NOT_PUBLISH,
    "deploy": DEPLOY_MAY_NOT_PUBLISH,
}
NOT_TO_BE_HEARD = {
    "worker_order": [
        ">",
        "saga.>",
        "saga.command.order.>",
        "saga.command.payment.>",
        "saga.reply.>",
        "saga.event.>",
        "saga.wake.*",
        "_INBOX.>",
        "_INBOX_worker_payment.>",
        "_INBOX_orchestrator.>",
        "$JS.API.>",
        "$JS.EVENT.>",
    ],
    "orchestrator": [">", "saga.command.>", "saga.reply.>", "_INBOX_worker_order.>", "$JS.API.>"],
    "cli": [">", "saga.command.>", "saga.event.>", "saga.dead.>", "_INBOX_orchestrator.>"],
    "deploy": [">", "saga.command.>", "_INBOX_worker_order.>"],
}


@pytest.mark.parametrize("user", FORBIDDEN)
async def test_what_a_user_may_not_publish_is_refused_subject_by_subject(place: Guarded, user: str) -> None:
    complaints: list[str] = []
    client = await login(place.server.url, user, complaints)
    for subject in FORBIDDEN[user]:
        await client.publish(subject, b"{}")
    await client.flush()
    await all_refused(complaints, FORBIDDEN[user])
    await client.close()


@pytest.mark.parametrize("user", NOT_TO_BE_HEARD)
async def test_what_a_user_may_not_hear_is_refused_subject_by_subject(place: Guarded, user: str) -> None:
    complaints: list[str] = []
    client = await login(place.server.url, user, complaints)
    for subject in NOT_TO_BE_HEARD[user]:
        await client.subscribe(subject)
    await client.flush()
    await all_refused(complaints, NOT_TO_BE_HEARD[user])
    await client.close()


async def test_an_answer_of_the_server_that_is_bounced_to_another_participant_is_no_command(place: Guarded) -> None:
    """The server answers wherever the sender says, whatever that one may publish. All that comes of it is noise:

    the acknowledgement of a reply has no headers, and a command that is bounced keeps its own subject.
    """
    worker = await login(place.server.url, "worker_order")
    await worker.publish("saga.reply.1.order", b"x", reply="saga.command.payment.debit")
    request = b'{"batch": 1, "no_wait": true}'
    await worker.publish(f"{API}.CONSUMER.MSG.NEXT.{COMMANDS}.order", request, reply="saga.command.payment.debit")
    await worker.flush()
    await worker.close()
    bounced = await connect(place.settings("worker_payment"))
    subscription = await bounced.commands("payment")
    async with asyncio.timeout(90):
        got = [delivery.message for delivery in await subscription.receive(10)]
    assert any(b'"stream"' in message.body for message in got)
    assert all(isinstance(message_to_command(message), Unreadable) for message in got)
    await subscription.close()
    await bounced.close()


async def test_nobody_is_let_in_without_a_password_or_with_anothers(place: Guarded) -> None:
    stolen = PASSWORD.format(user="worker_payment")
    for user, password in ((None, None), ("worker_order", stolen)):
        with pytest.raises(TransportUnavailableError, match="refused the login") as refused:
            await connect(NatsSettings(servers=(place.server.url,), user=user, password=password))
        assert stolen not in str(refused.value)


SQL_DENIED = {
    "saga_run": [
        "UPDATE saga_events SET data = '{}'",
        "DELETE FROM saga_events",
        "TRUNCATE saga_events",
        "DELETE FROM saga_streams",
        "DELETE FROM saga_keys",
        "UPDATE saga_keys SET stream_id = stream_id",
        "UPDATE saga_definitions SET content = ''",
        "UPDATE saga_reply_keys SET secret = ''",
        "DELETE FROM saga_reply_keys",
        "DROP TABLE saga_events",
        "ALTER TABLE saga_events ADD COLUMN x int",
        "CREATE TABLE mine (x int)",
        "UPDATE saga_revisions_engine SET version_num = 'x'",
    ],
    "saga_worker_order": [
        "SELECT * FROM saga_events",
        "SELECT * FROM saga_streams",
        "SELECT secret FROM saga_reply_keys",
        "INSERT INTO saga_leases VALUES ('x', 'x', 0)",
        "CREATE TABLE mine (x int)",
    ],
    "saga_read": [
        "SELECT data FROM saga_events",
        "SELECT * FROM saga_events",
        "SELECT secret FROM saga_reply_keys",
        "SELECT content FROM saga_definitions",
        "SELECT data FROM saga_snapshots",
        "UPDATE saga_streams SET status = 'completed'",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(role, one) for role, some in SQL_DENIED.items() for one in some])
def test_a_statement_that_a_role_has_no_right_to_is_refused(place: Guarded, role: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        run_sql(place.url(role), statement)


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE saga_inbox", "UPDATE saga_revisions_order SET version_num = 'x'", "CREATE TABLE x (y int)"],
)
def test_a_worker_may_not_change_the_tables_of_its_own_database(place: Guarded, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        run_sql(place.url("saga_worker_order", "order"), statement)


@pytest.mark.parametrize("statement", ["SELECT * FROM saga_inbox", "SELECT * FROM effects"])
def test_a_worker_may_not_read_the_database_of_another_participant(place: Guarded, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        run_sql(place.url("saga_worker_order", "payment"), statement)


def test_a_reader_sees_which_sagas_there_are(place: Guarded) -> None:
    run_sql(place.url("saga_read"), "SELECT status FROM saga_streams", "SELECT type, at FROM saga_events")


def test_an_unknown_participant_has_no_permissions(place: Guarded) -> None:
    unknown = place.project.saga("auth", "export", "--participant", "no_such")
    assert unknown.returncode == 3
    assert "there are: order, payment" in unknown.stderr
    assert place.project.saga("auth", "export", "--participant", "order", "--all").returncode == 2


def test_one_participant_gets_only_what_is_its_own(place: Guarded) -> None:
    exported = place.project.saga("auth", "export", "--participant", "order", "--format", "json")
    users = json.loads(exported.stdout)
    assert [user["user"] for user in users["nats"]] == ["worker_order"]
    assert [role["role"] for role in users["sql"]] == ["saga_worker_order"]
    assert "payment" not in exported.stdout
