"""The names of orchestrators: one for each place of a folder, kept over the death of whoever has it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from saga_engine.bootstrap.names import orchestrator_name

HOLDER = """
import sys, time
from pathlib import Path
from saga_engine.bootstrap.names import orchestrator_name
with orchestrator_name(Path(sys.argv[1])) as name:
    print(name, flush=True)
    time.sleep(60)
"""


def test_a_name_is_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    with orchestrator_name(tmp_path / "new") as first:
        pass
    with orchestrator_name(tmp_path / "new") as second:
        pass
    assert first == second
    assert first.startswith(f"{socket.gethostname()}-")


def test_two_at_a_time_have_two_names_and_who_comes_next_gets_the_one_that_is_free(tmp_path: Path) -> None:
    with orchestrator_name(tmp_path) as stays:
        with orchestrator_name(tmp_path) as goes:
            assert stays != goes
        with orchestrator_name(tmp_path) as comes:
            assert comes == goes


def test_the_name_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    with killed.stdout:
        name = killed.stdout.readline().strip()
        with orchestrator_name(tmp_path) as other:
            assert other != name
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with orchestrator_name(tmp_path) as successor:
        assert successor == name


def test_two_folders_give_two_names(tmp_path: Path) -> None:
    with orchestrator_name(tmp_path / "one") as first, orchestrator_name(tmp_path / "other") as second:
        assert first != second


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"two words"])
def test_a_damaged_name_is_replaced_and_then_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.name").write_bytes(content)
    with orchestrator_name(tmp_path) as first:
        pass
    with orchestrator_name(tmp_path) as second:
        pass
    assert first == second


def test_where_nothing_can_be_written_the_name_is_a_new_one_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with orchestrator_name(tmp_path / "file") as first, orchestrator_name(tmp_path / "file") as second:
        assert first != second


def test_a_failing_block_gives_the_place_back(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), orchestrator_name(tmp_path):
        raise RuntimeError("whatever happens")
    lock = FileLock(tmp_path / "0.lock")
    lock.acquire(blocking=False)
    lock.release()
