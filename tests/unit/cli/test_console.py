"""What a terminal shows: of a run the step in words and a bar for each download, rows as a neat table."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

import flows.cli.console
from flows.cli.console import Display, print_rows
from flows.run import steps


def drawn(console: Console) -> str:
    """Return what has been written, without the terminal's own signs."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_each_download_has_a_bar_while_it_lasts() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={})
    with Display(console) as display, steps.listening(display):
        steps.step("fetch from StatBank")
        steps.transfer("statbank_folk1a", 1_500_000, 3_000_000)
        steps.transfer("statbank_ras200", 250_000, None)
        picture = drawn(console)  # at once: a quick download is over before the next drawing
        assert "fetch from StatBank" in picture
        assert re.search(r"statbank_folk1a ━+.*1\.5/3\.0 MB", picture)
        assert re.search(r"statbank_ras200 .*250\.0/\? kB", picture)
        steps.transfer("statbank_folk1a", 4_000_000, 3_000_000)  # more than the last time
        steps.transferred("statbank_ras200")
        display._live.refresh()
        after = drawn(console)[len(picture) :]
        assert "4.0/4.0 MB" in after
        assert "statbank_ras200" not in after.splitlines()[-1]
    steps.transfer("statbank_folk1a", 1, None)  # nobody listens any more
    assert "statbank_folk1a" not in drawn(console).splitlines()[-1]


@pytest.mark.long
def test_a_fetch_on_a_terminal_draws_its_downloads(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flows.cli.main", "fetch", "--only", "statbank_folk1a", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "COLUMNS": "120"}) as run:
        os.close(theirs)
        said = b""
        while block := _read(ours):
            said += block
    os.close(ours)
    assert run.returncode == 0
    text = said.decode()
    assert "fetch from StatBank" in text
    assert re.search(r"statbank_folk1a .*━.*B", text)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that nobody is at the other end any more
        return b""


def test_piped_ids_are_never_broken_over_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flows.cli.console, "out", Console(width=80))
    long = "employment_rate_descendants_non_western_pct_" + "x" * 200
    print_rows(
        [{"indicator_id": long, "value": Decimal("1.5"), "label": "a " * 100}], ["indicator_id", "value", "label"]
    )
    text = capsys.readouterr().out
    assert any(long in line and "1.5" in line and "a a a" in line for line in text.splitlines())
