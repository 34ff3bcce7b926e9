"""A stand-in started by hand serves the sample; live data that turn out invented are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.run.fetch import fetch, statbank_base
from flows.sample.standin import running_standin
from flows.settings import Settings
from flows.store.snapshots import SnapshotStore
from tests.unit.connectors.statbank.statbank_fakes import FakeCubes, small_catalogue
from transforms.errors import UsageError


@pytest.fixture
def standin() -> Iterator[str]:
    with running_standin(FakeCubes(), small_catalogue()) as base:
        yield base


def test_the_sample_is_fetched_from_the_stand_in_that_runs(standin: str, tmp_path: Path) -> None:
    ours = Settings(data=tmp_path / "data", sample_url=standin)
    with statbank_base(ours, small_catalogue(), "sample") as base:
        assert base == standin
    report = fetch(ours, small_catalogue(), "sample", ["statbank_ras200"])
    assert report.new == ["statbank_ras200"]
    assert fetch(ours, small_catalogue(), "sample", ["statbank_ras200"]).unchanged == ["statbank_ras200"]
    (snapshot,) = SnapshotStore(ours.snapshots).of("statbank_ras200")
    assert (snapshot.manifest.origin, snapshot.manifest.synthetic) == ("sample", True)


def test_live_does_not_take_invented_answers(standin: str, tmp_path: Path) -> None:
    ours = Settings(data=tmp_path / "data", statbank_url=standin)
    with pytest.raises(UsageError) as refused:
        fetch(ours, small_catalogue(), "live", ["statbank_ras200"])
    sentence = str(refused.value)
    assert f"{standin} answers with synthetic data" in sentence
    assert f"KOMMUNEKORT_SAMPLE_URL={standin}" in sentence
    assert "--from sample" in sentence
    assert SnapshotStore(ours.snapshots).newest("statbank_ras200", synthetic=False) is None


def test_live_without_a_token_does_not_count_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transforms.catalogue import load_catalogue

    ours = Settings(data=tmp_path / "data", jobindsats_token=None)
    catalogue = load_catalogue()
    source = next(s.id for s in catalogue.sources.values() if s.connector == "jobindsats")
    report = fetch(ours, catalogue, "live", [source])
    assert (report.missing, report.unasked, report.failed) == ([source], [source], {})
    file = tmp_path / "x.json"
    file.write_text("{}", encoding="utf-8")
    SnapshotStore(ours.snapshots).add(source, {"x.json": (file, "json")}, origin="live", synthetic=False)
    later = fetch(ours, catalogue, "live", [source])
    assert (later.unasked, set(later.failed)) == ([], {source}), "a token that was taken away freezes a source"
