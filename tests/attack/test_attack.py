"""Nobody wins a small count of persons back from what is published, and whoever opens a column is caught."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from expectations.rules import read_rule_files
from flows.cli.main import app, main
from flows.deliveries.buckets import load_person_data
from flows.deliveries.store import Known
from flows.run import night
from flows.run.night import waiting_candidate
from flows.run.record import RunResult
from flows.run.summary import markdown_summary, validation_rows
from flows.settings import Settings
from flows.store.baselines import freeze
from flows.store.builds import writer_lock
from tests.attack.__main__ import (
    COME,
    attack_world,
    both_releases,
    crosswalk,
    persons_of,
    revised_figures,
    told_apart,
)
from tests.attack.attacker import (
    Column,
    Key,
    Release,
    attack,
    exposed,
    narrowed,
    person_tables,
    published_columns,
    series,
    truth_of,
)
from tests.attack.attacker import release_of as release_from
from tests.attack.worlds import (
    deliver_all,
    deliver_more,
    first_release,
    from_parquet,
    from_workbook,
    release,
    secrets_of,
    texts_in,
    tokens,
)
from tests.fixtures.world import Published, run_from
from transforms.disclosure import Gate
from transforms.errors import UsageError
from transforms.models.persons import PersonRows, counts_of, newcomer_shares, newcomers, one_case_per_person
from transforms.warehouse import Warehouse


def release_of(rows: list[tuple[str, str, float, float]]) -> Release:
    release: Release = defaultdict(dict)
    for indicator, municipality, part, whole in rows:
        release[indicator][municipality,] = (float(part), float(whole))
    return release


@pytest.mark.long
def test_no_small_count_is_won_back_from_the_sample_world(sample_run: Published) -> None:
    _, tried, made, small, exact, bounded = attack_world("sample", sample_run.settings)
    assert tried > 60
    assert made > 50
    assert small > 1000
    assert (exact, bounded) == (0, 0)


@pytest.mark.long
def test_no_small_count_is_won_back_from_workbook_and_parquet(sample_run: Published, tmp_path: Path) -> None:
    settings = sample_run.settings
    like = settings.published.resolve()
    book = from_workbook(settings.exports / "kommunekort.xlsx", like, tmp_path / "workbook.duckdb")
    files = from_parquet(settings.exports, like, tmp_path / "exports.duckdb")
    for name, shown in (("workbook", book), ("exports", files)):
        _, tried, made, small, exact, bounded = attack_world(name, settings, shown)
        assert min(tried - 60, made - 50, small - 1000) > 0
        assert (exact, bounded) == (0, 0), name


@pytest.mark.long
def test_figures_of_groups_are_made_of_published_figures_alone(sample_run: Published) -> None:
    """Sums over a group's municipalities: who subtracts the parts from the whole is left with nothing new."""
    delivered = "indicator_id IN (SELECT indicator_id FROM mart.indicator WHERE operation = 'delivery')"
    own = f"SELECT count(*) FROM core.indicator_area_value WHERE {delivered}"
    assert sample_run.rows(own) == [(0,)], "a margin with a figure of its own"
    held: dict[tuple[str, str], dict[str, tuple[float | None, ...]]] = defaultdict(dict)
    for indicator, period, code, *figures in sample_run.rows(
        "SELECT indicator_id, period, municipality_code, value::DOUBLE, numerator::DOUBLE, denominator::DOUBLE "
        f"FROM mart.indicator_value WHERE {delivered}"
    ):
        held[indicator, period][code] = tuple(figures)
    places = {
        (kind, group): {code for (code,) in sample_run.rows(
            f"SELECT municipality_code FROM mart.municipality WHERE {column} = '{group}' OR '{group}' = '000'")}
        for kind, column in (("country", "region_code"), ("region", "region_code"), ("province", "province_code"))
        for (group,) in sample_run.rows(f"SELECT DISTINCT group_code FROM mart.group_value WHERE group_kind = '{kind}'")
    }  # fmt: skip
    seen = 0
    for kind, group, indicator, period, value, median, part, whole in sample_run.rows(
        "SELECT group_kind, group_code, indicator_id, period, value::DOUBLE, median_value::DOUBLE, numerator::DOUBLE, "
        f"denominator::DOUBLE FROM mart.group_value WHERE {delivered}"
    ):
        known = [
            held[indicator, period][code] for code in places.get((kind, group), {}) & held[indicator, period].keys()
        ]
        if not known:
            continue
        seen += 1
        values = [figures[0] for figures in known if figures[0] is not None]
        assert median == pytest.approx(pd.Series(values).median(), abs=1e-3) if values else median is None
        for place, told in ((1, part), (2, whole)):
            parts = [figures[place] for figures in known]
            assert told is None or told == pytest.approx(sum(n for n in parts if n is not None))
            assert told is None or None not in parts, "a whole of which a part is withheld"
        sums = sum(values) if None not in [figures[0] for figures in known] else None
        allowed = [sums, 100 * part / whole if part is not None and whole else None]
        assert value is None or any(each is not None and value == pytest.approx(each, abs=1e-3) for each in allowed)
    assert seen > 200


