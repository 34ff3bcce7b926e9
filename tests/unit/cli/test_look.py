"""What the terminal shows of the published mapping: whole ids, numbers as numbers, one sentence on a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli import look
from flows.report import words
from flows.store.builds import Build
from tests.report_database import make_database
from transforms.areas import areas_at
from transforms.errors import UsageError
from transforms.warehouse import Warehouse


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("look") / "a.duckdb", municipalities=12)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    monkeypatch.setattr(look, "out", Console(width=80))
    return capsys


def test_json_has_numbers_as_numbers(piped: pytest.CaptureFixture[str]) -> None:
    rows: Iterator[list[tuple[object, ...]]] = iter(
        [[(Decimal("1.5000"), Decimal("3"), float("nan"), None, date(2016, 5, 31), True, "084", [Decimal("0.5")])], []]
    )
    look._print_rows_of(rows, list("abcdefgh"), "json")
    assert json.loads(piped.readouterr().out) == [
        {"a": 1.5, "b": 3, "c": None, "d": None, "e": "2016-05-31", "f": True, "g": "084", "h": [0.5]}
    ]
    look._print_rows_of(iter([]), ["a"], "json")
    assert json.loads(piped.readouterr().out) == []


@pytest.mark.parametrize("output", ["csv", "json", "table"])
def test_a_long_result_is_written_as_it_comes(piped: pytest.CaptureFixture[str], output: str) -> None:
    taken = 0

    def parts() -> Iterator[list[tuple[object, ...]]]:
        nonlocal taken
        for part in range(30):
            taken += 1
            yield [(part * 100 + k, "x") for k in range(100)]

    look._print_rows_of(parts(), ["n", "text"], output)
    assert taken == 30
    text = piped.readouterr().out
    if output == "table":
        assert "the first 1,000 of 3,000 rows" in text
    else:
        assert len(text.splitlines()) == 3000 + {"csv": 1, "json": 2}[output]


@pytest.mark.parametrize(
    "text",
    [
        'Binder Error: Referenced column "foo" not found!\nCandidate bindings: "a"\n\nLINE 1: SELECT foo\n   ^',
        'Parser Error: syntax error at or near "SELEC"\n\nLINE 1: SELEC 1\n        ^',
        "INTERNAL Error: something\n\nStack Trace:\n\n0 duckdb::Exception",
        'Catalog Error: Table with name x does not exist!\nDid you mean "pg_sequences"?\n\nLINE 1: SELECT',
    ],
)
def test_a_failed_query_is_one_sentence_without_insides(text: str) -> None:
    told = look.said_by_database(text)
    assert "\n" not in told
    assert not any(word in told for word in ("LINE", "Stack", "duckdb::", "Error:", "pg_", "!;"))


def test_a_profile_has_peers_expected_findings_and_units(database: Path, piped: pytest.CaptureFixture[str]) -> None:
    told = look.profiled(database, "851")
    look.print_profile(told)
    text = piped.readouterr().out
    assert "Aalborg Kommune (851)" in text
    assert "Sammenligningskommuner" in text
    assert "Udfordringer" in text
    assert "Potentialer" in text
    assert " pct." in text
    assert "uger, forventet 90 uger; forskel" in text
    assert "plads 10–60" in text
    row = {"outcome_id": "first_job_median_weeks", "period": "2018-2025", "observed": None, "difference": None}
    look.print_profile({**told, "expected": [{**row, "n_count": 395, "value_status": "not_applicable"}]})
    assert "Uger, til halvdelen er i job: under halvdelen kom i job" in piped.readouterr().out
    reached = {**row, "observed": 112, "n_count": 395, "value_status": "estimated"}
    look.print_profile({**told, "expected": [reached]})
    assert "Uger, til halvdelen er i job: 112 uger; under halvdelen ventes i job" in piped.readouterr().out
    json.dumps(told, default=str)


def test_a_publication_that_lacks_a_table_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "by_hand.duckdb"
    with Warehouse.open(path) as warehouse:
        warehouse.execute("CREATE SCHEMA mart; CREATE TABLE mart.mapping (a INTEGER)")
    build = Build("r1", path)
    build.release.write_text(json.dumps({"run_id": "r1", "as_of": None}), encoding="utf-8")
    monkeypatch.setattr(look, "published_build", lambda settings: build)
    with pytest.raises(UsageError, match=r"^[^\n]*not as it was published[^\n]*`kommunekort run` builds it again$"):
        look.profile("101", tmp_path)


def test_a_municipality_is_found_without_danish_letters_and_never_guessed() -> None:
    written = str.maketrans({"ø": "oe", "æ": "ae", "å": "aa", "Ø": "Oe", "Æ": "Ae", "Å": "Aa"})
    bare = str.maketrans({"ø": "o", "æ": "ae", "å": "a", "Ø": "O", "Æ": "Ae", "Å": "A"})
    for area in areas_at(["municipality"]):
        for text in (area.name_da, area.name_da.translate(written), area.name_da.translate(bare), area.name_en):
            assert look.municipality_code(text) == area.code
            assert look.municipality_code(f"{text.lower()} kommune") == area.code
    with pytest.raises(UsageError, match=r"did you mean Rebild\?"):
        look.municipality_code("Rebld")


def test_a_comparison_is_told_in_danish_and_what_is_not_known_is_never_nought() -> None:
    row = {"comparison": "matched", "difference": 0.5192, "difference_low": None, "units_count": 15, "group": "other"}
    told = words.compared({**row, "sister_pool_count": None, "caution_da": "Pas på."})
    assert told == {
        "sammenligning": "deltagere i forhold til sammenligningskommuner",
        "Forskel": "+0,5",
        "Forskel, nedre grænse": "mangler",
        "deltagende enheder": "15",
        "gruppe": "øvrige kommuner",
        "i puljen for brancheorienteret indsats": "navnene kendes ikke",
    }
