"""`python -m benchmarks.profile`: where orchestrator and participants spend their time, sampled by py-spy.

Needs py-spy on the path or beside Python (`pip install py-spy`), and the right to look into our own processes.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import click
import uvloop

from benchmarks.stage import Stage, servers, stage

_RATE: Final = 200
_SHOWN: Final = 30


@click.command()
@click.option("--saga", type=click.Choice(["order", "fenced_order"]), default="order", show_default=True)
@click.option("--fail", is_flag=True, help="The debit rejects, and every saga is compensated.")
@click.option("--sqlite", is_flag=True, help="The engine's database is a SQLite file.")
@click.option("--seconds", type=float, default=10.0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bench"), show_default=True)
def main(saga: str, fail: bool, sqlite: bool, seconds: float, out: Path) -> None:
    """Profile the common workload. The stacks are left in OUT, folded, as flame graph tools read them."""
    out.mkdir(parents=True, exist_ok=True)
    uvloop.run(_profile(saga, fail, sqlite, seconds, out))
    for role in ("orchestrator", "participants"):
        click.echo(f"\n{role}\n{_shares((out / f'{role}.folded').read_text())}")


async def _profile(saga: str, fail: bool, sqlite: bool, seconds: float, out: Path) -> None:
    with servers() as on:
        async with stage(on, "benchmark_profile", seconds=seconds, sqlite=sqlite) as ours:
            await ours.run(saga, fail=fail, sagas=500)
            spies = [await _spy(ours, role, out) for role in ("orchestrator", "participants")]
            loaded = await ours.run(saga, fail=fail)
            for spy in spies:
                spy.send_signal(signal.SIGINT)  # it writes what it has, and ends
                await spy.wait()
    cpu = ", ".join(f"{name} {value:,.0f}" for name, value in loaded.usage.per_saga(loaded.sagas).items())
    click.echo(f"{loaded.sagas} sagas, {loaded.sagas_per_s:,.0f}/s, microseconds of CPU per saga: {cpu}")


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


def _shares(folded: str) -> str:
    """A line for each function: its share of the samples on top of the stack, and anywhere in it."""
    own, within = Counter[str](), Counter[str]()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))
    total = max(own.total(), 1)
    lines = [f"{'own':>6} {'within':>7}  function"]
    lines += [f"{n / total:6.1%} {within[name] / total:7.1%}  {name}" for name, n in own.most_common(_SHOWN)]
    lines += [f"\n{'within':>6}  of our own"]
    ours = [(name, n) for name, n in within.most_common() if "saga_engine" in name]
    lines += [f"{n / total:6.1%}  {name}" for name, n in ours[:_SHOWN]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
