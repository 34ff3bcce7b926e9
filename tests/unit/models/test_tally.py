"""Cells and their order against a plain count of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from transforms.statistics.tally import added, grouped, tally


@pytest.mark.parametrize(
    ("count", "kind"), [(256, np.uint8), (257, np.uint16), (65_536, np.uint16), (65_537, np.uint32)]
)
def test_a_place_takes_as_few_bytes_as_the_levels_allow(count: int, kind: type[np.unsignedinteger]) -> None:
    """Numbers from 10,000 on, which are no places themselves, and small ones, which are."""
    for first in (10_000, 0):
        if first + count > 4096 and not first:
            continue
        told = tally(pd.DataFrame({"a": np.arange(first, first + count)}), ["a"])
        assert told.codes["a"].dtype == kind
        assert told.values("a").tolist() == list(range(first, first + count))


def test_a_new_column_of_small_numbers_has_a_level_for_each_up_to_the_largest() -> None:
    one = tally(pd.DataFrame({"a": np.arange(300)}), ["a"]).with_columns({"b": np.arange(300) % 256})
    assert one.levels["b"] == tuple(range(256))
    assert one.codes["b"].dtype == np.uint8
    assert one.with_columns({"c": np.where(np.arange(300) > 9, "y", "x")}).levels["c"] == ("x", "y")


@pytest.mark.parametrize("values", [[-3, 2, 2, 0], [5000, 2, 4096, 4095], [True, False, True], [1.5, np.nan, -2.0],
                                    ["b", None, "a"], [2, 3, True, None]])  # fmt: skip
def test_any_column_is_counted_in_the_order_of_its_values(values: list[object]) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype="object" if len({type(v) for v in values}) > 2 else None)})
    told = tally(pd.concat([frame, frame.iloc[:1]]), ["a"])
    known = sorted(value for value in set(values) if value is not None and value == value)
    out = told.values("a").tolist()
    assert out[: len(known)] == known
    assert len(out) == len({repr(value) for value in values})
    again = dict(zip(map(repr, out), told.count.tolist(), strict=True))
    assert again == {repr(v): values.count(v) + (i == 0) for i, v in reversed(list(enumerate(values)))}


def test_cells_lie_in_the_order_of_their_columns_however_many_there_are() -> None:
    """Forty columns of up to 2,000 levels: more than one machine word can hold, against NumPy's own order of rows."""
    rng = np.random.default_rng(5)
    levels = [2, 1, 2000, 3, 300, 7, 2, 2] * 5
    rows = np.column_stack([rng.integers(0, min(count, 3), 400) * (count // 3 or 1) for count in levels])
    rows[:, 20:] = rows[rng.integers(0, 4, 400), 20:]
    rows[200:] = rows[rng.integers(0, 200, 200)]
    rows %= np.array(levels)
    order, new = grouped(((rows[:, j].astype(np.uint16), count) for j, count in enumerate(levels)), 400)
    expected, counted = np.unique(rows, axis=0, return_counts=True)
    np.testing.assert_array_equal(rows[order][new], expected)
    np.testing.assert_array_equal(np.diff([*new, 400]), counted)


def test_two_words_are_in_the_order_of_the_first() -> None:
    """A word holds values below 2^63: columns of 2^32 and 2^31 values fill one, the third column needs another."""
    columns = [(np.array([1, 0, 1, 0]), 2**32), (np.array([0, 2**31 - 1, 0, 5]), 2**31), (np.array([1, 0, 0, 9]), 10)]
    order, new = grouped([(codes.astype(np.uint64).astype(np.uint32), count) for codes, count in columns], 4)
    assert order.tolist() == [3, 1, 2, 0]
    assert new.tolist() == [0, 1, 2, 3]


def test_counts_by_level_and_parts_add_up() -> None:
    frame = pd.DataFrame({"code": ["b", "a", "b", "c", "b"], "n": [1, 2, 1, 4, 7]})
    told = tally(frame, ["code", "n"])
    assert dict(zip(told.levels["code"], told.by("code").tolist(), strict=True)) == Counter(frame["code"])
    parts = [part.frame().to_dict("list") for part in told.where(told.values("code") != "a").parts("code")]
    assert parts == [{"code": ["b", "b"], "n": [1, 7], "count": [2, 1]}, {"code": ["c"], "n": [4], "count": [1]}]
    assert tally(frame, ["code"], frame["n"].to_numpy()).count.tolist() == [2, 9, 4]


def test_a_renamed_column_keeps_its_place_and_levels_that_fall_together_are_one_when_added() -> None:
    told = tally(pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "z"]}), ["a", "b"])
    renamed = told.renamed("b", "c", {"x": "other", "y": "other", "z": "z"}.get)
    assert list(renamed.levels) == ["a", "c"]
    assert added([renamed]).frame().to_dict("list") == {"a": [1, 2], "c": ["other", "z"], "count": [2, 1]}
    assert renamed.only(["c"]).with_columns({"d": np.array([1.5, 2.5, np.nan])}).frame()["d"].tolist()[:2] == [1.5, 2.5]


def test_nothing_is_counted_of_nobody() -> None:
    nobody = tally(pd.DataFrame({"a": pd.Series(dtype="object"), "b": pd.Series(dtype="int64")}), ["a", "b"])
    assert len(nobody) == len(added([nobody, nobody])) == 0
    assert added([nobody, tally(pd.DataFrame({"a": ["x"], "b": [2]}), ["a", "b"])]).frame()["count"].tolist() == [1]
