from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings, settings_from
from transforms.errors import UsageError
from transforms.warehouse import Warehouse


@pytest.mark.parametrize("name", ["DROP_FOLDER", "SUPPRESSION_THRESHOLD", "DATA", "SAMPLE_VINTAGE", "CONTACT"])
def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = Settings()
    monkeypatch.setenv(f"KOMMUNEKORT_{name}", "")
    assert Settings() == before


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KOMMUNEKORT_SUPRESSION_THRESHOLD", "KOMMUNEKORT_SUPPRESSION_THRESHOLD"),
        ("KOMMUNEKORT_DROPFOLDER", "KOMMUNEKORT_DROP_FOLDER"),
        ("kommunekort_dta", "KOMMUNEKORT_DATA"),
        ("KOMMUNEKORT_KEYFILE", "KOMMUNEKORT_KEY_FILE"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UsageError, match=f"^{name}: no such setting; did you mean {meant}\\?$"):
        settings_from(None)


def test_a_variable_like_none_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMMUNEKORT_XYZZY", "1")
    with pytest.raises(UsageError, match="no such setting"):
        Settings()


def test_every_setting_can_be_set_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("kommunekort_threads", "3")
    monkeypatch.setenv("KOMMUNEKORT_DATA", "/tmp/x")
    assert (Settings().threads, Settings().data) == (3, Path("/tmp/x"))


@pytest.mark.parametrize("limit", ["lots", "2", "-1GB", "0GB", "2 GB of it", "GB", "80%"])
def test_a_memory_limit_is_a_number_and_a_unit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("KOMMUNEKORT_MEMORY_LIMIT", limit)
    with pytest.raises(UsageError, match=r"^KOMMUNEKORT_MEMORY_LIMIT: .* such as 2GB or 800MB"):
        settings_from(None)


@pytest.mark.parametrize("limit", ["2GB", "800MB", "1.5 GiB", "3TB"])
def test_every_memory_limit_that_is_let_through_is_one_to_duckdb(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("KOMMUNEKORT_MEMORY_LIMIT", limit)
    with Warehouse.open(memory_limit=settings_from(None).memory_limit) as warehouse:
        assert warehouse.scalar("SELECT 1") == 1


@pytest.mark.parametrize("name", ["data?", "d\udce6ta"])
def test_a_data_folder_is_one_duckdb_can_write_below(tmp_path: Path, name: str) -> None:
    """It would write its log beside a folder with a question mark, at what stands before the mark."""
    with pytest.raises(UsageError, match=r"wants plain text, not a name with a question mark; take another$"):
        _ = Settings(data=tmp_path / name).root
