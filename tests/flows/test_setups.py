"""The nightly set-ups of `flows/orchestration/README.md` are run as written, where namespaces are allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("unshare", "mount", "ip", "useradd", "setpriv")
PRIVATE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.mark.long
@pytest.mark.parametrize("setup", ["units", "cron", "timer", "serve", "worker"])
def test_a_setup_runs_as_written(setup: str, few_extracts: Path) -> None:
    if os.geteuid() != 0 or not all(shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in NEEDED):
        pytest.skip("only root may make a machine of its own, and needs unshare, mount, ip, useradd and setpriv for it")
    if subprocess.run([*PRIVATE, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are not allowed here")
    if setup == "units" and not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    # Not below pytest's own folder, which every session of it closes to other users: the nights' user must reach it.
    with tempfile.TemporaryDirectory(prefix="setup-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        extracts = folder / "extracts"
        shutil.copytree(few_extracts, extracts)
        for place in [folder, extracts, *extracts.rglob("*")]:
            place.chmod(place.stat().st_mode | 0o055)
        done = subprocess.run(
            [*PRIVATE, sys.executable, "-m", "tests.flows.setups", setup, name, str(extracts)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        logs = [f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}" for log in sorted(folder.glob("*.log"))]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
