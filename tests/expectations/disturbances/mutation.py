"""Each rule taken away by itself: what it alone had seen, from the verdicts of the disturbance table.

A rule is needed where a disturbance that stops its source would only warn without it, or one that warns would go
unnoticed. Rules of the finished tables (core, mart, meta) look at no extract: each has a case of its own in
`tests/unit/expectations/rule_cases.py`, which passes when the rule is taken away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from expectations.derived import rules_for_staging
from expectations.history import history_rules, series_of
from tests.expectations.disturbances.bench import Bench, bench, read_by, written_rules
from tests.expectations.disturbances.kinds import Kind
from tests.expectations.disturbances.table import Verdict, judge, names, sources
from transforms.areas import areas
from transforms.catalogue import load_catalogue
from transforms.dictionary import load_dictionary
from transforms.tables import ROOT, read_sql_file

# What single rules are for, where no disturbance of the table needs them alone: source, disturbance, whether its
# neighbours are there too, and the statements. There is no past: on the first night it is the written rules that tell.
PURPOSES: tuple[tuple[str, str, bool, tuple[str, ...]], ...] = (
    ("statbank_aulkp01", "a region gone", True, ("DELETE FROM given WHERE {area} = '081'",)),
    (
        "jobindsats_y60a02", "one figure of sixty municipalities", True,
        (
            "DELETE FROM given WHERE place NOT IN (SELECT min(place) FROM base WHERE {newest} AND {municipal} "
            "GROUP BY {area} ORDER BY {area} LIMIT 60)",
        ),
    ),
    ("statbank_folk1a", "areas in another order within their regions, alone", False, ("{turned}",)),
    ("statbank_folk1am", "areas in another order within their regions, alone", False, ("{turned}",)),
    ("statbank_folk1e", "areas in another order within their regions, alone", False, ("{turned}",)),
    ("statbank_folk1am", "all × 1.01", True, ("{scale} * 1.01)::BIGINT::VARCHAR",)),
    ("statbank_folk1am", "all months but January × 0.94", True, ("{scale} * 0.94)::BIGINT::VARCHAR WHERE {later}",)),
    ("statbank_folk1e", "all × 1.02", True, ("{scale} * 1.02)::BIGINT::VARCHAR",)),
    ("statbank_folk1e", "Danish origin of the next area", True, ("{turned} AND \"HERKOMST\" = '1'",)),
    ("statbank_indoph1", "areas in another order within their regions", True, ("{turned}",)),
    ("statbank_hfudd11", "areas in another order within their regions", True, ("{turned}",)),
    ("statbank_hfudd11", "immigrants of the next area", True, ("{turned} AND \"HERKOMST\" = '4'",)),
    ("statbank_auk01", "one person on Læsø", True, ("{one} AND \"YDELSESTYPE\" = 'TOTUSU'",)),
    (
        "statbank_ky038", "one recipient on Læsø", True,
        ("{one} AND \"YDELSESTYPE\" = '10000' AND \"HERKOMST1\" = 'TOT' AND \"HERKOMST\" = '00'",),
    ),
    ("statbank_pend101", "day population × 1.1", True, ("{scale} * 1.1)::BIGINT::VARCHAR WHERE \"PENDLING\" = 'DAG'",)),
    (
        "jobindsats_y35a02", "one period, in which all is equal", True,
        ("DELETE FROM given WHERE NOT ({newest})", 'UPDATE given SET "INDHOLD" = \'7\''),
    ),
)  # fmt: skip


def purposes(known: Sequence[Verdict] = ()) -> Iterator[Verdict]:
    """Yield the verdicts of what single rules are for, those apart that are known."""
    there = {(verdict.source_id, verdict.kind) for verdict in known}
    wanted = [each for each in PURPOSES if each[:2] not in there]
    for source_id in dict.fromkeys(each[0] for each in wanted):
        with tempfile.TemporaryDirectory() as folder, bench(source_id, Path(folder)) as made:
            between = made.between
            made.disturb([])
            quiet = names(made.outcomes(None))
            for _, name, has_neighbours, texts in (each for each in wanted if each[0] == source_id):
                made.between = between if has_neighbours else [r for r in between if read_by(r) == {source_id}]
                made.disturb([text.format(**_words(made)) for text in texts])
                yield judge(made, Kind(name, lambda made: None), "first", None, quiet)


def _words(made: Bench) -> dict[str, str]:
    """Return what the statements of PURPOSES are put together of."""
    by_region: dict[str | None, list[str]] = {}
    for area in areas().values():
        if area.level == "municipality":
            by_region.setdefault(area.region_code, []).append(area.code)
    pairs = [pair for codes in by_region.values() for pair in zip(codes, [*codes[1:], codes[0]], strict=True)]
    listed = ", ".join(f"('{one}', '{other}')" for one, other in pairs)
    return {
        "area": made.area or "",
        "newest": made.newest,
        "municipal": made.municipal,
        "later": f"{made.time} NOT LIKE '%M01'",
        "one": f"UPDATE given SET \"INDHOLD\" = '1' WHERE {made.area} = '825'",
        "scale": 'UPDATE given SET "INDHOLD" = (TRY_CAST("INDHOLD" AS DOUBLE)',
        "turned": f"UPDATE given SET {made.area} = next FROM (VALUES {listed}) AS m(c, next) WHERE {made.area} = c",
    }


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
        one = f"{alone[rule][0].kind}, {alone[rule][0].source_id}" if rule in alone else "NOT NEEDED"
        lines.append(f"| {rule} | {seen.get(rule, 0)} | {len(alone.get(rule, []))} | {one} |")
    return "\n".join(lines), all(rule in alone for rule in rules)
