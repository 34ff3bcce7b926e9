from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import comb, inf
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import tables
from transforms.disclosure import (
    Gate,
    Key,
    Relation,
    _area_margins,
    cover,
    cover_registers,
    exposed,
    exposed_registers,
    intervals,
    propagate,
)
from transforms.warehouse import Warehouse

# The gate.

gates = st.builds(
    Gate,
    threshold=st.integers(1, 60),
    minimum_denominator=st.integers(1, 60),
    rounding_base=st.sampled_from([5, 10, 15, 20, 50]),
    secret=st.binary(max_size=8),
)


@settings(deadline=None, max_examples=60)
@given(gates, st.integers(0, 400), st.text(max_size=5), st.text(max_size=5))
def test_no_published_count_is_below_the_threshold(gate: Gate, count: int, figure: str, state: str) -> None:
    told = gate.rounded(figure, state, count)
    assert told is None or told == 0 or (told >= gate.threshold and told % gate.rounding_base == 0)
    assert told == gate.rounded(figure, state, count)
    assert told is None or abs(told - count) < gate.rounding_base
    if gate.threshold > gate.rounding_base:
        assert (told is not None) <= (count >= gate.threshold)
        assert (told is None) <= (count < gate.threshold + 2 * gate.rounding_base)
    else:
        assert told is not None
    assert gate.is_few(figure, state, count) or count >= gate.threshold


@settings(deadline=None, max_examples=100)
@given(st.lists(gates, min_size=1, max_size=4), st.integers(0, 200), st.integers(0, 200), st.text(max_size=5))
def test_releases_of_any_settings_tell_no_more_than_the_number_rounded_to_five(
    releases: list[Gate], one: int, other: int, figure: str
) -> None:
    """Threshold, minimum denominator and base may be changed as often as one likes: the exact count decides nothing."""
    told = [replace(gate, secret=b"s") for gate in releases]
    if Gate(secret=b"s").rounded(figure, "state", one) == Gate(secret=b"s").rounded(figure, "state", other):
        for gate in told:
            assert gate.rounded(figure, "state", one) == gate.rounded(figure, "state", other)
            assert gate.is_few(figure, "state", one) == gate.is_few(figure, "state", other)
            assert gate.count(figure, "state", one) == gate.count(figure, "state", other)


@pytest.mark.long
@settings(deadline=None, max_examples=60)
@given(st.sampled_from([5, 10, 15, 20]), st.integers(0, 60))
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


def test_a_row_without_a_figure_tells_no_exact_number_of_persons_either() -> None:
    """Nobody followed long enough: the model has no figure, the number of persons is there all the same."""
    frame = pd.DataFrame(
        {
            "municipality_code": ["101", "151", "153"],
            "n_count": pd.array([7, 203, 61], dtype="Int64"),
            "value_status": ["missing", "missing", "estimated"],
            "assessment": [pd.NA, pd.NA, "as_expected"],
            **{name: pd.array([pd.NA, pd.NA, 40.0], dtype="Float64") for name in ("observed", "expected")},
            **{
                name: pd.array([pd.NA, pd.NA, 1.0], dtype="Float64")
                for name in ("difference", "standard_error", "single_low", "single_high")
            },
        }
    )
    gate, states = Gate(secret=b"s"), {"101": "a", "151": "b", "153": "c"}
    shares = gate.estimated_shares(frame, "within_a_year", states, "weeks: persons")
    weeks = gate.estimates(frame, "weeks", states, {"observed": 0})
    for told in (shares, weeks):
        assert told["value_status"].tolist() == ["suppressed", "missing", "estimated"]
        assert told["n_count"].isna().tolist() == [True, False, False]
        assert [n % 5 for n in told["n_count"].dropna()] == [0, 0]
    assert shares["n_count"].equals(weeks["n_count"])
    assert gate.costs["within_a_year"].cells == 2


def test_what_protection_costs_is_counted_per_figure() -> None:
    gate = Gate(secret=b"s")
    gate.share("part:a", "state", 20, 40, "whole")
    gate.share("part:b", "state", 2, 4, "whole")
    cost = gate.costs["part"]
    assert (cost.cells, cost.withheld) == (2, 1)
    assert cost.error >= 0


@settings(deadline=None, max_examples=60)
@given(st.integers(15, 400), st.floats(0, 100))
def test_a_models_share_is_made_of_rounded_numbers_of_persons(n: int, observed: float) -> None:
    frame = pd.DataFrame(
        {
            "municipality_code": ["101"], "n_count": pd.array([n], dtype="Int64"), "observed": [observed],
            "expected": [40.4], "difference": [observed - 40.4], "standard_error": [3.3], "single_low": [0.0],
            "single_high": [0.0], "value_status": ["estimated"],
        }
    ).astype(dict.fromkeys(["observed", "expected", "difference", "standard_error"], "Float64"))  # fmt: skip
    gate = Gate(secret=b"s")
    told = gate.estimated_shares(frame, "in job", {"101": "0"}, "persons").iloc[0]
    if told["value_status"] == "suppressed":
        assert told[["observed", "expected", "difference", "n_count"]].isna().all()
        assert (gate.rounded("persons", "0", n) or 0) < gate.least
        return
    assert told["n_count"] % 5 == 0
    assert abs(told["observed"] * told["n_count"] / 500 - round(told["observed"] * told["n_count"] / 500)) < 1e-9
    assert told["expected"] == 40
    assert told["difference"] == told["observed"] - 40
    assert told["standard_error"] >= 3
    assert told["single_low"] < told["difference"] < told["single_high"]
    assert gate.costs["in job"].cells == 1


