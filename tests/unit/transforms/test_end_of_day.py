"""`--as-of`: a day is a Danish day, a moment without a zone is Danish time, one with a zone is that moment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.run import AsOfOption
from transforms.periods import end_of_day


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("2016-12-31", "2016-12-31T22:59:59.999999+00:00"),
        ("2016-07-01", "2016-07-01T21:59:59.999999+00:00"),
        ("2026-10-25", "2026-10-25T22:59:59.999999+00:00"),  # a day of 25 hours
        ("2016-07-01T12:00:00", "2016-07-01T10:00:00+00:00"),
        ("2016-12-31T12:00", "2016-12-31T11:00:00+00:00"),
        ("2016-07-01T12:00:00+02:00", "2016-07-01T10:00:00+00:00"),
        ("2016-07-01T12:00:00Z", "2016-07-01T12:00:00+00:00"),
        ("2016-07-01T00:00:00+02:00", "2016-06-30T22:00:00+00:00"),
        # A midnight that names no zone cannot be told from a plain date.
        ("2016-12-31T00:00:00", "2016-12-31T22:59:59.999999+00:00"),
    ],
)
def test_as_of_is_understood(given: str, understood: str) -> None:
    assert parsed(given) == datetime.fromisoformat(understood)


def parsed(text: str) -> datetime:
    """Return what a command makes of `--as-of TEXT`."""
    app, found = typer.Typer(), []

    @app.command()
    def look(as_of: AsOfOption = None) -> None:
        found.append(end_of_day(as_of))

    ended = CliRunner().invoke(app, ["--as-of", text])
    assert ended.exit_code == 0, ended.output
    (moment,) = found
    assert moment is not None
    assert moment.tzinfo is UTC
    return moment


def test_what_is_understood_is_understood_the_same_again() -> None:
    once = end_of_day(datetime(2016, 12, 31))
    assert end_of_day(once) == once
    assert end_of_day(None) is None
