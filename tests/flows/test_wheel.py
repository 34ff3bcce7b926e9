"""The built wheel, installed on its own, runs from an empty folder outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder the wheel is installed into: what it holds, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(copy_of_checkout(folder)),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("kommunekort-*.whl")
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def copy_of_checkout(folder: Path) -> Path:
    """Return a copy of the files git knows, so that building leaves nothing in the checkout."""
    copy = folder / "source"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return copy


def kommunekort(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder`, with the locked packages beside it but not the checkout."""
    # -I keeps the working folder and the environment out; the packages come after the installed project.
    start = (
        f"import sys; sys.path[:0] = [{str(installed)!r}, {sysconfig.get_path('purelib')!r}]; "
        "from flows.cli.main import main; import flows; "
        f"assert flows.__file__.startswith({str(installed)!r}), flows.__file__; main()"
    )
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("KOMMUNEKORT_", "PREFECT_"))}
    command = [sys.executable, "-I", "-c", start, *words]
    return subprocess.run(command, cwd=folder, env=keep, capture_output=True, text=True, timeout=600)


@pytest.mark.long
def test_the_wheel_publishes_a_mapping_from_an_empty_folder(
    installed: Path, few_extracts: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    ended = kommunekort(installed, folder, "run", "--plain", "--from", str(few_extracts), "--data", "data")
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert (folder / "data/kommunekort.duckdb").exists()
    assert (folder / "data/report/index.html").is_file()
    assert (folder / "data/exports/kommunekort.xlsx").is_file()
    asked = kommunekort(installed, folder, "profile", "Rebild", "--data", "data")
    assert asked.returncode == 0, asked.stderr
    form = kommunekort(installed, folder, "deliver", "--template", "organisation")
    assert form.returncode == 0, form.stderr


@pytest.mark.long
def test_the_wheel_holds_what_the_packages_read(installed: Path) -> None:
    suffixes = {".yml", ".csv", ".sql", ".html", ".css", ".js", ".jinja", ".svg", ".json", ".md", ".txt"}
    wanted = subprocess.run(
        ["git", "ls-files", "-z", "flows", "transforms", "expectations"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    missing = [
        name for name in filter(None, wanted.split("\0"))
        if Path(name).suffix in suffixes - {".md"} and (ROOT / name).is_file() and not (installed / name).is_file()
    ]  # fmt: skip
    assert missing == []
    assert (installed / "flows/sources").is_dir()
