"""`saga demo`: the project's sagas at work, one worker killed on the way, then the timeline of each kind."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Styled, write
from saga_engine.core.state import Status
from saga_engine.errors import UsageError
from saga_engine.project import CONFIG_FILE

if TYPE_CHECKING:
    from saga_engine.demo.scenes import Act
    from saga_engine.orchestrator.client import Client, SagaView
    from saga_engine.settings.sections import DemoSection
    from saga_engine.settings.settled import Settings

LOGS = "demo"
NOT_AS_PROMISED = 5


@click.command("demo")
@pass_frame
def demo(frame: Frame) -> None:
    """Run the project's demo and show what happens.

    Sagas are started as config.yaml says under `demo:`, one worker is killed in the middle of a command and comes
    back, and in the end the timeline of each kind of saga is shown. Exit code 5 if one ended blocked or closed.
    """
    settings = frame.settings()
    frame.log()
    if settings.demo is None:
        raise UsageError(f"{CONFIG_FILE}: has no `demo:`; say there which sagas to start (demo.saga, demo.runs)")
    with frame.client(settings, new=True) as client:
        acts = _play(frame, settings, settings.demo, client)
        _tell(client, acts, settings.demo)
    if not all(act.status in (Status.COMPLETED, Status.COMPENSATED) for act in acts):
        click.get_current_context().exit(NOT_AS_PROMISED)


def _play(frame: Frame, settings: Settings, section: DemoSection, client: Client) -> Sequence[Act]:
    from rich.console import Console

    from saga_engine.cli.views.demo import screen
    from saga_engine.demo.course import Course, Timing
    from saga_engine.demo.stage import process_stage
    from saga_engine.handlers import load_participants
    from saga_engine.participant.registry import merge

    participants = list(merge(load_participants(settings.root)))
    killed = section.kill.participant if section.kill is not None else None
    for place, name in _named(section):
        if name not in participants:
            raise UsageError(f"{CONFIG_FILE}: {place}: {name!r} is none of {', '.join(participants)}")
    # What was asked for on the command line comes last, and wins over the demo's settings.
    sets = [*_settings_of(section), *frame.sets]
    command = ["-C", str(settings.root), *(word for one in sets for word in ("--set", one))]
    with process_stage(settings, client, command, settings.data_folder / LOGS) as stage:
        click.echo(f"Starting the orchestrator and the workers; their logs are in {stage.logs}", err=True)
        stage.open(participants, killed)
        with screen(Console(highlight=False), killed) as shown:
            course = Course(section, stage, lambda: secrets.token_hex(3), Timing(time.monotonic, time.sleep))
            for scene in course.scenes():
                shown.show(scene)
    return scene.acts


def _named(section: DemoSection) -> Iterator[tuple[str, str]]:
    """The participants that the demo's section names, and where."""
    if section.kill is not None:
        yield "demo.kill.participant", section.kill.participant
    for name in section.settings:
        yield "demo.settings", name


def _settings_of(section: DemoSection) -> Iterator[str]:
    """What the demo says to the participants, as a child takes it from `--set`."""
    for name, settings in section.settings.items():
        yield f"participants.{name}.settings={json.dumps(settings)}"


def _tell(client: Client, acts: Sequence[Act], section: DemoSection) -> None:
    from saga_engine.cli.views.demo import kind, recoveries, summary
    from saga_engine.cli.views.whole import saga_lines
    from saga_engine.demo.course import worth_showing

    views = {act.saga_id: client.view(act.saga_id) for act in acts}
    for act in worth_showing(acts, lambda act: _took(views[act.saga_id])):
        view = views[act.saga_id]
        for line in (kind(act), *saga_lines(view, client.now, bars=sys.stdout.isatty()), []):
            write(line)
    write(summary(acts))
    if section.kill is not None:
        for line in recoveries(acts, {saga_id: view.state for saga_id, view in views.items()}, section.kill):
            write(line)
    saga = _program()
    closer = f"Look closer with `{saga} list`, `{saga} show KEY` and `{saga} history KEY`."
    write([Styled(closer, dim=True)])


def _program() -> str:
    """How this command line is called from here: `make demo` runs it where no shell finds it by its name."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "saga" and which("saga") is None else "saga"


def _took(view: SagaView) -> float:
    return view.events[-1].at - view.events[0].at
