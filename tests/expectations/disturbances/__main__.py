"""`python -m tests.expectations.disturbances [quiet] [SOURCE …]`: print the disturbance table, or the quiet nights."""

from __future__ import annotations

import sys

from tests.expectations.disturbances.quiet import quiet_nights
from tests.expectations.disturbances.table import NIGHTS, sources, tally, verdicts


def main(words: list[str]) -> None:
    """Print one line per disturbance with the counts of each night, then every verdict that is not a stop."""
    chosen = [word for word in words if word != "quiet"] or sources()
    if "quiet" in words:
        for source in chosen:
            for verdict in quiet_nights(source):
                if verdict.word != "quiet":
                    print(verdict.source_id, verdict.kind, verdict.word, *verdict.rules, flush=True)
            print(f"{source}: done", flush=True)
        return
    found = []
    for source in chosen:
        found += list(verdicts(source))
        print(f"{source}: {sum(v.source_id == source for v in found)} tries", file=sys.stderr, flush=True)
    counts = tally(found)
    print("| disturbance | " + " | ".join(f"{night}: stop / warn / unnoticed" for night in NIGHTS) + " |")
    print("|---|" + "---|" * len(NIGHTS))
    for kind in dict.fromkeys(verdict.kind for verdict in found):
        cells = [counts[kind, night] for night in NIGHTS]
        print(f"| {kind} | " + " | ".join(f"{c['stop']} / {c['warn']} / {c['unnoticed']}" for c in cells) + " |")
    for verdict in found:
        if verdict.word != "stop":
            print(verdict.night, verdict.word, verdict.source_id, verdict.kind, *verdict.rules, sep="; ")


if __name__ == "__main__":
    main(sys.argv[1:])