@pytest.mark.long
def test_no_small_count_is_won_back_from_two_whole_releases(sample_extracts: Path, tmp_path: Path) -> None:
    """Deliver, run, deliver one more person everywhere, run: the same to the last figure. With six more: drawn anew."""
    settings = first_release(tmp_path / "data", 1, sample_extracts)
    first = settings.published.resolve()
    truth = truth_of(persons_of(settings), crosswalk())
    assert attack_world("first", settings)[4:] == (0, 0)
    frozen = freeze(settings, "before").folder
    deliver_more(settings, 1)
    second = release(settings, sample_extracts).published.resolve()
    assert second != first
    assert told_apart(first, second) == []
    assert revised_figures(second) == 0
    deliver_more(settings, COME)
    third = release(settings, sample_extracts).published.resolve()
    assert told_apart(second, third) != []
    assert attack_world("third", settings)[4:] == (0, 0)
    assert both_releases(first, third, truth) == []
    baseline = from_parquet(frozen, third, tmp_path / "baseline.duckdb")
    assert release_from(baseline) == release_from(first)
    assert both_releases(baseline, third, truth) == []
    assert revised_figures(third) > 100


@pytest.mark.long
def test_no_small_count_is_won_back_from_baselines_of_one_period(sample_extracts: Path, tmp_path: Path) -> None:
    """Each is built anew, of deliveries the publication does not stand on: it must be remembered as a release is."""
    settings = Settings(data=tmp_path / "data", sample_seed=1)
    past = settings.model_copy(update={"sample_vintage": date(2024, 12, 31)})
    deliver_all(past)
    first_release(tmp_path / "data", 1, sample_extracts)
    then = persons_of(settings, Known(until=date(2024, 12, 31)))

    def frozen(name: str) -> Path:
        with writer_lock(settings.root):
            folder = night.freeze(settings, name, "2024").folder
        return from_parquet(folder, settings.published.resolve(), tmp_path / f"{name}.duckdb")

    one = frozen("one")
    assert attack_world("baseline", settings, one, then)[4:] == (0, 0)
    deliver_more(past, 1)
    standing = settings.published.resolve()
    release(settings, sample_extracts)
    assert told_apart(standing, settings.published.resolve()) == []
    assert told_apart(one, frozen("two")) == []


def opened(columns: list[Column], truth: Mapping[str, Mapping[Key, int]]) -> list[Column]:
    """Return one mutant for each (table, column): its longest series shows the exact share, or count, of women."""
    longest: dict[tuple[str, str], Column] = {}
    for column in columns:
        name = (column.table, column.column)
        if name not in longest or len(longest[name].values) < len(column.values):
            longest[name] = column
    exact, whole = truth["women_newcomers_pct"], truth["newcomers_count"]
    mutants = []
    for column in longest.values():
        if column.column.endswith("_pct") or column.column == "value":
            values = {key: 100 * n / whole[key] for key, n in exact.items() if whole[key]}
            denominators: Mapping[Key, float] = {key: float(n) for key, n in whole.items()}
        else:
            values, denominators = {key: float(n) for key, n in exact.items()}, {}
        mutants.append(replace(column, values=values, denominators=denominators))
    return mutants


