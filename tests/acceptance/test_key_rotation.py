"""The keys of the reply tokens are exchanged while real processes run sagas."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, Project, Service, eventually
from tests.nats_fixtures import NatsServer

PATIENT = "timeout: {reply: 30s}"
IMPATIENT = "timeout: {reply: 1s}"
"""Commands without an answer are sent again after a second, rather than after thirty."""


def made_impatient(project: Project) -> Project:
    path = project.folder / "definitions" / "place_order.yaml"
    text = path.read_text(encoding="utf-8")
    assert PATIENT in text
    path.write_text(text.replace(PATIENT, IMPATIENT), encoding="utf-8")
    return project


def keys(project: Project) -> dict[str, str]:
    listed = project.saga("keys", "list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    return {row["key"]: row["state"] for row in json.loads(listed.stdout)}


def changed_to(orchestrator: Service, *keys: str) -> bool:
    """Whether the orchestrator has said that these are the keys that count."""
    whole = orchestrator.log.rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    said = [line["keys"] for line in lines if line["event"] == "the keys of the reply tokens have changed"]
    return bool(said) and said[-1] == list(keys)


@pytest.mark.timeout(400)
def test_keys_are_exchanged_twice_under_two_running_engines_and_no_saga_notices(
    project: MakeProject, postgres_databases: dict[str, str], own_nats_server: NatsServer
) -> None:
    made = made_impatient(project(LEDGER, postgres_databases, SAGA_NATS__URL=own_nats_server.url))
    assert made.saga("db", "upgrade").returncode == 0
    services = [made.run(), made.run()]
    started = made.start_orders(200, prefix="first")
    for newest in ("2", "3"):
        assert made.saga("keys", "rotate").returncode == 0
        started += made.start_orders(200, prefix=f"key-{newest}")
        assert made.saga("keys", "retire", str(int(newest) - 1)).returncode == 0
        started += made.start_orders(100, prefix=f"without-{newest}")
    assert keys(made) == {"3": "signs"}
    assert made.wait_for_end(started, patience=120) == {"completed": 640, "compensated": 160}
    assert max(made.effects("order").values()) == max(made.effects("payment").values()) == 1
    assert [service.stop() for service in services] == [0, 0]


@pytest.mark.timeout(300)
def test_a_reply_that_comes_after_its_key_was_retired_is_dropped_and_asked_for_again(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = made_impatient(project(LEDGER, SAGA_NATS__URL=own_nats_server.url))
    orchestrator = made.run("--orchestrator")
    (saga_id,) = made.start_orders(1, declined_every=0)
    # Its first command waits for a worker, with a token of the key that is about to go.
    eventually(lambda: "CommandIssued" in made.saga("history", str(saga_id)).stdout, "the first command")
    assert made.saga("keys", "rotate").returncode == 0
    assert made.saga("keys", "retire", "1").returncode == 0
    # For a few seconds after that the orchestrator may still accept the key: it has to know first.
    eventually(lambda: changed_to(orchestrator, "2"), "the orchestrator to know the keys")
    made.run("--worker", "order", "--worker", "payment")
    assert made.wait_for_end([saga_id]) == {"completed": 1}
    assert set(made.effects("order").values()) == set(made.effects("payment").values()) == {1}
    # The saga may end first: the reply is looked at once more if the keys were read a moment ago.
    eventually(lambda: "forged replies are dropped" in orchestrator.log, "the late reply to be dropped")
    assert orchestrator.stop() == 0
    counted = orchestrator.counters()
    assert counted["sent_again"] >= 1
    by_reason: object = counted["forgeries"]
    assert by_reason == {"unknown_key": counted["forged"]}
    assert counted["forged"] >= 1


def test_the_key_that_signs_and_one_that_is_not_there_are_refused(project: MakeProject) -> None:
    made = project(LEDGER)
    assert made.saga("db", "upgrade").returncode == 0
    assert keys(made) == {}
    assert made.saga("keys", "rotate", "-o", "json").returncode == 0
    refused = made.saga("keys", "retire", "1")
    assert (refused.returncode, refused.stderr) == (
        1,
        "Error: key 1 signs new commands; run `saga keys rotate` first\n",
    )
    unknown = made.saga("keys", "retire", "../7\x1b[2J")
    assert unknown.returncode == 3
    assert "there is no key" in unknown.stderr
    assert "\x1b" not in unknown.stderr
    assert made.saga("keys", "rotate").returncode == 0
    assert keys(made) == {"1": "counts", "2": "signs"}
    assert made.saga("keys", "retire", "1").returncode == 0
    assert keys(made) == {"2": "signs"}
