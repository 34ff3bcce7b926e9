"""What the documentation says is true: its links lead somewhere, its queries and examples run, its commands exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.store.exports import write_package
from tests.fixtures.world import Published

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / name
    for name in subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if (ROOT / name).is_file()
]
EXAMPLES = ROOT / "flows/report/examples"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (page.parent / target.split("#")[0]).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_named_exists(page: Path) -> None:
    """Paths of the repository in code marks, unless they hold a placeholder."""
    for path in re.findall(r"`((?:flows|transforms|expectations|tests)/[\w./-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path.rstrip("/")).exists(), f"{name_of(page)} names {path}"


def test_the_picture_of_the_data_path_is_true(tiny_run: Published) -> None:
    """Every box that is no origin is a schema of the database or a place in the data folder, and is reached."""
    (picture,) = blocks(ROOT / "flows/README.md", "mermaid")
    arrows = re.findall(r"^ *(\w+)(?:\[.*?\])? -.*> (\w+)", picture, re.M)
    boxes = {box for arrow in arrows for box in arrow}
    origins = boxes - {target for _, target in arrows}
    schemas = {name for (name,) in tiny_run.rows("SELECT DISTINCT schema_name FROM duckdb_tables()")}
    assert origins - schemas == {"statbank", "jobindsats", "by_hand", "municipalities"}
    assert {"staging", "core", "mart", "meta", "quarantine"} <= schemas & boxes
    places = boxes - origins - schemas
    assert places == {"snapshots", "receipts", "restricted", "builds", "published", "exports", "report"}
    for place in places - {"receipts", "restricted"}:
        assert getattr(tiny_run.settings, place).exists(), place
    assert all(hasattr(tiny_run.settings, place) for place in places)


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sql")], ids=name_of)
def test_every_query_runs(page: Path, tiny_run: Published) -> None:
    for block in blocks(page, "sql"):
        for query in filter(None, (part.strip() for part in block.split(";"))):
            tiny_run.rows(query)


def environment(data: Path) -> dict[str, str]:
    return {**os.environ, "KOMMUNEKORT_DATA": str(data)}


def test_the_notebook_runs(tiny_run: Published, tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "kommunekort.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    code += "\nassert len(rebild) > 20 and len(regions) == 5 and regions.notna().all() and len(groups.columns) == 3\n"
    env = environment(tiny_run.settings.root)
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-1500:]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed here")
def test_the_r_script_runs(tiny_run: Published, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    write_package(tiny_run.settings.published, tmp_path / "exports")
    command = ["Rscript", str(EXAMPLES / "kommunekort.R")]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-1500:]
    (told,) = re.findall(r"Region Nordjylland +\d+ +\d+ +([\d.]+)", ended.stdout)
    assert tiny_run.rows(
        "SELECT round(100 * sum(numerator) / sum(denominator), 1) FROM mart.figure WHERE is_newest "
        "AND indicator_id = 'employment_rate_non_western_pct' AND region_name = 'Region Nordjylland'"
    ) == [(float(told),)]


def walk_lines() -> list[str]:
    """Return the shell lines of the README in order; `make test` is what runs this."""
    lines = [line.split("  #")[0].strip() for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    return [line for line in lines if line and line != "make test"]


@pytest.mark.long
def test_a_newcomer_walks_through_the_readme(tmp_path: Path) -> None:
    """Every line of the README, in order, in a fresh clone; the packages are those of this environment."""
    clone = tmp_path / "kommunekort"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    binaries = clone / ".venv/bin"
    binaries.mkdir(parents=True)
    (clone / ".venv/.installed").touch()
    start = f'#!/bin/sh\nPYTHONPATH={clone} exec {sys.executable} -m flows.cli.main "$@"\n'
    (binaries / "kommunekort").write_text(start, encoding="utf-8")
    (binaries / "kommunekort").chmod(0o755)
    os.utime(clone / ".venv/.installed", (2_000_000_000, 2_000_000_000))
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("KOMMUNEKORT_", "PREFECT_"))}
    for line in walk_lines():
        ended = subprocess.run(["bash", "-ec", line], cwd=clone, env=keep, capture_output=True, text=True, timeout=900)
        assert ended.returncode == 0, f"{line}: {ended.stdout[-500:]} {ended.stderr[-1500:]}"
    for made in ("kommunekort.duckdb", "report/index.html", "exports/kommunekort.xlsx", "exports/datapackage.json"):
        assert (clone / "data" / made).exists(), made
    assert list((clone / "data/receipts").iterdir())
