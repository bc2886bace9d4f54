"""`saga eventstore` as clients of the original service use it, generated from its .proto, and over kills of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.errors import TimeoutError as NothingMoreError

from saga_engine.wire.subjects import EVENTS
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, Project, eventually
from tests.databases import NewDatabase
from tests.nats_fixtures import NatsServer

CLIENT = Path(__file__).parent / "eventstore_client"
ORDERS_AT_ONCE, KILLS = 20, 3
TYPES = ["ORDERS.created", "ORDERS.paymentdebited", "ORDERS.approved"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, with what protoc makes from its .proto."""
    folder = tmp_path_factory.mktemp("client") / "client"
    shutil.copytree(CLIENT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    generate = ["-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "eventstore.proto"]
    subprocess.run([sys.executable, *generate], cwd=folder, check=True)
    return folder


class Client:
    """Runs the client's commands against one address."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "client.py", self._address, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def lines(self, *arguments: str) -> list[str]:
        """What a command says, which must succeed."""
        process = self.begin(*arguments)
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return said.splitlines()


@pytest.fixture
def address() -> str:
    """An address of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def embedded(project: MakeProject, tmp_path: Path, address: str) -> Project:
    """A project with an event store at that address, on SQLite."""
    source = tmp_path / "source"
    (source / "definitions").mkdir(parents=True)
    (source / "config.yaml").write_text(f'saga_engine: 1\neventstore: {{listen: "{address}"}}\n')
    return project(source)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, embedded: Project, own_nats_server: NatsServer) -> Project:
    """The same on a nats-server of its own, and on PostgreSQL, with a database apart for its events."""
    embedded.environment["SAGA_NATS__URL"] = own_nats_server.url
    if request.param == "postgres":
        new_database: NewDatabase = request.getfixturevalue("postgres_database")
        embedded.environment |= {"SAGA_DATABASE": new_database(), "SAGA_EVENTSTORE__DATABASE": new_database()}
        refused = embedded.saga("eventstore")
        assert (refused.returncode, "saga db upgrade" in refused.stderr) == (4, True), refused.stderr
        upgraded = embedded.saga("db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        assert "eventstore: applied 0001_domain_events" in upgraded.stdout
    return embedded


@pytest.mark.timeout(300)
def test_what_was_answered_is_kept_and_published_once_in_order_however_often_the_server_is_killed(
    store: Project, address: str, generated: Path, own_nats_server: NatsServer
) -> None:
    client = Client(generated, address)
    server = store.run(command="eventstore")
    writing = client.begin("orders")
    assert writing.stdin is not None
    answered: list[str] = []
    reader = threading.Thread(target=lambda: answered.extend(_lines(writing)))
    reader.start()
    orders = total = kills = 0
    # A busy machine may answer them all before it gets round to the kill: that shows nothing.
    while kills < KILLS:
        orders, half = orders + ORDERS_AT_ONCE, total + ORDERS_AT_ONCE * len(TYPES) // 2
        total = orders * len(TYPES)
        print(ORDERS_AT_ONCE, file=writing.stdin, flush=True)
        eventually(lambda half=half: len(answered) >= half, f"{half} answers")  # type: ignore[misc] # bound now
        server.kill()
        kills += len(answered) < total
        server = store.run(command="eventstore")
    writing.stdin.close()
    assert writing.wait(PATIENCE) == 0
    reader.join()
    assert sorted(answered) == sorted(f"o-{n}-{kind}" for n in range(orders) for kind in TYPES)

    for number in (0, orders // 2, orders - 1):
        order = f"o-{number}"
        data = f'{{"order_id": "{order}"}}'
        kept = [f"{order}-{kind} {kind} {data if kind != TYPES[-1] else ''}" for kind in TYPES]
        assert client.lines("read", order) == kept
        assert client.lines("follow", order, "3") == kept

    published = asyncio.run(_published(own_nats_server.url, total))
    assert published == {f"o-{n}": TYPES for n in range(orders)}
    assert server.stop() == 0


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            yield line.strip()


async def _published(url: str, count: int) -> dict[str, list[str]]:
    """What a consumer of ORDERS.* sees that drops repeated ids: the subjects by order, in their order."""
    seen, found = set[str](), defaultdict[str, list[str]](list)
    client = await nats.connect(url)
    try:
        subscription = await client.jetstream().pull_subscribe("ORDERS.*", stream=EVENTS)
        async with asyncio.timeout(PATIENCE):
            while len(seen) < count:
                try:
                    messages = await subscription.fetch(count, timeout=2)
                except NothingMoreError:
                    continue
                for message in messages:
                    await message.ack()
                    event_id = (message.headers or {})["Nats-Msg-Id"]
                    if event_id not in seen:
                        seen.add(event_id)
                        found[message.headers["ce-subject"] if message.headers else ""].append(message.subject)
    finally:
        await client.close()
    return dict(found)


def test_settings_that_would_let_anybody_in_are_refused_before_anything_is_served(embedded: Project) -> None:
    open_to_all = embedded.saga("--set", "eventstore.listen=0.0.0.0:0", "eventstore")
    assert (open_to_all.returncode, "nobody logs in" in open_to_all.stderr) == (2, True), open_to_all.stderr
    embedded.environment["SAGA_EVENTSTORE__TOKEN"] = "a-token-of-some-length"
    plain = embedded.saga("--set", "eventstore.listen=0.0.0.0:0", "eventstore")
    assert (plain.returncode, "plain text" in plain.stderr) == (2, True), plain.stderr
    for said in (open_to_all, plain):
        assert "a-token-of-some-length" not in said.stderr + said.stdout
        assert len(said.stderr.strip().splitlines()) == 1


def test_an_address_that_is_taken_is_told_in_one_line(embedded: Project, address: str) -> None:
    with socket.socket() as taken:
        host, _, port = address.rpartition(":")
        taken.bind((host, int(port)))
        taken.listen()
        refused = embedded.saga("eventstore")
    assert refused.returncode == 2, refused.stderr
    assert f"{address} cannot be listened on" in refused.stderr
