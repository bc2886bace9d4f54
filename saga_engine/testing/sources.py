"""Definitions as a test gives them: loaded ones, YAML text, or files.

Owns how these three are told apart. What a sound definition is, the loader knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from saga_engine.definition.loader import load_file, load_text
from saga_engine.definition.model import Definition
from saga_engine.definition.problems import Problems

Source: TypeAlias = "Definition | str | Path"
"""A definition: loaded, as YAML text (with a line break in it), or as the path of a file."""


def load(source: Source) -> Definition:
    """The definition.

    Raises:
        ValueError: it does not load; the text lists its problems.
    """
    if isinstance(source, Definition):
        return source
    is_text = isinstance(source, str) and "\n" in source
    loaded = load_text(str(source).encode(), "<text>") if is_text else load_file(source)
    if isinstance(loaded, Problems):
        raise ValueError(str(loaded))
    return loaded.definition
