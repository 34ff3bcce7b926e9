"""The house: which room may import which, no circles, and rooms where a name's prefix could be a folder."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("transforms", "expectations", "flows")
MOST_MODULES = 95
# Every room with the rooms it may import besides itself; `transforms` is open to all.
ROOMS: dict[str, tuple[str, ...]] = {
    "transforms": (),
    "transforms.statistics": ("transforms",),
    "transforms.models": ("transforms.statistics", "transforms"),
    "expectations": (),
    "flows.settings": (),
    "flows.store": ("flows.settings",),
    "flows.connectors": ("flows.store", "flows.settings"),
    "flows.deliveries": ("flows.store", "flows.settings"),
    "flows.report": ("flows.deliveries", "flows.store", "flows.settings"),
    "flows.sample": ("flows.connectors", "flows.deliveries", "flows.store", "flows.settings"),
    "flows.run": (
        "expectations",
        "flows.report",
        "flows.sample",
        "flows.connectors",
        "flows.deliveries",
        "flows.store",
        "flows.settings",
    ),
    "flows.orchestration": ("flows.run", "flows.store", "flows.settings"),
    "flows.cli": (
        "flows.orchestration",
        "flows.run",
        "flows.report",
        "flows.sample",
        "flows.connectors",
        "flows.deliveries",
        "flows.store",
        "flows.settings",
    ),
}


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def room_of(module: str) -> str:
    return max((room for room in ROOMS if module == room or module.startswith(f"{room}.")), key=len)


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the project's modules that a module imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in modules() else str(node.module))
    return frozenset(found & modules().keys())


def first_imports_of(module: str) -> set[str]:
    """Return the project's modules that are loaded with a module."""
    found = set()
    for node in ast.parse(modules()[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in modules() else str(node.module))
    return found & modules().keys()


def edges() -> Iterator[tuple[str, str]]:
    for module in modules():
        if module not in PACKAGES:
            yield from ((module, read) for read in imports_of(module))


def test_imports_go_downward_only() -> None:
    seen = list(edges())
    assert len(seen) > 300
    wrong = []
    for module, read in seen:
        room, other = room_of(module), room_of(read)
        open_to_all = other.startswith("transforms") and not room.startswith("transforms")
        if other != room and not open_to_all and other not in ROOMS[room]:
            wrong.append(f"{module} imports {read}")
    assert wrong == []


def test_no_circle_of_imports() -> None:
    TopologicalSorter({module: first_imports_of(module) - {module} for module in modules()}).prepare()


def test_no_circle_of_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module, read in edges():
        if room_of(module) != room_of(read):
            graph.setdefault(room_of(module), set()).add(room_of(read))
    TopologicalSorter(graph).prepare()


def test_the_house_stays_small() -> None:
    assert len([path for path in modules().values() if path.name != "__init__.py"]) <= MOST_MODULES


@pytest.mark.parametrize("module", [name for name, path in modules().items() if path.name != "__init__.py"])
def test_a_long_module_says_why(module: str) -> None:
    text = modules()[module].read_text(encoding="utf-8")
    if len(text.splitlines()) > 600:
        doc = ast.get_docstring(ast.parse(text)) or ""
        assert "One module, since" in doc, f"{module} has over 600 lines and does not say why in its docstring"


def test_no_prefix_where_a_folder_could_stand() -> None:
    by_folder: dict[Path, Counter[str]] = {}
    for path in modules().values():
        if "_" in path.stem.strip("_"):
            by_folder.setdefault(path.parent, Counter())[path.stem.split("_")[0]] += 1
    twins = [f"{folder.name}/{prefix}_*" for folder, seen in by_folder.items() for prefix, n in seen.items() if n > 1]
    assert twins == []
