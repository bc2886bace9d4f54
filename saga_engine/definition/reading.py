"""Reads single values of a definition: names, texts, durations, free JSON, expressions.

Owns how a wrong shape or a bad name is reported, so that reading goes on behind it. Knows no key of the language.
"""

from __future__ import annotations

import re
from typing import Final

from saga_engine.definition import durations, scalars
from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.model import Json
from saga_engine.definition.problems import Finding, PathPart, shown
from saga_engine.definition.report import Report
from saga_engine.definition.template import OPEN
from saga_engine.definition.tree import BrokenNode, Entry, MappingNode, Node, Scalar, SequenceNode

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
EVENT: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,62}", re.ASCII)
NAME_EXPECTED: Final = "[a-z][a-z0-9_]{0,62}"
EVENT_EXPECTED: Final = "CamelCase, such as OrderCreated: [A-Z][A-Za-z0-9]{0,62}"


def shape(node: Node) -> str:
    """What a node is, in the words of an error."""
    if isinstance(node, Scalar):
        return scalars.found(node)
    return "a list" if isinstance(node, SequenceNode) else "a mapping"


def written(node: Node | None) -> str | None:
    """The text of a scalar, whatever it means."""
    return node.text if isinstance(node, Scalar) else None


def elements(report: Report, node: Node, what: str) -> tuple[Node, ...] | None:
    if isinstance(node, SequenceNode):
        return node.items
    if not isinstance(node, BrokenNode):
        report.at(node.at, "E110", f"found {shape(node)}", f"a list: {what}")
    return None


def plain_text(report: Report, node: Node, expected: str) -> str | None:
    """A text without expressions. What YAML would read as something else must be quoted."""
    if not isinstance(node, Scalar):
        if not isinstance(node, BrokenNode):
            report.at(node.at, "E110", f"found {shape(node)}", expected)
        return None
    if scalars.reading_of(node) is not scalars.Reading.TEXT:
        hint = f'write "{node.text}" in quotes if it is meant as a text' if node.text else ""
        report.at(node.at, "E120", f"found {scalars.found(node)}", expected, hint)
        return None
    if OPEN in node.text:
        report.at(node.at, "E148", "an expression cannot stand here", expected)
        return None
    return node.text


def name(report: Report, node: Node) -> str | None:
    text = plain_text(report, node, f"a name: {NAME_EXPECTED}")
    if text is None or NAME.fullmatch(text):
        return text
    report.at(node.at, "E130", f"{shown(text)} is no name", NAME_EXPECTED)
    return None


def event_name(report: Report, node: Node) -> str | None:
    text = plain_text(report, node, EVENT_EXPECTED)
    if text is None or EVENT.fullmatch(text):
        return text
    report.at(node.at, "E131", f"{shown(text)} is no name of an event", EVENT_EXPECTED)
    return None


def duration(report: Report, node: Node, key: str) -> int | None:
    """Microseconds, more than zero and at most a hundred years."""
    if not isinstance(node, Scalar):
        if not isinstance(node, BrokenNode):
            report.at(node.at, "E110", f"found {shape(node)}", durations.EXPECTED)
        return None
    if scalars.reading_of(node) is scalars.Reading.AMBIGUOUS:
        report.at(node.at, "E120", f"found {scalars.found(node)}", durations.EXPECTED)
        return None
    value = durations.parse_duration(node.text.removeprefix("-"))
    if value == 0 or (value is not None and node.text.startswith("-")) or node.text == "0":
        report.at(node.at, "E220", f'"{key}" is {node.text}', "a duration of more than zero")
        return None
    if value is None:
        report.at(node.at, "E122", f"{shown(node.text)} is no duration", durations.EXPECTED + ", at most 36500d")
    return value


def json_value(report: Report, node: Node) -> Json:
    """A free JSON value; what is unclear in it is noted and read as null."""
    match node:
        case Scalar():
            value = scalars.json_scalar(node)
            if isinstance(value, scalars.Unclear):
                report.at(node.at, value.code, value.message, value.expected, value.suggestion)
                return None
            return value
        case SequenceNode(items=items):
            return [json_value(report, item) for item in items]
        case MappingNode(entries=entries):
            return {_json_key(report, entry): json_value(report, entry.value) for entry in entries}
        case BrokenNode():
            return None


def _json_key(report: Report, entry: Entry) -> str:
    key = entry.key
    if scalars.reading_of(key) is not scalars.Reading.TEXT:
        report.at(key.at, "E120", f"the key is {scalars.found(key)}", "a text", f'write "{key.text}" in quotes')
    elif OPEN in key.text:
        report.at(key.at, "E148", "an expression cannot stand in a key", "a fixed key")
    return key.text


def expression(report: Report, node: Node, path: tuple[PathPart, ...]) -> CompiledExpression | None:
    """A value with `${{ }}` anywhere in it, compiled."""
    before = len(report.problems)
    source = json_value(report, node)
    compiled = compile_value(source, eager=True)
    if isinstance(compiled, CompiledExpression):
        return compiled if len(report.problems) == before else None
    for bad in compiled:
        finding = Finding(bad.code, path, bad.message)
        report.add_inside(finding, bad.path, bad.occurrence, bad.offset, bad.text)
    return None
