"""What holds for the repository as a whole: one-way imports, one door per library, no addresses, a true README."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main

from flows.cli.main import app

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("transforms", "expectations", "flows")
# Who may import what: a package may use itself and those before it.
ALLOWED = {name: set(PACKAGES[: number + 1]) for number, name in enumerate(PACKAGES)}
README = ROOT / "README.md"


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Return the first part of every module a file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            first = node.args[0]
            text = first.values[0] if isinstance(first, ast.JoinedStr) else first
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found.add(text.value.split(".")[0])
    return frozenset(found)


def modules(package: str) -> Iterator[Path]:
    yield from sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    paths = list(modules(package))
    assert len(paths) > 5
    for path in paths:
        wrong = (imports_of(path) & {*PACKAGES, "tests"}) - ALLOWED[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("prefect", "flows/"),
        ("great_expectations", "expectations/"),
        ("duckdb", "transforms/warehouse.py"),
        ("httpx", "flows/"),
        ("typer", "flows/"),
    ],
)
def test_a_library_is_imported_in_one_place_only(library: str, place: str) -> None:
    users = [str(p.relative_to(ROOT)) for package in PACKAGES for p in modules(package) if library in imports_of(p)]
    assert users, f"nobody imports {library}"
    assert [user for user in users if not user.startswith(place)] == []


def test_transforms_open_no_connection_and_read_no_environment() -> None:
    for path in modules("transforms"):
        assert not imports_of(path) & {"socket", "urllib", "requests", "httpx", "subprocess"}, path
        assert "os.environ" not in path.read_text(encoding="utf-8"), path


def tracked() -> list[Path]:
    """Return the files git knows."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in found.split("\0") if name and (ROOT / name).is_file()]


# Spelled in parts so that this file does not find itself.
PACKAGE_HOSTS = ("py" + "pi.org", "python" + "hosted.org", "files.python" + "hosted", "registry.npm" + "js.org")
MACHINE = ("/" + "work/", "/" + "root/", "/" + "home/", "/" + "Users/", "shared/" + "design", "C:" + "\\\\Users")


def test_no_file_names_a_package_host_or_a_path_of_some_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {word}" for word in (*PACKAGE_HOSTS, *MACHINE) if word in text]
    assert found == []


def test_no_data_is_committed() -> None:
    endings = {".duckdb", ".parquet", ".xlsx", ".wal"}
    assert [str(p) for p in tracked() if p.suffix in endings and "fixtures" not in p.parts] == []
    assert [str(p) for p in tracked() if p.stat().st_size > 1_000_000] == []


def test_top_level_is_the_layout() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in tracked()}
    wanted = {"flows", "transforms", "expectations", "tests", "pyproject.toml", "README.md"}
    tools = {"Makefile", "requirements.lock", "LICENSE", ".ci", ".gitignore", ".gitattributes", ".editorconfig"}
    assert folders <= wanted | tools
    assert folders >= wanted - {"README.md"}


def commands() -> dict[str, str]:
    """Return command -> its help text."""
    group = typer.main.get_command(app)
    return {name: command.help or "" for name, command in group.commands.items()}  # type: ignore[attr-defined]


def test_every_command_has_help_with_an_example() -> None:
    assert len(commands()) >= 9
    for name, text in commands().items():
        assert f"kommunekort {name}" in text, f"{name} shows no example: {text!r}"


def readme_calls() -> list[list[str]]:
    """Return the words of every `kommunekort …` the README shows, in code blocks and inline."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in tracked() if page.suffix == ".md")
    lines = [line for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.S) for line in block.splitlines()]
    lines += re.findall(r"`(kommunekort [^`\n]+)`", text)
    found = [re.split(r"(?:^|[/\s])kommunekort\s", line, maxsplit=1) for line in lines]
    calls = [parts[1].split(" #")[0] for parts in found if len(parts) == 2 and not line_is_output(parts[0])]
    return [shlex.split(call.replace("…", "").replace("|", " ")) for call in calls]


def line_is_output(before: str) -> bool:
    return bool(before.strip()) and not before.strip().startswith(("$", ".venv/bin", "KOMMUNEKORT_"))


def test_every_command_the_readme_shows_exists() -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for words in readme_calls():
        assert words, "an empty `kommunekort` call"
        if words[0].startswith("-"):
            continue
        assert words[0] in known, f"README shows `kommunekort {' '.join(words)}`, which is no command"
        options = {option for parameter in known[words[0]].params for option in parameter.opts} | {"--help", "-h"}
        shown = {word.split("=")[0] for word in words[1:] if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
        assert shown <= options, f"README shows `kommunekort {' '.join(words)}`: no {shown - options}"
