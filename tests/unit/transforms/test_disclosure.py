from __future__ import annotations

import random
from math import inf
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import tables
from transforms.disclosure import (
    Gate,
    Key,
    Protected,
    Relation,
    audit,
    audit_difference,
    cells_of,
    cover,
    cover_registers,
    intervals,
    is_small,
    merged,
    propagate,
    relations_of,
    suppress,
)
from transforms.errors import DataRefused
from transforms.warehouse import Warehouse

Table = tuple[dict[Key, int], list[Relation]]


def two_way(counts: list[list[int]]) -> Table:
    """Return a table with row, column and grand totals (code T)."""
    rows, columns = [f"r{i}" for i in range(len(counts))], [f"c{j}" for j in range(len(counts[0]))]
    trees = [{"T": rows}, {"T": columns}]
    values: dict[Key, int] = {(r, c): counts[i][j] for i, r in enumerate(rows) for j, c in enumerate(columns)}
    values |= {(r, "T"): sum(counts[i]) for i, r in enumerate(rows)}
    values |= {("T", c): sum(row[j] for row in counts) for j, c in enumerate(columns)}
    values["T", "T"] = sum(map(sum, counts))
    return values, relations_of(trees, cells_of(trees))


def geography(rng: random.Random, regions: int = 3, municipalities: int = 5, groups: int = 3) -> Table:
    """Return country, regions and municipalities by sex-like groups with a total."""
    place = {"000": [f"08{r}" for r in range(regions)]}
    place |= {f"08{r}": [f"{r + 1}{m:02d}" for m in range(municipalities)] for r in range(regions)}
    trees = [place, {"TOT": [f"g{g}" for g in range(groups)]}]
    leaves = [code for codes in list(place.values())[1:] for code in codes]
    values: dict[Key, int] = {
        (a, f"g{g}"): rng.choice([0, 1, 2, 3, 4, 5, 8, 12, 40, 90]) for a in leaves for g in range(groups)
    }
    relations = relations_of(trees, cells_of(trees))

    def value(key: Key) -> int:
        if key not in values:
            values[key] = next(sum(value(part) for part in parts) for total, parts in relations if total == key)
        return values[key]

    for key in cells_of(trees):
        value(key)
    return values, relations


def assert_safe(values: dict[Key, int], relations: list[Relation], done: Protected, k: int = 5) -> None:
    assert all(done.published[key] is None for key, value in values.items() if is_small(value, k))
    assert all(value is None or value == values[key] for key, value in done.published.items())
    assert audit(done.published, relations, k, done.small) == []


def test_small_counts_are_hidden_and_zeros_are_not() -> None:
    values, relations = two_way([[3, 40, 0], [50, 60, 70], [80, 0, 90]])
    done = suppress(values, relations)
    assert done.published["r0", "c0"] is None
    assert (done.status(("r0", "c0")), done.status(("T", "T"))) == ("suppressed", "observed")
    zeros, all_relations = two_way([[0, 40], [50, 0]])
    shown = suppress(zeros, all_relations)
    assert shown.hidden == set()
    assert shown.status(("r0", "c0")) == "zero"
    assert_safe(values, relations, done)


def test_hiding_the_small_count_alone_is_what_the_audit_defeats() -> None:
    values, relations = two_way([[3, 40], [50, 60]])
    naive = {key: None if is_small(value) else value for key, value in values.items()}
    (exposure,) = audit(naive, relations)
    assert (exposure.key, exposure.lower, exposure.upper) == (("r0", "c0"), 3, 3)
    assert_safe(values, relations, suppress(values, relations))


def test_two_small_counts_in_a_row_do_not_cover_each_other() -> None:
    values, relations = two_way([[1, 2, 40], [50, 60, 70], [80, 90, 30]])
    naive = {key: None if is_small(value) else value for key, value in values.items()}
    naive["r1", "c0"] = naive["r1", "c1"] = None
    assert {exposure.upper for exposure in audit(naive, relations, sensitive=[("r0", "c0"), ("r0", "c1")])} == {3}
    assert_safe(values, relations, suppress(values, relations))


