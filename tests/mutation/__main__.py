"""Change formulas of the statistics one at a time and print which changes no test notices.

`python -m tests.mutation [HOW_MANY] [WORD]` tries HOW_MANY (40) changes drawn evenly over the modules whose path holds
WORD. Each is tried in a child process of its own, in which the module is the changed one: nothing is written. A change
counts as noticed when one of the module's tests fails, or hangs for a minute. Changes that no test can notice stand in
`equivalent.csv` with the reason, and are not drawn.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import csv
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = "tests/unit/models/test_"
REFEREE = "tests/referee/test_second_computation.py"
TESTS = {
    "transforms/statistics/intervals.py": [f"{UNIT}ranking.py", REFEREE, f"{UNIT}method_effects.py"],
    "transforms/statistics/random_effect.py": [REFEREE, f"{UNIT}expected.py"],
    "transforms/statistics/hazard.py": [f"{UNIT}spells.py", f"{UNIT}durations.py", f"{UNIT}method_effects.py", REFEREE],
    "transforms/models/expected.py": [f"{UNIT}expected.py", REFEREE],
    "transforms/models/durations.py": [f"{UNIT}first_job.py", REFEREE, f"{UNIT}durations.py"],
    "transforms/models/methods.py": [f"{UNIT}method_effects.py"],
    "transforms/statistics/tally.py": [f"{UNIT}buckets.py"],
    "transforms/models/spells.py": [f"{UNIT}spells.py", f"{UNIT}method_effects.py"],
    "transforms/models/persons.py": [f"{UNIT}buckets.py", f"{UNIT}spells.py", f"{UNIT}first_job.py"],
    "transforms/models/followup.py": [f"{UNIT}programme.py"],
    "transforms/models/findings.py": [f"{UNIT}rules.py"],
    "transforms/models/wording.py": [f"{UNIT}wording.py", f"{UNIT}rules.py"],
    "transforms/models/industries.py": [f"{UNIT}industries.py", f"{UNIT}openings.py"],
    "transforms/models/commuting.py": [f"{UNIT}commuting.py"],
    "transforms/models/eligibility.py": [f"{UNIT}programme.py"],
    "transforms/models/peers.py": [f"{UNIT}peers.py"],
}
"""The fast tests that answer for each module, the likeliest to notice first. `steps.py` holds no formula:
it reads tables and hands them to these; the golden mart answers for it."""
PATIENCE_SECONDS = 60
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module, the line and what stands there, what it was and became, and the whole changed text."""

    module: str
    line: int
    place: str
    change: str
    text: str


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every change of an operator or a number of a module's functions."""
    source = (ROOT / module).read_text(encoding="utf-8")
    tree, lines = ast.parse(source), source.splitlines()
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
        line = node.lineno  # type: ignore[attr-defined]
        yield Mutant(module, line, lines[line - 1].strip(), f"{before}  ->  {ast.unparse(node)}", ast.unparse(changed))  # type: ignore[attr-defined]


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


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives one module's changed text in place of its file."""

    def __init__(self, mutant: Mutant):
        self.name, self.text = mutant.module.removesuffix(".py").replace("/", "."), mutant.text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the changed module's specification, None for every other module."""
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def get_source(self, fullname: str) -> str:
        """Return the changed text."""
        return self.text


def warm() -> None:
    """Import what every child needs and no change touches, so that a child starts in no time."""
    for name in (
        "numpy",
        "pandas",
        "scipy.stats",
        "scipy.optimize",
        "statsmodels.api",
        "sklearn.metrics",
        "hypothesis",
    ):
        importlib.import_module(name)
    importlib.import_module("tests.conftest")
    for name in [name for name in sys.modules if name.startswith(("transforms.models", "transforms.statistics"))]:
        del sys.modules[name]


def is_noticed(mutant: Mutant) -> bool:
    """Return whether the module's tests fail, or hang, on the changed text."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_SECONDS)
        sys.meta_path.insert(0, _Changed(mutant))
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            plain = ["-q", "-x", "-m", "not long", "-p", "no:cacheprovider", "-p", "no:xdist"]
            code = pytest.main([*plain, *TESTS[mutant.module]])
        os._exit(int(code))
    return os.waitpid(child, 0)[1] != 0


def equivalent() -> set[tuple[str, str, str]]:
    """Return the changes, as module, source line and change, that no test can notice."""
    with (Path(__file__).parent / "equivalent.csv").open(encoding="utf-8", newline="") as file:
        return {(row["module"], row["place"], row["change"]) for row in csv.DictReader(file, delimiter=";")}


def main() -> None:
    """Print each change with what became of it, and the share that was noticed."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    modules, same = [m for m in TESTS if word in m], equivalent()
    drawn: list[Mutant] = []
    for module in modules:
        found = [mutant for mutant in mutants(module) if (module, mutant.place, mutant.change) not in same]
        drawn += random.Random(2016).sample(found, min(len(found), -(-wanted // len(modules))))
    warm()
    noticed = 0
    for mutant in drawn:
        found_out = is_noticed(mutant)
        noticed += found_out
        print(f"{'noticed ' if found_out else 'SURVIVED'} {mutant.module}:{mutant.line} {mutant.change}", flush=True)
    print(f"{noticed} of {len(drawn)} changes noticed")


if __name__ == "__main__":
    main()
