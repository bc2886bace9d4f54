"""The benchmarks themselves, as small as they can be: they run, count every saga, and say what they measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.records import read


@pytest.mark.timeout(300)  # eight processes are started, on whatever else the machine does
def test_the_smallest_benchmark_runs_fifty_sagas_and_the_limit_and_gives_their_share(tmp_path: Path) -> None:
    records = tmp_path / "bench.json"
    arguments = ["limit", "happy_path", "--repetitions", "1", "--sagas", "50", "--out", str(records)]

    ended = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert ended.exit_code == 0, ended.output
    assert re.fullmatch(r"share=\d\.\d\d sagas_per_s=\d+", ended.stdout.splitlines()[-1])
    run = read(records)
    assert [(record.workload, record.figures["sagas"]) for record in run.records] == [("limit", 50), ("happy_path", 50)]
    assert run.records[1].figures["cpu_us.orchestrator"] > 0
