"""An extract that is an earlier one again, byte for byte, is told: what the publisher had corrected is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.run.build import brought_back
from flows.store.snapshots import SnapshotStore

SOURCE = "statbank_folk1am"


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (["a", "b", "a"], True),
        (["a", "b", "c", "a"], True),
        (["a", "b", "c"], False),
        (["a", "b"], False),
        (["a"], False),
    ],
)
def test_an_extract_from_before_the_last_is_told(tmp_path: Path, contents: list[str], told: bool) -> None:
    store = SnapshotStore(tmp_path / "snapshots")
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.csv"
        path.write_text(content, encoding="utf-8")
        store.add(SOURCE, {"data.csv": (path, "csv")}, origin="live", synthetic=False, query={})
    *earlier, newest = store.of(SOURCE)
    assert len(earlier) == len(contents) - 1
    found = brought_back(newest, earlier[::-1])
    assert bool(found) == told
    if told:
        (outcome,) = found
        assert (outcome.rule_id, outcome.severity, outcome.success) == ("correction_reverted", "warning", False)
        assert earlier[0].id in outcome.examples[0]
