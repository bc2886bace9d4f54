"""`saga start` with lines of input: progress while it goes on, what was refused and why, and a summary.

Owns what is printed. The starting is the orchestrator's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import click

from saga_engine.cli.output import Format, plain, write, write_rows
from saga_engine.cli.progress import Bar, progress
from saga_engine.definition.inputs import InputRejected
from saga_engine.elapsed import elapsed
from saga_engine.envelope import partition_of
from saga_engine.errors import SagaEngineError
from saga_engine.orchestrator.bulk import LineStarted, read_lines, start_lines
from saga_engine.orchestrator.starting import DefinitionChanged, Started
from saga_engine.refusals import refusal

if TYPE_CHECKING:
    from saga_engine.cli.frame import Frame
    from saga_engine.cli.lines import Lines
    from saga_engine.definition.model import Json

Row: TypeAlias = "Mapping[str, Json]"

REFUSED = 1
_AGAIN = "do it again: what is there already is not started twice"
_NOT_AGAIN = "the definition has no `key`, so that doing it again starts all of them once more"


@dataclass(slots=True)
class _Tally:
    """What has become of the lines so far. `to_ring`: a saga of each partition that has new ones."""

    began: float = field(default_factory=time.monotonic)
    started: int = 0
    there: int = 0
    refused: int = 0
    to_ring: dict[int, UUID] = field(default_factory=dict)

    def __str__(self) -> str:
        took = elapsed(round((time.monotonic() - self.began) * 1e6))
        return f"started {self.started:,}, there already {self.there:,}, refused {self.refused:,} in {took}"


def start_from(
    frame: Frame,
    name: str,
    lines: Lines,
    version: int | None,
    again: bool,
    traceparent: str | None,
    output: Format,
) -> None:
    """Start a saga for each line; exit code 1 when some were refused."""
    settings = frame.settings()
    tally = _Tally()
    with frame.client(settings, new=True) as client, progress("starting", beside_data=output is Format.JSONL) as bar:
        keyed = client.definition(name, version).key is not None

        def rows() -> Iterator[Row]:
            rung = False
            inputs = read_lines(lines)
            for commit in start_lines(client, name, inputs, version=version, again=again, traceparent=traceparent):
                for line in commit:
                    yield from _rows(name, lines.name, line, tally, output, bar)
                if tally.to_ring and not rung:
                    # At once, so that work begins; what follows is found by who works, and rung for at the end.
                    frame.ring(settings, list(tally.to_ring.values()))
                    rung = True
                bar.report(str(tally), lines.done, lines.size)

        try:
            write_rows(rows(), Format.JSONL if output is Format.TEXT else output)
        except (KeyboardInterrupt, SagaEngineError):
            click.echo(f"Stopped early: {tally}; {_AGAIN if keyed else _NOT_AGAIN}", err=True)
            raise
        finally:
            if tally.to_ring:
                frame.ring(settings, list(tally.to_ring.values()))
    if output is Format.TEXT:
        write([str(tally)])
    if tally.refused:
        click.get_current_context().exit(REFUSED)


def _rows(name: str, source: str, line: LineStarted, tally: _Tally, output: Format, bar: Bar) -> Iterator[Row]:
    """Counts an outcome. As text only what was refused is told, on stderr."""
    if isinstance(line.result, DefinitionChanged):
        raise _refused(refusal(line.result))
    if isinstance(line.result, InputRejected):
        reason = "; ".join(map(str, line.result.problems))
    else:
        done = refusal(line.result)
        if not isinstance(done, SagaEngineError):
            created = isinstance(done, Started)
            tally.started += created
            tally.there += not created
            tally.to_ring[partition_of(done.saga_id)] = done.saga_id
            if output is not Format.TEXT:
                yield {
                    "line": line.number,
                    "id": str(done.saga_id),
                    "saga": name,
                    "key": done.key,
                    "created": created,
                }
            return
        reason = str(done)
    tally.refused += 1
    if output is Format.TEXT:
        bar.note(f"{source}:{line.number}: {plain(reason)}")
    else:
        yield {"line": line.number, "saga": name, "error": reason}


def _refused(refusal: object) -> SagaEngineError:
    assert isinstance(refusal, SagaEngineError)
    return refusal
