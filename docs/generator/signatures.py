"""What a module says about one of its public names: its form as Python, and its docstrings, read from the source.

Owns reading and laying out signatures. Imports nothing that it reads, so that each Python writes the same.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

_ROOT: Final = Path(__file__).resolve().parents[2]
_WIDEST: Final = 110

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Variable: TypeAlias = ast.AnnAssign | ast.Assign


@dataclass(frozen=True, slots=True)
class Described:
    """A name as readers see it. `form`: a stub in Python. `members`: what a class has to call, with its texts."""

    form: str
    text: str
    members: Sequence[tuple[str, str]]


def exported(module: str) -> Sequence[str]:
    """What a module says to be public: its `__all__`. Raises LookupError when it has none."""
    for node in _source(_ROOT, module).tree.body:
        if isinstance(node, ast.Assign) and _names_of(node) == ["__all__"]:
            return [str(name) for name in ast.literal_eval(node.value)]
    raise LookupError(f"{module} has no __all__")


def describe(module: str, name: str, hidden: frozenset[str] = frozenset()) -> Described:
    """The form and texts of a name that may be imported from a module; what is `hidden` of a class is left out.

    Raises LookupError when the module has no such name.
    """
    source = _source(_ROOT, module)
    body = source.tree.body
    for i, node in enumerate(body):
        match node:
            case ast.ImportFrom(module=str(origin)) if any((one.asname or one.name) == name for one in node.names):
                if origin.startswith("saga_engine"):
                    return describe(origin, name, hidden)
            case ast.ClassDef() if node.name == name:
                return _class(source, node, hidden)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return Described("\n".join(source.stub(node)), _docstring(node), ())
            case ast.AnnAssign() | ast.Assign() if name in _names_of(node):
                return Described(source.variable(node), _following(body, i), ())
    raise LookupError(f"{module} has no {name}")


def _class(source: _Source, node: ast.ClassDef, hidden: frozenset[str]) -> Described:
    shown = list(_public(node, hidden))
    overloaded = {one.name for one in shown if isinstance(one, Function) and _decorated(one, "overload")}
    lines: list[str] = []
    members: list[tuple[str, str]] = []
    for earlier, member in zip([None, *shown], shown, strict=False):
        if isinstance(member, ast.AnnAssign | ast.Assign):
            lines.append(f"    {source.variable(member, values=True)}")
            continue
        if isinstance(earlier, ast.AnnAssign | ast.Assign):
            lines.append("")
        name = member.name
        if name not in overloaded or _decorated(member, "overload"):
            lines += [f"    {line}" for line in source.stub(member)]
        if name != "__init__" and not _decorated(member, "overload"):
            members.append((name, _docstring(member)))
    bases = ", ".join(source.text(base) for base in node.bases)
    head = f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    return Described("\n".join([head, *lines]) if lines else f"{head} ...", _docstring(node), members)


def _public(node: ast.ClassDef, hidden: frozenset[str]) -> Iterator[Variable | Function]:
    """The members that users see, in order."""
    for member in node.body:
        match member:
            case ast.AnnAssign() | ast.Assign():
                # What a dataclass keeps out of its `repr` is the engine's own.
                if not (hidden.intersection(_names_of(member)) or _is_private(member) or _without_repr(member)):
                    yield member
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if member.name not in hidden and (member.name == "__init__" or not member.name.startswith("_")):
                    yield member


def _is_private(node: Variable) -> bool:
    return any(name.startswith("_") for name in _names_of(node))


def _names_of(node: Variable) -> list[str]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _without_repr(node: Variable) -> bool:
    value = node.value
    given = value.keywords if isinstance(value, ast.Call) else []
    return any(one.arg == "repr" and isinstance(one.value, ast.Constant) and not one.value.value for one in given)


def _decorated(member: Function, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in member.decorator_list)


def _docstring(node: Function | ast.ClassDef) -> str:
    return inspect.cleandoc(ast.get_docstring(node) or "")


def _following(body: Sequence[ast.stmt], i: int) -> str:
    """The string below an assignment, which is its docstring."""
    match body[i + 1 : i + 2]:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return inspect.cleandoc(text)
    return ""


@cache
def _source(root: Path, module: str) -> _Source:
    path = root.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    written = file.read_bytes()
    return _Source(tuple(written.splitlines(keepends=True)), ast.parse(written))


@dataclass(frozen=True, slots=True)
class _Source:
    """A module as it is written: its lines as bytes, in which the parser counts columns."""

    lines: tuple[bytes, ...]
    tree: ast.Module

    def text(self, node: ast.expr) -> str:
        """An expression as it is written, on one line."""
        # Not ast.get_source_segment, which splits the whole module anew each time.
        assert node.end_lineno is not None
        rows = list(self.lines[node.lineno - 1 : node.end_lineno])
        rows[-1] = rows[-1][: node.end_col_offset]
        rows[0] = rows[0][node.col_offset :]
        return " ".join(b"".join(rows).decode().split())

    def variable(self, node: Variable, *, values: bool = False) -> str:
        """A field, an alias or a constant. The value of a constant is left out, unless `values`."""
        name = _names_of(node)[0]
        if isinstance(node, ast.Assign):
            return f"{name} = {self.text(node.value)}"
        annotation = self.text(node.annotation)
        if node.value is None or not (values or annotation == "TypeAlias"):
            return f"{name}: {annotation}"
        return f"{name}: {annotation} = {self._default(node.value)}"

    def _default(self, value: ast.expr) -> str:
        if isinstance(value, ast.Name) and value.id.startswith("_"):
            return "..."
        if isinstance(value, ast.Call) and self.text(value.func).lower() == "field":
            given = {one.arg: one.value for one in value.keywords}
            return self.text(given["default"]) if "default" in given else "..."
        return self.text(value)

    def stub(self, node: Function) -> Iterator[str]:
        """A function with its decorators and without its body, a parameter a line where it is long."""
        shown = ("property", "classmethod", "staticmethod", "overload", "pytest.fixture")
        yield from (f"@{name}" for one in node.decorator_list if (name := self.text(one)) in shown)
        word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        gives = f" -> {self.text(node.returns)}" if node.returns is not None else ""
        parameters = list(self._parameters(node.args))
        line = f"{word} {node.name}({', '.join(parameters)}){gives}: ..."
        if len(line) <= _WIDEST:
            yield line
            return
        yield f"{word} {node.name}("
        yield from (f"    {parameter}," for parameter in parameters)
        yield f"){gives}: ..."

    def _parameters(self, given: ast.arguments) -> Iterator[str]:
        positional = [*given.posonlyargs, *given.args]
        defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
        for i, (one, default) in enumerate(zip(positional, defaults, strict=True), start=1):
            yield self._parameter(one, default)
            if i == len(given.posonlyargs):
                yield "/"
        if given.vararg is not None:
            yield f"*{self._parameter(given.vararg, None)}"
        elif given.kwonlyargs:
            yield "*"
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            yield self._parameter(one, default)
        if given.kwarg is not None:
            yield f"**{self._parameter(given.kwarg, None)}"

    def _parameter(self, one: ast.arg, default: ast.expr | None) -> str:
        if one.annotation is None:
            return one.arg if default is None else f"{one.arg}={self._default(default)}"
        annotated = f"{one.arg}: {self.text(one.annotation)}"
        return annotated if default is None else f"{annotated} = {self._default(default)}"
