"""`new-source` as it is typed: from a stand-in over HTTP into a checkout, and one sentence outside of one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli.main import app
from flows.sample.standin import running_standin
from tests.conftest import ROOT
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused, UsageError


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with running_standin(FakeCubes(), small_catalogue()) as base:
        monkeypatch.setenv("KOMMUNEKORT_SAMPLE_URL", base)
        monkeypatch.setenv("KOMMUNEKORT_STATBANK_URL", base)
        yield base


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return what a source is written into, with one source there already."""
    root = tmp_path / "checkout"
    for part in (
        "flows/sources/statbank_folk1a.yml",
        "transforms/dictionary.yml",
        "transforms/reference/codelists.csv",
    ):
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, root / part)
    return root


def new_source(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["new-source", *map(str, words)])


@pytest.mark.long
@pytest.mark.parametrize("origin", ["sample", "live"])
@pytest.mark.usefixtures("standin")
def test_a_table_becomes_a_source(checkout: Path, origin: str) -> None:
    ended = new_source("statbank", "RAS200", "--from", origin, "--root", checkout)
    assert ended.exit_code == 0, ended.exception
    wrote = [line.removeprefix("wrote ") for line in ended.output.splitlines() if line.startswith("wrote ")]
    assert [Path(path).relative_to(checkout).as_posix() for path in wrote[:3]] == [
        "flows/sources/statbank_ras200.yml",
        "transforms/staging/statbank_ras200.sql",
        "tests/fixtures/ras200.csv",
    ]
    source = load_catalogue(
        checkout / "flows" / "sources",
        codelists=checkout / "transforms" / "reference" / "codelists.csv",
        dictionary=checkout / "transforms" / "dictionary.yml",
    ).source("statbank_ras200")
    assert (source.table, source.frequency) == ("RAS200", "year")
    settled = (checkout / "flows" / "sources" / "statbank_ras200.yml").read_text(encoding="utf-8")
    asked = [line.removeprefix("to settle: ") for line in ended.output.splitlines() if line.startswith("to settle: ")]
    assert asked
    assert all(f"# To settle: {question}\n" in settled for question in asked)


def test_outside_a_checkout_is_one_sentence_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMMUNEKORT_STATBANK_URL", "http://127.0.0.1:9/v1")
    monkeypatch.chdir(tmp_path)
    ended = new_source("statbank", "RAS210")
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception) == (
        f"{tmp_path}: no checkout of kommunekort, flows/sources is not there; name the checkout with --root"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("standin")
def test_a_known_table_is_not_written_again(checkout: Path) -> None:
    ended = new_source("statbank", "FOLK1A", "--from", "sample", "--root", checkout)
    assert isinstance(ended.exception, UsageError)
    assert "statbank_folk1a.yml exists and is not overwritten" in str(ended.exception)


@pytest.mark.parametrize(
    ("origin", "cure"),
    [
        ("sample", "the stand-in describes only what is a source already; ask the API: --from live"),
        ("live", "check the table id"),
    ],
)
@pytest.mark.usefixtures("standin")
def test_a_table_nobody_describes_has_no_source_file_to_correct(checkout: Path, origin: str, cure: str) -> None:
    ended = new_source("statbank", "RAS999", "--from", origin, "--root", checkout)
    assert isinstance(ended.exception, DataRefused)
    assert str(ended.exception) == f"StatBank RAS999: Tabel findes ikke: RAS999 (EXTRACT-NOTFOUND); {cure}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["jobindsats", "x"], "jobindsats: only statbank tables describe themselves"),
        (["statbank", "X", "--from", "here"], "--from here: choose sample or live"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(words: list[str], says: str) -> None:
    ended = new_source(*words)
    assert isinstance(ended.exception, UsageError)
    assert says in str(ended.exception)
