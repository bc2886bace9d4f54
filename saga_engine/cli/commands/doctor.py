"""`saga doctor`: what is wrong with the project, its servers and its sagas, why it matters, and what to type next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Styled, output_option, write, write_json, write_rows
from saga_engine.plural import several

if TYPE_CHECKING:
    from saga_engine.doctor.finding import Finding

_COLOURS: Mapping[str, str] = {"error": "red", "warning": "yellow", "skipped": "blue", "ok": "green"}
"""In the order in which findings are told."""


@click.command("doctor")
@click.option("--insecure", is_flag=True, help="Connections in plain text, or without a login, are meant to be so.")
@click.option("--all", "every", is_flag=True, help="As text, show each check that is well too, not only how many are.")
@output_option
@pass_frame
def doctor(frame: Frame, insecure: bool, every: bool, output: Format) -> None:
    """Say what is wrong, why it matters, and what to type next.

    Looks at the project's files and settings, its databases, NATS, the workers and the sagas. Changes nothing, and
    ends within about half a minute whatever hangs. What is well is counted on one line. Exit code 1 when something is
    an error; warnings alone leave it at 0.
    """
    from saga_engine.doctor.examination import examine_all

    frame.log("error")
    root = frame.root()
    findings = asyncio.run(examine_all(lambda: frame.configuration().stated, insecure=insecure))
    counted = Counter(str(one.severity) for one in findings)
    if output is Format.TEXT:
        write([Styled(f"{root}", bold=True)])
        _print([one for one in findings if every or one.severity != "ok"])
        if not every:
            _print_well(Counter(one.check for one in findings if one.severity == "ok"))
    elif output is Format.JSONL:
        write_rows([_json(one) for one in findings], output)
    else:
        write_json(
            {"healthy": not counted["error"], "findings": [_json(one) for one in findings], "counts": dict(counted)},
            output,
        )
    said = ", ".join(
        f"{counted[one]} {one}{'s' if counted[one] != 1 and one in _COUNTABLE else ''}" for one in _COLOURS
    )
    click.echo(said, err=True)
    click.get_current_context().exit(1 if counted["error"] else 0)


_COUNTABLE = ("error", "warning")


def _print(findings: Sequence[Finding]) -> None:
    for severity, colour in _COLOURS.items():
        for one in findings:
            if one.severity != severity:
                continue
            write([Styled(f"{severity:<8}", colour), Styled(f"{one.check}: ", bold=True), f"{one.where}: {one.what}"])
            if one.why:
                write(["         ", Styled("why   ", dim=True), one.why])
            if one.next:
                write(["         ", Styled("next  ", dim=True), one.next])


def _print_well(checks: Counter[str]) -> None:
    """One line for all that is well: what was looked at, and at how many of it."""
    named = ", ".join(check if number == 1 else f"{check} {number}" for check, number in checks.items())
    if checks:
        told = f"{several(checks.total(), 'check')}: {named}"
        write([Styled(f"{'ok':<8}", _COLOURS["ok"]), told, Styled("  (each: saga doctor --all)", dim=True)])


def _json(one: Finding) -> Mapping[str, str]:
    return {
        "check": one.check,
        "severity": str(one.severity),
        "where": one.where,
        "what": one.what,
        "why": one.why,
        "next": one.next,
    }
