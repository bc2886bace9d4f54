"""The demo as it goes on, a picture that is redrawn on a terminal, lines about what changed elsewhere; how it ended.

Owns how a scene and the outcome look. Starts and kills nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol
from uuid import UUID

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from saga_engine.cli.output import Part, Styled, plain, write
from saga_engine.cli.views.saga import COLOURS, status_part
from saga_engine.core.state import SagaState, Status
from saga_engine.demo.scenes import Absence, Act, Scene
from saga_engine.plural import several
from saga_engine.settings.sections import DemoKill

_SIGNS: Final = {
    Status.COMPLETED: "✓",
    Status.COMPENSATED: "↺",
    Status.COMPENSATING: "←",
    Status.BLOCKED: "■",
    Status.CLOSED: "✗",
}
_ABSENCE: Final = {
    Absence.NOT_YET: ("works", "green"),
    Absence.KILLED: ("was killed (kill -9); its sagas wait for it", "red"),
    Absence.STARTING: ("starts again, as a new process; a busy machine takes its time for that", "yellow"),
    Absence.BACK: ("is back and catches up; what it was at comes again after its ack wait, 5 s", "green"),
}
_COUNTED: Final = (Absence.KILLED, Absence.STARTING)
"""What a picture counts the seconds of."""
_COUNTED_S: Final = 3.0
"""Between two lines that say that the worker is still starting."""


class Screen(Protocol):
    """Where scenes are shown, one after the other."""

    def show(self, scene: Scene) -> None: ...


class Lines:
    """For pipes and logs: a line for everything that changed since the scene before."""

    def __init__(self, killed: str | None) -> None:
        self._killed = killed
        self._before: dict[str, Status] = {}
        self._absence = Absence.NOT_YET
        self._told_at = 0.0

    def show(self, scene: Scene) -> None:
        if self._killed is not None and scene.absence is not self._absence:
            text, colour = _ABSENCE[scene.absence]
            write([_at(scene), Styled(f"worker {self._killed} {text}", colour)])
            self._absence = scene.absence
            self._told_at = scene.elapsed
        elif scene.absence is Absence.STARTING and scene.elapsed >= self._told_at + _COUNTED_S:
            write([_at(scene), f"worker {self._killed} has been starting for {scene.elapsed - scene.since:.0f} s"])
            self._told_at = scene.elapsed
        for act in scene.acts:
            if self._before.get(act.key) is not act.status:
                write([_at(scene), f"{act.key}  ", status_part(act.status)])
                self._before[act.key] = act.status


class Picture:
    """For a terminal: one table that is drawn again with each scene."""

    def __init__(self, live: Live, killed: str | None) -> None:
        self._live = live
        self._killed = killed

    def show(self, scene: Scene) -> None:
        self._live.update(_picture(scene, self._killed), refresh=True)


@contextmanager
def screen(console: Console, killed: str | None) -> Iterator[Screen]:
    """The screen that suits the console. `killed`: the participant whose worker the demo kills."""
    if not console.is_terminal:
        yield Lines(killed)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Picture(live, killed)


def summary(acts: Sequence[Act]) -> list[Part]:
    """How all sagas ended, in one line."""
    counts = Counter(act.status for act in acts)
    parts: list[Part] = [f"{len(acts)} sagas: "]
    for position, (status, count) in enumerate(counts.items()):
        parts += [", " if position else "", f"{count} ", status_part(status)]
    return parts


def kind(act: Act) -> list[Part]:
    """What kind of saga it was, and what the kill has to do with it."""
    if act.struck is not None:
        return [Styled(f"{act.title}, its worker killed in the middle of {act.struck}", bold=True)]
    return [Styled(f"{act.title}{', held up while its worker was away' if act.held_up else ''}", bold=True)]


def recoveries(acts: Sequence[Act], states: Mapping[UUID, SagaState], kill: DemoKill) -> Iterator[list[Part]]:
    """What became of the commands in whose middle the worker was killed, a line for each."""
    worker = f"worker {kill.participant} was killed (kill -9)"
    struck = [(act, act.struck) for act in acts if act.struck is not None]
    for act, place in struck:
        step = states[act.saga_id].steps[place]
        attempts = 0 if step.forward is None else step.forward.attempt
        fate = f"the command came again and was executed once: {step.status}, {several(attempts, 'attempt')}"
        yield [f"{act.key}: {worker} in the middle of {place}; {fate}"]
    if not struck:
        yield [f"{worker}, but at that moment no saga was in the middle of its command"]


def _picture(scene: Scene, killed: str | None) -> Group:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "KEY", "STATUS", "WHAT"):
        table.add_column(title, no_wrap=True)
    for act in scene.acts:
        colour = COLOURS[act.status]
        sign = _SIGNS.get(act.status, "…")
        table.add_row(Text(sign, colour), Text(plain(act.key)), Text(act.status, colour), Text(plain(act.title), "dim"))
    # The table comes last: it is what a low terminal may cut.
    lines = [Text(f"{len(scene.acts)} of {scene.total} sagas started, {scene.elapsed:.1f} s", "bold")]
    if killed is not None:
        text, colour = _ABSENCE[scene.absence]
        seconds = f", {scene.elapsed - scene.since:.0f} s" if scene.absence in _COUNTED else ""
        lines.append(Text(plain(f"worker {killed} {text}{seconds}"), colour))
    return Group(*lines, table)


def _at(scene: Scene) -> Styled:
    return Styled(f"{scene.elapsed:6.1f} s  ", dim=True)