def test_a_square_of_hidden_cells_can_be_broken_only_by_the_exact_bounds() -> None:
    # Published: margins; hidden: a 2x2 block and a chain through the region total, found by LP, not by one relation.
    values, relations = two_way([[4, 20, 6], [20, 4, 6], [6, 6, 4]])
    done = suppress(values, relations)
    exact, quick = intervals(done.published, relations), propagate(done.published, relations)
    assert all(quick[key][0] <= low and high <= quick[key][1] for key, (low, high) in exact.items())
    assert_safe(values, relations, done)


@pytest.mark.parametrize("seed", range(12))
def test_hierarchical_geography_is_safe(seed: int) -> None:
    values, relations = geography(random.Random(seed))
    done = suppress(values, relations)
    assert_safe(values, relations, done)
    assert done.beyond_help == frozenset()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=5),
    st.integers(3, 6),
)
def test_no_table_with_margins_gives_a_small_count_away(counts: list[list[int]], k: int) -> None:
    values, relations = two_way(counts)
    assert_safe(values, relations, suppress(values, relations, k), k)


def test_the_attack_finds_every_single_hidden_cell_by_brute_force() -> None:
    """The exact bounds agree with trying all tables that fit what is published."""
    values, relations = two_way([[1, 4], [3, 5]])
    hidden = [("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")]
    published = {key: None if key in hidden else value for key, value in values.items()}
    fitting = [
        (a, 5 - a, 4 - a, 8 - (4 - a))
        for a in range(6)
        if min(a, 5 - a, 4 - a, 8 - (4 - a)) >= 0 and 5 - a + 4 + a == 9
    ]
    found = intervals(published, relations)
    for number, key in enumerate(hidden):
        column = [table[number] for table in fitting]
        assert found[key] == (min(column), max(column))


def test_an_earlier_release_counts_as_known() -> None:
    values, relations = two_way([[3, 40, 41], [50, 60, 70], [80, 90, 95]])
    first = suppress(values, relations)
    covers = first.hidden - first.small
    # A later release that hid other cells instead would give the small count away.
    other = suppress({**values}, relations, earlier={key: values[key] for key in covers})
    assert other.hidden - other.small != covers
    careless = {key: None if key in first.small else value for key, value in values.items()}
    joined = merged(first.published, careless)
    assert audit(joined, relations, sensitive=first.small)
    again = suppress(values, relations, earlier=first.published)
    assert audit(merged(first.published, again.published), relations, sensitive=again.small) == []
    assert again.beyond_help == frozenset()


@pytest.mark.parametrize("seed", range(6))
def test_a_second_release_after_revision_is_safe_beside_the_first(seed: int) -> None:
    rng = random.Random(seed)
    counts = [[rng.choice([1, 3, 6, 20, 33]) for _ in range(4)] for _ in range(4)]
    values, relations = two_way(counts)
    first = suppress(values, relations)
    second = suppress(values, relations, earlier=first.published)
    assert audit(merged(first.published, second.published), relations, sensitive=second.small) == []


def test_what_was_told_already_is_reported() -> None:
    values, relations = two_way([[3, 40], [50, 60]])
    done = suppress(values, relations, earlier=dict(values))
    assert done.beyond_help == {("r0", "c0")}
    assert done.published["r0", "c0"] is None


def test_the_difference_of_nested_populations_is_found() -> None:
    narrow: dict[Key, int | None] = {"840": 97, "730": 50, "411": None, "000": 900}
    wide: dict[Key, int | None] = {"840": 100, "730": 50, "411": 7, "000": 950}
    assert [(e.key, e.lower) for e in audit_difference(narrow, wide)] == [("840", 3)]


def test_a_table_that_does_not_add_up_is_refused() -> None:
    values, relations = two_way([[3, 40], [50, 60]])
    values["T", "T"] += 1
    with pytest.raises(DataRefused, match="not the sum"):
        suppress(values, relations)
    with pytest.raises(DataRefused, match="contradict"):
        intervals({**values, ("r0", "c0"): None, ("r0", "T"): 60}, relations)


def test_a_cell_outside_every_relation_is_unbounded() -> None:
    assert intervals({"a": None}, []) == {"a": (0.0, inf)}
    assert suppress({"a": 3, "b": 9}, []).hidden == {"a"}


