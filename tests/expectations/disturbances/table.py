"""The disturbance table: every source times every disturbance, on the first night, and with a published past.

`python -m tests.expectations.disturbances` prints it.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expectations.rules import Outcome
from flows.run.build import brought_back
from flows.store.snapshots import SnapshotStore
from tests.expectations.disturbances.bench import Bench, bench
from tests.expectations.disturbances.kinds import Kind, further_kinds, kinds
from tests.expectations.disturbances.reasons import reason
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused

NIGHTS = ("first", "same", "new")
"""No past; a past that knows every period; a past that ends a period before."""
USUAL = ("new",)


@dataclass(frozen=True)
class Verdict:
    """What the rules of a source say of one disturbance on one night: a word, and the rules it broke by severity."""

    source_id: str
    kind: str
    night: str
    stops: tuple[str, ...]
    warns: tuple[str, ...]

    @property
    def word(self) -> str:
        """Return `stop`, `warn` or `unnoticed`."""
        return "stop" if self.stops else "warn" if self.warns else "unnoticed"

    @classmethod
    def read(cls, facts: dict[str, Any]) -> Verdict:
        """Return the verdict of what JSON keeps of it."""
        return cls(**{**facts, "stops": tuple(facts["stops"]), "warns": tuple(facts["warns"])})


def verdicts(source_id: str, chosen: Iterable[Kind] | None = None, nights: Sequence[str] = USUAL) -> Iterator[Verdict]:
    """Yield the verdicts of one source."""
    with tempfile.TemporaryDirectory() as folder, bench(source_id, Path(folder)) as made:
        known = {"first": None, "same": made.publish("same", [])}
        if len(made.periods) > 1:
            known["new"] = made.publish("new", [f"DELETE FROM given WHERE {made.newest}"])
        made.disturb([])
        quiet = {night: names(made.outcomes(known[night])) for night in nights if night in known}
        for kind in chosen or kinds():
            try:
                statements = kind.statements(made)
            except DataRefused as error:  # the connector does not take the answer
                yield Verdict(source_id, kind.name, nights[0], (f"refused: {error}",), ())
                continue
            if statements is None:
                continue
            if kind.past is not None:
                past = made.publish("corrected", kind.past(made))
                made.disturb(statements)
                seen = judge(made, kind, "same", past, quiet.get("same", set()))
                yield replace(seen, warns=(*seen.warns, *files_again(made, kind)))
                continue
            for night in quiet:
                made.disturb(statements)
                if not made.is_disturbed():  # what the kind speaks of does not occur in the table
                    break
                yield judge(made, kind, night, known[night], quiet[night])


def judge(made: Bench, kind: Kind, night: str, past: str | None, quiet: set[str]) -> Verdict:
    """Return the verdict on what lies in `given`; rules that the undisturbed file breaks too do not count."""
    try:
        broken = [o for o in made.outcomes(past) if not o.success and o.rule_id not in quiet]
    except DataRefused as error:
        return Verdict(made.source.id, kind.name, night, (f"refused: {error}",), ())
    stops = tuple(o.rule_id for o in broken if o.severity == "critical")
    warns = tuple(o.rule_id for o in broken if o.severity != "critical")
    return Verdict(made.source.id, kind.name, night, stops, warns)


def files_again(made: Bench, kind: Kind) -> set[str]:
    """Return the rules that tell from the files alone that tonight's is the one from before a correction."""
    assert kind.past is not None
    store = SnapshotStore(made.folder / "snapshots" / kind.name)
    for statements in ([], kind.past(made), []):
        made.disturb(statements)
        made.load()
        copy = made.folder / "extract.csv"
        copy.write_bytes((made.folder / "given.csv").read_bytes())
        store.add(made.source.id, {"data.csv": (copy, "csv")}, origin="sample", synthetic=True, query={})
    *earlier, newest = store.of(made.source.id)
    return names(brought_back(newest, earlier[::-1]))


def names(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.rule_id for outcome in outcomes if not outcome.success}


def chosen_kinds(pattern: str) -> list[Kind]:
    """Return the disturbances whose name holds a match of a pattern; `further` is those that the table leaves out."""
    if pattern == "further":
        return list(further_kinds())
    return [kind for kind in (*kinds(), *further_kinds()) if re.search(pattern, kind.name)]


def sources() -> list[str]:
    """Return the sources the table is about."""
    return [source.id for source in load_catalogue().sources.values() if source.is_register]


def outcome_table(found: Sequence[Verdict]) -> tuple[str, bool]:
    """Return the whole table as text, and whether all that goes unnoticed has its reason.

    One line per disturbance, one per source, then each reason with what it speaks of, and what has none.
    """
    lines = [f"{len(found)} tries", ""]
    for what, name in (("disturbance", "kind"), ("source", "source_id")):
        lines += [f"| {what} | stops the source | warns by name | cannot be seen |", "|---|---:|---:|---:|"]
        for each in dict.fromkeys(getattr(verdict, name) for verdict in found):
            words = Counter(verdict.word for verdict in found if getattr(verdict, name) == each)
            lines.append(f"| {each} | {words['stop']} | {words['warn']} | {words['unnoticed']} |")
        lines.append("")
    unseen = [verdict for verdict in found if verdict.word == "unnoticed"]
    by_reason: dict[str, list[str]] = {}
    for verdict in unseen:
        by_reason.setdefault(reason(verdict.source_id, verdict.kind), []).append(f"{verdict.kind}: {verdict.source_id}")
    for why, cells in by_reason.items():
        lines += [f"**{why or 'WITHOUT A REASON'}** ({len(cells)})", *(f"- {cell}" for cell in cells), ""]
    return "\n".join(lines), "" not in by_reason
