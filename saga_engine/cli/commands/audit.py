"""`saga audit`: judges what the store holds of sagas by the engine's invariants, and tells by number what is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, output_option, write, write_json, write_table
from saga_engine.cli.progress import progress
from saga_engine.plural import several

if TYPE_CHECKING:
    from saga_engine.audit.case import SagaHistory
    from saga_engine.audit.check import Judge, Report
    from saga_engine.audit.invariant import Violation
    from saga_engine.definition.model import Json
    from saga_engine.ports.store import EventStore

_BROKEN: Final = 1


@click.command("audit")
@click.argument("id_or_key", metavar="[ID|KEY]", required=False)
@click.option("--saga", metavar="NAME", help="Only sagas of this definition.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="As text, print at most so many violations of each invariant; all are counted.",
)
@click.option("--all", "everything", is_flag=True, help="Print every violation, as json and jsonl do.")
@output_option
@pass_frame
def audit(frame: Frame, id_or_key: str | None, saga: str | None, limit: int, everything: bool, output: Format) -> None:
    """Check that what is stored of sagas holds together.

    Of one, or of all. Changes nothing.

    Every stream is read whole and judged by the invariants that a store alone can tell: no event is missing, changed or
    in another order; rows, snapshots and keys say what the events say; commands, compensations and attempts follow the
    definition; nothing is forgotten. Exit code 1 when one of them is broken.

    What is broken is told by invariant, and first what the rest may follow from: a definition that was changed, events
    that are missing or out of place.
    """
    from saga_engine.audit.check import Judge
    from saga_engine.audit.rows import surroundings
    from saga_engine.bootstrap.stores import open_store

    with closing(open_store(frame.settings())) as store:
        judge = Judge(surroundings(store), most=None if everything or output is not Format.TEXT else limit)
        for page in _pages(store, id_or_key, saga):
            for found in page:
                judge.saga(found)
    if output is Format.TEXT:
        _print(judge)
    else:
        write_json(_json(judge), output)
    click.get_current_context().exit(_BROKEN if judge.report.broken else 0)


def _pages(store: EventStore, id_or_key: str | None, saga: str | None) -> Iterator[Sequence[SagaHistory]]:
    from saga_engine.audit.rows import named, pages

    if id_or_key is not None:
        yield named(store, id_or_key, saga)
        return
    if not sys.stderr.isatty():
        yield from pages(store, saga)
        return
    total = sum(number for (name, _), number in store.counts().items() if saga in (None, name))
    done = 0
    with progress("audit") as bar:
        for page in pages(store, saga):
            yield page
            done += len(page)
            bar.report(f"audit {done:,} of {total:,}", done, total)


def _print(judge: Judge) -> None:
    report = judge.report
    total = sum(report.broken.values())
    _print_broken(report)
    write_table(("NUMBER", "CHECKED", "VIOLATIONS", "INVARIANT"), list(_rows(judge)))
    click.echo(f"{several(report.sagas, 'saga')} audited, {several(total, 'violation')}", err=True)


def _print_broken(report: Report) -> None:
    from saga_engine.audit.check import causes_first, may_cause_others

    numbers = causes_first(report.broken)
    for number in numbers:
        shown = [violation for violation in report.violations if violation.invariant == number]
        for one in shown:
            whose = "" if one.saga_id is None else f" {one.saga_id}"
            write([Styled(f"{number}{whose} ", "red"), f"{one.seen}; expected: {one.expected}"])
        if report.broken[number] > len(shown):
            write([Styled(f"{number} ", "red"), f"and {report.broken[number] - len(shown):,} more: --all"])
    if len(numbers) > 1 and may_cause_others(numbers[0]):
        write([])
        write([f"See to {numbers[0]} first: the others may follow from it."])
    if numbers:
        write([])


def _rows(judge: Judge) -> Iterator[Sequence[Part]]:
    for number, text in _applying():
        broken = judge.report.broken[number]
        shown = Styled(f"{broken:,}", "red") if broken else Styled("0", "green")
        yield number, f"{judge.report.sagas:,}", shown, text


def _applying() -> Iterator[tuple[str, str]]:
    """The invariants that a store alone can tell, each with what is checked of it."""
    from saga_engine.audit.check import numbers, texts
    from saga_engine.audit.rows import SECTIONS

    for number in numbers():
        told = texts(number, SECTIONS)
        if told:
            yield number, " ".join(told)


def _json(judge: Judge) -> Json:
    report = judge.report
    return {
        "holds": not report.broken,
        "sagas": report.sagas,
        "invariants": [
            {"number": number, "text": text, "checked": report.sagas, "violations": report.broken[number]}
            for number, text in _applying()
        ],
        "violations": [_violation_json(violation) for violation in report.violations],
    }


def _violation_json(violation: Violation) -> Json:
    return {
        "invariant": violation.invariant,
        "saga": None if violation.saga_id is None else str(violation.saga_id),
        "seen": violation.seen,
        "expected": violation.expected,
    }
