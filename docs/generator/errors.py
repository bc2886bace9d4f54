"""The codes of everything that can be wrong with a definition or an input, each with an example and its message.

Owns one line of meaning per code. The examples are files of the test corpus, the messages what the loader says to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from docs.generator.blocks import fence
from saga_engine.definition.loader import load_text
from saga_engine.definition.problems import Problems

_ROOT: Final = Path(__file__).resolve().parents[2]
_CORPUS: Final = _ROOT / "tests" / "corpus" / "malformed"
_LONGEST: Final = 400

_MEANINGS: Final[Mapping[str, str]] = {
    "E100": "The file cannot be read.",
    "E101": "An anchor, an alias or a merge key: the value is to be written out.",
    "E102": "Nested deeper than 32 levels.",
    "E103": "Too large: more than 1 MiB, 20,000 values or 1,000 steps, those of child sagas counted.",
    "E104": "A YAML tag.",
    "E105": "A second document, or a directive.",
    "E106": "The definition is empty.",
    "E107": "A character that hides what is written: NUL, a lone surrogate, a text direction control.",
    "E108": "A tab in the indentation, or another control character.",
    "E109": "Not YAML.",
    "E110": "A value of another shape than the key asks for: a text for a mapping, a list for a text.",
    "E111": "An unknown key.",
    "E112": "A required key is missing, or there is no step.",
    "E113": "A step without exactly one action, or a key that does not go with the action.",
    "E114": "A key stands twice in a mapping.",
    "E120": "A plain scalar that YAML readers disagree about (`no`, `010`, `12:30`), or one of another type.",
    "E121": "A number out of range.",
    "E122": "Not a duration.",
    "E123": "Not one of the words that the key knows.",
    "E125": "`input` is no JSON Schema of an object.",
    "E126": "A reference in `input` leads nowhere, out of the file, or back to itself.",
    "E127": "A regular expression that is not supported, for it could take for ever.",
    "E130": "Not a name.",
    "E131": "Not the name of an event.",
    "E132": "Not a subject, or one of the engine's own.",
    "E133": "Not a command, `participant.command`.",
    "E140": "The text between `${{` and `}}` is no expression.",
    "E141": "A `${{` without its `}}`.",
    "E142": "An expression past a limit: 2,000 characters, 32 levels, one comprehension.",
    "E146": "An unknown function or method, or a wrong number of arguments.",
    "E148": "An expression where the value must be known before anything runs.",
    "E149": "A condition that cannot be true or false.",
    "E201": "Two steps of one name.",
    "E202": "`needs` names no step of this saga.",
    "E203": "Steps that wait for each other.",
    "E205": "A step twice in one `needs`.",
    "E206": "A second pivot.",
    "E207": "A step that stands wrongly to the pivot: compensatable after it, retriable before it, or beside it.",
    "E208": "A compensatable step that does not say how it is undone.",
    "E209": "A compensation on a step that is never undone.",
    "E210": "A pivot in a `for_each`.",
    "E211": "A compensatable step that does not come before every retriable one.",
    "E212": "A `wait` that may fail past the point of no return.",
    "E213": "A number of attempts or a coefficient out of range.",
    "E214": "A limit on a step that is never given up.",
    "E215": "A saga that contains itself.",
    "E216": "A child saga that the project does not have.",
    "E217": "A `for_each` that cannot be: no list, a name that hides a root, a tolerance where nothing is given up.",
    "E218": "A limit shorter than what it limits.",
    "E219": "A step that can never run.",
    "E220": "A duration of zero or less.",
    "E230": "An unknown name in an expression, or one that is not known at this place.",
    "E231": "A field that its schema does not have.",
    "E232": "`steps.NAME` of no step of this saga.",
    "E233": "`steps.NAME` of a step that does not come before.",
    "E234": "`steps` without a name that is written out.",
    "E235": "A step's result in a compensation, unguarded: it may be null.",
    "E236": "A macro over something that is no list.",
    "E237": "A business key that is no text or integer, or is the same for every input or event.",
    "E301": "Input: a number that is not finite.",
    "E302": "Input: a key twice in an object.",
    "E303": "Input: nested deeper than 64 levels.",
    "E304": "Input: an integer beyond ±2^53; send it as a text.",
    "E305": "Input: a text with NUL or a lone surrogate, which no store takes.",
    "E306": "Input: not JSON in UTF-8.",
    "E402": "Input: larger than 256 KiB.",
    "E404": "Input: against the definition's schema.",
    "W301": "Warning: a result that is null when its step is skipped.",
    "W302": "Warning: a field that the schema does not require, read without `has(...)`.",
    "W303": "Warning: a command that the exported handlers do not have, or, with `saga validate --strict`, that no "
    "handler of the project serves.",
    "W304": "Warning: a payload that does not fit the command's schema: a field that is missing or unknown, a value or "
    "a plain path of another type.",
    "W305": "Warning: a compensation at another participant than the step, whose inbox cannot fence it.",
    "W306": "Warning: a pivot whose handler has no database (`async def`). Once it has failed, or an answer was lost, "
    "its rejection proves nothing any more: it counts as a failure, and the pivot is asked until it succeeds.",
    "W310": "Warning: an `sla` that the saga's own time-out always comes before.",
    "W311": "Warning: a version that the store has with other content, which `saga start` and `saga run` refuse. With "
    "`saga validate --strict`, where the store is a file.",
}


def codes(_argument: str) -> str:
    """Every code with its meaning and, where the corpus has a short one, an example with what is said to it."""
    examples = _examples()
    return "\n\n".join(_section(code, examples.get(code)) for code in known_codes())


def known_codes() -> list[str]:
    """The codes that the engine's source can give, in order. Each must have a meaning here."""
    source = "".join(path.read_text(encoding="utf-8") for path in (_ROOT / "saga_engine").rglob("*.py"))
    return sorted(set(re.findall(r'"([EW]\d{3})"', source)))


def _section(code: str, example: tuple[str, str] | None) -> str:
    parts = [f"### {code}", _MEANINGS[code]]
    if example is not None:
        text, message = example
        parts += [fence('yaml illustration="wrong on purpose"', text), fence("text", message)]
    return "\n\n".join(parts)


def _examples() -> dict[str, tuple[str, str]]:
    """By code, the shortest file of the corpus that has this mistake alone, and what is said to it."""
    found: dict[str, tuple[str, str]] = {}
    for text in sorted(_texts(), key=lambda text: (len(text), text)):
        result = load_text(text.encode(), "saga.yaml")
        if isinstance(result, Problems) and len(result.problems) == 1:
            found.setdefault(result.problems[0].code, (text, str(result.problems[0])))
    return found


def _texts() -> Iterator[str]:
    """The files of the corpus that a page can show, without the line that says what is expected of them."""
    for path in sorted(_CORPUS.glob("*.yaml")):
        text = path.read_bytes().decode("utf-8", "replace").partition("\n")[2]
        if len(text) <= _LONGEST and all(char.isprintable() or char in "\n\t" for char in text) and "�" not in text:
            yield text
