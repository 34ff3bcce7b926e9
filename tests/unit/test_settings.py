from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.console import settings_from
from flows.settings import Settings
from transforms.errors import UsageError


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