@pytest.mark.long
def test_whoever_opens_any_one_column_is_caught(sample_run: Published) -> None:
    truth = truth_of(persons_of(sample_run.settings), crosswalk())
    mutants = opened(published_columns(sample_run.settings.published), truth)
    assert len(mutants) > 60
    for mutant in mutants:
        assert attack([mutant], truth, 5, 5).exact, f"{mutant.table}.{mutant.column} open and not caught"


@pytest.mark.long
def test_exact_counts_laid_into_any_one_published_column_are_read_off(sample_run: Published) -> None:
    """Unlike above the rows stay as they are published: with their labels, their gaps and the columns beside."""
    truth = truth_of(persons_of(sample_run.settings), crosswalk())
    women, placed = truth["women_newcomers_pct"], truth["placements by municipality_code and industry_code"]
    caught = 0
    for table, frame, numeric in person_tables(sample_run.settings.published):
        if "municipality_code" not in frame:
            continue
        industries = "industry_code" in frame
        keys = frame[["municipality_code", "industry_code"] if industries else ["municipality_code"]].astype(str)
        exact = [(placed if industries else women).get(tuple(key)) for key in keys.itertuples(index=False)]
        for column in numeric:
            opened_up = frame.assign(**{column: pd.Series(exact, index=frame.index, dtype="Float64")})
            longest = max(series(table, opened_up, [column]), key=lambda each: len(each.values), default=None)
            if longest is not None:
                assert attack([longest], truth, 5, 5).exact, f"{table}.{column} open and not caught"
                caught += 1
    assert caught > 50


RULED = {
    "persons_only_rounded": ("mart.indicator_value", ("value", "numerator", "denominator")),
    "person_models_only_rounded": (
        "mart.expected",
        ("observed", "expected", "difference", "difference_low", "difference_high", "shrunk_difference", "n_count"),
    ),
    "method_effects_only_rounded": (
        "mart.method_effect",
        ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "n_count", "exposed_count"),
    ),
    "first_jobs_only_rounded": (
        "mart.first_job",
        ("first_job_share_pct", "first_job_share_low_pct", "first_job_share_high_pct", "n_count"),
    ),
}


@pytest.mark.long
def test_a_figure_that_is_not_rounded_stops_the_publication(sample_run: Published, tmp_path: Path) -> None:
    copy = tmp_path / "candidate.duckdb"
    shutil.copy(sample_run.settings.published.resolve(), copy)
    rules = {rule.rule_id: rule for rule in read_rule_files()}
    with Warehouse.open(copy) as warehouse:
        warehouse.execute("CREATE SCHEMA IF NOT EXISTS run")
        warehouse.execute(
            "CREATE TABLE run.release AS SELECT 5 AS suppression_threshold, 15 AS minimum_denominator, "
            "5 AS rounding_base"
        )
        for name, (table, columns) in RULED.items():
            assert warehouse.rows(rules[name].sql) == []
            for column in columns:
                warehouse.execute(f"CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM {table}")
                person = f"AND {PERSON_ROWS[table]}" if table in PERSON_ROWS else ""
                step = "0.1234" if "count" not in column and column not in ("numerator", "denominator") else "1"
                warehouse.execute(f"UPDATE {table} SET {column} = {column} + {step} WHERE {column} > 0 {person}")
                assert warehouse.rows(rules[name].sql), f"{table}.{column}"
                warehouse.execute(f"DELETE FROM {table}")
                warehouse.execute(f"INSERT INTO {table} BY NAME SELECT * FROM kept")


PERSON_ROWS = {
    "mart.first_job": "breakdown_id = 'sex_code'",
    "mart.indicator_value": "indicator_id = 'women_newcomers_pct'",
    "mart.expected": "outcome_id = 'first_job_weeks'",
}


def one_more(rows: PersonRows) -> PersonRows:
    """Return the same persons and one more newcomer in every municipality that has any."""
    new = newcomers(rows, one_case_per_person(rows)).groupby("municipality_code").head(1)
    added = rows.cases.merge(new[["municipality_code", "person_id"]], on=["municipality_code", "person_id"])
    added["person_id"] = [f"new {code}" for code in added["municipality_code"]]
    return replace(rows, cases=pd.concat([rows.cases, added], ignore_index=True))


