"""The house: which room may import which, how much stands in it, what is never called, how deep a request lies."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from traceback import extract_stack
from typing import Any

import httpx
import pytest

from flows.cli.run import fetch
from flows.connectors.statbank.client import fetch_source

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("transforms", "expectations", "flows")
MOST_MODULES = 95
MOST_CODE_LINES = 25_000
# Where a name may be spoken besides modules: templates, the page's program, models in SQL, the dictionary.
SPOKEN_IN = (".sql", ".yml", ".jinja", ".js")
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
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the project's modules that a module imports, at its top or within a function."""
    found = set()
    for node in ast.walk(tree_of(modules()[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in modules() else str(node.module))
    return frozenset(found & modules().keys())


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
    TopologicalSorter({module: imports_of(module) - {module} for module in modules()}).prepare()


def test_no_circle_of_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module, read in edges():
        if room_of(module) != room_of(read):
            graph.setdefault(room_of(module), set()).add(room_of(read))
    TopologicalSorter(graph).prepare()


def test_no_module_reaches_into_another() -> None:
    inside = [
        f"{module}: {alias.name}"
        for module, path in modules().items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in PACKAGES
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert inside == []


def test_the_house_stays_small() -> None:
    assert len([path for path in modules().values() if code_lines(path)]) <= MOST_MODULES


@pytest.mark.parametrize("module", [name for name, path in modules().items() if path.name != "__init__.py"])
def test_a_long_module_says_why(module: str) -> None:
    text = modules()[module].read_text(encoding="utf-8")
    if len(text.splitlines()) > 600:
        doc = ast.get_docstring(tree_of(modules()[module])) or ""
        assert "One module, since" in doc, f"{module} has over 600 lines and does not say why in its docstring"


def test_no_prefix_where_a_folder_could_stand() -> None:
    by_folder: dict[Path, Counter[str]] = {}
    for path in modules().values():
        if "_" in path.stem.strip("_"):
            by_folder.setdefault(path.parent, Counter())[path.stem.split("_")[0]] += 1
    twins = [f"{folder.name}/{prefix}_*" for folder, seen in by_folder.items() for prefix, n in seen.items() if n > 1]
    assert twins == []


def code_lines(path: Path) -> int:
    """Return the lines that hold code: neither blank nor comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    told = {
        line
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    idle = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    held = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in idle
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(held - told)


def test_there_is_no_more_code_than_can_be_known() -> None:
    assert sum(code_lines(path) for path in modules().values()) <= MOST_CODE_LINES


def defined_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names a module defines at its top, each with the text that defines it."""
    text = path.read_text(encoding="utf-8")
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ast.get_source_segment(text, node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((t.id, ast.get_source_segment(text, node) or "") for t in targets if isinstance(t, ast.Name))


def test_the_dictionary_alone_gives_a_published_column_its_type() -> None:
    files = sorted((ROOT / "transforms").glob("*/*.sql"))
    # What stands four spaces in is a column of the table itself, which is created from the dictionary.
    cast = re.compile(r"^ {4}\S.*::[A-Z]+(?:\(\d+, \d+\))? +AS \w+", re.MULTILINE)
    assert len(files) >= 80
    assert [f"{path.stem}: {found[0]}" for path in files for found in cast.finditer(path.read_text())] == []


def test_no_class_name_stands_for_two_things() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    assert len(homes) > 100
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_a_list_of_words_is_said_in_one_module() -> None:
    homes: dict[tuple[str, ...], set[str]] = {}
    for module, path in modules().items():
        tree = tree_of(path)
        # What a Literal lists, mypy holds wherever it is used.
        literal = [node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple | ast.List | ast.Set) and node not in literal:
                words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
                if len(words) == len(node.elts) >= 3 and all(
                    isinstance(word, str) and word.islower() for word in words
                ):
                    homes.setdefault(tuple(sorted(words)), set()).add(module)
    assert len(homes) > 100
    assert {words: found for words, found in homes.items() if len(found) > 1} == {}


@pytest.mark.long
def test_nothing_is_there_for_tests_alone() -> None:
    texts = [path.read_text(encoding="utf-8") for path in modules().values()]
    beside = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in SPOKEN_IN]
    texts += [path.read_text(encoding="utf-8") for path in [*beside, ROOT / "pyproject.toml"]]
    # The recipe of a table is found by the table's name, in small letters.
    spoken = Counter(word.lower() for text in texts for word in re.findall(r"\w+", text))
    unused = [
        f"{module}.{name}"
        for module, path in modules().items()
        for name, text in defined_in(path)
        if not name.startswith("__") and spoken[name.lower()] <= len(re.findall(rf"\b{name}\b", text, re.IGNORECASE))
    ]
    assert not unused, " ".join(unused)


class Here(ThreadPoolExecutor):
    """Fetches a source on the stack of who submits it, and leaves the rest to its threads."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        if work is not fetch_source:
            return super().submit(work, *given, **named)
        future: Future[Any] = Future()
        future.set_result(work(*given, **named))
        return future


def test_a_request_is_few_frames_from_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep: dict[str, list[str]] = {}
    send = httpx.Client.send

    def counted(client: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        own = [f"{frame.filename}:{frame.name}" for frame in extract_stack() if "/flows/" in frame.filename]
        deep[request.url.path] = [frame for frame in own if "/tests/" not in frame]
        return send(client, request, **more)

    monkeypatch.setattr("flows.connectors.statbank.client.ThreadPoolExecutor", Here)
    monkeypatch.setattr(httpx.Client, "send", counted)
    fetch("sample", tmp_path / "data", only=["statbank_folk1am"], quiet=True)
    assert set(deep) == {"/v1/tableinfo", "/v1/data"}
    assert {path: len(frames) for path, frames in deep.items() if len(frames) > 9} == {}, deep
