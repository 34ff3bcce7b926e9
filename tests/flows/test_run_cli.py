"""The command as scripts meet it: exit codes, JSON, silence, one sentence per fault and never a traceback."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.look import sql
from flows.cli.main import app
from flows.settings import Settings
from tests.fixtures.world import Published, hurry, run_from
from transforms.errors import DataRefused, UsageError

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def kommunekort(*words: str | Path, data: Path | None = None, **environment: str) -> Answer:
    """Run the command in a process of its own; whatever it says, a traceback it must not."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("KOMMUNEKORT_", "PREFECT_"))}
    if data is not None:
        environment["KOMMUNEKORT_DATA"] = str(data)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *map(str, words)],
        env={**known, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@pytest.fixture(scope="module")
def data(few_run: Published, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a data folder with two builds, the second published."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    shutil.copytree(few_run.settings.root, folder, symlinks=True)
    published = Published(Settings(data=folder, threads=1), few_run.origin)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        run_from(published.settings, few_run.origin, force=True)
    return published


def one_sentence(answer: Answer, code: int, *parts: str) -> None:
    assert answer.code == code, answer
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("kommunekort: ")
    for part in parts:
        assert part in answer.err, answer.err


def test_nothing_new_is_exit_3_in_five_seconds_and_changes_nothing(data: Published) -> None:
    before = data.state()
    seconds = 5.0
    for _ in range(3):  # the machine may be at other work
        answer = kommunekort("run", "--plain", "--from", data.origin, data=data.settings.root)
        assert (answer.code, answer.err) == (3, "")
        assert answer.out.splitlines()[-1].startswith("kommunekort: nothing new since build")
        if (seconds := answer.seconds) < 5:
            break
    assert seconds < 5, "a night without news must cost next to nothing"
    assert data.state() == before


@pytest.mark.long
def test_json_is_one_object_and_quiet_is_silence(data: Published) -> None:
    answer = kommunekort("run", "--plain", "--from", data.origin, "--json", data=data.settings.root)
    assert answer.code == 3
    assert answer.json["status"] == "nothing_new"
    assert answer.json["fetched"]["unchanged"] == ["statbank_aulkp01", "statbank_folk1a", "statbank_folk1am"]
    quiet = kommunekort("run", "--plain", "--from", data.origin, "--quiet", data=data.settings.root)
    assert (quiet.code, quiet.out, quiet.err) == (3, "", "")


@pytest.mark.long
def test_a_refused_delivery_is_exit_2(data: Published, tmp_path: Path) -> None:
    text = (data.origin / "folk1am.csv").read_text(encoding="utf-8")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "SYNTHETIC").touch()
    kept = [line for line in text.splitlines() if not line.startswith("825;")]
    (folder / "folk1am.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    own = tmp_path / "data"
    shutil.copytree(data.settings.root, own, symlinks=True)
    before = Published(Settings(data=own), folder).state()
    answer = kommunekort("run", "--plain", "--from", folder, "--quiet", "--data", own)
    one_sentence(answer, 2, "municipalities_complete_area_code", "area_code=825", "refused.duckdb")
    assert answer.out == ""
    assert Published(Settings(data=own), folder).state() == before


@pytest.mark.long
def test_fetch_build_validate_publish_and_rollback_are_the_run_step_by_step(few_extracts: Path, tmp_path: Path) -> None:
    own = tmp_path / "data"
    fetched = kommunekort("fetch", "--from", few_extracts, "--json", "--data", own)
    assert (fetched.code, len(fetched.json["new"])) == (0, 3)
    again = kommunekort("fetch", "--from", few_extracts, "--data", own)
    assert (again.code, again.out.splitlines()[-1]) == (3, "kommunekort: nothing new at any source")
    one_sentence(kommunekort("publish", "--data", own), 1, "no validated candidate; run `kommunekort validate")
    validated = kommunekort("validate", "--data", own)
    assert validated.code == 0
    assert "every critical rule holds" in validated.out
    assert not (own / "kommunekort.duckdb").exists()
    published = kommunekort("publish", "--data", own)
    assert published.code == 0, published.err
    first = Published(Settings(data=own), few_extracts)
    assert "kommunekort.duckdb" in published.out
    assert first.settings.published.is_file()
    assert (own / "exports" / "mart.mapping.parquet").is_file()
    one_sentence(kommunekort("publish", "--data", own), 1, "no validated candidate")
    one_sentence(kommunekort("rollback", "--data", own), 1, "no earlier build to go back to")
    long_ago = kommunekort("build", "--as-of", "2001-01-01", "--data", own)
    one_sentence(long_ago, 1, "no snapshot to build from")


@pytest.mark.long
def test_rollback_publishes_the_build_before_and_a_named_one(data: Published, tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(data.settings.root, own, symlinks=True)
    copy = Published(Settings(data=own), data.origin)
    newest = copy.release["run_id"]
    assert kommunekort("rollback", "--quiet", "--data", own).code == 0
    older = copy.release["run_id"]
    assert older < newest
    assert copy.rows("SELECT run_id FROM meta.run") == [(older,)]
    assert (own / "exports").resolve().name == f"exports-{older}"
    named = kommunekort("rollback", "--to", newest, "--json", "--data", own)
    assert (named.code, named.json["run_id"], copy.release["run_id"]) == (0, newest, newest)
    frozen = kommunekort("freeze", "nulpunkt", "--json", "--data", own)
    assert (frozen.code, frozen.json["run_id"]) == (0, newest)
    assert "mart.mapping.parquet" in frozen.json["files"]
    one_sentence(kommunekort("rollback", "--to", "20000101T000000000Z", "--data", own), 1, "no build 2000", newest)


@pytest.mark.long
def test_build_publishes_from_the_snapshots_at_hand(data: Published, tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(data.settings.snapshots, own / "snapshots")
    answer = kommunekort("build", "--data", own)
    assert answer.code == 0, answer.err
    assert Published(Settings(data=own), data.origin).rows("SELECT count(*) FROM mart.mapping") == [(98,)]


@pytest.mark.long
def test_status_and_sources_tell_what_is_there(data: Published) -> None:
    told = kommunekort("status", "--json", data=data.settings.root).json
    assert told["run_id"] == data.release["run_id"]
    assert told["is_synthetic"]
    assert len(told["builds"]) == 2
    shown = kommunekort("status", data=data.settings.root)
    assert shown.code == 0
    assert "SYNTETISKE DATA / SYNTHETIC DATA" in shown.out
    rows = {row["source_id"]: row for row in kommunekort("sources", "--json", data=data.settings.root).json}
    assert rows["statbank_folk1am"]["status"] == "ok"
    assert rows["statbank_folk1am"]["origin"] == "directory"
    assert rows["statbank_folk1e"]["status"] == "missing"


@pytest.mark.long
def test_sql_prints_tables_csv_and_json(data: Published) -> None:
    query = (
        "SELECT municipality_code, municipality_name, size_band FROM mart.mapping "
        "WHERE municipality_code < '148' ORDER BY municipality_code"
    )
    table = kommunekort("sql", query, data=data.settings.root)
    assert table.code == 0
    assert "København" in table.out
    as_csv = kommunekort("sql", query, "--format", "csv", data=data.settings.root)
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [row["municipality_name"] for row in rows] == ["København", "Frederiksberg"]
    as_json = kommunekort("sql", query, "--format", "json", data=data.settings.root)
    assert as_json.json == rows


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE mart.mapping",
        "CREATE TABLE mart.x AS SELECT 1",
        "UPDATE mart.mapping SET municipality_name = 'X'",
        "SELECT 1; DROP TABLE mart.mapping",
        "COPY mart.mapping TO 'stolen.csv'",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT 1 FROM glob('{folder}/*')",
        "ATTACH '{folder}/other.duckdb' AS other",
        "SET enable_external_access = true",
        "SELECT * FROM nowhere",
        "SELEC 1",
    ],
)
def test_sql_reads_the_mapping_and_nothing_else(query: str, data: Published, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("secret\n12345\n", encoding="utf-8")
    before = data.state()
    with pytest.raises(DataRefused, match="the query failed: ") as refused:
        sql(query.format(secret=secret, folder=tmp_path), data.settings.root)
    assert "12345" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert data.state() == before


@pytest.mark.long
def test_a_query_that_fails_is_exit_2_and_an_empty_one_exit_1(data: Published) -> None:
    one_sentence(kommunekort("sql", "DROP TABLE mart.mapping", data=data.settings.root), 2, "the query failed")
    one_sentence(kommunekort("sql", " ;", data=data.settings.root), 1, "the query is empty; give one SELECT")


def test_a_cpr_number_that_was_typed_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "sager.csv"
    path.write_text("person;tilladelsesdato\n", encoding="utf-8")
    answer = kommunekort("deliver", path, "-m", "010180-1234", data=tmp_path / "data")
    assert answer.code == 1
    assert "1234" not in answer.out + answer.err


WEIGHED = (
    "import os, subprocess, sys; process = subprocess.Popen(sys.argv[1:]); _, ended, used = os.wait4(process.pid, 0); "
    "print(used.ru_maxrss, file=sys.stderr); sys.exit(bool(ended))"
)
"""A small process between: to the kernel a child has used what the one that started it had."""


@pytest.mark.long
def test_sql_of_any_size_stays_small(data: Published, tmp_path: Path) -> None:
    query = "SELECT i, repeat('x', 100) AS text FROM range(1_000_000) rows(i)"
    words = [sys.executable, "-c", WEIGHED, sys.executable, "-m", "flows.cli.main", "sql", query, "--format", "csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KOMMUNEKORT_DATA": str(data.settings.root)}
    with (tmp_path / "rows.csv").open("wb") as target:
        done = subprocess.run(words, env=environment, cwd=ROOT.parent, stdout=target, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rows.csv").stat().st_size > 100_000_000
    assert int(done.stderr) < 200 * 1024, "kilobytes at once"


def test_sql_into_a_pipe_that_closes_is_no_fault(data: Published) -> None:
    words = [sys.executable, "-m", "flows.cli.main", "sql", "SELECT * FROM mart.indicator_value", "--format", "csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KOMMUNEKORT_DATA": str(data.settings.root)}
    done = subprocess.run(
        f"{' '.join(map(shell_quoted, words))} | head -1", shell=True, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("municipality_code,")
    assert done.stderr == ""


def shell_quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@pytest.mark.long
def test_before_the_first_run_every_command_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "data"
    one_sentence(kommunekort("sql", "SELECT 1", data=empty), 1, "nothing is published yet; run `kommunekort run`")
    unfetched = kommunekort("build", "--quiet", data=empty)
    one_sentence(unfetched, 1, "no snapshot to build from; run `kommunekort fetch --from sample` first")
    assert "nothing yet" in kommunekort("status", data=empty).out


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "No such command"),
        (["run", "--plain", "--nonsense"], "No such option"),
        (["run", "--plain", "--as-of", "yesterday"], "yesterday"),
        (["run", "--plain", "--from", "nowhere"], "no such folder"),
        (["sql", "SELECT 1", "--format", "xml"], "xml"),
    ],
)
def test_a_wrong_command_line_is_exit_1(words: list[str], says: str, tmp_path: Path) -> None:
    one_sentence(kommunekort(*words, data=tmp_path / "data"), 1, says)


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    one_sentence(kommunekort("status", data=tmp_path, KOMMUNEKORT_THREADS="none"), 1, "KOMMUNEKORT_THREADS")


@pytest.mark.parametrize("words", [("run", "--plain"), ("status",), ("sources",), ("doctor",), ("sql", "SELECT 1")])
@pytest.mark.parametrize("below", ["", "data/of/us"])
def test_a_data_folder_at_or_below_a_file_is_one_sentence(tmp_path: Path, words: tuple[str, ...], below: str) -> None:
    (tmp_path / "file").touch()
    answer = CliRunner().invoke(app, [*words, "--data", str(tmp_path / "file" / below)])
    assert isinstance(answer.exception, UsageError)
    assert f"cannot be there: {tmp_path / 'file'} is no folder; choose another" in str(answer.exception)


@pytest.mark.long
def test_a_second_writer_is_refused_at_once_and_readers_are_not(data: Published) -> None:
    with (data.settings.root / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (["run", "--plain", "--from", str(data.origin)], ["build"], ["rollback"], ["fetch"]):
            one_sentence(kommunekort(*words, data=data.settings.root), 1, "another run is writing here (process")
        assert kommunekort("status", data=data.settings.root).code == 0
        assert kommunekort("sql", "SELECT 1", data=data.settings.root).code == 0
