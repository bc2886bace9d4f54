"""`saga verify`: explores every outcome of a saga, and shows how a property comes to be broken, if one does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, output_option, write, write_json
from saga_engine.cli.progress import progress
from saga_engine.elapsed import elapsed
from saga_engine.plural import several

if TYPE_CHECKING:
    from saga_engine.cli.fences import Fences
    from saga_engine.cli.whole import Whole
    from saga_engine.definition.model import Call, Json
    from saga_engine.verify.explore import CounterExample, Explored


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--faults", type=click.IntRange(0, 20), default=3, show_default=True, help="Most faults in one run.")
@click.option(
    "--max-states", type=click.IntRange(1), default=500_000, show_default=True, help="Give up after so many states."
)
@click.option(
    "--unfenced",
    multiple=True,
    metavar="PARTICIPANT",
    help="Suppose that none of its handlers has a database. Repeatable.",
)
@output_option
@pass_frame
def verify(frame: Frame, file: Path, faults: int, max_states: int, unfenced: tuple[str, ...], output: Format) -> None:
    """Prove that a saga never ends half done, or show how it can.

    Every outcome of the saga in FILE is explored with the engine's own decisions: rejections, failures, silence,
    repeated and late messages, cancels, crashes. Child sagas are looked for beside FILE. Exit code 1 when a property is
    broken, and when --max-states is not enough to see all: then nothing is proved.

    Handlers without a database (`async def`) are explored as such: the project's handlers are imported where FILE is a
    definition of it, else participants.json beside FILE is asked. What nobody describes is taken to have one.
    """
    from saga_engine.cli.fences import known_fences
    from saga_engine.cli.whole import read_named
    from saga_engine.verify.explore import Bounds, explore

    whole = read_named(frame, file)
    _known(whole, unfenced)
    fenced = known_fences(frame, file, whole, frozenset(unfenced))
    began = time.monotonic()
    with progress("exploring") as bar:

        def explored(states: int, waiting: int) -> None:
            # How many follow is not known before they are seen: there is no whole to be a part of.
            bar.report(f"{states:,} states seen, {waiting:,} to go")

        result = explore(whole.definition, fenced, Bounds(faults, max_states), explored)
    seconds = time.monotonic() - began
    if output is Format.TEXT:
        for line in _lines(file, whole, fenced, faults, result, seconds):
            write(line)
    else:
        write_json(_json(file, whole, fenced, faults, result, seconds), output)
    click.get_current_context().exit(0 if result.proved else 1)


def _known(whole: Whole, unfenced: tuple[str, ...]) -> None:
    known = {call.participant for call in _calls(whole)}
    for name in unfenced:
        if name not in known:
            raise click.UsageError(f"--unfenced {name}: no step calls it; called are {', '.join(sorted(known))}")


def _calls(whole: Whole) -> list[Call]:
    from saga_engine.core.compiling import compile_plan

    return [node.call for node in compile_plan(whole.definition).nodes.values() if node.call is not None]


def _assumed(whole: Whole, fenced: Fences, faults: int) -> Iterator[str]:
    from saga_engine.verify.report import assumed

    yield from assumed(whole.definition, fenced, faults)
    yield from fenced.told(_calls(whole))


def _lines(
    file: Path, whole: Whole, fenced: Fences, faults: int, result: Explored, seconds: float
) -> Iterator[list[Part]]:
    from saga_engine.verify.report import PROPERTIES, abstracted, hints

    broken = result.counter_example
    if broken is not None:
        yield [f"{file}: ", Styled("broken", "red"), f": {broken.violation.rule}"]
        yield ["  ", Styled(broken.violation.what, "red")]
        yield []
        yield from _timeline(broken)
        yield []
        for hint in hints(whole.definition, fenced):
            yield ["hint: ", hint]
    elif result.exhausted:
        yield [f"{file}: ", Styled("proved", "green"), f" for all runs with at most {faults} faults"]
        yield from _listed("", PROPERTIES)
    else:
        yield [f"{file}: ", Styled("not exhausted", "yellow"), ": no property is broken so far, and none is proved;"]
        yield ["  allow more with --max-states, or ask for less with --faults"]
    yield [f"explored {_size(result)} in {elapsed(round(seconds * 1e6))}"]
    yield from _listed("assumed", _assumed(whole, fenced, faults))
    yield from _listed("abstracted", abstracted(whole.definition))


def _listed(title: str, lines: Iterator[str] | tuple[str, ...]) -> Iterator[list[Part]]:
    if title:
        yield [Styled(f"{title}:", bold=True)]
    for line in lines:
        yield [f"  - {line}"]


def _size(result: Explored) -> str:
    ends = ", ".join(f"{count:,} {end}" for end, count in result.ends.items()) or "none"
    return (
        f"{result.states:,} states, {result.transitions:,} transitions, at most {result.depth} from the start; "
        f"ends: {ends}"
    )


def _timeline(example: CounterExample) -> Iterator[list[Part]]:
    """What happened, numbered, and below each what the engine decided on."""
    from saga_engine.cli.views.timeline import entry

    yield [Styled(f"How it comes about, with {several(example.faults, 'fault')}:", bold=True)]
    for number, happened in enumerate(example.happened, start=1):
        yield [f"  {number:>2}  {happened.told}"]
        for event in happened.events:
            told = entry(event)
            yield ["        ", Styled(told.sign, told.colour), f" {told.subject}  ", Styled(told.text, told.colour)]


def _json(file: Path, whole: Whole, fenced: Fences, faults: int, result: Explored, seconds: float) -> Json:
    from saga_engine.verify.report import abstracted, hints

    broken = result.counter_example
    return {
        "file": str(file),
        "saga": whole.definition.saga,
        "version": whole.definition.version,
        "proved": result.proved,
        "exhausted": result.exhausted,
        "faults": faults,
        "states": result.states,
        "transitions": result.transitions,
        "depth": result.depth,
        "ends": dict(result.ends),
        "seconds": round(seconds, 3),
        "assumed": list(_assumed(whole, fenced, faults)),
        "abstracted": list(abstracted(whole.definition)),
        "counter_example": None if broken is None else _example_json(broken),
        "hints": [] if broken is None else list(hints(whole.definition, fenced)),
    }


def _example_json(example: CounterExample) -> Json:
    from saga_engine.cli.views.timeline import entry

    return {
        "rule": example.violation.rule,
        "what": example.violation.what,
        "faults": example.faults,
        "happened": [
            {
                "what": happened.told,
                "events": [
                    {"type": type(event).__name__, "subject": entry(event).subject, "text": entry(event).text}
                    for event in happened.events
                ],
            }
            for happened in example.happened
        ],
    }
