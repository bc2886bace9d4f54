"""Stored definitions as the checkers see them: is the content what its hash says, and the plan that it makes.

Owns that reading. Reads no store itself.
"""

from __future__ import annotations

import hashlib
from typing import cast

import orjson

from saga_engine.audit.case import KnownDefinition
from saga_engine.audit.records.stored import DefinitionRow
from saga_engine.core.compiling import compile_plan
from saga_engine.core.plan import Plan
from saga_engine.definition.model import Json
from saga_engine.definition.stored import CorruptDefinitionError, definition_from_json


def known_definition(row: DefinitionRow) -> KnownDefinition:
    """A stored definition, whatever became of it."""
    content = row.content.encode()
    return KnownDefinition(row.hash, row.saga, hashlib.sha256(content).hexdigest() == row.hash, _plan(content))


def _plan(content: bytes) -> Plan | None:
    try:
        return compile_plan(definition_from_json(cast(Json, orjson.loads(content))))
    except (CorruptDefinitionError, ValueError):
        return None
