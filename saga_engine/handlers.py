"""Imports the handlers of a project and collects the participants that they register on, and its projections.

Owns the names of those packages and how a module that fails to import is reported. Runs no handler.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from sqlalchemy import Table

from saga_engine.errors import SagaEngineError, UsageError
from saga_engine.participant.registry import Participant
from saga_engine.project import enter
from saga_engine.projections.projection import Projection

HANDLER_PACKAGES = ("participants", "compensations")
PROJECTION_PACKAGE = "store"
MIGRATIONS = "migrations"
"""Within that package: revisions, which are no modules of it."""


def load_participants(root: Path) -> list[Participant]:
    """Every `Participant` that a module of `participants` or `compensations` holds, in order of modules.

    All modules are imported, listed in an `__init__.py` or not. Raises `UsageError` that names file and line when one
    does not import.
    """
    enter(root)
    found: dict[int, Participant] = {}
    for package in HANDLER_PACKAGES:
        for module in modules(root, package):
            found |= {id(value): value for value in vars(module).values() if isinstance(value, Participant)}
    return list(found.values())


def load_projections(root: Path) -> Mapping[str, type[Projection]]:
    """Every `Projection` that a module of `store` defines, by name.

    Raises `UsageError` that names file and line when a module does not import, for two of one name, and for two that
    keep the same table.
    """
    enter(root)
    found: dict[str, type[Projection]] = {}
    for module in modules(root, PROJECTION_PACKAGE):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Projection) and value is not Projection:
                known = found.setdefault(value.name, value)
                if known is not value:
                    what = f"two projections are named {value.name}"
                    raise UsageError(f"{what}: {known.defined_at} and {value.defined_at}; rename one or remove it")
    _check_tables(found.values())
    return found


def _check_tables(projections: Iterable[type[Projection]]) -> None:
    keepers: dict[Table, type[Projection]] = {}
    for one in projections:
        for table in one.tables.tables.values():
            known = keepers.setdefault(table, one)
            if known is not one:
                raise UsageError(
                    f"projections {known.name} and {one.name} both keep the table {table.name}, which a rebuild of one "
                    f"would empty for the other ({known.defined_at} and {one.defined_at}); give each a MetaData and "
                    "tables of its own, or make them one projection"
                )


def modules(root: Path, package: str) -> Iterator[ModuleType]:
    """Every module of that folder of the project, imported; none where there is no such folder.

    Raises `UsageError` that names file and line when one does not import.
    """
    folder = root / package
    if not folder.is_dir():
        return
    own = _import(package, root)
    if folder.resolve() not in (Path(path).resolve() for path in getattr(own, "__path__", ())):
        raise UsageError(
            f"{package}/: cannot be imported: another package named {package!r} was imported first, from "
            f"{own.__file__ or 'elsewhere on the import path'}; run each project in a process of its own"
        )
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part.startswith(".") for part in parts) or parts[:2] == (PROJECTION_PACKAGE, MIGRATIONS):
            continue
        if not all(part.isidentifier() for part in parts):
            raise UsageError(f"{path.relative_to(root)}: is no name for a module: use letters, digits and _ only")
        yield _import(".".join(parts).removesuffix(".__init__"), root)


def _import(name: str, root: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # A user's module runs here: whatever it raises is told, with its place.
        place, message = _place(error, name, root), _message(error, name)
        # The SDK names the line itself, where a decorator refuses a handler.
        said, _, rest = message.partition(": ")
        again = isinstance(error, SagaEngineError) and _same_place(said, place, root)
        raise UsageError(f"{place}: {rest if again else message}") from error


def _same_place(said: str, place: str, root: Path) -> bool:
    file, _, line = said.rpartition(":")
    return line.isdecimal() and f"{_relative(Path(file), root)}:{line}" == place


def _message(error: Exception, name: str) -> str:
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    if isinstance(error, SagaEngineError):
        return text
    return f"{name} cannot be imported: {type(error).__name__}: {text}".removesuffix(": ")


def _place(error: Exception, name: str, root: Path) -> str:
    """`file:line` of the innermost line of the project that was running when the import failed."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{_relative(Path(error.filename), root)}:{error.lineno or 1}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(Path(frame.filename), root)]
    return f"{_relative(Path(own[-1].filename), root)}:{own[-1].lineno}" if own else name.replace(".", "/")


def _is_own(path: Path, root: Path) -> bool:
    # A virtual environment and, in the engine's own repository, the engine stand below the root as well.
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return bool(parts) and not parts[0].startswith((".", "saga_engine", "venv"))


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
