"""Finding a project, its definitions and its handlers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saga_engine.errors import UsageError
from saga_engine.project import definition_files, find_root

HANDLER = """
from saga_engine.participant.registry import Participant
{name} = Participant("{name}")
"""


def project(root: Path, files: dict[str, str] | None = None) -> Path:
    for name, text in {"config.yaml": "saga_engine: 1\n", **(files or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def load_in_a_process(root: Path) -> str:
    """What `load_participants` finds, or how it fails, in a process of its own: imports outlive a test."""
    code = (
        "import sys; from pathlib import Path; from saga_engine.handlers import load_participants\n"
        "from saga_engine.errors import UsageError\n"
        "try: print(*(one.name for one in load_participants(Path(sys.argv[1]))))\n"
        "except UsageError as error: print(error)\n"
    )
    # Where this repository is on the path, its own handlers come before packages without an __init__.py.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment)
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_root_is_the_nearest_marked_folder_upwards(tmp_path: Path) -> None:
    outer, inner = project(tmp_path), project(tmp_path / "a" / "b")
    (inner / "c").mkdir()
    (tmp_path / "a" / "config.yaml").write_text("other: 1\n", encoding="utf-8")
    assert find_root(inner / "c") == inner
    assert find_root(tmp_path / "a") == outer


@pytest.mark.parametrize("text", ["  saga_engine: 1\n", "# saga_engine: 1\n", "my_saga_engine: 1\n", ""])
def test_a_config_file_without_the_marker_key_at_the_top_level_marks_no_project(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no saga project here") as caught:
        find_root(tmp_path)
    assert "--project DIR" in str(caught.value)


def test_definitions_are_listed_by_name(tmp_path: Path) -> None:
    project(tmp_path, {"definitions/b.yaml": "", "definitions/a.yaml": "", "definitions/participants.json": "{}"})
    assert [path.name for path in definition_files(tmp_path)] == ["a.yaml", "b.yaml"]


def test_all_modules_of_both_packages_are_imported_with_and_without_init_files(tmp_path: Path) -> None:
    project(
        tmp_path,
        {
            "participants/__init__.py": "",
            "participants/order.py": HANDLER.format(name="order"),
            "participants/cards/payment.py": HANDLER.format(name="payment"),
            "compensations/order.py": HANDLER.format(name="order") + "from participants.order import order as other\n",
        },
    )
    assert load_in_a_process(tmp_path) == "payment order order"


def test_a_project_without_handlers_has_no_participants(tmp_path: Path) -> None:
    assert load_in_a_process(project(tmp_path)) == ""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"participants/order.py": "import json\n\njson.loads('{')\n"},
            "participants/order.py:3: participants.order cannot be imported: JSONDecodeError: Expecting property name",
        ),
        (
            {"participants/order.py": "x = 1\ndef f(:\n"},
            "participants/order.py:2: participants.order cannot be imported: SyntaxError: invalid syntax",
        ),
        (
            {"participants/order.py": "import store.orders\n", "store/orders.py": "\nimport missing_module\n"},
            "store/orders.py:2: participants.order cannot be imported: ModuleNotFoundError: No module named",
        ),
        (
            {"compensations/order.py": "from saga_engine.participant.registry import Participant as P\nP('No!')\n"},
            "compensations/order.py:2: the participant name 'No!' must match",
        ),
        (
            {
                "participants/order.py": "from saga_engine.participant import Participant as P\norder = P('order')\n"
                "@order.command\ndef create(ctx, command): pass\n"
            },
            "participants/order.py:3: annotate 'command' of handler 'create'",
        ),
        ({"participants/my-order.py": ""}, "participants/my-order.py: is no name for a module"),
    ],
)
def test_a_module_that_cannot_be_imported_is_reported_with_file_and_line(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    said = load_in_a_process(project(tmp_path, files))
    assert said.startswith(expected)
    assert "\n" not in said


def test_a_package_of_the_same_name_that_was_imported_first_is_reported(tmp_path: Path) -> None:
    other = project(tmp_path / "other", {"participants/__init__.py": ""})
    mine = project(tmp_path / "mine", {"participants/order.py": HANDLER.format(name="order")})
    code = (
        "import sys; from pathlib import Path; from saga_engine.handlers import load_participants\n"
        "load_participants(Path(sys.argv[1]))\n"
        "try: load_participants(Path(sys.argv[2]))\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(other), str(mine)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "another package named 'participants' was imported first" in done.stdout
