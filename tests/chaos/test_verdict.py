"""The verdict objects to what it is there for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from saga_engine.audit.history import Record
from saga_engine.audit.records.clients import ClientAnswer, ClientAnswered, ClientCalled, ClientVerb
from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.audit.records.stored import StreamRow
from saga_engine.audit.records.surroundings import Fault
from saga_engine.core.events import Direction
from saga_engine.envelope import StreamHead
from tests.chaos.faults import NETWORK_FAULTS, Act
from tests.chaos.measures import Life, Sample, progress, resources, silences
from tests.chaos.nemesis import Done
from tests.chaos.run import Outcome
from tests.chaos.servers import DATABASE
from tests.chaos.verdict import count, growing, too_little

SAGA = uuid4()


def row(status: str, saga_id: UUID = SAGA) -> StreamRow:
    ended = 3 if status == "completed" else None
    return StreamRow(StreamHead(saga_id, "transfer", "s-1", 1, 1, "hash", 0, 5, 5, status, None, 1, ended))


def acknowledged(saga_id: UUID = SAGA, answer: ClientAnswer = ClientAnswer.DONE, call: str = "c-1") -> list[Record]:
    called = ClientCalled(call, ClientVerb.START, 1, saga="transfer", key="s-1", input_hash="hash")
    return [called, ClientAnswered(call, answer, 2, saga_id=saga_id)]


def effect(key: str = "k") -> LedgerRow:
    return LedgerRow("bank", key, SAGA, "withdraw", None, Direction.FORWARD, LedgerKind.EFFECT, at=1, order=0)


def test_a_start_that_was_acknowledged_and_has_ended_is_neither_lost_nor_doubled() -> None:
    counted = count([*acknowledged(), row("completed"), effect("a"), effect("b")])
    assert (counted.sagas, counted.lost, counted.doubled) == ({"completed": 1}, [], [])


def test_a_start_that_was_acknowledged_and_is_not_in_the_store_is_lost() -> None:
    assert count(acknowledged()).lost == [f"key s-1: saga {SAGA} is not in the store"]


def test_a_saga_that_has_not_ended_is_lost() -> None:
    assert count([*acknowledged(), row("running")]).lost == [f"key s-1: saga {SAGA} is running"]


def test_a_start_that_nobody_acknowledged_may_be_missing() -> None:
    assert count(acknowledged(answer=ClientAnswer.TROUBLE)).lost == []


def test_a_key_that_began_two_sagas_is_doubled() -> None:
    other = uuid4()
    history = [*acknowledged(), *acknowledged(other, call="c-2"), row("completed"), row("completed", other)]
    assert len(count(history).doubled) == 1


def test_a_second_effect_under_one_key_is_doubled() -> None:
    assert count([effect(), effect()]).doubled == ["k at bank had 2 effects"]


def test_a_run_that_did_too_little_proves_nothing() -> None:
    done = Done(Counter({Act.KILL_WORKER: 19, Act.WIPE: 1}))
    assert too_little(done, {}, sagas=1_000, minutes=2.9) == ["kills: 20, expected at least 29.0"]
    assert too_little(done, {}, sagas=600, minutes=2) == ["sagas: 600, expected at least 666.7"]
    only_kills = Done(Counter({Act.KILL_WORKER: 20}))
    assert too_little(only_kills, {}, 667, 2) == ["wipes: 0, expected at least 0.7"]


def test_a_run_of_minutes_that_left_a_fault_out_or_into_the_void_proves_nothing() -> None:
    done = Done(Counter(dict.fromkeys(Act, 10)))
    felt = Counter(dict.fromkeys(NETWORK_FAULTS, 1))
    assert too_little(done, felt, 1_000, 3) == []
    assert too_little(done, {**felt, "cut": 0}, 1_000, 3) == ["network cut: never met a connection"]
    del done.acts[Act.PAUSE_WORKER]
    assert too_little(done, felt, 1_000, 3) == ["pause worker: never done"]


def test_a_role_whose_processes_grow_is_told() -> None:
    flat = [Sample("worker", at, 20.0, 80.0, 20) for at in range(100)]
    growing_ = [Sample("orchestrator", at, 20.0, 80.0 + at, 20) for at in range(100)]
    outcome = Outcome(Done(), [], samples=[*flat, *growing_])
    assert [course.judged for course in resources(outcome.samples)] == [True, True]
    (told,) = growing(outcome)
    assert told.startswith("orchestrator: memory (MiB) went from ")


LIFE = Life("orchestrator-0", "orchestrator-0.2", 100.0, None)


@pytest.mark.parametrize(
    ("commits", "late"),
    [({"orchestrator-0.2": 104.0}, False), ({"orchestrator-0.2": 106.0}, True), ({}, True)],
    ids=["in time", "late", "never"],
)
def test_a_start_must_lead_to_a_commit_within_the_limit(commits: dict[str, float], late: bool) -> None:
    judged = progress([LIFE], [], commits)
    assert bool(judged.late) is late
    assert "inf" not in judged.shown + "".join(judged.late)
    assert len(judged.undisturbed) == 1


def test_a_server_that_grows_is_shown_and_not_judged() -> None:
    outcome = Outcome(Done(), [], samples=[Sample(DATABASE, at, 20.0, 80.0 + at, 20) for at in range(100)])
    assert growing(outcome) == []


@pytest.mark.parametrize("target", ["client-database", "client-broker", "orchestrator-0-database"])
def test_a_start_without_work_or_without_its_servers_is_not_judged(target: str) -> None:
    cut = Fault("network", target, 99_000_000, 103_000_000, detail="cut")
    assert progress([LIFE], [cut], {"orchestrator-0.2": 109.0}).disturbed == 1


def test_a_start_while_the_client_waits_for_an_answer_has_nothing_to_commit() -> None:
    history: list[Record] = [
        ClientCalled("c-1", ClientVerb.START, 90_000_000),
        ClientAnswered("c-1", ClientAnswer.DONE, 101_000_000),
        ClientCalled("c-2", ClientVerb.START, 101_000_000),
        ClientAnswered("c-2", ClientAnswer.DONE, 101_500_000),
    ]
    silent = silences(history)
    assert silent == [(90.0, 101.0)]
    assert progress([LIFE], [], {}, silent).disturbed == 1
    assert progress([replace(LIFE, began=101.0)], [], {}, silent).late


def test_a_start_under_an_outage_or_of_no_length_is_not_judged() -> None:
    outage = Fault("kill database", DATABASE, 101_000_000, 103_000_000)
    assert progress([LIFE], [outage], {}).disturbed == 1
    assert progress([replace(LIFE, ended=102.0)], [], {}).short == 1


def test_a_start_beside_an_orchestrator_that_stands_still_with_its_rows_locked_is_not_judged() -> None:
    paused = Fault("pause orchestrator", "orchestrator-1", 101_000_000, 106_000_000, detail="")
    assert progress([LIFE], [paused], {}).disturbed == 1