def shares(settings: Settings, rows: PersonRows, state: str = "", secret: bytes | None = None) -> Release:
    """Return what is told of persons, in another state of the deliveries when one is named."""
    data = load_person_data(settings, synthetic=True)
    assert data is not None
    states = {code: f"{old}{state}" for code, old in data.states.items()}
    gate = Gate(secret=data.rounding_key if secret is None else secret)
    told = newcomer_shares(replace(data, counts=counts_of(rows), states=states), gate).dropna(subset=["numerator"])
    columns = ["indicator_id", "municipality_code", "numerator", "denominator"]
    return release_of(list(told[columns].itertuples(index=False)))


@pytest.mark.long
def test_two_releases_that_remember_nothing_of_each_other_narrow_no_small_count(sample_run: Published) -> None:
    """The second release would be held back where the first is remembered; here the attacker has it all the same."""
    data = persons_of(sample_run.settings)
    later = one_more(data)
    first, second = shares(sample_run.settings, data), shares(sample_run.settings, later, " and one more")
    truth, wider = truth_of(data, crosswalk()), truth_of(later, crosswalk())
    assert sum(wider["newcomers_count"].values()) > sum(truth["newcomers_count"].values()) + 80
    assert exposed(narrowed([first], 5), truth, 5) == exposed(narrowed([second], 5), wider, 5) == []
    # A count of the second release is that of the first or one more, so its bounds hold for the first when widened.
    one, two = narrowed([first], 5), narrowed([second], 5)
    both = {
        name: {
            key: (max(low, two[name][key][0] - 1), min(high, two[name][key][1]))
            for key, (low, high) in cells.items()
            if key in two.get(name, {})
        }
        for name, cells in one.items()
    }
    assert exposed(both, truth, 5) == []


@pytest.mark.long
@pytest.mark.parametrize("secret", ["1", "2", "3", "4", "5"])
def test_no_draw_of_the_rounding_gives_a_small_count_away(sample_run: Published, secret: str) -> None:
    data = persons_of(sample_run.settings)
    releases = [shares(sample_run.settings, data, state, secret.encode()) for state in ("", " again")]
    assert exposed(narrowed(releases, 5), truth_of(data, crosswalk()), 5) == []


@pytest.mark.long
def test_which_figures_move_tells_nothing_of_who_came(sample_run: Published) -> None:
    data = persons_of(sample_run.settings)
    later = one_more(data)
    first, second = shares(sample_run.settings, data), shares(sample_run.settings, later, " and one more")
    truth, wider = truth_of(data, crosswalk()), truth_of(later, crosswalk())
    rose: dict[bool, list[bool]] = {True: [], False: []}
    for name, cells in first.items():
        for key, (part, _) in cells.items():
            if key in second.get(name, {}):
                rose[wider[name][key] > truth[name][key]].append(second[name][key][0] > part)
    with_trait, without = (sum(moves) / len(moves) for moves in (rose[True], rose[False]))
    assert len(rose[True]) > 100
    assert len(rose[False]) > 200
    # The figure of a trait the newcomer has rises little more often than that of one it has not.
    assert with_trait - without < 0.25
    assert with_trait < 0.6


