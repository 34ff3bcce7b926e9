"""The disturbance table: every source times every disturbance, on the first night, and with a published past.

`python -m tests.expectations.disturbances` prints it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.rules import Outcome
from tests.expectations.disturbances.bench import Bench, bench
from tests.expectations.disturbances.kinds import Kind, kinds
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused

NIGHTS = ("first", "same", "new")
"""No past; a past that knows every period; a past that ends a period before."""


@dataclass(frozen=True)
class Verdict:
    """What the rules of a source say of one disturbance on one night, and which of them."""

    source_id: str
    kind: str
    night: str
    word: str
    rules: tuple[str, ...]


def verdicts(source_id: str, chosen: Iterable[Kind] | None = None, nights: Sequence[str] = NIGHTS) -> Iterator[Verdict]:
    """Yield the verdicts of one source."""
    with tempfile.TemporaryDirectory() as folder, bench(source_id, Path(folder)) as made:
        pasts = {
            "first": None,
            "same": made.publish("same", []),
            "new": made.publish("new", [f"DELETE FROM given WHERE {made.newest}"]) if len(made.periods) > 1 else None,
        }
        made.disturb([])
        quiet = {night: names(made.outcomes("given", pasts[night])) for night in nights}
        for kind in chosen or kinds():
            statements = kind.statements(made)
            if statements is None:
                continue
            for night in nights:
                made.disturb(statements)
                yield judge(made, kind, night, pasts[night], quiet[night])


def judge(made: Bench, kind: Kind, night: str, past: str | None, quiet: set[str]) -> Verdict:
    """Return the verdict on what lies in `given`; rules that the undisturbed file breaks too do not count."""
    try:
        broken = [outcome for outcome in made.outcomes("given", past) if not outcome.success]
    except DataRefused as error:
        return Verdict(made.source.id, kind.name, night, "stop", (f"refused: {error}",))
    stops = tuple(
        outcome.rule_id for outcome in broken if outcome.severity == "critical" and outcome.rule_id not in quiet
    )
    new = tuple(outcome.rule_id for outcome in broken if outcome.rule_id not in quiet)
    word = "stop" if stops else "warn" if new else "unnoticed"
    return Verdict(made.source.id, kind.name, night, word, stops or new)


def names(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.rule_id for outcome in outcomes if not outcome.success}


def sources() -> list[str]:
    """Return the sources the table is about."""
    return [source.id for source in load_catalogue().sources.values() if source.is_register]


def tally(found: Iterable[Verdict]) -> dict[tuple[str, str], Counter[str]]:
    """Return (disturbance, night) -> how many sources stopped, warned, did not notice."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for verdict in found:
        counts.setdefault((verdict.kind, verdict.night), Counter())[verdict.word] += 1
    return counts
