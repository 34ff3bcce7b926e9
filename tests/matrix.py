"""`python -m tests.matrix`: which Pythons run the fast tests, and which versions of DuckDB read what is published.

For every Python of PYTHONS that is installed, a clean clone is set up with the lock file and its unit tests are run;
every version of DUCKDB is installed alone and opens the published file. Ends with 1 when one of them fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
DUCKDB = ("1.3.0", "1.4.5", "1.5.6", "2.0.1")
"""The oldest that reads the file, and the newest of each line since."""
FAST = ("transforms", "models", "store", "expectations", "report")
QUERY = (
    "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); "
    "n, = c.execute('SELECT count(*) FROM kommunekort.mart.mapping').fetchone(); "
    "v, = c.execute('SELECT count(value) FROM mart.figure').fetchone(); "
    "print(duckdb.__version__, 'reads', n, 'municipalities,', v, 'values'); assert n == 98"
)


def find_python(version: str) -> str | None:
    """Return the path of a Python that starts and has this version, or None."""
    found = [
        shutil.which(f"python{version}"),
        *map(str, (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python")),
    ]
    for path in filter(None, found):
        asked = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
        )
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return path
    return None


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return ([line for line in text.splitlines() if line.strip()] or [""])[-1].strip()


def try_python(version: str, folder: Path) -> tuple[str, bool]:
    """Set a clean clone up with one Python and run its unit tests; return what was seen and whether it is good."""
    path = find_python(version)
    if path is None:
        return "not installed here", True
    clone = folder / version
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    made = subprocess.run(["make", "-s", f"PYTHON={path}", "setup"], cwd=clone, capture_output=True, text=True)
    if made.returncode:
        return f"set-up failed: {last_line(made.stderr)}", False
    tests = [f"tests/unit/{part}" for part in FAST]
    command = [".venv/bin/python", "-m", "pytest", "-q", "-m", "not long", *tests]
    told = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    return last_line(told.stdout), told.returncode == 0


def try_duckdb(version: str, folder: Path, database: Path) -> tuple[str, bool]:
    """Install one DuckDB alone and let it open the published file."""
    target = folder / f"duckdb-{version}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    made = subprocess.run([*pip, f"duckdb=={version}"], capture_output=True, text=True)
    if made.returncode:
        return f"cannot be installed here: {last_line(made.stderr)}", True
    env = {**os.environ, "PYTHONPATH": str(target)}
    told = subprocess.run(
        [sys.executable, "-c", QUERY, str(database)], env=env, capture_output=True, text=True, cwd=folder
    )
    return last_line(told.stdout or told.stderr), told.returncode == 0


def main() -> int:
    """Print one line per version; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, default=ROOT / "data/kommunekort.duckdb", help="what is published")
    parser.add_argument("--only", choices=("python", "duckdb"))
    given = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="kommunekort-matrix-") as scratch:
        folder = Path(scratch)
        tries = [("Python", v, lambda v=v: try_python(v, folder)) for v in PYTHONS if given.only != "duckdb"]
        tries += [("DuckDB", v, lambda v=v: try_duckdb(v, folder, given.database.absolute()))
                  for v in DUCKDB if given.only != "python"]  # fmt: skip
        for kind, version, attempt in tries:
            told, fine = attempt()
            print(f"{'ok  ' if fine else 'FAIL'} {kind} {version}: {told}", flush=True)
            good &= fine
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
