"""Versions of a definition on real processes: an old saga ends as it began, and one version has one meaning."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import UUID

from saga_engine.definition.model import Json
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, Project

RECEIPT = 'output: {receipt: "${{ steps.debit_payment.result.receipt }}"}'
ORDER = 'output: {approved: "${{ steps.create_order.result.order_id }}"}'


def _definition(project: Project) -> Path:
    return project.folder / "definitions" / "place_order.yaml"


def _edit(file: Path, *, version: int, output: str) -> None:
    """Give the definition this version and output."""
    text = file.read_text(encoding="utf-8")
    assert (text.count("version: 1\n"), text.count(RECEIPT)) == (1, 1)
    file.write_text(text.replace("version: 1\n", f"version: {version}\n").replace(RECEIPT, output), encoding="utf-8")


def _start(project: Project, order_id: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    order = json.dumps({"order_id": order_id, "customer_id": "c-1", "amount": 1000})
    return project.saga("start", "place_order", "--input", order, *arguments)


def _started(done: subprocess.CompletedProcess[str]) -> UUID:
    assert done.returncode == 0, done.stderr
    return UUID(json.loads(done.stdout)["id"])


def _outcome(project: Project, saga_id: UUID) -> tuple[int, str, Json]:
    """Version, status and output of a saga."""
    with project.client() as client:
        state = client.view(saga_id).state
    return state.definition_version, str(state.status), state.output


def test_a_saga_ends_under_the_version_that_it_began_with_and_a_new_one_gets_the_new_version(
    project: MakeProject,
) -> None:
    made = project(LEDGER)
    orchestrator = made.run("--orchestrator")
    old = _started(_start(made, "old", "-o", "json"))
    assert orchestrator.stop() == 0, orchestrator.log
    assert _outcome(made, old) == (1, "running", None)

    _edit(_definition(made), version=2, output=ORDER)
    made.run()
    new = _started(_start(made, "new", "-o", "json"))
    assert made.wait_for_end([old, new]) == {"completed": 2}
    assert _outcome(made, old) == (1, "completed", {"receipt": f"R-{old}"})
    assert _outcome(made, new) == (2, "completed", {"approved": "new"})


def test_changed_content_under_a_version_that_is_registered_is_refused_with_the_difference(
    project: MakeProject,
) -> None:
    made = project(LEDGER)
    assert _start(made, "first").returncode == 0
    _edit(_definition(made), version=1, output=ORDER)
    for refused in (_start(made, "second"), made.saga("run")):
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "saga place_order version 1 was changed after it was registered" in refused.stderr
        lines = [line.removeprefix("Error: ").strip() for line in refused.stderr.splitlines()]
        changed = [line for line in lines if line.startswith(("-", "+"))]
        assert any(line.startswith("-") and "steps.debit_payment.result.receipt" in line for line in changed), lines
        assert any(line.startswith("+") and "steps.create_order.result.order_id" in line for line in changed), lines
        assert "Traceback" not in refused.stderr
    assert made.saga("show", "second").returncode == 3
