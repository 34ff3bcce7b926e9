"""Print the disturbance table, the quiet nights, or which disturbances only one rule notices.

`python -m tests.expectations.disturbances [table|quiet|rules] [SOURCE …] [--nights first,same,new] [--kinds PATTERN]
[--file PATH …]`

With `--file` the verdicts are written there as they come, one JSON object a line; sources it holds are not tried again.
Verdicts of several files are put together: `rules --file PATH --file PATH` tries nothing that they hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tests.expectations.disturbances import files
from tests.expectations.disturbances.mutation import mutation_table, purposes
from tests.expectations.disturbances.quiet import quiet_nights
from tests.expectations.disturbances.table import (
    NIGHTS,
    USUAL,
    Verdict,
    chosen_kinds,
    outcome_table,
    sources,
    verdicts,
)


def main(words: list[str]) -> int:
    """Try what is asked for on two processes, a source at a time, and print it; 1 where something is without reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.expectations.disturbances", description=__doc__)
    parser.add_argument("what", nargs="?", default="table", choices=["table", "quiet", "rules"])
    parser.add_argument("sources", nargs="*", metavar="SOURCE")
    parser.add_argument("--nights", default=",".join(USUAL), help=f"of {', '.join(NIGHTS)}")
    parser.add_argument("--kinds", default="", help="`further` for those beyond the table, or a pattern of names")
    parser.add_argument("--file", type=Path, action="append", default=[])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args(words)
    every = sources() if asked.what == "quiet" else [*sources(), *files.SOURCES]
    chosen = asked.sources or every
    nights = tuple(asked.nights.split(","))
    found = tried(asked.what, chosen, nights, asked.kinds, asked.file, asked.processes)
    if asked.what == "quiet":
        for verdict in found:
            if verdict.word != "unnoticed":
                print(verdict.source_id, verdict.kind, verdict.word, *verdict.stops, *verdict.warns)
        words_found = Counter(verdict.word for verdict in found)
        print(f"{len(found)} nights: {words_found['stop']} stops, {words_found['warn']} warnings")
        return 0
    if asked.what == "rules":
        found += purposes(found)
    text, holds = outcome_table(found) if asked.what == "table" else mutation_table(found)
    print(text)
    return 0 if holds else 1


def tried(
    what: str, chosen: Iterable[str], nights: tuple[str, ...], pattern: str, paths: list[Path], processes: int
) -> list[Verdict]:
    """Return the verdicts of the sources, those in the files first; new ones are added to the last file."""
    lines = [line for path in paths if path.exists() for line in path.read_text(encoding="utf-8").splitlines()]
    found = list(dict.fromkeys(Verdict.read(json.loads(line)) for line in lines))
    known = {verdict.source_id for verdict in found}
    left = [source for source in chosen if source not in known]
    with ProcessPoolExecutor(max_workers=processes) as pool:
        waiting = [pool.submit(of_one, what, source, nights, pattern) for source in left]
        for done in as_completed(waiting):
            new = done.result()
            found += new
            print(f"{new[0].source_id if new else '-'}: {len(new)} tries", file=sys.stderr, flush=True)
            for path in paths[-1:]:
                with path.open("a", encoding="utf-8") as out:
                    out.writelines(json.dumps(asdict(verdict), ensure_ascii=False) + "\n" for verdict in new)
    wanted = set(chosen)
    return [verdict for verdict in found if verdict.source_id in wanted]


def of_one(what: str, source: str, nights: tuple[str, ...], pattern: str) -> list[Verdict]:
    """Return the verdicts of one source."""
    if what == "quiet":
        return list(quiet_nights(source))
    return list(
        files.verdicts(source)
        if source in files.SOURCES
        else verdicts(source, chosen_kinds(pattern) if pattern else None, nights)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
