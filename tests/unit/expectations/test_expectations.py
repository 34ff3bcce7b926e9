"""Staging tables are held to their rules; bad rows are set aside with their reason, and none is lost."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from expectations import check as expectations_check
from expectations.derived import part_rules, row_rules
from expectations.rules import blocking, verdict_sentence
from tests.unit.expectations.expectations_help import (
    CATALOGUE,
    FILE,
    SOURCE,
    Edit,
    Rows,
    broken,
    build,
    check,
    good_rows,
    load,
    outcomes_of,
    row_of,
    write,
)
from transforms.dictionary import load_dictionary
from transforms.errors import UsageError
from transforms.load import Absent, CanonicalRows, StagingCount, load_staging
from transforms.warehouse import Warehouse


def change(area: str, column: int, text: str, sex: str = "TOT", period: str = "2016K1") -> Edit:
    def edit(rows: Rows) -> None:
        row_of(rows, area, sex, period)[column] = text

    return edit


def without(*areas: str, period: str | None = None) -> Edit:
    def edit(rows: Rows) -> None:
        rows[:] = [row for row in rows if not (row[0] in areas and period in (None, row[4]))]

    return edit


def add(*row: str) -> Edit:
    return lambda rows: rows.append(list(row))


def one_more(area: str) -> Edit:
    def edit(rows: Rows) -> None:
        row = row_of(rows, area)
        row[5] = str(int(row[5]) + 1)

    return edit


def scale(factor: int, *, area: str = "", sex: str = "") -> Edit:
    def edit(rows: Rows) -> None:
        for row in rows:
            if area in ("", row[0]) and sex in ("", row[1]):
                row[5] = str(int(row[5]) * factor)

    return edit


def test_a_good_extract_breaks_no_rule(tmp_path: Path) -> None:
    outcomes = outcomes_of(tmp_path)
    assert broken(outcomes) == set()
    assert {outcome.rows_scanned for outcome in outcomes.values()} == {len(good_rows())}
    assert len(outcomes) > 20


@pytest.mark.parametrize(
    ("rule_id", "edit", "example"),
    [
        ("key_present", change("101", 1, ""), "area_code=101, age_code=IALT"),
        ("code_known_area_code", change("101", 0, "100"), "area_code=100"),
        ("code_known_sex_code", change("101", 1, "M"), "sex_code=M"),
        ("period_format_period", change("101", 4, "2016"), "period=2016"),
        ("period_format_period", change("101", 4, "2016K5"), "period=2016K5"),
        ("value_readable", change("101", 5, "12a"), "INDHOLD=12a"),
        ("value_decimals", change("101", 5, "1.234"), "value=1.234"),
        ("value_min", change("101", 5, "-200"), "value=-200"),
    ],
)
def test_a_bad_row_goes_to_quarantine_and_tells_what_was_delivered(
    tmp_path: Path, rule_id: str, edit: Edit, example: str
) -> None:
    outcomes = outcomes_of(tmp_path, edit)
    outcome = outcomes[rule_id]
    assert (outcome.n_violations, outcome.severity, outcome.action) == (1, "warning", "quarantine")
    assert example in outcome.examples[0]
    assert example in verdict_sentence(outcome)
    assert "quarantine.row" in verdict_sentence(outcome)
    assert not blocking([outcomes["quarantine_share"], outcomes["rows_conserved"]])


@pytest.mark.parametrize(
    ("rule_id", "edit"),
    [
        ("unique_key", add("101", "TOT", "IALT", "TOT", "2016K1", "999")),
        ("figures_vary", scale(0)),
        ("municipalities_complete_area_code", without("101")),
        ("total_is_sum_area_code", scale(2, area="084")),
        ("total_is_sum_sex_code", scale(2, sex="1")),
        ("min_rows", without(*[area for area in (str(code) for code in range(100, 800))])),
    ],
)
def test_a_broken_table_stops(tmp_path: Path, rule_id: str, edit: Edit) -> None:
    outcome = outcomes_of(tmp_path, edit)[rule_id]
    assert not outcome.success
    assert blocking([outcome]) == [outcome]
    assert outcome.examples


@pytest.mark.parametrize(
    ("rule_id", "edit", "example"),
    [
        ("areas_complete_area_code", without("411"), "area_code=411"),
        ("municipalities_every_period_area_code", without("101", period="2016K1"), "area_code=101, period=2016K1"),
        ("no_gap_period", lambda rows: [row.__setitem__(4, "2019K1") for row in rows if row[4] == "2017K1"], "2019K1"),
        ("total_rounded_area_code", one_more("084"), "difference=1"),
    ],
)
def test_a_doubtful_table_is_reported(tmp_path: Path, rule_id: str, edit: Edit, example: str) -> None:
    outcome = outcomes_of(tmp_path, edit)[rule_id]
    assert not outcome.success
    assert blocking([outcome]) == []
    assert any(example in text for text in outcome.examples)


def test_an_upper_bound_is_kept(tmp_path: Path) -> None:
    limits = SOURCE.expectations.model_copy(update={"value_max": 7_000_000.0})
    source = SOURCE.model_copy(update={"expectations": limits})
    assert outcomes_of(tmp_path, change("101", 5, "7000001"), source)["value_max"].n_violations == 1
    assert "value_max" not in broken(outcomes_of(tmp_path, source=source))


def test_a_selector_must_keep_to_its_one_code(tmp_path: Path) -> None:
    dimensions = [*SOURCE.dimensions]
    dimensions[3] = dimensions[3].model_copy(update={"role": "selector", "select": ["TOT"]})
    source = SOURCE.model_copy(update={"dimensions": dimensions})
    rule_id = "selector_pinned_marital_status_code"
    assert outcomes_of(tmp_path, source=source)[rule_id].success
    second = outcomes_of(tmp_path, add("101", "TOT", "IALT", "U", "2016K1", "5"), source)[rule_id]
    assert blocking([second]) == [second]
    assert "marital_status_code=U" in second.examples[0]


def test_a_total_with_a_suppressed_part_is_not_judged(tmp_path: Path) -> None:
    outcomes = outcomes_of(tmp_path, change("101", 5, ".."))
    assert broken(outcomes) == {"withheld_anew"}
    assert outcomes["withheld_anew"].severity == "warning"


def test_quarantine_takes_exactly_the_bad_rows_once_per_rule(tmp_path: Path) -> None:
    rows = good_rows()
    row_of(rows, "101")[5] = "x"
    bad = row_of(rows, "147")
    bad[1], bad[5] = "M", "-1.5"
    rows.append(list(row_of(rows, "151")))
    with build() as warehouse:
        outcomes = check(warehouse, load(warehouse, write(tmp_path / "extract.csv", rows)))
        held = warehouse.rows("SELECT rule_id, row_text FROM quarantine.row ORDER BY rule_id")
        left = warehouse.scalar(f"SELECT count(*) FROM {FILE.table}")
    assert [rule for rule, _ in held] == [
        "code_known_sex_code", "duplicate_row", "value_decimals", "value_min", "value_readable",
    ]  # fmt: skip
    assert json.loads(held[-1][1])["INDHOLD"] == "x"
    assert left == len(rows) - 3
    assert outcomes["rows_conserved"].success
    assert outcomes["unique_key"].success
    assert outcomes["duplicate_row"].n_violations == 1


def test_checking_again_does_not_count_twice(tmp_path: Path) -> None:
    rows = good_rows()
    row_of(rows, "101")[5] = "x"
    with build() as warehouse:
        count = load(warehouse, write(tmp_path / "extract.csv", rows))
        first = check(warehouse, count)
        again = check(warehouse, count)
    assert first["value_readable"].n_violations == 1
    assert again["value_readable"].n_violations == 0
    assert again["rows_conserved"].success


def test_more_quarantine_than_declared_stops(tmp_path: Path) -> None:
    few = outcomes_of(tmp_path, change("101", 5, "x"))
    assert few["quarantine_share"].success
    many = outcomes_of(tmp_path, lambda rows: [row.__setitem__(5, "x") for row in rows[:40]])
    assert blocking([many["quarantine_share"]])
    assert "rows_quarantined=40" in many["quarantine_share"].examples[0]


def test_a_row_that_vanishes_stops(tmp_path: Path) -> None:
    with build() as warehouse:
        count = load(warehouse, write(tmp_path / "extract.csv", good_rows()))
        lost = StagingCount(count.rows_in + 1, count.rows_loaded, count.rows_rejected, count.rows_filled)
        outcome = check(warehouse, lost)["rows_conserved"]
    assert blocking([outcome])
    assert "rows_in=946" in outcome.examples[0]


def test_filled_zero_cells_are_no_delivery(tmp_path: Path) -> None:
    rows = [row for row in good_rows() if not (row[0] == "101" and row[4] == "2016K1" and row[1] != "TOT")]
    with build() as warehouse:
        count = load(warehouse, write(tmp_path / "extract.csv", rows), fill=True)
        outcomes = check(warehouse, count)
    assert count.rows_filled == 2
    assert outcomes["rows_conserved"].success
    assert not outcomes["total_is_sum_sex_code"].success, "the total shows that the two were not zero"


def test_a_lost_line_must_not_become_a_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "extract.csv", good_rows())
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[7] = "101;TOT"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with build() as warehouse:
        count = load(warehouse, path, fill=True)
        outcome = check(warehouse, count)["no_zero_for_lost_line"]
    assert count.rows_rejected == 1
    assert blocking([outcome])


def test_personal_numbers_are_starred() -> None:
    with Warehouse.open() as warehouse:
        hidden = expectations_check.masked("text")
        sql = f"SELECT {hidden} FROM (VALUES ('a 010190-1234, 0101901234, 123456, 9901901234')) t(text)"
        assert warehouse.scalar(sql) == "a ******-****, ******-****, 123456, 9901901234"


def test_a_table_without_dimensions_leaves_no_text_of_its_rows() -> None:
    delivery = next(s for s in CATALOGUE.sources.values() if s.connector == "delivery")
    rules = row_rules(delivery, FILE, load_dictionary(), CATALOGUE)
    assert {rule.rule_id for rule in rules} == {"key_present"}


def test_a_rule_that_cannot_run_names_itself() -> None:
    rule = row_rules(SOURCE, FILE, load_dictionary(), CATALOGUE)[0]
    with build() as warehouse:
        expectations_check.prepare(warehouse)
        with pytest.raises(UsageError, match=r"rule key_present of .* cannot be run"):
            expectations_check.run_set_rule(warehouse, rule, {})


def test_a_planned_rule_that_was_not_run_has_failed() -> None:
    rules = row_rules(SOURCE, FILE, load_dictionary(), CATALOGUE)[:2]
    with build() as warehouse:
        expectations_check.prepare(warehouse)
        expectations_check.plan(warehouse, rules)
        expectations_check.mark_run(warehouse, rules[:1], 5)
        run, forgotten = expectations_check.outcomes(warehouse, rules)
    assert run.success
    assert blocking([forgotten]) == [forgotten]
    assert "not run" in verdict_sentence(forgotten)


@pytest.mark.parametrize("seed", range(12))
def test_totals_are_proven_exactly_when_each_is_the_sum_of_its_parts(seed: int, tmp_path: Path) -> None:
    """Errors that make up for each other in one column, unknown parts and large figures do not deceive the proof."""
    chance = random.Random(seed)
    rows = good_rows()
    for _ in range(seed % 4):
        one, other = chance.sample(rows, 2)
        by = chance.choice([1, 7, 10_000, 10**13])
        one[5], other[5] = str(int(one[5]) + by), str(max(int(other[5]) - by, 0))
    for row in chance.sample(rows, seed % 3):
        row[5] = ".."
    with build() as warehouse:
        load(warehouse, write(tmp_path / "extract.csv", rows))
        for rule in (rule for rule in part_rules(SOURCE, FILE, CATALOGUE) if rule.rule_id.startswith("total_is_sum")):
            assert rule.proof is not None
            sums = rule.sql.rpartition("WHERE abs(difference)")[0]
            wrong = warehouse.scalar(f"SELECT count(*) FROM ({sums}) WHERE difference <> 0")
            assert warehouse.scalar(rule.proof) == (wrong == 0), rule.rule_id


def test_loading_tells_that_no_key_occurs_twice_only_where_it_is_so(tmp_path: Path) -> None:
    rows = [row for row in good_rows() if row[0] != "101" or row[1] == "TOT"]
    for extra, alone in (([], True), ([rows[5]], False), ([["999", *rows[5][1:]]], False)):
        with build() as warehouse:
            asked = {d.id: sorted({row[n] for row in good_rows()}) for n, d in enumerate(SOURCE.dimensions)}
            path = write(tmp_path / "extract.csv", [*rows, *extra])
            snapshot = "statbank_folk1a/20170101T000000Z-00000000"
            given = CanonicalRows(SOURCE, snapshot, [path], absent=(Absent("zero", asked),))
            count = load_staging(warehouse, FILE, given, load_dictionary())
            outcomes = check(warehouse, count)
        assert count.each_cell_once == alone
        assert outcomes["duplicate_row"].n_violations == (1 if extra == [rows[5]] else 0)
        assert outcomes["unique_key"].success


def test_the_snapshot_of_a_staging_table_is_kept_once_and_stands_in_every_row(tmp_path: Path) -> None:
    with build() as warehouse:
        count = load(warehouse, write(tmp_path / "extract.csv", good_rows()), fill=True)
        found = warehouse.rows(f"SELECT _snapshot_id, count(*) FROM {FILE.table} GROUP BY 1")
        assert found == [("statbank_folk1a/20170101T000000Z-00000000", count.rows_loaded + count.rows_filled)]
        ours = "column_name = '_snapshot_id' AND schema_name = 'staging'"
        ((text, kind),) = warehouse.rows(f"SELECT comment, data_type FROM duckdb_columns() WHERE {ours}")
        assert text
        assert kind == "VARCHAR"
