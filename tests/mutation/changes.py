"""The changes that are tried: one operator or one number of a module at a time."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    *(f"transforms/statistics/{name}.py" for name in ("intervals", "random_effect", "hazard", "tally")),
    *(
        f"transforms/models/{name}.py"
        for name in (
            "expected", "durations", "methods", "spells", "persons", "followup", "findings", "wording", "industries",
            "commuting", "eligibility", "peers",
        )
    ),
]  # fmt: skip
"""`steps.py` holds no formula: it reads tables and hands them to these; the golden mart answers for it."""
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module, the line and what stands there, what it was and became, and the whole changed module.

    `span` holds the lines of the statement: a test that executes none of them cannot notice. It is empty for what is
    executed when the module is loaded, and `names` then tells what the statement names.
    """

    module: str
    line: int
    place: str
    change: str
    text: str
    span: range
    names: tuple[str, ...]


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every change of an operator or a number of a module."""
    source = (ROOT / module).read_text(encoding="utf-8")
    tree, lines = ast.parse(source), source.splitlines()
    above = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    seen: Counter[tuple[int, str]] = Counter()
    # A union of types is no formula.
    types = [getattr(node, field, None) for node in ast.walk(tree) for field in ("annotation", "returns")]
    said = {node for each in types if each is not None for node in ast.walk(each)}
    for node in ast.walk(tree):
        if node in said:
            continue
        for field in ("op", "ops", "value"):
            changed = _changed(node, field)
            if changed is None:
                continue
            # A number is told with what stands around it; `place` is where it stands.
            told = above[node] if isinstance(node, ast.Constant) and isinstance(above[node], ast.expr) else node
            kept, before = getattr(node, field), ast.unparse(told)
            setattr(node, field, changed)
            after, text = ast.unparse(told), ast.unparse(tree)
            setattr(node, field, kept)
            line = node.lineno  # type: ignore[attr-defined]
            change = f"{before}  ->  {after}"
            seen[line, change] += 1
            if seen[line, change] > 1:
                change += f"  ({seen[line, change]})"
            yield Mutant(module, line, lines[line - 1].strip(), change, text, *_statement(node, above))


def _statement(node: ast.AST, above: dict[ast.AST, ast.AST]) -> tuple[range, tuple[str, ...]]:
    """Return the lines of a function's statement that a node stands in (of one that holds others, its head).

    And of a statement that stands in no function: the names it gives values to.
    """
    while not isinstance(node, ast.stmt):
        node = above[node]
    outer: ast.AST | None = above[node]
    while outer and not isinstance(outer, ast.FunctionDef):
        outer = above.get(outer)
    if outer is None:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        return range(0), tuple(target.id for target in targets if isinstance(target, ast.Name))
    first = getattr(node, "body", None)
    last = first[0].lineno - 1 if isinstance(first, list) and first[0].lineno > node.lineno else node.end_lineno
    return range(node.lineno, (last or node.lineno) + 1), ()


def _changed(node: ast.AST, field: str) -> object | None:
    """Return the changed value of a node's field, None where nothing is to be changed."""
    if field == "value" and isinstance(node, ast.Constant):
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return node.value + 1 if is_number else None
    if field == "op" and isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.AugAssign):
        swap = SWAPS.get(type(node.op))
        return swap() if swap else None
    if field == "ops" and isinstance(node, ast.Compare):
        swap = SWAPS.get(type(node.ops[0]))
        return [swap(), *node.ops[1:]] if swap else None
    return None