@pytest.mark.parametrize("number", ["150390-1234", "1503901234", "150390\u200b-1234"])
def test_no_error_sentence_repeats_a_number_somebody_typed(
    number: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for handler in ("raise_on_signals", "end_at_once_on_signals"):
        monkeypatch.setattr(f"flows.run.processes.{handler}", lambda: None)
    monkeypatch.setattr("flows.run.processes.ended_in_time", lambda tell: nullcontext())
    for words in (["profile", number], ["deliver", "nowhere.csv", "-m", number], ["describe", number], [f"--{number}"]):
        monkeypatch.setattr("sys.argv", ["kommunekort", *words])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr()
        assert "kommunekort: " in said.err
        assert not re.search(r"150390.?.?1234", said.out + said.err), words


@pytest.mark.long
def test_what_is_not_published_can_be_read_by_nobody_else(own_data: Published, in_a_hurry: None) -> None:
    """A validated or refused candidate may never be published: what is near it is not held against it."""
    settings = own_data.settings
    run_from(settings, own_data.origin, last="validate", force=True)
    assert waiting_candidate(settings).stat().st_mode & 0o077 == 0
    run_from(settings, own_data.origin, force=True)
    assert settings.published.resolve().stat().st_mode & 0o777 == 0o444


@pytest.mark.long
def test_protection_costs_at_most_fifteen_per_cent_of_the_cells(sample_run: Published) -> None:
    rows = sample_run.rows("SELECT figure_id, cells_count, withheld_count, mean_error FROM meta.protection")
    assert len(rows) > 15
    for figure, cells, withheld, error in rows:
        assert withheld <= 0.15 * cells, figure
        assert error is None or error < 6, figure
        # One digit over many cells: what a single one adds does not show, from one release to the next either.
        assert (error is None) == (cells - withheld < 20), figure
        assert error is None or len(str(float(error)).strip("0.").replace(".", "")) <= 1, figure


def test_a_threshold_of_fifty_leaves_nothing_below_it() -> None:
    gate = Gate(threshold=50, secret=b"s")
    told = [gate.rounded(f"figure {n}", "state", n) for n in range(200)]
    assert all(value is None or value >= 50 for value in told)
    assert Settings(suppression_threshold=50).suppression_threshold == 50


@pytest.mark.parametrize(
    "options",
    [
        {"rounding_base": 3},
        {"rounding_base": 7},
        {"suppression_threshold": 2},
        {"rounding_base": 10, "minimum_denominator": 15},
    ],
)
def test_no_setting_opens_the_gate(options: dict[str, int]) -> None:
    with pytest.raises((UsageError, ValueError), match=r"ROUNDING_BASE|greater than or equal|multiple of 5"):
        Settings(**options)  # type: ignore[arg-type]


COUNTED = {
    "mart.indicator_value": ("numerator, denominator", "indicator_id IN (SELECT indicator_id FROM mart.indicator WHERE "
                             "operation = 'delivery')"),
    "mart.figure": ("numerator, denominator", "source_id LIKE 'delivery%'"),
    "core.delivery_value": ("numerator, denominator", "true"),
    "mart.expected": ("n_count, observed * n_count / 100, n_count - observed * n_count / 100",
                      "outcome_id LIKE 'first_job%pct'"),
    "mart.first_job": ("n_count, first_job_share_pct * n_count / 100, n_count - first_job_share_pct * n_count / 100",
                       "true"),
    "mart.method_effect": ("n_count, exposed_count", "true"),
    "mart.mapping": ("newcomers_count", "true"),
    "mart.organisation": ("respondent_count", "true"),
    "meta.model": ("term_value", "outcome_id = 'first_job_weeks' AND term = 'persons'"),
}  # fmt: skip
"""Table -> its numbers of persons, those of shares and of who is left beside them, and which rows are of persons."""


COMMANDS = [
    ["status"], ["status", "--json"], ["doctor"], ["sources"], ["describe", "newcomers_count"],
    ["describe", "first_job_weeks"], *(["profile", code] for code in ("101", "151", "563", "840", "851")),
    ["sql", "SELECT value, numerator, denominator FROM mart.figure WHERE source_id LIKE 'delivery%' LIMIT 40"],
]  # fmt: skip
"""What is printed of a publication; of profiles the lines that tell of delivered persons (the rest is of registers)."""


def asked_of(settings: Settings, words: list[str]) -> str:
    """Return what a command prints."""
    return CliRunner().invoke(app, [*words, "--data", str(settings.root)], env={"COLUMNS": "300"}).output


def counts_of_persons(printed: str) -> Iterator[int]:
    """Yield the numbers of delivered persons in the lines of a printed profile: the n of a figure, and counts."""
    for line in printed.splitlines():
        if re.search(
            r"[Nn]yankomne|newcomers|i job inden for|in a job within|Uger til første job|first job", line, re.I
        ):
            found = re.findall(r"n = ([\d.,]*\d)|│ ([\d.,]+) +│ \d\d|([\d.,]*\d) (?:personer|persons)", line)
            yield from (int(re.sub(r"\D", "", "".join(each))) for each in found)


@pytest.mark.long
def test_at_a_threshold_of_fifty_nothing_below_fifty_is_told_anywhere(
    sample_extracts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    ran: list[RunResult] = []
    monkeypatch.setattr("tests.attack.worlds.run_from", lambda *a, **k: ran.append(run_from(*a, **k)))
    settings = first_release(tmp_path / "data", 1, sample_extracts, dressed=True, suppression_threshold=50)
    published = Published(settings, sample_extracts)
    like = settings.published.resolve()
    book = from_workbook(settings.exports / "kommunekort.xlsx", like, tmp_path / "workbook.duckdb")
    files = from_parquet(settings.exports, like, tmp_path / "exports.duckdb")
    for database in (like, book, files):
        shown = 0
        with Warehouse.open(database, read_only=True) as warehouse:
            for table, (counts, where) in COUNTED.items():
                rows = warehouse.rows(f"SELECT {counts} FROM {table} WHERE {where}") if warehouse.exists(table) else []
                assert rows or table.startswith(("core.", "meta.")), table
                for row in rows:
                    told = [round(float(value), 2) for value in row if pd.notna(value)]
                    shown += sum(value > 0 for value in told)
                    assert all(value == 0 or value >= 49.99 for value in told), (database.stem, table, row)
        assert shown > 300
    # What a run writes down and says of itself (to Prefect too), and what the commands print of it.
    said = [caplog.text, *(path.read_text("utf-8") for path in settings.runs.rglob("*") if path.is_file())]
    said += [markdown_summary(ran[0], settings), json.dumps(validation_rows(ran[0].rules))]
    printed = [asked_of(settings, words) for words in COMMANDS]
    said += [text for words, text in zip(COMMANDS, printed, strict=True) if words[0] != "profile"]
    said += [path.read_text("utf-8") for path in settings.exports.iterdir() if path.suffix in (".json", ".jsonld")]
    seen = [n for text in printed for n in counts_of_persons(text)]
    assert len(seen) > 12
    assert min(seen) >= 50
    persons = re.compile(r"\b(\d+) (?:persons?|rows of persons|personer|deltagere|cases|sager|newcomers|nyankomne)\b")
    assert not [found for text in said for found in persons.finditer(text) if int(found[1]) < 50]
    quality = (settings.report / "datakvalitet.html").read_text("utf-8")
    kinds = quality[quality.index("kinds-scroll") :].split("</table>")[0]
    *delivered, questionnaires = [
        re.findall(r'<td class="num"><data value="(\d+)"', r) for r in kinds.split("<tr>")[2:]
    ]
    assert len(delivered) >= 3
    assert questionnaires == ["98", "98", "98"]  # of municipalities
    assert all(int(rows) >= 100 and int(rows) % 100 == 0 for _, *told in delivered for rows in told)
    values = "SELECT min(value) FROM mart.indicator_value WHERE indicator_id = 'newcomers_count' AND value > 0"
    assert published.rows(values)[0][0] >= 50
    pages = sorted(settings.report.rglob("*.html"))
    assert len(pages) > 90
    for page in pages:
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))
        assert re.search(r"(antal under|counts below) 50 ", text), page.name
        assert not re.search(r"(antal under|counts below) 5 ", text), page.name
        told = re.findall(r"[Mm]ed omkring (\d+) personer|\(omkring (\d+) personer\)", text)
        assert all(int(one or other) >= 50 for one, other in told), page.name
    assert attack_world("threshold 50", settings)[4:] == (0, 0)


@pytest.mark.long
def test_no_number_or_pseudonym_of_a_person_is_in_anything_written(sample_extracts: Path, tmp_path: Path) -> None:
    settings = first_release(tmp_path / "data", 2, sample_extracts, dressed=True)
    secrets = secrets_of(settings)
    assert len(secrets) > 20_000
    searched = 0
    for path in sorted(settings.root.rglob("*")):
        raw = settings.restricted in path.parents or settings.snapshots in path.parents
        if path.is_file() and not path.is_symlink() and not raw:
            for name, content in texts_in(path):
                searched += 1
                found = secrets & tokens(content)
                assert not found, f"{name} of {path.name} holds {len(found)} of them"
    assert searched > 500
