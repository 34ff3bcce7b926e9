"""An expectation is written in one place, and then stands in the suite, in the record and in Data Docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from expectations import check as expectations_check
from expectations.gx import record_with_gx
from expectations.rules import read_rule_files
from flows.cli.run import validate
from tests.unit.expectations.expectations_help import CATALOGUE, FILE, SOURCE, build, good_rows, load, write
from transforms import tables
from transforms.dictionary import Dictionary, load_dictionary
from transforms.tables import ROOT, read_sql_file

WRITTEN = f"""-- table: {FILE.table}
-- severity: warning
-- action: report
-- reason: Odense has more inhabitants than Nyborg.
-- owner: data-team
SELECT period FROM {FILE.table} WHERE area_code = '461' AND sex_code = 'TOT' AND value < 1000000
"""
ADDED = {
    "allowed_sex_code": "the dictionary: sex_code must be one of TOT, 1",
    "value_max": "the source file: a figure must be at most 1,000,000",
    "odense_is_larger": "rules/odense_is_larger.sql: Odense has more inhabitants than Nyborg.",
}


@pytest.fixture
def validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder with a validated candidate whose three homes each got one rule that is broken."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "odense_is_larger.sql").write_text(WRITTEN, encoding="utf-8")
    monkeypatch.setattr(expectations_check, "read_rule_files", lambda: read_rule_files(tmp_path / "rules"))
    known = load_dictionary()
    sex = known.columns["sex_code"].model_copy(update={"allowed": ["TOT", "1"]})
    dictionary = Dictionary({**known.columns, "sex_code": sex})
    limits = SOURCE.expectations.model_copy(update={"value_max": 1_000_000})
    source = SOURCE.model_copy(update={"expectations": limits})
    database = tmp_path / "validated.duckdb"
    with build(database) as warehouse:
        count = load(warehouse, write(tmp_path / "extract.csv", good_rows()), source)
        outcomes = expectations_check.check_staging(warehouse, source, FILE, dictionary, CATALOGUE, count)
        outcomes += expectations_check.check_tables(warehouse, {FILE.table: FILE}, dictionary)
    frame = record_with_gx(database, outcomes, "run-1")
    with build(database) as warehouse:
        warehouse.load("run.validation", frame)
        tables.build_table(warehouse, read_sql_file(ROOT / "meta" / "validation.sql"), known)
    return tmp_path


def test_a_rule_added_in_one_place_is_in_the_suite_and_in_data_docs(
    validated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = validated / "docs"
    validate(data=validated, suite=SOURCE.id, docs=docs)
    printed = capsys.readouterr().out
    (page,) = (docs / "validations").rglob("*.html")
    pages = [page, docs / "index.html", docs / "expectations" / "staging" / f"{SOURCE.id}.html"]
    for rule, description in ADDED.items():
        assert re.search(rf"^{rule}  warning  [0-9]+ broken$", printed, re.MULTILINE), rule
        assert description.split(": ", 1)[1] in printed
        assert all(rule in each.read_text(encoding="utf-8") for each in pages), rule


def test_data_docs_ask_no_other_host(validated: Path) -> None:
    docs = validated / "docs"
    validate(data=validated, docs=docs)
    texts = [page.read_text(encoding="utf-8") for page in docs.rglob("*.html")]
    assert len(texts) == 3
    for text in texts:
        assert "<script" not in text
        assert re.findall(r"""(?:src=|url\(|<link[^>]*href=)["']?https?:""", text) == []