# The gate.

gates = st.builds(
    Gate,
    threshold=st.integers(1, 60),
    minimum_denominator=st.integers(1, 60),
    rounding_base=st.integers(5, 20),
    secret=st.binary(max_size=8),
)


@settings(deadline=None, max_examples=60)
@given(gates, st.integers(0, 400), st.text(max_size=5), st.text(max_size=5))
def test_no_published_count_is_below_the_threshold(gate: Gate, count: int, figure: str, state: str) -> None:
    told = gate.rounded(figure, state, count)
    assert told is None or told == 0 or (told >= gate.threshold and told % gate.rounding_base == 0)
    assert told == gate.rounded(figure, state, count)
    if gate.threshold > gate.rounding_base:
        assert (told is None) == (count < gate.threshold)
    else:
        assert told is not None
        assert abs(told - count) < gate.rounding_base


@settings(deadline=None, max_examples=60)
@given(st.integers(5, 20), st.integers(0, 60))
def test_what_is_published_leaves_room_for_the_base_in_values(base: int, told_at: int) -> None:
    gate = Gate(5, 15, base, b"s")
    told = gate.rounded("figure", "state", told_at)
    possible = [
        count
        for count in range(told_at + 2 * base)
        if any(gate.rounded("figure", str(state), count) == told for state in range(200))
    ]
    assert len(possible) >= base


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4))
def test_small_counts_round_without_bias_and_say_nothing_of_themselves(count: int) -> None:
    gate = Gate(secret=b"s")
    told = [gate.rounded("figure", str(state), count) for state in range(4000)]
    assert set(told) == {0, 5}
    assert abs(sum(value or 0 for value in told) / len(told) - count) < 0.2


@settings(deadline=None, max_examples=60)
@given(gates, st.integers(0, 300), st.integers(0, 300))
def test_shares_are_made_of_what_is_published(gate: Gate, count: int, others: int) -> None:
    cell = gate.share("part", "state", count, count + others, "whole")
    whole = gate.count("whole", "state", count + others)
    assert cell.denominator == (None if whole.value is None else int(whole.value))
    if cell.value is None:
        assert cell.status == "suppressed"
        assert cell.numerator is None
    else:
        assert cell.numerator is not None
        assert cell.denominator is not None
        assert cell.denominator >= gate.least
        assert cell.value == 100 * cell.numerator / cell.denominator <= 100
        assert cell.status == ("observed" if cell.numerator else "estimated")
    if gate.threshold > gate.rounding_base and (count < gate.threshold or others < gate.threshold):
        assert cell.value is None


def test_another_state_draws_every_figure_anew() -> None:
    gate = Gate(secret=b"s")
    figures = [f"figure {number}" for number in range(500)]
    before, after = ([gate.rounded(figure, state, 32) for figure in figures] for state in ("before", "after"))
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    assert 0.35 < moved / len(figures) < 0.6  # 2 x 2/5 x 3/5


def test_the_draw_needs_the_secret() -> None:
    rounded = {
        tuple(Gate(secret=secret).rounded(f"figure {number}", "state", 32) for number in range(40))
        for secret in (b"a", b"b", b"c")
    }
    assert len(rounded) == 3


def test_model_figures_over_few_persons_are_withheld_whole() -> None:
    frame = pd.DataFrame(
        {
            "municipality_code": ["101", "151", "153", "155"],
            "n_count": pd.array([200, 9, pd.NA, 0], dtype="Int64"),
            "observed": pd.array([101.4321, 88.1234, pd.NA, pd.NA], dtype="Float64"),
            "rank_low": pd.array([3, 4, pd.NA, pd.NA], dtype="Int64"),
            "assessment": ["better", "as_expected", "too_small", pd.NA],
            "value_status": ["estimated", "estimated", "suppressed", "missing"],
        }
    )
    told = Gate(secret=b"s").estimates(frame, "weeks", {"101": "a", "151": "b"}, {"observed": 0})
    assert told["value_status"].tolist() == ["estimated", "suppressed", "suppressed", "missing"]
    assert told["observed"].tolist() == [101, pd.NA, pd.NA, pd.NA]
    assert told["n_count"].tolist() == [200, pd.NA, pd.NA, pd.NA]
    assert told["rank_low"].tolist() == [3, pd.NA, pd.NA, pd.NA]
    assert told["assessment"].tolist()[:3] == ["better", "too_small", "too_small"]


