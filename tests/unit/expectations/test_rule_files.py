"""The rules themselves: derived ones for every source, written ones with a header that says who and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations import drift, history
from expectations.check import account_rules
from expectations.derived import rules_for_staging
from expectations.gx import STOCK
from expectations.rules import FOLDER, Outcome, Rule, SqlTemplates, blocking, read_rule_files, verdict_sentence
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.errors import UsageError
from transforms.load import StagingCount
from transforms.tables import read_all

CATALOGUE = load_catalogue()
FILES = read_all()
HEADER = {"table": "mart.mapping", "severity": "warning", "action": "report", "reason": "r", "owner": "o"}
STATBANK = sorted(source.id for source in CATALOGUE.sources.values() if source.connector == "statbank")


def derived(source_id: str) -> dict[str, Rule]:
    source = CATALOGUE.sources[source_id]
    rules = rules_for_staging(source, FILES[f"staging.{source_id}"], load_dictionary(), CATALOGUE)
    assert len({rule.rule_id for rule in rules}) == len(rules)
    return {rule.rule_id: rule for rule in rules}


@pytest.mark.parametrize("source_id", STATBANK)
def test_every_source_has_rules_for_keys_codes_figures_and_size(source_id: str) -> None:
    source = CATALOGUE.sources[source_id]
    rules = derived(source_id)
    assert {"key_present", "value_readable", "unique_key", "min_rows"} <= set(rules)
    for dimension in source.dimensions:
        prefix = {"time": "period_format", "selector": "selector_pinned"}.get(dimension.role, "code_known")
        assert f"{prefix}_{dimension.column}" in rules
    assert all(rule.owner == source.owner and rule.description for rule in rules.values())
    assert all((rule.severity == "critical") == (rule.action == "stop") for rule in rules.values())


def test_rates_and_averages_are_not_added_up() -> None:
    for source_id in ("statbank_ras200", "statbank_aulkp01", "statbank_indkp101"):
        assert not [rule_id for rule_id in derived(source_id) if rule_id.startswith("total_")]


def test_a_total_whose_parts_are_not_certain_only_warns() -> None:
    assert derived("statbank_folk1e")["total_is_sum_area_code"].severity == "critical"
    assert derived("statbank_indoph1")["total_is_sum_area_code"].severity == "warning", "no Christiansø in the table"
    assert derived("statbank_erhv2")["total_is_sum_area_code"].severity == "warning", "950 may be in the total or not"


def test_only_totals_asked_for_with_all_their_parts_are_added_up() -> None:
    assert "total_is_sum_industry_code" in derived("statbank_erhv2")
    assert "total_is_sum_ancestry_code" not in derived("statbank_folk1e"), "descendants are not asked for"


def test_written_rules_are_about_tables_that_exist() -> None:
    rules = read_rule_files()
    assert len(rules) > 30
    assert [rule.rule_id for rule in rules if rule.table not in FILES] == []
    assert [rule.rule_id for rule in rules if len(rule.description) < 20] == []
    assert [stock.rule_id for stock in STOCK if stock.table not in FILES] == []


def write(folder: Path, **changes: str | None) -> Path:
    header = {**HEADER, **changes}
    lines = [f"-- {key}: {value}" for key, value in header.items() if value is not None]
    (folder / "one.sql").write_text("\n".join([*lines, "SELECT 1 AS a;"]), encoding="utf-8")
    return folder


def test_a_rule_file_becomes_a_rule(tmp_path: Path) -> None:
    (rule,) = read_rule_files(write(tmp_path, reason="long\n--   and longer"))
    assert (rule.rule_id, rule.kind, rule.sql) == ("one", "set", "SELECT 1 AS a")
    assert rule.description == "long and longer"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": None}, "lacks `-- reason"),
        ({"owner": None}, "lacks `-- owner"),
        ({"severity": "high"}, "severity is 'high'; use one of critical, warning"),
        ({"action": "ignore"}, "use one of stop, quarantine, report"),
        ({"severity": "critical"}, "a critical rule has action stop"),
        ({"since": "2016"}, "unknown header key `since`"),
    ],
)
def test_a_faulty_header_names_the_file(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_rule_files(write(tmp_path, **changes))
    assert "expectations/rules/one.sql" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("-- severity: critcal\n-- reason: r", "severity is 'critcal'; use one of critical, warning"),
        ("-- severity: {{ 'high' if column else 'low' }}\n-- reason: r", "severity is 'low'"),
        ("-- severity: critical\n-- resaon: r", "lacks `-- reason"),
        ("-- reason: r", "lacks `-- severity"),
    ],
)
def test_a_rule_that_is_filled_in_names_its_file_for_a_faulty_header(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "one.sql").write_text(f"{header}\nSELECT 1 AS a FROM {{{{ table }}}}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        SqlTemplates(tmp_path, {}).rule("one", "staging.x")
    assert f"expectations/rules/{tmp_path.name}/one.sql" in str(caught.value)
    assert message in str(caught.value)


def headed(room: str) -> set[str]:
    """Return the files of a folder that are rules and no parts of others: those whose header tells a severity."""
    return {path.stem for path in (FOLDER / room).glob("*.sql") if "-- severity:" in path.read_text(encoding="utf-8")}


def test_every_rule_that_is_filled_in_is_planned_for_some_source() -> None:
    count = StagingCount(rows_in=1, rows_loaded=1, rows_rejected=0, rows_filled=0, rows_repeated=0)
    planned = set()
    for source in CATALOGUE.sources.values():
        if (file := FILES.get(f"staging.{source.id}")) is not None:
            planned |= {rule.rule_id for rule in account_rules(source, file, count)} | set(derived(source.id))
    assert {name for name in headed("staging") if not any(rule_id.startswith(name) for rule_id in planned)} == set()
    assert headed("history") == {*history.RULES, *history.AGAINST_PUBLISHED}
    assert headed("drift") == set(drift.RULES)


def test_a_verdict_is_one_line_with_table_example_rule_and_next_step() -> None:
    outcome = Outcome("value_min", "staging.x", "critical", "stop", "at least 0.", 2, 9, ("value=-1",), False)
    text = verdict_sentence(outcome)
    assert text == (
        "staging.x: rule value_min: 2 violations (value=-1): at least 0; "
        "fetch the source again, or correct its file in flows/sources (figures that stand out and are right are named "
        "there under `accepted`)"
    )
    assert blocking([outcome]) == [outcome]
