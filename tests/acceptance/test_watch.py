"""`saga watch` beside a `saga run`, as a person has it: on a terminal until Ctrl-C, in a pipe until the saga ends."""

from __future__ import annotations

import signal
import subprocess

from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, REPOSITORY, SAGA
from tests.acceptance.terminals import on_terminal

ORDER = '{"order_id": "o-1", "customer_id": "c-1", "amount": 1000}'
SHOW_CURSOR = b"\x1b[?25h"


def test_all_sagas_are_watched_on_a_terminal_until_ctrl_c(project: MakeProject) -> None:
    made = project(REPOSITORY)
    assert made.saga("db", "upgrade").returncode == 0
    with on_terminal(["watch"], made.folder, made.environment) as watched:
        watched.wait_for("open 0")
        assert made.saga("start", "place_order", "--input", ORDER).returncode == 0
        watched.wait_for("oldest open place_order o-1")
        made.run()
        watched.wait_for("completed")
        watched.process.send_signal(signal.SIGINT)
        assert watched.wait(PATIENCE) == 130
    assert SHOW_CURSOR in watched.shown
    assert b"Traceback" not in watched.shown
    assert watched.shown.rstrip().endswith(b"interrupted")


def test_one_saga_is_watched_in_a_pipe_until_it_ends(project: MakeProject) -> None:
    made = project(REPOSITORY)
    declined = ORDER.replace("1000", "99999999")
    assert made.saga("start", "place_order", "--input", declined).returncode == 0
    watch = subprocess.Popen(
        [str(SAGA), "watch", "o-1"], cwd=made.folder, env=made.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert watch.stdout is not None
        first = watch.stdout.readline()
        made.run()
        out, _ = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        watch.wait()
    assert watch.returncode == 5
    lines = out.splitlines()
    assert first.startswith("place_order  o-1  running  for ")
    assert lines[-1] == "place_order o-1 is compensated"
    assert sum("debit_payment  rejected: card_declined" in line for line in lines) == 1
    assert "\x1b" not in out
