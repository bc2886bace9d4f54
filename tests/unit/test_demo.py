"""The course of the demo, on a stage without processes and in time that passes only when it sleeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from saga_engine.cli.output import Part
from saga_engine.cli.views.demo import Lines, kind, recoveries, summary
from saga_engine.core.state import Progress, SagaState, Status, StepState, StepStatus
from saga_engine.definition.model import Json
from saga_engine.demo.course import LONGEST_S, Course, Timing, worth_showing
from saga_engine.demo.outage import PATIENCE_S, Outage
from saga_engine.demo.scenes import Absence, Act, Scene
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError
from saga_engine.settings.sections import DemoKill, DemoSaga, DemoSection

GOOD = DemoSaga(title="good", input={"order_id": "o-{id}", "amount": 1, "notes": ["{id}"]}, count=3)
BAD = DemoSaga(title="bad", input={"order_id": "o-{id}", "amount": 9}, count=1)
KILL = DemoKill.model_validate({"participant": "payment", "after": 2, "back": "2s"})


class Theatre:
    """A stage that notes what happens; a saga completes half a second after its start, unless payment is away.

    `asked`: for each time that it is asked, who waits for payment; afterwards, and by default, all that have not ended.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self.notes: list[str] = []
        self.inputs: list[Mapping[str, Json]] = []
        self.due: dict[UUID, float] = {}
        self.asked: list[set[int]] = []
        self.away = False
        self.starting_s = 0.0
        self.works_at = 0.0
        self.broken = False

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.away:
            self.due = {saga_id: max(at, self.time + 0.5) for saga_id, at in self.due.items()}

    def start(self, saga: str, saga_input: Json) -> tuple[UUID, str]:
        assert isinstance(saga_input, Mapping)
        saga_id = UUID(int=len(self.inputs) + 1)
        self.inputs.append(saga_input)
        self.due[saga_id] = self.time + 0.5
        self.notes.append(f"start {saga}")
        return saga_id, str(saga_input["order_id"])

    def look(self, saga_id: UUID) -> StreamHead:
        status = Status.COMPLETED if self.time >= self.due[saga_id] else Status.RUNNING
        return StreamHead(saga_id, "place_order", "k", 1, 1, "h", 0, 1, 1, status, None, 0, None)

    def at_work(self, participant: str, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        waiting = {one for one in saga_ids if self.look(one).status != Status.COMPLETED}
        if self.asked:
            waiting &= {UUID(int=number) for number in self.asked.pop(0)}
        return dict.fromkeys(waiting, "debit")

    def kill(self, participant: str) -> None:
        self.away = True
        self.notes.append(f"kill {participant} at {self.time:.1f}")

    def bring_back(self, participant: str) -> None:
        self.away = False
        self.works_at = self.time + self.starting_s
        self.notes.append(f"bring back {participant} at {self.time:.1f}")

    def works(self, participant: str) -> bool:
        return self.time >= self.works_at

    def check(self) -> None:
        if self.broken:
            raise SagaEngineError("a process ended")


def course(theatre: Theatre, kill: DemoKill | None) -> Course:
    ids = (f"{number}" for number in range(100))
    demo = DemoSection(saga="place_order", runs=(GOOD, BAD), kill=kill)
    return Course(demo, theatre, lambda: next(ids), Timing(lambda: theatre.time, theatre.sleep))


def test_all_sagas_are_started_in_turn_and_the_last_scene_has_them_all_ended() -> None:
    theatre = Theatre()
    scenes = list(course(theatre, None).scenes())
    assert [act.title for act in scenes[-1].acts] == ["good", "bad", "good", "good"]
    assert {act.status for act in scenes[-1].acts} == {Status.COMPLETED}
    assert [scene.last for scene in scenes] == [False] * (len(scenes) - 1) + [True]


def test_an_id_in_the_input_is_new_for_every_saga() -> None:
    theatre = Theatre()
    list(course(theatre, None).scenes())
    assert theatre.inputs[0] == {"order_id": "o-0", "amount": 1, "notes": ["0"]}
    assert len({str(one["order_id"]) for one in theatre.inputs}) == 4


def test_the_worker_is_killed_in_mid_command_after_so_many_starts_and_comes_back_after_a_while() -> None:
    theatre = Theatre()
    scenes = list(course(theatre, KILL).scenes())
    marks = [note for note in theatre.notes if not note.startswith("start")]
    assert marks == ["kill payment at 0.3", "bring back payment at 2.3"]
    assert theatre.notes.index("kill payment at 0.3") == 2
    assert scenes[-1].absence is Absence.BACK
    assert [act.held_up for act in scenes[-1].acts] == [True, True, True, True]
    assert [act.struck for act in scenes[-1].acts] == ["debit", "debit", None, None]


def test_only_a_command_that_has_been_out_for_two_looks_is_in_the_middle_of_its_execution() -> None:
    theatre = Theatre()
    theatre.asked = [{1}, set(), {2}, {2, 3}]
    scenes = list(course(theatre, KILL).scenes())
    assert theatre.asked == []
    assert [act.struck for act in scenes[-1].acts] == [None, "debit", None, None]


def test_a_command_whose_reply_was_on_its_way_at_the_kill_was_not_struck() -> None:
    theatre = Theatre()
    theatre.asked = [{1, 2}, {1, 2}, {2}]
    scenes = list(course(theatre, KILL).scenes())
    assert [act.struck for act in scenes[-1].acts] == [None, "debit", None, None]


def test_a_worker_is_back_only_when_its_new_process_works() -> None:
    theatre = Theatre()
    theatre.starting_s = 7.0
    scenes = list(course(theatre, KILL).scenes())
    starting = [scene for scene in scenes if scene.absence is Absence.STARTING]
    back = next(scene for scene in scenes if scene.absence is Absence.BACK)
    assert {scene.since for scene in starting} == {starting[0].elapsed}
    assert 6.9 < back.since - starting[0].since < 7.2
    assert back.since == back.elapsed


def test_a_worker_that_is_never_at_work_is_killed_all_the_same_after_a_while() -> None:
    theatre = Theatre()
    theatre.asked = [set()] * 1_000
    scenes = list(course(theatre, KILL).scenes())
    killed = next(scene for scene in scenes if scene.absence is Absence.KILLED)
    assert PATIENCE_S < killed.elapsed < PATIENCE_S + 1
    assert scenes[-1].absence is Absence.BACK
    assert [act.struck for act in scenes[-1].acts] == [None] * 4


def test_without_a_kill_nobody_is_ever_away() -> None:
    theatre = Theatre()
    outage = Outage(None, 1, theatre, lambda: 0.0)
    acts = [act(1, "good", Status.RUNNING)]
    assert (outage.look(acts), outage.absence, theatre.notes) == (acts, Absence.NEVER, [])


def test_a_kill_that_comes_later_than_the_last_start_comes_with_it() -> None:
    theatre = Theatre()
    late = KILL.model_copy(update={"after": 50})
    scenes = list(course(theatre, late).scenes())
    assert any(note.startswith("kill") for note in theatre.notes)
    assert scenes[-1].absence is Absence.BACK


def test_a_demo_that_does_not_end_is_given_up_with_the_keys_that_are_open() -> None:
    theatre = Theatre()
    theatre.away = True
    with pytest.raises(SagaEngineError, match="still under way: o-0, o-1, o-2, o-3"):
        list(course(theatre, None).scenes())
    assert LONGEST_S <= theatre.time < LONGEST_S + 1


def test_a_process_that_ends_by_itself_ends_the_demo() -> None:
    theatre = Theatre()
    scenes = course(theatre, None).scenes()
    next(scenes)
    theatre.broken = True
    with pytest.raises(SagaEngineError, match="a process ended"):
        next(scenes)


def act(number: int, title: str, status: Status = Status.COMPLETED, held_up: bool = False) -> Act:
    return Act(title, UUID(int=number), f"o-{number}", status, held_up=held_up)


def text(parts: Sequence[Part]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def test_worth_showing_are_the_quickest_of_each_title_and_the_longest_of_those_that_were_held_up() -> None:
    acts = [act(1, "good"), act(2, "bad"), act(3, "good", held_up=True), act(4, "good", held_up=True), act(5, "good")]
    took = {1: 1.0, 2: 1.0, 3: 5.0, 4: 7.0, 5: 9.0}
    assert [one.saga_id.int for one in worth_showing(acts, lambda one: took[one.saga_id.int])] == [1, 4, 2]


def test_worth_showing_is_one_saga_of_a_title_when_the_outage_held_up_none_or_all_of_them() -> None:
    calm = [act(1, "good"), act(2, "good"), act(3, "good")]
    assert [one.saga_id.int for one in worth_showing(calm, lambda one: -one.saga_id.int)] == [3]
    held_up = [replace(one, held_up=True) for one in calm]
    assert [one.saga_id.int for one in worth_showing(held_up, lambda one: -one.saga_id.int)] == [1]


def test_only_who_waited_for_the_killed_worker_was_held_up() -> None:
    theatre = Theatre()
    theatre.asked = [{1, 2}, {1, 2}, {2}, {2, 4}]
    scenes = list(course(theatre, KILL).scenes())
    assert [act.held_up for act in scenes[-1].acts] == [False, True, False, True]


def test_worth_showing_is_the_saga_that_the_kill_struck_before_one_that_took_longer() -> None:
    acts = [act(1, "good"), replace(act(2, "good", held_up=True), struck="debit"), act(3, "good", held_up=True)]
    assert [one.saga_id.int for one in worth_showing(acts, lambda one: one.saga_id.int)] == [1, 2]


def test_without_a_terminal_only_changes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("payment")
    lines.show(Scene(0.0, 1, [act(1, "good", Status.RUNNING)], Absence.NOT_YET))
    lines.show(Scene(0.5, 1, [act(1, "good", Status.RUNNING)], Absence.KILLED))
    lines.show(Scene(0.6, 1, [act(1, "good", Status.RUNNING)], Absence.KILLED))
    for elapsed in (1.0, 2.0, 4.5, 5.0, 8.0):
        lines.show(Scene(elapsed, 1, [act(1, "good", Status.RUNNING)], Absence.STARTING, since=1.0))
    lines.show(Scene(9.0, 1, [act(1, "good")], Absence.BACK))
    assert capsys.readouterr().out.splitlines() == [
        "   0.0 s  o-1  running",
        "   0.5 s  worker payment was killed (kill -9); its sagas wait for it",
        "   1.0 s  worker payment starts again, as a new process; a busy machine takes its time for that",
        "   4.5 s  worker payment has been starting for 4 s",
        "   8.0 s  worker payment has been starting for 7 s",
        "   9.0 s  worker payment is back and catches up; what it was at comes again after its ack wait, 5 s",
        "   9.0 s  o-1  completed",
    ]


def test_the_summary_counts_how_sagas_ended() -> None:
    parts = summary([act(1, "a"), act(2, "a"), act(3, "b", Status.COMPENSATED)])
    assert text(parts) == "3 sagas: 2 completed, 1 compensated"


def test_a_kind_says_what_the_kill_has_to_do_with_it() -> None:
    held_up = act(1, "good", held_up=True)
    struck = replace(held_up, struck="debit")
    assert text(kind(act(1, "good"))) == "good"
    assert text(kind(held_up)) == "good, held up while its worker was away"
    assert text(kind(struck)) == "good, its worker killed in the middle of debit"


@pytest.mark.parametrize(("attempts", "told"), [(1, "1 attempt"), (2, "2 attempts")])
def test_the_recovery_of_a_struck_command_is_told_with_its_attempts(attempts: int, told: str) -> None:
    struck = replace(act(1, "good", held_up=True), struck="debit")
    debit = StepState(StepStatus.SUCCEEDED, forward=Progress(0, attempts, 0, None, since=0))
    states = {struck.saga_id: SagaState(struck.saga_id, steps={"debit": debit})}
    assert [text(line) for line in recoveries([struck, act(2, "bad")], states, KILL)] == [
        "o-1: worker payment was killed (kill -9) in the middle of debit; "
        f"the command came again and was executed once: succeeded, {told}"
    ]


def test_a_kill_in_the_middle_of_nothing_is_admitted() -> None:
    assert [text(line) for line in recoveries([act(1, "good", held_up=True)], {}, KILL)] == [
        "worker payment was killed (kill -9), but at that moment no saga was in the middle of its command"
    ]