def test_what_protection_costs_is_counted_per_figure() -> None:
    gate = Gate(secret=b"s")
    gate.share("part:a", "state", 20, 40, "whole")
    gate.share("part:b", "state", 2, 4, "whole")
    cost = gate.costs["part"]
    assert (cost.cells, cost.withheld) == (2, 1)
    assert cost.error >= 0


# Cells a publisher has withheld.


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=12), st.data())
def test_what_the_publisher_withheld_is_covered(counts: list[int], data: st.DataObject) -> None:
    withheld = data.draw(st.sets(st.integers(0, len(counts) - 1), min_size=1, max_size=len(counts)))
    places = tuple(f"p{number}" for number in range(len(counts)))
    cells: dict[Key, float | None] = {
        place: None if number in withheld else float(count)
        for number, (place, count) in enumerate(zip(places, counts, strict=True))
    }
    cells["000"] = float(sum(counts))
    relations: list[Relation] = [("000", places)]
    hidden = cover(cells, relations)
    assert all(cells[key] is not None for key in hidden)
    assert "000" not in hidden
    left = {key: None if key in hidden else value for key, value in cells.items()}
    bounds = propagate(left, relations)
    unknown = [key for key, value in left.items() if value is None]
    if sum(counts) >= 5:  # else even hiding every part leaves a small total to share
        assert all(bounds[key][1] - bounds[key][0] >= 5 for key in unknown if key in places) or len(unknown) == len(
            places
        )
    assert cover(left, relations) == set() or len(unknown) == len(places)


def test_staging_cells_that_give_a_withheld_one_away_are_hidden(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "a.duckdb") as warehouse:
        tables.prepare(warehouse)
        tables.load_reference(warehouse)
        places = [row[0] for row in warehouse.rows("SELECT code FROM reference.areas WHERE level = 'municipality'")]
        rows = [(place, year, 10.0 + number) for year in ("2020", "2021") for number, place in enumerate(places)]
        rows += [("000", year, sum(10.0 + number for number in range(98))) for year in ("2020", "2021")]
        frame = pd.DataFrame(rows, columns=["area_code", "period", "value"]).assign(value_status="observed")
        alone = (frame["area_code"] == places[3]) & (frame["period"] == "2021")
        frame.loc[alone, ["value", "value_status"]] = [None, "suppressed"]
        warehouse.load("staging.counts", frame)
        shares = ["no_job_pct", "other_industry_pct", "same_firm_pct", "same_industry_pct", "completed_count"]
        parts = [(place, name, value) for place, values in (
            ("101", [80.0, None, 10.0, 5.0, 40.0]), ("147", [80.0, 5.0, 10.0, 5.0, 40.0]),
            ("151", [None, None, None, None, 3.0]), ("153", [0.0, None, 0.0, 0.0, 200.0]),
        ) for name, value in zip(shares, values, strict=True)]  # fmt: skip
        told = pd.DataFrame(parts, columns=["area_code", "measure_name", "value"])
        told["value_status"] = ["suppressed" if value != value else "observed" for value in told["value"]]
        warehouse.load("staging.jobindsats_y14d03", told)
        assert cover_registers(warehouse, ["staging.counts", "staging.jobindsats_y14d03"]) == 4
        assert warehouse.rows("SELECT count(*) FROM staging.counts WHERE value IS NULL AND period = '2021'") == [(2,)]
        gaps = dict(
            warehouse.rows(
                "SELECT area_code, count(*) - count(value) FROM staging.jobindsats_y14d03 "
                "WHERE measure_name <> 'completed_count' GROUP BY 1"
            )
        )
        assert gaps == {"101": 3, "147": 0, "151": 4, "153": 2}
        assert warehouse.rows(
            "SELECT count(*) FROM staging.counts WHERE value IS NULL AND value_status = 'observed'"
        ) == [(0,)]
        assert cover_registers(warehouse, ["staging.counts", "staging.jobindsats_y14d03"]) == 0
