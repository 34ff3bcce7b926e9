"""Change formulas of the statistics one at a time and print which changes no test notices.

`python -m tests.mutation [HOW_MANY] [WORD]` tries HOW_MANY (40) changes drawn evenly over the modules whose path holds
WORD. The changes are made in a copy of the checkout; a change counts as noticed when the module's tests fail or hang.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT = "tests/unit/models/test_"
TESTS = {
    "transforms/statistics/intervals.py": [f"{UNIT}ranking.py", "tests/referee/test_second_computation.py"],
    "transforms/statistics/random_effect.py": ["tests/referee/test_second_computation.py", f"{UNIT}expected.py"],
    "transforms/models/expected.py": ["tests/referee/test_second_computation.py", f"{UNIT}expected.py"],
    "transforms/models/durations.py": ["tests/referee/test_second_computation.py", f"{UNIT}durations.py"],
    "transforms/models/followup.py": [f"{UNIT}programme.py"],
    "transforms/models/findings.py": [f"{UNIT}rules.py"],
    "transforms/models/industries.py": [f"{UNIT}industries.py", f"{UNIT}openings.py"],
    "transforms/models/peers.py": [f"{UNIT}peers.py"],
}
"""The fast tests that answer for each module, the likeliest to notice first."""
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module, the line, what it was and became, and the whole changed text."""

    module: str
    line: int
    change: str
    text: str


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every change of an operator or a number of a module's functions."""
    source = (ROOT / module).read_text(encoding="utf-8")
    tree = ast.parse(source)
    places = [
        (number, field)
        for number, node in enumerate(ast.walk(tree))
        for field in ("op", "ops", "value")
        if _changed(node, field) is not None
    ]
    for number, field in places:
        changed = copy.deepcopy(tree)
        node = next(n for i, n in enumerate(ast.walk(changed)) if i == number)
        before = ast.unparse(node)
        setattr(node, field, _changed(node, field))
        yield Mutant(module, node.lineno, f"{before}  ->  {ast.unparse(node)}", ast.unparse(changed))  # type: ignore[attr-defined]


def _changed(node: ast.AST, field: str) -> object | None:
    """Return the changed value of a node's field, None where nothing is to be changed."""
    if field == "value" and isinstance(node, ast.Constant):
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return node.value + 1 if is_number else None
    if field == "op" and isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.AugAssign):
        # A union of types is no formula.
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value is None:
            return None
        swap = SWAPS.get(type(node.op))
        return swap() if swap else None
    if field == "ops" and isinstance(node, ast.Compare):
        swap = SWAPS.get(type(node.ops[0]))
        return [swap(), *node.ops[1:]] if swap else None
    return None


def is_noticed(mutant: Mutant, folder: Path) -> bool:
    """Return whether the module's tests fail, or hang, on the changed text."""
    target = folder / mutant.module
    kept = target.read_text(encoding="utf-8")
    target.write_text(mutant.text, encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider"]
        run = subprocess.run(
            [*command, *TESTS[mutant.module]], cwd=folder, capture_output=True, timeout=600, check=False,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        return run.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        target.write_text(kept, encoding="utf-8")


def main() -> None:
    """Print each change with what became of it, and the share that was noticed."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    modules = [m for m in TESTS if word in m]
    drawn: list[Mutant] = []
    for module in modules:
        found = list(mutants(module))
        drawn += random.Random(2016).sample(found, min(len(found), -(-wanted // len(modules))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        for part in ("transforms", "tests", "flows", "expectations"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        noticed = 0
        for mutant in drawn:
            found_out = is_noticed(mutant, folder)
            noticed += found_out
            print(
                f"{'noticed ' if found_out else 'SURVIVED'} {mutant.module}:{mutant.line} {mutant.change}", flush=True
            )
    print(f"{noticed} of {len(drawn)} changes noticed")


if __name__ == "__main__":
    main()
