"""A saga project: where its root is, its place on the import path, and its definitions.

Owns what makes a folder a project. Knows no setting beyond the marker key, and imports none of the project's code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from saga_engine.errors import UsageError

CONFIG_FILE = "config.yaml"
MARKER = "saga_engine"
DEFINITIONS = "definitions"
CATALOGUE = "participants.json"
"""Among the definitions: what their commands take and give, as `saga participants export` says it."""


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` whose config.yaml has the marker key `saga_engine`.

    Raises `UsageError` when there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if _is_marked(folder / CONFIG_FILE):
            return folder
    raise UsageError(
        f"no saga project here: neither {start} nor a folder above it has a {CONFIG_FILE} with `{MARKER}: 1`; "
        "change to a project's folder, or name one with --project DIR"
    )


def enter(root: Path) -> None:
    """Put the project's root first on the import path, so that its `participants` and `store` are found."""
    if sys.path[:1] != [str(root)]:
        sys.path.insert(0, str(root))


def definition_files(root: Path) -> Sequence[Path]:
    """The definitions of the project: `definitions/*.yaml`, by name."""
    return sorted((root / DEFINITIONS).glob("*.yaml"))


def _is_marked(path: Path) -> bool:
    # Not parsed: every command asks, and a file that is no YAML must be reported as such, not passed over.
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return re.search(rf"^['\"]?{MARKER}['\"]?\s*:", text, flags=re.MULTILINE) is not None
