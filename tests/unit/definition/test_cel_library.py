"""The CEL library is imported without its command line, which is still there for whoever wants it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from saga_engine.definition.cel_library import compiled, executed
assert executed(compiled("1 + 1"), {}) == 2
assert "typer" not in sys.modules and "cel.cli" not in sys.modules, "the command line was imported"
from cel import cli
assert cli.__file__ and "typer" in sys.modules, "the command line cannot be imported any more"
"""


def test_the_library_is_imported_without_its_command_line_which_stays_importable() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