def test_the_mean_of_many_releases_is_not_the_count() -> None:
    """An attacker who has thirty releases of a count that stays the same, and every likelihood of the method."""
    from flows.deliveries.store import DRAWS

    gate = Gate(secret=b"s")
    right, known, tried = 0, 0, 0
    for place in range(500):
        for count in range(1, 5):
            told = {turn: gate.rounded("figure", f"{place}:{turn % DRAWS}", count) for turn in range(30)}
            assert len({told[turn] for turn in range(0, 30, DRAWS)}) == 1
            ups = sum(told[turn] == 5 for turn in range(DRAWS))
            fits = {k: comb(DRAWS, ups) * (k / 5) ** ups * (1 - k / 5) ** (DRAWS - ups) for k in range(5)}
            best = max(fits, key=lambda k: fits[k])
            right += best == count
            known += sum(fit > 0 for fit in fits.values()) < 4
            tried += 1
    assert known == 0
    assert right < 0.5 * tried


# Cells a publisher has withheld.

Table = tuple[dict[Key, int], list[Relation]]


def two_way(counts: list[list[int]]) -> Table:
    """Return a table of rows and columns with both margins."""
    values: dict[Key, int] = {(r, c): count for r, row in enumerate(counts) for c, count in enumerate(row)}
    rows, columns = range(len(counts)), range(len(counts[0]))
    values |= {(r, "all"): sum(counts[r]) for r in rows}
    values |= {("all", c): sum(row[c] for row in counts) for c in columns}
    values["all", "all"] = sum(map(sum, counts))
    relations: list[Relation] = [((r, "all"), tuple((r, c) for c in columns)) for r in [*rows, "all"]]
    relations += [(("all", c), tuple((r, c) for r in rows)) for c in [*columns, "all"]]
    return values, relations


def hierarchy(counts: list[list[int]]) -> Table:
    """Return municipalities in regions in a country."""
    values: dict[Key, int] = {f"{r}.{m}": count for r, row in enumerate(counts) for m, count in enumerate(row)}
    values |= {f"{r}": sum(row) for r, row in enumerate(counts)} | {"all": sum(map(sum, counts))}
    relations: list[Relation] = [(f"{r}", tuple(f"{r}.{m}" for m in range(len(row)))) for r, row in enumerate(counts)]
    return values, [*relations, ("all", tuple(f"{r}" for r in range(len(counts))))]


def withheld_by_publisher(values: dict[Key, int]) -> dict[Key, float | None]:
    return {key: None if 0 < count < 5 else float(count) for key, count in values.items()}


def assert_covered(values: dict[Key, int], relations: list[Relation], kept: set[Key]) -> None:
    published = withheld_by_publisher(values)
    withheld = {key for key, value in published.items() if value is None}
    added, helpless = cover(published, relations, 5, kept)
    assert not added & (withheld | kept)
    left = {key: None if key in added else value for key, value in published.items()}
    found = intervals(left, relations, withheld)
    for key in withheld:
        low, high = found.get(key, (0.0, inf))
        assert low <= values[key] <= high
        assert high - low >= 5 or key in helpless, f"{key} is known to {low}-{high}"
    if helpless:  # nothing beside them is left to hide
        groups = [{total, *parts} for total, parts in relations if helpless & {total, *parts}]
        assert all(left[cell] is None or cell in kept for group in groups for cell in group)


grids = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 12), min_size=width, max_size=width), min_size=2, max_size=5)
)


@pytest.mark.long
@settings(max_examples=80, deadline=None)
@given(grids)
def test_no_withheld_cell_of_a_two_way_table_is_known_from_its_margins(counts: list[list[int]]) -> None:
    assert_covered(*two_way(counts), {("all", "all")})


@settings(max_examples=80, deadline=None)
@given(grids)
def test_no_withheld_cell_of_a_hierarchy_is_known_from_its_margins(counts: list[list[int]]) -> None:
    assert_covered(*hierarchy(counts), {"all"})


def test_a_square_of_hidden_cells_can_be_broken_only_by_the_exact_bounds() -> None:
    values, relations = two_way([[1, 4, 20], [4, 9, 20], [20, 20, 20]])
    hidden = {(0, 0), (0, 1), (1, 0), (1, 1)}
    published = {key: None if key in hidden else float(value) for key, value in values.items()}
    assert set(exposed(published, relations, 6, hidden)) == hidden
    assert exposed(published, relations, 5, hidden) == []


