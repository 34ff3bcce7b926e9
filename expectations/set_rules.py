"""Rules for a staging table as a whole: keys, coverage, selectors, periods, and totals that equal their parts."""

from __future__ import annotations

from collections.abc import Iterator

from expectations.part_rules import part_rules
from expectations.row_rules import literals
from expectations.terms import Action, Rule, Severity
from transforms.areas import areas
from transforms.catalogue import Catalogue, Dimension, Source
from transforms.sqlfile import SqlFile
from transforms.warehouse import quote_identifier, quote_literal


def set_rules(source: Source, file: SqlFile, catalogue: Catalogue) -> list[Rule]:
    """Return the set rules of one staging table, the one that moves surplus copies of a row first."""
    rules = [*_keys(source, file), *_size(source, file)]
    for dimension in source.dimensions:
        if dimension.role == "selector":
            rules.append(_selector(source, file, dimension))
        elif dimension.role == "area":
            rules += _coverage(source, file, dimension, catalogue)
        elif dimension.role == "time":
            rules.append(_periods(source, file, dimension))
    return [*rules, *part_rules(source, file, catalogue)]


def _rule(
    source: Source, file: SqlFile, rule_id: str, severity: Severity, action: Action, description: str, sql: str
) -> Rule:
    return Rule(rule_id, file.table, "set", severity, action, description, sql, source.owner)


def _keys(source: Source, file: SqlFile) -> Iterator[Rule]:
    """Yield the rules that a key occurs once: equal copies are surplus, copies that differ stop.

    Distinct hashes of all keys prove that there is no duplicate in half the time a grouping takes.
    """
    keys = ", ".join(quote_identifier(name) for name in file.grain)
    proof = f"SELECT count(*) = count(DISTINCT hash({keys})) FROM {file.table}"
    surplus = (
        f"SELECT rowid AS row_id FROM {file.table} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys}, value, value_status ORDER BY rowid) > 1"
    )
    differing = f"SELECT {keys}, count(*) AS copies FROM {file.table} GROUP BY {keys} HAVING count(*) > 1"
    if source.dimensions:
        yield Rule(
            "duplicate_row", file.table, "set", "warning", "quarantine",
            "a row delivered twice counts once; the copy is set aside", surplus, source.owner, proof,
        )  # fmt: skip
    yield Rule(
        "unique_key", file.table, "set", "critical", "stop",
        f"{', '.join(file.grain)} must name one figure; here it has several", differing, source.owner, proof,
    )  # fmt: skip


def _size(source: Source, file: SqlFile) -> Iterator[Rule]:
    minimum = source.expectations.min_rows
    yield _rule(
        source, file, "min_rows", "critical", "stop",
        f"a complete delivery has at least {minimum} rows",
        f"SELECT count(*) AS rows_delivered FROM {file.table} WHERE NOT _is_filled HAVING count(*) < {minimum}",
    )  # fmt: skip
    if source.dimensions:
        yield _rule(
            source, file, "not_all_zero", "critical", "stop", "a table in which every figure is zero is no delivery",
            f"SELECT count(*) AS rows_without_figure FROM {file.table} "
            "HAVING count(*) > 0 AND coalesce(max(abs(value)), 0) = 0",
        )  # fmt: skip


def _selector(source: Source, file: SqlFile, dimension: Dimension) -> Rule:
    """Return the rule that a unit, measure or price basis has the one code the source file pins."""
    column = quote_identifier(dimension.column)
    return _rule(
        source, file, f"selector_pinned_{dimension.column}", "critical", "stop",
        f"{dimension.column} must be {dimension.select[0]} alone, or every figure is counted once per code",
        f"SELECT {column}, count(*) AS rows_found FROM {file.table} "
        f"WHERE {column} IS DISTINCT FROM {quote_literal(dimension.select[0])} GROUP BY {column}",
    )  # fmt: skip


def _coverage(source: Source, file: SqlFile, dimension: Dimension, catalogue: Catalogue) -> Iterator[Rule]:
    """Yield the rules that the areas asked for are there. Cells filled with zero do not count as delivered."""
    column = quote_identifier(dimension.column)
    wanted = [code for code in catalogue.selected(source, dimension) if code not in dimension.extra_codes]
    municipalities = [code for code in wanted if areas()[code].level == "municipality"]
    others = [code for code in wanted if code not in municipalities]
    delivered = f"SELECT DISTINCT {column} FROM {file.table} WHERE NOT _is_filled"
    lists: tuple[tuple[str, Severity, Action, list[str]], ...] = (
        ("municipalities_complete", "critical", "stop", municipalities),
        ("areas_complete", "warning", "report", others),
    )
    for rule_id, severity, action, codes in lists:
        if codes:
            yield _rule(
                source, file, f"{rule_id}_{dimension.column}", severity, action,
                f"all {len(codes)} areas asked for must be delivered",
                f"SELECT {column} FROM (SELECT unnest([{literals(codes)}]) AS {column}) "
                f"ANTI JOIN ({delivered}) USING ({column})",
            )  # fmt: skip
    time = next((d for d in source.dimensions if d.role == "time"), None)
    if time is not None and municipalities:
        period = quote_identifier(time.column)
        yield _rule(
            source, file, f"municipalities_every_period_{dimension.column}", "warning", "report",
            "a municipality that is delivered for one period is delivered for all",
            f"WITH cells AS (SELECT DISTINCT {column}, {period} FROM {file.table} WHERE NOT _is_filled) "
            f"SELECT {column}, {period} FROM (SELECT DISTINCT {column} FROM cells "
            f"WHERE {column} IN ({literals(municipalities)})) CROSS JOIN (SELECT DISTINCT {period} FROM cells) "
            f"ANTI JOIN cells USING ({column}, {period})",
        )  # fmt: skip


def _periods(source: Source, file: SqlFile, dimension: Dimension) -> Rule:
    """Return the rule that the series has no hole: no step longer than its shortest one (a year, in a `*K1` query)."""
    period = quote_identifier(dimension.column)
    ordinal = {
        "quarter": f"4 * {period}[1:4]::INTEGER + {period}[6:6]::INTEGER",
        "month": f"12 * {period}[1:4]::INTEGER + {period}[6:7]::INTEGER",
    }.get(source.frequency or "", f"{period}[1:4]::INTEGER")
    return _rule(
        source, file, f"no_gap_{dimension.column}", "warning", "report", "the series of periods has no hole",
        f"WITH periods AS (SELECT DISTINCT {period} FROM {file.table} WHERE NOT _is_filled), "
        f"steps AS (SELECT {period}, {ordinal} - lag({ordinal}) OVER (ORDER BY {ordinal}) AS step FROM periods) "
        f"SELECT {period}, step FROM steps WHERE step > (SELECT min(step) FROM steps)",
    )  # fmt: skip
