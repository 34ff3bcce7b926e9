"""The property that history does not matter, and the count of faults; `tests.faults.report` proves the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.history import replay_equals_increments
from tests.faults.tally import Tally, table

ARRIVAL = st.tuples(st.integers(0, 2), st.integers(0, 3))


@pytest.mark.long
@pytest.mark.usefixtures("in_a_hurry")
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=st.lists(ARRIVAL, min_size=1, max_size=5), builds=st.sets(st.integers(0, 4), max_size=2))
def test_increments_equal_a_rebuild(
    few_extracts: Path, tmp_path: Path, arrivals: list[tuple[int, int]], builds: set[int]
) -> None:
    assert replay_equals_increments(tmp_path, few_extracts, arrivals, builds)


def test_a_tally_that_saw_nothing_proves_nothing() -> None:
    tally = Tally("quiet")
    assert not tally.holds
    tally.survive(2.5)
    assert tally.holds
    tally.fail("lost", rows=3)
    assert not tally.holds
    lines = table([tally]).splitlines()
    assert lines[2].split() == ["quiet", "2", "1", "3", "0", "2.5"]
    assert lines[-1] == "quiet: lost"