@pytest.mark.long
def test_the_bounds_are_those_of_every_table_that_fits() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        values, relations = two_way([[rng.randrange(4) for _ in range(3)] for _ in range(2)])
        hidden = set(rng.sample([(r, c) for r in range(2) for c in range(3)], 4))
        published = {key: None if key in hidden else float(value) for key, value in values.items()}
        possible: dict[Key, set[int]] = {key: set() for key in hidden}
        cells = sorted(hidden)
        for number in range(10 ** len(cells)):
            guess = dict(zip(cells, map(int, f"{number:0{len(cells)}d}"), strict=True))
            full = {key: guess.get(key, value) for key, value in values.items()}  # type: ignore[call-overload]
            if all(full[total] == sum(full[part] for part in parts) for total, parts in relations):
                for key in hidden:
                    possible[key].add(full[key])
        for key, (low, high) in intervals(published, relations, hidden).items():
            assert (low, high) == (min(possible[key]), max(possible[key]))


def test_a_cell_outside_every_relation_is_unbounded() -> None:
    assert propagate({"a": None}, []) == {"a": (0.0, inf)}
    assert exposed({"a": None}, [], 5, ["a"]) == []


def test_a_total_that_is_not_the_sum_of_its_parts_stops_nothing() -> None:
    values, relations = two_way([[1, 7], [8, 9]])
    published = withheld_by_publisher(values) | {(0, "all"): 3.0}
    cover(published, relations, 5)


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
        told = {"staging.counts": {}, "staging.jobindsats_y14d03": {}}
        covered = cover_registers(warehouse, told)
        assert covered.hidden == 4
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
        assert exposed_registers(warehouse, told, covered) == []
        assert cover_registers(warehouse, told).hidden == 0


def areas_table(warehouse: Warehouse, seed: int) -> pd.DataFrame:
    """Return counts by area, kind and year that add up over areas and kinds, small ones withheld."""
    rng = random.Random(seed)
    areas = warehouse.rows(
        "SELECT code, region_code, province_code FROM reference.areas WHERE level = 'municipality' ORDER BY 1"
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    for code, region, province in areas:
        for year in ("2020", "2021"):
            for kind in ("a", "b"):
                count = rng.choice([0, 2, 7, 30, 400])
                for area in (code, region, province, "000"):
                    for each in (kind, "TOT"):
                        counts[area, each, year] += count
    rows = [(*key, float(count)) for key, count in sorted(counts.items())]
    frame = pd.DataFrame(rows, columns=["area_code", "kind_code", "period", "value"])
    small = frame["value"].between(1, 4)
    frame["value_status"] = small.map({True: "suppressed", False: "observed"})
    return frame.assign(value=frame["value"].mask(small))


@pytest.mark.long
def test_regions_provinces_and_totals_by_kind_give_no_municipality_away(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "a.duckdb") as warehouse:
        tables.prepare(warehouse)
        tables.load_reference(warehouse)
        frame = areas_table(warehouse, 0)
        warehouse.load("staging.kinds", frame)
        totals = {"staging.kinds": {"kind_code": "TOT"}}
        covered = cover_registers(warehouse, totals)
        assert covered.hidden > 50
        assert sum(map(len, covered.cells.values())) > 30
        assert exposed_registers(warehouse, totals, covered) == []
        told = warehouse.frame("SELECT * FROM staging.kinds ORDER BY ALL")
        assert told.loc[told["area_code"] == "000", "value"].notna().all()
        # Whoever shows again what was hidden beside the withheld cells is found.
        warehouse.load("shown", frame[frame["value_status"] == "observed"])
        warehouse.execute(
            "UPDATE staging.kinds AS told SET value = shown.value FROM shown WHERE told.area_code = shown.area_code "
            "AND told.kind_code = shown.kind_code AND told.period = shown.period"
        )
        assert len(exposed_registers(warehouse, totals, covered)) > 10


def test_a_region_that_is_not_the_sum_of_its_municipalities_is_no_margin(tmp_path: Path) -> None:
    """What does not add up gives nobody away and covers nobody: the other regions stay margins, each of its own."""
    with Warehouse.open(tmp_path / "a.duckdb") as warehouse:
        tables.prepare(warehouse)
        tables.load_reference(warehouse)
        frame = areas_table(warehouse, 1).fillna({"value": 2.0})
        keys = ["area_code", "kind_code", "period"]
        whole = {margin[1]: margin[2] for margin in _area_margins(warehouse, frame, keys)}
        assert {"000", "081", "082", "083", "084", "085", "11"} <= whole.keys()
        other = frame.assign(value=frame["value"] * frame["area_code"].map({"081": 2.0}).fillna(1.0))
        left = {margin[1]: margin[2] for margin in _area_margins(warehouse, other, keys)}
        assert "081" not in left
        # The country is told by its municipalities where it is no sum of its regions any more.
        assert set(left["000"]) != {"081", "082", "083", "084", "085"}
        assert {area: parts for area, parts in left.items() if area != "000"} == {
            area: parts for area, parts in whole.items() if area not in ("000", "081")
        }
