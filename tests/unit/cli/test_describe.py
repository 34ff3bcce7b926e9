"""report, workbook, describe and profile from the command line: answers, suggestions, one sentence when wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.look import described, municipality_code, profiled
from flows.settings import Settings
from flows.store.builds import current, seal, writer_lock
from tests.report_database import SUPPRESSED_CODE, make_database
from transforms.errors import UsageError

RUN = "20260115T020000000Z"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with one published build."""
    root = tmp_path_factory.mktemp("data")
    (root / "builds").mkdir()
    (root / "builds" / f"kommunekort-{RUN}").mkdir(parents=True)
    make_database(root / "builds" / f"kommunekort-{RUN}" / "kommunekort.duckdb", municipalities=12)
    (root / "kommunekort.duckdb").symlink_to(f"builds/kommunekort-{RUN}/kommunekort.duckdb")
    now = current(Settings(data=root))
    assert now is not None
    seal(now, now.path, {"run_id": RUN})
    return root


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return the outcome of the commands of this family, run as users run them."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("text", "code"), [("Odense", "461"), ("461", "461"), ("odense kommune", "461"), ("Copenhagen", "101")]
)
def test_a_municipality_is_found_by_every_name(text: str, code: str) -> None:
    assert municipality_code(text) == code


def test_a_typing_mistake_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean Odense"):
        municipality_code("Odnese")
    with pytest.raises(UsageError, match="not a municipality"):
        municipality_code("Region Syddanmark")
    with pytest.raises(UsageError, match="Odense or 461"):
        municipality_code("qqqq")


def test_tables_columns_and_indicators_are_described(data: Path) -> None:
    database = data / "kommunekort.duckdb"
    table = described(database, "municipality")
    assert table["kind"] == "table"
    assert "municipality_code" in {column["column_name"] for column in table["columns"]}
    column = described(database, "population_count")
    assert column["kind"] == "indicator", "an indicator is asked for more often than a column of the same name"
    assert described(database, "size_band")["in_tables"] == "mart.municipality"
    assert described(database, "unemployment_pct")["definition_da"]
    with pytest.raises(UsageError, match="did you mean unemployment_pct"):
        described(database, "unemploymnt_pct")


def test_a_profile_tells_status_and_never_nought(data: Path) -> None:
    told = profiled(data / "kommunekort.duckdb", SUPPRESSED_CODE)
    assert {row["value_status"] for row in told["headlines"]} == {"suppressed"}
    assert {row["value"] for row in told["headlines"]} == {None}
    with pytest.raises(UsageError, match="101: not in the published mapping"):
        profiled(data / "kommunekort.duckdb", "101")


@pytest.mark.long
def test_the_commands_answer_in_words_and_in_json(data: Path) -> None:
    shown = run("profile", "Aalborg", "--data", str(data))
    assert shown.returncode == 0
    assert "SYNTETISKE DATA" in shown.stdout
    assert "Aalborg" in shown.stdout
    answer = json.loads(run("profile", "851", "--json", "--data", str(data)).stdout)
    assert answer["municipality"]["municipality_name"] == "Aalborg"
    assert len(answer["peers"]) == 7
    assert json.loads(run("describe", "mart.peer", "--json", "--data", str(data)).stdout)["name"] == "mart.peer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("profile", "Aalbrog"), "did you mean"), (("describe", "nothing_like_it_at_all"), "neither a table")],
)
def test_mistakes_are_told_in_one_sentence(data: Path, arguments: tuple[str, ...], message: str) -> None:
    failed = run(*arguments, "--data", str(data))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.long
def test_report_and_workbook_are_written(data: Path, tmp_path: Path) -> None:
    made = run("report", "--data", str(data))
    assert made.returncode == 0, made.stderr
    assert (data / "report" / "index.html").is_file()
    assert (data / "report").is_symlink()
    with writer_lock(data):  # into a folder of one's own it can be written beside any run, and by whoever may read
        assert run("report", "--to", str(tmp_path / "own"), "--data", str(data)).returncode == 0
    assert (tmp_path / "own" / "index.html").is_file()
    assert run("workbook", "--to", str(tmp_path / "a.xlsx"), "--data", str(data)).returncode == 0
    assert (tmp_path / "a.xlsx").stat().st_size > 10_000
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    refused = run("report", "--to", str(tmp_path / "mine"), "--data", str(data))
    assert refused.returncode == 1
    assert "give a new folder" in refused.stderr
    assert (tmp_path / "mine" / "letter.txt").is_file()


@pytest.mark.long
def test_nothing_published_is_told(tmp_path: Path) -> None:
    for arguments in (("report",), ("workbook",), ("profile", "Odense"), ("describe", "period")):
        failed = run(*arguments, "--data", str(tmp_path))
        assert failed.returncode == 1
        assert "nothing is published yet" in failed.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        failed = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    assert "No space left on device" in line
