"""What the tests of the definition language share: the corpora, and short ways to load a text."""

from __future__ import annotations

from pathlib import Path

from saga_engine.definition.catalogue import ParticipantCatalogue
from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Call, Definition, ExpressionFailed, Json
from saga_engine.definition.problems import Problems

CORPUS = Path(__file__).parents[2] / "corpus"
ROOT = Path(__file__).parents[3]
QUICK_S = 10.0
"""Seconds of CPU that nothing bounded reaches on a slow machine (it takes a third of one), and what is not, passes."""
SOUND = sorted((CORPUS / "sound").glob("*.yaml"))
MALFORMED = sorted((CORPUS / "malformed").glob("*.yaml"))


def loaded(text: str, participants: ParticipantCatalogue | None = None) -> Loaded:
    result = load_text(text.encode(), "test.yaml", participants=participants)
    assert isinstance(result, Loaded), str(result)
    return result


def definition(text: str) -> Definition:
    return loaded(text).definition


def problems(text: str | bytes) -> list[str]:
    """The problems of a text, as lines."""
    result = load_text(text if isinstance(text, bytes) else text.encode(), "test.yaml")
    assert isinstance(result, Problems)
    return [str(problem) for problem in result.problems]


def codes(text: str | bytes) -> list[str]:
    result = load_text(text if isinstance(text, bytes) else text.encode(), "test.yaml")
    return [] if isinstance(result, Loaded) else [problem.code for problem in result.problems]


def call(found: Definition, step: str) -> Call:
    action = next(each.action for each in found.steps if each.name == step)
    assert isinstance(action, Call)
    return action


def compiled(source: Json) -> CompiledExpression:
    result = compile_value(source)
    assert isinstance(result, CompiledExpression), result
    return result


def evaluate(source: Json, **roots: Json) -> Json | ExpressionFailed:
    return compiled(source).evaluate(roots)


def failure(source: Json, **roots: Json) -> str:
    """The message of an expression that has no value."""
    value = evaluate(source, **roots)
    assert isinstance(value, ExpressionFailed), value
    return value.message
