"""Each rule taken away by itself: what it alone had seen, from the verdicts of the disturbance table.

A rule is needed where a disturbance that stops its source would only warn without it, or one that warns would go
unnoticed. Rules of the finished tables (core, mart, meta) look at no extract: each has a case of its own in
`tests/unit/expectations/rule_cases.py`, which passes when the rule is taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from expectations.derived import rules_for_staging
from expectations.history import history_rules, series_of
from tests.expectations.disturbances.bench import written_rules
from tests.expectations.disturbances.table import Verdict, sources
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.tables import ROOT, read_sql_file

# Rules that stay although no disturbance of an extract needs them alone.
KEPT: dict[str, str] = {}


def family(rule_id: str, columns: frozenset[str]) -> str:
    """Return a rule's name without the column it is about."""
    named = (name for name in sorted(columns, key=len, reverse=True) if rule_id.endswith(f"_{name}"))
    return rule_id[: -len(name) - 1] if (name := next(named, "")) else rule_id


def known_columns() -> frozenset[str]:
    """Return the columns of all registers."""
    catalogue = load_catalogue()
    return frozenset(d.column for name in sources() for d in catalogue.sources[name].dimensions) | {"value_status"}


def staging_rules() -> Iterator[str]:
    """Yield the ids of all rules over staging tables: derived, against the past, and written."""
    catalogue, dictionary = load_catalogue(), load_dictionary()
    for name in sources():
        source, file = catalogue.sources[name], read_sql_file(ROOT / "staging" / f"{name}.sql")
        rules = [*rules_for_staging(source, file, dictionary, catalogue), *written_rules(name)]
        rules += history_rules(series_of(source, file, "last.past"))
        yield from (rule.rule_id for rule in rules)


def mutation_table(found: Sequence[Verdict]) -> tuple[str, bool]:
    """Return for each rule how many disturbances it alone saw, with one of them, and whether every rule is needed."""
    columns = known_columns()
    alone: dict[str, list[Verdict]] = {}
    seen: dict[str, int] = {}
    for verdict in found:
        made = {family(rule, columns) for rule in verdict.stops or verdict.warns}
        for rule in {family(rule, columns) for rule in (*verdict.stops, *verdict.warns)}:
            seen[rule] = seen.get(rule, 0) + 1
        if len(made) == 1:
            alone.setdefault(made.pop(), []).append(verdict)
    rules = sorted({family(rule, columns) for rule in staging_rules()})
    lines = ["| rule | breaks for | needed alone for | such as |", "|---|---:|---:|---|"]
    for rule in rules:
        one = f"{alone[rule][0].kind}, {alone[rule][0].source_id}" if rule in alone else KEPT.get(rule, "NOT NEEDED")
        lines.append(f"| {rule} | {seen.get(rule, 0)} | {len(alone.get(rule, []))} | {one} |")
    return "\n".join(lines), all(rule in alone or rule in KEPT for rule in rules)
