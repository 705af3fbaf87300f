"""Small changes of a module's meaning, each of which a test of that module should notice; pure, text to text."""

import ast
import copy
import difflib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

__all__ = ["Mutant", "mutants", "sample"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module.

    Attributes:
        line: where, in the module as it is.
        operator: the kind of change.
        source: the whole module, changed.
        diff: the change, without its surroundings.
    """

    line: int
    operator: str
    source: str
    diff: str


# A change in place: of a node, within a copy of the tree.
Change = Callable[[ast.AST], None]

_COMPARISONS: dict[type[ast.cmpop], tuple[str, type[ast.cmpop]]] = {
    ast.Lt: ("boundary", ast.LtE),
    ast.LtE: ("boundary", ast.Lt),
    ast.Gt: ("boundary", ast.GtE),
    ast.GtE: ("boundary", ast.Gt),
    ast.Eq: ("comparison", ast.NotEq),
    ast.NotEq: ("comparison", ast.Eq),
    ast.Is: ("comparison", ast.IsNot),
    ast.IsNot: ("comparison", ast.Is),
    ast.In: ("comparison", ast.NotIn),
    ast.NotIn: ("comparison", ast.In),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines; documentation and annotations are left alone."""
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    found: list[Mutant] = []
    for number, node in enumerate(_nodes(tree)):
        for operator, change in _changes(node):
            changed = copy.deepcopy(tree)
            change(next(other for at, other in enumerate(_nodes(changed)) if at == number))
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text != plain:
                found.append(Mutant(getattr(node, "lineno", 0), operator, text, _diff(plain, text)))
    return sorted(found, key=lambda mutant: mutant.line)


def sample(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of them, the same for the same seed."""
    chosen = random.Random(seed).sample(range(len(found)), min(count, len(found)))
    return [found[at] for at in sorted(chosen)]


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that say what is done, in an order that a copy of the tree has too."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "type_params", "decorator_list"} or _is_declaration(tree, name):
            continue
        children = cast("list[object]", value) if isinstance(value, list) else [value]
        for child in children:
            if isinstance(child, ast.AST) and not _is_said(child):
                yield from _nodes(child)


def _is_declaration(tree: ast.AST, name: str) -> bool:
    """Whether it names what a module offers or how its classes are made."""
    names = [target.id for target in getattr(tree, "targets", []) if isinstance(target, ast.Name)]
    return "__all__" in names or (isinstance(tree, ast.ClassDef) and name in {"bases", "keywords"})


def _is_said(node: ast.AST) -> bool:
    """Whether it is documentation or an import."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare():
            for at, sign in enumerate(node.ops):
                operator, other = _COMPARISONS[type(sign)]
                yield operator, _setting_item("ops", at, other())
        case ast.BoolOp(op=ast.And()):
            yield "and/or", _setting("op", ast.Or())
        case ast.BoolOp(op=ast.Or()):
            yield "and/or", _setting("op", ast.And())
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            yield "arithmetic", _setting("op", _ARITHMETIC[type(node.op)]())
        case ast.If() | ast.While() | ast.IfExp():
            yield "negation", _setting("test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool() as value):
            yield "constant", _setting("value", not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", _setting("value", value + 1)
        case ast.Constant(value=str() as value) if value:
            yield "text", _setting("value", value + "-mutant")
        case ast.Constant(value=bytes() as value) if value:
            yield "text", _setting("value", value + b"\x01")
        case ast.Call(args=[first, second, *_]) if ast.dump(first) != ast.dump(second):
            yield "swapped arguments", _swapped
        case _:
            yield from _removals(node)


def _removals(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Changes of a body: one of its statements is gone."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        statements = cast("list[object]", body) if isinstance(body, list) else []
        for at, statement in enumerate(statements):
            kind: dict[type, str] = {
                ast.Raise: "removed raise",
                ast.Expr: "removed call",
                ast.AugAssign: "removed assignment",
            }
            operator = kind.get(type(statement))
            if operator is not None and isinstance(statement, ast.stmt) and not _is_said(statement):
                yield operator, _setting_item(name, at, ast.Pass())


def _setting(name: str, value: object) -> Change:
    return lambda node: setattr(node, name, value)


def _setting_item(name: str, at: int, value: ast.AST) -> Change:
    return lambda node: getattr(node, name).__setitem__(at, value)


def _swapped(node: ast.AST) -> None:
    if isinstance(node, ast.Call):
        node.args[:2] = node.args[1::-1]


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
