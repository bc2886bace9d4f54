"""A parser for CEL: from the text of an expression to a tree with offsets.

Owns syntax and the limits on it (nesting, comprehensions, known functions), so that a mistake is found and pointed at
without the CEL library. Evaluates nothing and knows no schema.
"""

from __future__ import annotations

from typing import Final

from saga_engine.definition.cel_nodes import (
    Call,
    CelNode,
    Chain,
    Conditional,
    Elements,
    Fields,
    Index,
    Literal,
    Macro,
    Name,
    Select,
    Unary,
)
from saga_engine.definition.cel_tokens import CelSyntaxError, CelToken, tokenize
from saga_engine.definition.problems import nearest

MAX_NESTING: Final = 32

MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
METHODS: Final = {"size": 0, "contains": 1, "startsWith": 1, "endsWith": 1, "matches": 1}
FUNCTIONS: Final = {"size": 1, "has": 1, "string": 1, "int": 1, "double": 1}
ROOTS: Final = frozenset({"input", "steps", "failure", "saga"})
_NOT_A_ROOT: Final = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while", "in",
})  # fmt: skip
_LEVELS: Final = (("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))


def parse(text: str) -> CelNode:
    """The tree of an expression. Raises CelSyntaxError with the offset of the mistake."""
    return _Parser(tokenize(text)).whole()


class _Parser:
    def __init__(self, tokens: list[CelToken]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._macros = 0

    def whole(self) -> CelNode:
        if self._peek().kind == "end":
            raise CelSyntaxError(0, "the expression is empty")
        node = self._expression()
        if self._peek().kind != "end":
            raise self._unexpected("the end of the expression")
        return node

    def _peek(self) -> CelToken:
        return self._tokens[self._next]

    def _is(self, *symbols: str) -> bool:
        token = self._peek()
        return token.text in symbols and (token.kind == "symbol" or token.text == "in")

    def _take(self) -> CelToken:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _accept(self, symbol: str) -> bool:
        if self._is(symbol):
            self._next += 1
            return True
        return False

    def _expect(self, symbol: str) -> CelToken:
        if not self._is(symbol):
            raise self._unexpected(f'"{symbol}"')
        return self._take()

    def _unexpected(self, expected: str) -> CelSyntaxError:
        token = self._peek()
        found = f'"{token.text}"' if token.kind != "end" else "the end"
        return CelSyntaxError(token.at, f"expected {expected}, found {found}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise CelSyntaxError(self._peek().at, f"nested deeper than {MAX_NESTING} levels", "E142")

    def _expression(self) -> CelNode:
        self._deeper()
        condition = self._level(0)
        if self._accept("?"):
            then = self._level(0)
            self._expect(":")
            condition = Conditional(condition.at, condition, then, self._expression())
        self._depth -= 1
        return condition

    def _level(self, level: int) -> CelNode:
        if level == len(_LEVELS):
            return self._unary()
        first = self._level(level + 1)
        operators: list[str] = []
        operands = [first]
        while self._is(*_LEVELS[level]):
            operators.append(self._take().text)
            operands.append(self._level(level + 1))
        return Chain(first.at, tuple(operators), tuple(operands)) if operators else first

    def _unary(self) -> CelNode:
        if not self._is("!", "-"):
            return self._member()
        operator = self._take()
        self._deeper()
        operand = self._unary()
        self._depth -= 1
        if operator.text == "-" and isinstance(operand, Literal) and isinstance(operand.value, int | float):
            return Literal(operator.at, -operand.value)
        return Unary(operator.at, operator.text, operand)

    def _member(self) -> CelNode:
        start = self._peek().at
        node = self._primary()
        links = 0
        while self._is(".", "["):
            links += 1
            if links > MAX_NESTING:
                raise CelSyntaxError(self._peek().at, f"more than {MAX_NESTING} fields in a row", "E142")
            end = self._tokens[self._next - 1].end
            if self._take().text == ".":
                node = self._field(node, start, end)
            else:
                at = self._peek().at
                index = self._expression()
                self._expect("]")
                node = Index(at, node, index)
        return node

    def _field(self, of: CelNode, start: int, end: int) -> CelNode:
        token = self._peek()
        if token.kind != "name" or token.text in ("true", "false", "null", "in"):
            raise self._unexpected("the name of a field")
        self._take()
        if not self._accept("("):
            return Select(token.at, of, token.text)
        if token.text in MACROS:
            return self._macro(token, of, start, end)
        arguments = self._arguments(")")
        self._check_function(token, len(arguments), METHODS, "method")
        return Call(token.at, token.text, of, arguments)

    def _macro(self, token: CelToken, of: CelNode, start: int, end: int) -> CelNode:
        self._macros += 1
        if self._macros > 1:
            raise CelSyntaxError(token.at, "more than one comprehension in an expression", "E142")
        arguments = self._arguments(")")
        count = (2, 3) if token.text == "map" else (2,)
        if len(arguments) not in count or not isinstance(arguments[0], Name):
            raise CelSyntaxError(
                token.at, f'"{token.text}" takes a name and an expression, as in x.{token.text}(i, ...)'
            )
        if arguments[0].name in ROOTS:
            raise CelSyntaxError(arguments[0].at, f'"{arguments[0].name}" is a root and cannot name an element')
        return Macro(token.at, token.text, of, arguments[0].name, arguments[1:], start, end)

    def _primary(self) -> CelNode:
        token = self._take()
        match token.kind:
            case "string":
                return Literal(token.at, token.value)
            case "int":
                return Literal(token.at, int(token.text, 16 if token.text.startswith("0x") else 10))
            case "float":
                return Literal(token.at, float(token.text))
            case "name":
                return self._name(token)
            case "symbol" if token.text == "(":
                inner = self._expression()
                self._expect(")")
                return inner
            case "symbol" if token.text == "[":
                return Elements(token.at, self._arguments("]"))
            case "symbol" if token.text == "{":
                return self._fields(token)
            case _:
                self._next -= token.kind != "end"
                raise self._unexpected("a value")

    def _name(self, token: CelToken) -> CelNode:
        if token.text in ("true", "false", "null"):
            return Literal(token.at, {"true": True, "false": False, "null": None}[token.text])
        if self._accept("("):
            arguments = self._arguments(")")
            self._check_function(token, len(arguments), FUNCTIONS, "function")
            if token.text == "has" and not isinstance(arguments[0], Select):
                raise CelSyntaxError(arguments[0].at, '"has" takes a field, as in has(input.note)')
            return Call(token.at, token.text, None, arguments)
        if token.text in _NOT_A_ROOT:
            raise CelSyntaxError(token.at, f'"{token.text}" is a reserved word')
        return Name(token.at, token.text)

    def _check_function(self, token: CelToken, count: int, known: dict[str, int], what: str) -> None:
        if token.text not in known:
            hint = nearest(token.text, known) or f"{what}s are {', '.join(sorted(known))}"
            raise CelSyntaxError(token.at, f'there is no {what} "{token.text}"; {hint}', "E146")
        if count != known[token.text]:
            raise CelSyntaxError(token.at, f'"{token.text}" takes {known[token.text]} argument(s), not {count}', "E146")

    def _arguments(self, closing: str) -> tuple[CelNode, ...]:
        arguments: list[CelNode] = []
        while not self._is(closing):
            arguments.append(self._expression())
            if not self._accept(","):
                break
        self._expect(closing)
        return tuple(arguments)

    def _fields(self, token: CelToken) -> CelNode:
        pairs: list[tuple[CelNode, CelNode]] = []
        while not self._is("}"):
            start = self._peek().at
            key = self._expression()
            if not (isinstance(key, Literal) and isinstance(key.value, str)):
                raise CelSyntaxError(start, "a key of a map must be a string in quotes")
            self._expect(":")
            pairs.append((key, self._expression()))
            if not self._accept(","):
                break
        self._expect("}")
        return Fields(token.at, tuple(pairs))
