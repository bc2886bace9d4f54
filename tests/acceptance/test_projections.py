"""The query model of this repository's own project: followed by `saga run`, looked at and made anew by commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, select

from saga_engine.sql.engine import open_engine
from saga_engine.sql.transaction import run_query
from store.order_view import orders
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import REPOSITORY, Project, eventually


def shown(project: Project) -> list[tuple[str, str]]:
    """The orders of the view, by status."""

    def read(connection: Connection) -> list[tuple[str, str]]:
        rows = connection.execute(select(orders.c.order_id, orders.c.status).order_by(orders.c.order_id)).all()
        return [(row.order_id, row.status) for row in rows]

    engine = open_engine(f"sqlite:///{project.folder}/.saga/order_view.db")
    try:
        return run_query(engine, read)
    finally:
        engine.dispose()


def rows(project: Project, *arguments: str) -> list[dict[str, Any]]:
    done = project.saga(*arguments, "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    return [cast("dict[str, Any]", json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.timeout(400)
def test_the_order_view_follows_the_sagas_and_is_made_anew(project: MakeProject) -> None:
    made = project(REPOSITORY)
    (listed,) = rows(made, "projections", "list")
    assert (listed["projection"], listed["sagas"]) == ("order_view", ["place_order"])
    assert Path(listed["class"].rpartition(":")[0]).name == "order_view.py"
    workers = made.run("--orchestrator", "--worker", "order", "--worker", "payment", "--worker", "review")
    made.wait_for_end(made.start_orders(5))
    (behind,) = rows(made, "projections", "lag")
    assert (behind["sagas"], behind["behind"], behind["oldest"] is None) == (5, 5, False)
    follower = made.run("--projection", "order_view")
    expected = [(f"o-{number}", "rejected" if number == 4 else "approved") for number in range(5)]
    eventually(lambda: shown(made) == expected, "the view to catch up")
    (level,) = eventually(
        lambda: [one for one in rows(made, "projections", "lag", "order_view") if not one["behind"]], "no lag"
    )
    for way in ([], ["--at-once"]):
        (rebuilt,) = rows(made, "projections", "rebuild", "order_view", *way)
        assert (rebuilt["sagas"], rebuilt["held_back"]) == (5, 0)
        assert shown(made) == expected
    assert level["events"] == 0
    unknown = made.saga("projections", "rebuild", "nothing")
    assert (unknown.returncode, unknown.stderr) == (
        3,
        "Error: no projection named 'nothing'; there are: order_view\n",
    )
    assert (follower.stop(), workers.stop()) == (0, 0)
