"""The operations that a project adds: those that the modules of its `api` folder hold.

Owns the folder's name. How a module that fails to import is told is `handlers`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saga_engine.api.operation import Operation
from saga_engine.errors import UsageError
from saga_engine.handlers import modules
from saga_engine.project import enter

FOLDER: Final = "api"


def project_operations(root: Path, engine: Sequence[Operation]) -> list[Operation]:
    """Every operation in an `OPERATIONS` of a module of `api`, in order of modules.

    Raises:
        UsageError: a module does not import, or an operation is there twice or is one of the `engine`'s.
    """
    enter(root)
    found: list[Operation] = []
    taken = {(one.method, one.path) for one in engine}
    for module in modules(root, FOLDER):
        for one in getattr(module, "OPERATIONS", ()):
            if (one.method, one.path) in taken:
                raise UsageError(f"{module.__name__}: {one.method} {one.path} is served already; choose another path")
            taken.add((one.method, one.path))
            found.append(one)
    return found
