"""The how-to pages about a project that is there, followed to the letter: their commands do what they say they do."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from saga_engine.wire.subjects import DEAD
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, REPOSITORY, Project
from tests.acceptance.walkthrough import Walkthrough, tools
from tests.nats_fixtures import NatsServer
from tests.unit.docs.markdown import OPERATING, SIGNALS, blocks

SLOW_S = 300
"""Some thirty processes one after the other; each has its own, shorter patience."""


def _order(key: str) -> str:
    return json.dumps({"order_id": key, "customer_id": "c-1", "amount": 1000})


@pytest.fixture
def shop(project: MakeProject, own_nats_server: NatsServer) -> Project:
    """What the pages speak of: order o-7 has ended, o-8 is suspended, one command was unreadable; files with orders."""
    made = project(REPOSITORY, SAGA_NATS__URL=own_nats_server.url)
    for name, keys in (("order.json", ["f-1"]), ("orders.jsonl", ["f-2", "f-3"]), ("more.jsonl", ["f-4"])):
        (made.folder / name).write_text("".join(f"{_order(key)}\n" for key in keys), encoding="utf-8")
    for arguments in (("start", "place_order", "--input", _order("o-8")), ("suspend", "o-8", "--why", "a question")):
        done = made.saga(*arguments)
        assert done.returncode == 0, done.stderr
    made.run()
    done = made.saga("start", "place_order", "--input", _order("o-7"), "--wait")
    assert done.returncode == 0, done.stderr
    asyncio.run(_send_what_cannot_be_read(own_nats_server))
    return made


async def _send_what_cannot_be_read(server: NatsServer) -> None:
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.publish("saga.command.order.create", b"?")
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (await stream.stream_info(DEAD)).state.messages == 0:
        assert asyncio.get_running_loop().time() < deadline, "no dead letter"
        await asyncio.sleep(0.02)
    await client.close()


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Walkthrough]:
    """A reader, whose folder and environment are set by the test."""
    walkthrough = Walkthrough(tmp_path, tools(tmp_path))
    yield walkthrough
    walkthrough.close()


@pytest.mark.timeout(SLOW_S)
def test_the_pages_about_operating_do_what_they_say(shop: Project, follow: Walkthrough) -> None:
    follow.folder = shop.folder
    follow.environment |= {name: value for name, value in shop.environment.items() if name.startswith("SAGA_")}
    for page in OPERATING:
        before = len(follow.done)
        follow.follow([block for block in blocks(page) if block.language in ("sh", "text")])
        assert len(follow.done) > before, page.name
    keys = {head["key"] for head in json.loads(shop.saga("list", "-o", "json").stdout)}
    assert {"f-1", "f-2", "f-3", "f-4"} <= keys


def test_the_signal_of_the_page_is_kept_for_a_saga_that_does_not_wait_yet(
    project: MakeProject, follow: Walkthrough
) -> None:
    made = project(REPOSITORY)
    shutil.copy(REPOSITORY / "examples" / "expense_approval.yaml", made.folder / "definitions")
    report = '{"report_id": "report-7", "employee_id": "e-1", "amount": 12000}'
    assert made.saga("start", "expense_approval", "--input", report).returncode == 0
    follow.folder = made.folder
    follow.follow([block for block in blocks(SIGNALS) if block.language in ("sh", "text")])
    events = made.saga("history", "report-7", "-o", "jsonl").stdout
    assert [json.loads(line)["type"] for line in events.splitlines()][-1] == "SignalReceived"
