"""A saga with one step served by the Node.js participant of the examples, beside Python ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from nats.aio.msg import Msg

from saga_engine.definition.model import Json
from saga_engine.wire.subjects import COMMANDS
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, REPOSITORY, Project, eventually
from tests.nats_fixtures import NatsServer

EXAMPLE = REPOSITORY / "examples" / "participant-node"
NO_REGISTRY = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENOTCACHED")
DEFINITION = """
saga: ship_order
version: 1
key: ${{ input.order_id }}
timeout: 15m
defaults: {timeout: {reply: 1s}}
output: {place: "${{ steps.reserve_parcel.result.place }}"}
steps:
  - step: create_order
    call: order.create
    with: {order_id: "${{ input.order_id }}", customer_id: c-1, amount: "${{ input.amount }}"}
    compensate: {call: order.reject, with: {order_id: "${{ input.order_id }}", reason: "${{ failure.code }}"}}
  - step: reserve_parcel
    call: parcel.reserve
    with: {order_id: "${{ input.order_id }}", weight: "${{ input.weight }}"}
    compensate: {call: parcel.release}
  - step: debit_payment
    call: payment.debit
    with: {order_id: "${{ input.order_id }}", amount: "${{ input.amount }}"}
    compensate: {call: payment.refund}
"""


class Node:
    """The worker's process and its journal."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, "NATS_URL": url}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._folder / f"node-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["node", "src/main.mjs"], cwd=self._folder, env=self._environment, stdout=output, stderr=output
            )
        process = self.process
        eventually(lambda: "Serving parcel" in log.read_text() or process.poll() is not None, "the Node.js worker")
        assert process.poll() is None, log.read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def parcels(self) -> dict[str, Json]:
        """What the journal says of each order's parcel."""
        found: dict[str, Json] = {}
        for line in (self._folder / "parcel.journal").read_text().splitlines():
            found |= {key: value for table, key, value in json.loads(line) if table == "parcels"}
        return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its packages."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the Node.js participant is not tested here")
    folder = tmp_path_factory.mktemp("node") / "participant-node"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "*.journal*"))
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    if done.returncode and any(code in done.stderr for code in NO_REGISTRY):
        pytest.skip("the npm registry cannot be reached: the Node.js participant is not tested here")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def node(installed: Path, tmp_path: Path, own_nats_server: NatsServer) -> Iterator[Node]:
    """The worker, not started yet: the orchestrator makes the streams."""
    folder = tmp_path / "participant-node"
    shutil.copytree(installed, folder)
    worker = Node(folder, own_nats_server.url)
    yield worker
    worker.kill()


@pytest.fixture
def running(project: MakeProject, node: Node, own_nats_server: NatsServer) -> Project:
    """A project whose orchestrator and Python participants run, and the Node.js one beside them."""
    made = project(REPOSITORY, SAGA_NATS__URL=own_nats_server.url)
    (made.folder / "definitions" / "ship_order.yaml").write_text(DEFINITION)
    made.run("--orchestrator", "--worker", "order", "--worker", "payment")
    node.start()
    return made


def start(project: Project, order: str, amount: int, weight: int) -> subprocess.CompletedProcess[str]:
    text = json.dumps({"order_id": order, "amount": amount, "weight": weight})
    return project.saga("start", "ship_order", "--input", text, "--wait", "-o", "json")


def test_the_vectors_of_the_protocol_hold_for_the_node_participant(installed: Path) -> None:
    done = subprocess.run(
        ["npm", "test"],
        cwd=installed, capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "SAGA_VECTORS": str(REPOSITORY / "docs" / "vectors")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout


def test_a_saga_completes_is_rejected_and_is_compensated_with_a_step_in_node(running: Project, node: Node) -> None:
    completed = start(running, "o-1", 1000, 3)
    assert completed.returncode == 0, completed.stderr
    assert start(running, "o-2", 99_999_999, 3).returncode == 5  # the card is declined after the parcel was reserved
    assert start(running, "o-3", 1000, 31).returncode == 5  # the parcel itself is refused
    assert node.parcels() == {
        "o-1": {"place": "P-o-1", "state": "reserved", "reserved": 1},
        "o-2": {"place": "P-o-2", "state": "released", "reserved": 1},
    }
    assert "too_heavy" in running.saga("history", "o-3", "-o", "jsonl").stdout


def headers(key: str, send: int) -> dict[str, str]:
    now = time.time_ns() // 1000
    identifier = f"{key}/1/{send}"
    sent = {
        "Nats-Msg-Id": identifier, "ce-id": identifier, "ce-specversion": "1.0", "ce-source": "saga/ship_order",
        "ce-type": "saga.command.parcel.reserve", "saga-key": key, "saga-name": "ship_order", "saga-attempt": "1",
        "saga-send": str(send), "saga-issued-at": str(now), "saga-deadline": str(now + 30_000_000),
        "saga-partition": "7", "saga-token": "a.b",
    }  # fmt: skip
    if key.endswith("/compensate"):
        sent |= {"saga-undoes": key.replace("/compensate", "/forward"), "saga-undoes-command": "parcel.reserve"}
    return sent


def fresh_saga() -> str:
    """A UUIDv7 of now: the age of a saga decides whether its inbox row can have been deleted."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{uuid4().hex[:3]}-8{uuid4().hex[:3]}-{uuid4().hex[:12]}"


def said(reply: Msg) -> tuple[str, str, Json]:
    sent = reply.headers or {}
    return sent["saga-outcome"], sent["saga-send"], json.loads(reply.data)


async def test_a_repeated_command_and_a_compensation_that_comes_first_have_one_effect_and_none(
    running: Project, node: Node, own_nats_server: NatsServer
) -> None:
    client = await nats.connect(own_nats_server.url)
    try:
        replies = await client.subscribe("saga.reply.*.parcel")
        await client.flush()

        async def ask(command: str, key: str, send: int, order: str) -> Msg:
            body = json.dumps({"payload": {"order_id": order, "weight": 3}, "result": None}).encode()
            await client.jetstream().publish(f"saga.command.parcel.{command}", body, headers=headers(key, send))
            # An earlier send may be delivered and answered again: its acknowledgement can be lost with the worker.
            while True:
                reply = await replies.next_msg(timeout=PATIENCE)
                if (reply.headers or {})["Nats-Msg-Id"] == f"{key}/1/{send}/reply":
                    return reply

        repeated = f"{fresh_saga()}/reserve_parcel/forward"
        place: Json = {"result": {"place": "P-twice"}}
        assert said(await ask("reserve", repeated, 1, "twice")) == ("succeeded", "1", place)
        assert said(await ask("reserve", repeated, 2, "twice")) == ("succeeded", "2", place)
        node.kill()
        node.start()
        assert said(await ask("reserve", repeated, 3, "twice")) == ("succeeded", "3", place)
        assert await client.jetstream().delete_consumer(COMMANDS, "parcel")  # as when the broker has lost its data
        assert said(await ask("reserve", repeated, 4, "twice")) == ("succeeded", "4", place)

        saga = fresh_saga()
        first = await ask("release", f"{saga}/reserve_parcel/compensate", 1, "never")
        assert said(first) == ("succeeded", "1", {"result": None})
        assert (first.headers or {})["saga-effect"] == "none"
        outcome, _, body = said(await ask("reserve", f"{saga}/reserve_parcel/forward", 1, "never"))
        assert (outcome, isinstance(body, dict) and body["code"]) == ("rejected", "tombstone")
    finally:
        await client.close()
    assert node.parcels() == {"twice": {"place": "P-twice", "state": "reserved", "reserved": 1}}
