from __future__ import annotations

import random
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.disclosure import (
    Key,
    Protected,
    Relation,
    audit,
    audit_difference,
    cells_of,
    intervals,
    is_small,
    merged,
    propagate,
    relations_of,
    round_to,
    safe_rate,
    suppress,
)
from transforms.errors import DataRefused

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


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (10, 40, (25.0, "observed")),
        (0, 40, (0.0, "zero")),
        (40, 40, (100.0, "observed")),
        (3, 40, (None, "suppressed")),
        (38, 40, (None, "suppressed")),
        (10, 19, (None, "suppressed")),
        (None, 40, (None, "suppressed")),
        (10, None, (None, "suppressed")),
    ],
)
def test_rates(numerator: int | None, denominator: int | None, expected: tuple[float | None, str]) -> None:
    assert safe_rate(numerator, denominator) == expected


def test_rounding_is_to_the_nearest_multiple() -> None:
    assert [round_to(n) for n in (0, 1, 2, 3, 7, 8, 12, 13)] == [0, 0, 0, 5, 5, 10, 10, 15]
    assert [round_to(n, 10) for n in (4, 5, 14, 15)] == [0, 10, 10, 20]
