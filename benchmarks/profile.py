"""`python -m benchmarks.profile`: where orchestrator and participants spend their time, sampled by py-spy, as records.

Needs py-spy on the path or beside Python (`pip install py-spy`), and the right to look into our own processes.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

import click
import uvloop

from benchmarks import table
from benchmarks.records import Record, Run, new_run, write
from benchmarks.stacks import functions, parts, within
from benchmarks.stage import Stage, servers, stage

_RATE: Final = 200
_SAMPLED: Final = ("orchestrator", "participants")


@click.command()
@click.option("--saga", type=click.Choice(["order", "fenced_order"]), default="order", show_default=True)
@click.option("--fail", is_flag=True, help="The debit rejects, and every saga is compensated.")
@click.option("--sqlite", is_flag=True, help="The engine's database is a SQLite file.")
@click.option("--seconds", type=float, default=10.0, show_default=True)
@click.option("--stacks", type=click.Path(path_type=Path), default=Path(".bench"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bench/profile.json"), show_default=True)
def main(saga: str, fail: bool, sqlite: bool, seconds: float, stacks: Path, out: Path) -> None:
    """Profile the common workload: shares in OUT; samples in STACKS, folded, as flame graph tools read them."""
    stacks.mkdir(parents=True, exist_ok=True)
    run = uvloop.run(_profile(saga, fail, sqlite, seconds, stacks))
    write(run, out)
    for role in _SAMPLED:
        click.echo(f"\n{role}, by part\n\n{table.shares_table(run, f'{role}.parts')}")
        click.echo(f"\n{role}, on top of the stack\n\n{table.shares_table(run, f'{role}.functions')}")
        found = within((stacks / f"{role}.folded").read_text())
        click.echo(f"\n{role}, with all that they call\n\n{table.shares(found)}")


async def _profile(saga: str, fail: bool, sqlite: bool, seconds: float, out: Path) -> Run:
    with servers() as on:
        run = new_run("profile", on.postgres.version)
        async with stage(on, "benchmark_profile", seconds=seconds, sqlite=sqlite) as ours:
            await ours.run(saga, fail=fail, sagas=500)
            spies = [await _spy(ours, role, out) for role in _SAMPLED]
            loaded = await ours.run(saga, fail=fail)
            for spy in spies:
                spy.send_signal(signal.SIGINT)  # it writes what it has, and ends
                await spy.wait()
    figures = {"sagas": float(loaded.sagas), "sagas_per_s": loaded.sagas_per_s, **loaded.usage.per_saga(loaded.sagas)}
    run.records.append(Record("profiled", 0, loaded.usage.foreign, figures))
    for role in _SAMPLED:
        folded = (out / f"{role}.folded").read_text()
        for what, shares in (("parts", parts(folded)), ("functions", functions(folded))):
            run.records.append(Record(f"{role}.{what}", 0, loaded.usage.foreign, shares))
    click.echo(table.record_line(run.records[0]))
    return run


async def _spy(ours: Stage, role: str, out: Path) -> asyncio.subprocess.Process:
    command = shutil.which("py-spy", path=f"{Path(sys.executable).parent}") or shutil.which("py-spy")
    if command is None:
        raise click.ClickException("py-spy is not installed; install it with: pip install py-spy")
    return await asyncio.create_subprocess_exec(
        command,
        *("record", "--format", "raw", "--function", "--gil", "--rate", str(_RATE), "--duration", "3600"),
        *("--output", str(out / f"{role}.folded"), "--pid", str(ours.engine.services[role].pid)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
