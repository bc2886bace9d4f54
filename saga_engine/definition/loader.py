"""From YAML to a checked model: the entry points, and the keys at the top of a definition.

Owns the order of the passes: scan, tree, reading, rules, expressions. Each of them is elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from saga_engine.definition import reading
from saga_engine.definition.advice import advice
from saga_engine.definition.catalogue import ParticipantCatalogue
from saga_engine.definition.checks import remarks
from saga_engine.definition.model import Definition, Json, SagaEmit, Step
from saga_engine.definition.occasions import read_start_on
from saga_engine.definition.order import Order, placed
from saga_engine.definition.payload_fits import value_misfits
from saga_engine.definition.policies import RetryPart, TimeoutPart, read_retry, read_timeout
from saga_engine.definition.problems import Finding, Problem, Problems
from saga_engine.definition.report import Report
from saga_engine.definition.rules import breaches, ignored_limits, past_return, settled
from saga_engine.definition.scan import MAX_BYTES, scan
from saga_engine.definition.schema_rules import schema_findings
from saga_engine.definition.scopes import sites
from saga_engine.definition.section import Section, section
from saga_engine.definition.steps import MOST_VERSIONS, Defaults, read_emit, read_step
from saga_engine.definition.tree import MappingNode, Node, SequenceNode, build

_FIRST_OF_RULES: Final = "E2"
"""Problems before these are of what was written; these are of a model that was read."""

_KEYS: Final = (
    "saga",
    "version",
    "summary",
    "key",
    "input",
    "on",
    "timeout",
    "sla",
    "defaults",
    "output",
    "emit",
    "steps",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sound definition, and what its author may want to look at again."""

    definition: Definition
    warnings: tuple[Problem, ...]
    file: str
    _root: Node = field(repr=False, compare=False)

    def place(self, findings: Iterable[Finding]) -> Problems:
        """Findings about this definition that were made later (by `expand`), with their places in its file."""
        report = Report(self.file, self._root)
        for finding in findings:
            report.add(finding)
        return Problems(self.file, tuple(sorted(set(report.problems))))


def load_file(path: Path | str, *, participants: ParticipantCatalogue | None = None) -> Loaded | Problems:
    """Load a definition from a file; a file that cannot be read is a problem like any other."""
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or type(error).__name__}"
        return Problems(file, (Problem(1, 1, "E100", message, file, "a definition in YAML"),))
    return load_text(text, file, participants=participants)


def load_text(text: bytes, file: str, *, participants: ParticipantCatalogue | None = None) -> Loaded | Problems:
    """Load a definition from the bytes of a file whose name is used in problems. Reports all problems, not the first.

    `participants`: what is known about commands; without it every command is taken to be known, fenced and untyped.
    """
    scanned = scan(text, file)
    if isinstance(scanned, Problems):
        return scanned
    root = build(scanned.tokens)
    report = Report(file, root, scanned.problems)
    definition = _read(report, root)
    if definition is not None:
        definition = _judge(report, definition, participants)
    if report.problems or definition is None:
        return Problems(file, tuple(sorted(set(report.problems))), tuple(sorted(set(_sound_warnings(report)))))
    return Loaded(definition, tuple(sorted(set(report.warnings))), file, root)


def _sound_warnings(report: Report) -> Iterator[Problem]:
    """Warnings beside problems: of the steps that could be read whole. What is missing in another may stand there."""
    steps = report.root.get("steps") if isinstance(report.root, MappingNode) else None
    begins = [(item.at.line, item.at.column) for item in steps.items] if isinstance(steps, SequenceNode) else []

    def place(problem: Problem) -> int:
        return bisect_right(begins, (problem.line, problem.column))

    unread = {place(problem) for problem in report.problems if problem.code < _FIRST_OF_RULES}
    return (warning for warning in report.warnings if place(warning) not in unread)


def _judge(report: Report, definition: Definition, participants: ParticipantCatalogue | None) -> Definition:
    """Note all breaches of the rules; the definition with the policies of steps that are never given up settled."""
    for finding in breaches(definition):
        report.add(finding)
    steps = placed(definition)
    order = Order(steps)
    endless = past_return(steps, order)
    for finding in ignored_limits(steps, endless):
        if report.has(finding.path):
            report.add(finding)
    # With a cycle nothing follows anything, and every path would be wrong.
    found = [] if order.cycles else sites(definition, participants)
    for site in found:
        for remark in remarks(site):
            fragment = remark.fragment
            report.add_inside(
                remark.finding, fragment.path, fragment.occurrence, remark.offset, fragment.text, remark.advice
            )
    for finding in (*advice(definition, participants), *value_misfits(definition, participants, found)):
        report.add(finding, warning=True)
    return settled(definition, endless)


def _read(report: Report, root: Node) -> Definition | None:
    top = section(report, root, (), "a definition")
    if top is None:
        return None
    top.only(*_KEYS)
    top.require("saga", "its name")
    return Definition(
        saga=top.name("saga") or "unnamed",
        version=top.integer("version", 1, MOST_VERSIONS) or 1,
        summary=top.text("summary") or "",
        key=top.expression("key"),
        input_schema=_read_input(top),
        timeout_us=top.duration("timeout"),
        sla_us=top.duration("sla"),
        output=top.expression("output"),
        emit=_read_emits(top),
        steps=_read_steps(top, _read_defaults(top)),
        on=read_start_on(top),
    )


def _read_input(top: Section) -> dict[str, Json] | None:
    found = top.section("input", "a JSON Schema")
    if found is None:
        return None
    before = len(top.report.problems)
    schema = reading.json_value(top.report, found.node)
    assert isinstance(schema, dict)
    if len(top.report.problems) == before:
        for finding in schema_findings(schema, found.path):
            top.report.add(finding)
    return schema


def _read_defaults(top: Section) -> Defaults:
    found = top.section("defaults", "retry and timeout")
    if found is None:
        return Defaults(RetryPart(), TimeoutPart())
    found.only("retry", "timeout")
    return Defaults(read_retry(found), read_timeout(found))


def _read_emits(top: Section) -> SagaEmit:
    found = top.section("emit", "completed, compensated, closed")
    if found is None:
        return SagaEmit(None, None, None)
    found.only("completed", "compensated", "closed")
    return SagaEmit(read_emit(found, "completed"), read_emit(found, "compensated"), read_emit(found, "closed"))


def _read_steps(top: Section, defaults: Defaults) -> tuple[Step, ...]:
    top.require("steps", "a list of at least one step")
    items = top.items("steps", "steps")
    if items is None:
        return ()
    if not items:
        top.report.at(top.at("steps"), "E112", '"steps" is empty', "at least one step")
    steps: list[Step] = []
    for index, item in enumerate(items):
        steps.append(read_step(top.report, item, index, steps[-1].name if steps else None, defaults))
    return tuple(steps)
