"""Counts of persons add up to the same bytes, however the persons are put into buckets."""

from __future__ import annotations

import os
import pickle
from dataclasses import fields, replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.test_spells import UNTIL
from transforms.models.persons import PersonCounts, PersonRows, add_counts, counts_of
from transforms.statistics.tally import Tally, added, tally

METHODS = ["mentor", "igu", "placement_private", "danish", "other"]
CODES = ["101", "147", "751"]
PERSONS = 60
SCALE = int(os.environ.get("BUCKET_EXAMPLES", "1"))
"""Times as many worlds are tried."""


def bytes_of(counts: PersonCounts) -> bytes:
    """Return everything counts hold, to the type of every array."""
    return pickle.dumps([state_of(getattr(counts, each.name)) for each in fields(counts)])


def state_of(cells: Tally) -> tuple[object, ...]:
    told = [(name, repr(levels), cells.codes[name].dtype.str, cells.codes[name].tobytes())
            for name, levels in cells.levels.items()]  # fmt: skip
    return told, cells.count.dtype.str, cells.count.tobytes()


def world(seed: int, persons: int = PERSONS) -> PersonRows:
    """Return invented persons, some in two municipalities, with measures and jobs, much of it unknown."""
    rng = np.random.default_rng(seed)

    def maybe(values: list[object], size: int) -> pd.Series:
        return pd.Series(rng.choice(np.array([*values, None], dtype=object), size), dtype="object")

    def days(size: int, first: str = "2009-01-01", span: int = 2900) -> pd.Series:
        return pd.Series(pd.Timestamp(first) + pd.to_timedelta(rng.integers(0, span, size), "D"))

    rows = persons + persons // 5
    who = [f"{i:032x}" for i in [*range(persons), *range(persons // 5)]]
    permit = days(rows)
    cases = pd.DataFrame(
        {
            "person_id": who, "municipality_code": rng.choice(CODES, rows), "permit_date": permit,
            "takeover_date": permit + pd.to_timedelta(rng.integers(0, 400, rows), "D"),
            "end_date": days(rows, "2012-01-01").where(rng.random(rows) < 0.2),
            "end_reason_code": maybe(["left_denmark", "employed"], rows), "sex_code": maybe(["M", "K"], rows),
            "age_at_permit_years": rng.integers(15, 70, rows), "education_code": maybe(["none", "higher"], rows),
            "residence_basis_code": maybe(["asylum", "family_other"], rows),
            "danish_track_code": maybe(["du1", "du2"], rows), "match_category_code": maybe(["job_ready"], rows),
            "has_partner": maybe([True, False], rows), "children_count": rng.integers(0, 3, rows),
            "origin_country_code": maybe(list("ABCDEFGHIJKL"), rows),
        }
    ).drop_duplicates(["person_id", "municipality_code"], ignore_index=True)  # fmt: skip
    size = 3 * persons
    start = days(size)
    measures = pd.DataFrame(
        {
            "person_id": rng.choice(who, size), "municipality_code": rng.choice(CODES, size),
            "measure_kind_code": rng.choice(METHODS, size), "start_date": start,
            "end_date": (start + pd.to_timedelta(rng.integers(0, 200, size), "D")).where(rng.random(size) < 0.8),
            "industry_code": maybe(["561010", "011100", "471110"], size),
        }
    )  # fmt: skip
    start = days(size)
    employment = pd.DataFrame(
        {
            "person_id": rng.choice(who, size), "municipality_code": rng.choice(CODES, size), "start_date": start,
            "end_date": (start + pd.to_timedelta(rng.integers(0, 400, size), "D")).where(rng.random(size) < 0.7),
            "is_subsidised": rng.random(size) < 0.2,
        }
    )  # fmt: skip
    untils = {"101": UNTIL, "147": date(2016, 9, 30), "751": UNTIL}
    return PersonRows(cases, measures, employment, UNTIL, untils, {"101": "joint", "147": "joint"})


def buckets(rows: PersonRows, number: int, seed: int) -> list[PersonRows]:
    """Return the rows in so many buckets of whole persons, some of them empty."""
    rng = np.random.default_rng(seed)
    bucket = {person: int(rng.integers(number)) for person in sorted(set(rows.cases["person_id"]))}
    return [
        replace(
            rows,
            **{
                name: frame[frame["person_id"].map(bucket) == place].reset_index(drop=True)
                for name in ("cases", "measures", "employment")
                for frame in [getattr(rows, name)]
            },
        )
        for place in range(number)
    ]


@settings(deadline=None, max_examples=3 * SCALE)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 7]))
def test_counts_are_the_same_bytes_over_any_number_of_buckets(seed: int, number: int) -> None:
    rows = world(seed)
    whole = add_counts([counts_of(rows)])
    parts = [counts_of(part) for part in buckets(rows, number, seed)]
    assert bytes_of(add_counts(parts)) == bytes_of(whole)
    assert bytes_of(add_counts([add_counts(parts[:3]), *parts[3:]][::-1])) == bytes_of(whole)
    assert whole.histories.count.sum() > 0
    assert any(name.startswith("took ") for name in whole.histories.levels)


@pytest.mark.long
def test_counts_are_the_same_bytes_over_sixty_four_buckets_of_which_many_are_empty() -> None:
    rows = world(1, 40)
    parts = [counts_of(part) for part in buckets(rows, 64, 2)]
    assert any(not len(part.cases) for part in parts)
    assert bytes_of(add_counts(parts)) == bytes_of(add_counts([counts_of(rows)]))


VALUES = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 3), st.sampled_from([0.5, 2.0, 9.0])))


@given(VALUES, VALUES)
def test_a_sum_of_tallies_counts_what_both_count(
    one: list[tuple[object, ...]], other: list[tuple[object, ...]]
) -> None:
    names = ["text", "whole", "number"]
    frames = [pd.DataFrame(rows, columns=names) for rows in (one, other)]
    parts = [tally(frame, names) for frame in frames]
    together = tally(pd.concat(frames, ignore_index=True), names)
    assert state_of(added(parts)) == state_of(added(parts[::-1])) == state_of(together)
    assert together.count.sum() == len(one) + len(other)
    counted: dict[tuple[object, ...], int] = {}
    for row in [*one, *other]:
        counted[row] = counted.get(row, 0) + 1
    told = {row[:3]: row[3] for row in zip(*(together.values(n) for n in names), together.count, strict=True)}
    assert told == counted


def test_many_levels_and_a_column_that_one_part_lacks() -> None:
    many = tally(pd.DataFrame({f"c{i}": np.arange(300) for i in range(12)}), [f"c{i}" for i in range(12)])
    assert len(many) == 300
    assert many.codes["c0"].dtype == np.uint16
    less = tally(pd.DataFrame({"a": ["x", "y"]}), ["a"])
    more = tally(pd.DataFrame({"a": ["y"], "b": [3]}), ["a", "b"])
    assert added([less, more]).frame().to_dict("list") == {"a": ["x", "y", "y"], "b": [None, 3, None], "count": [1] * 3}
