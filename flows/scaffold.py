"""A new source from a table's own description: source file, code lists, staging table and a test extract."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from flows.connectors.statbank_api import TableInfo
from flows.scaffold_guess import Draft, draft_dimensions, first_codes, period_kind
from transforms.catalogue import load_catalogue
from transforms.codelists import Code
from transforms.errors import UsageError

UNITS = {"Number": "count", "Per cent": "pct", "DKK": "dkk", "DKK 1,000": "dkk_thousand"}
MAX_AGE_DAYS = {"year": 550, "quarter": 200, "month": 120}
MONTHS = {"year": 12, "quarter": 3, "month": 1}
FIXTURE_ROWS = 6


@dataclass(frozen=True)
class NewSource:
    """The files written or added to, and what a person must settle before the source is used."""

    paths: list[Path]
    questions: list[str]


def check_checkout(root: Path) -> None:
    """Raise UsageError when `root` lacks what a source is written into, as a folder elsewhere does."""
    for part in ("flows/sources", "transforms/dictionary.yml", "transforms/reference/codelists.csv"):
        if not (root / part).exists():
            raise UsageError(f"{root}: no checkout of kommunekort, {part} is not there; name the checkout with --root")


def new_source(danish: TableInfo, english: TableInfo, root: Path) -> NewSource:
    """Write a source for the table both descriptions are of, under the repository `root`; it loads and stages as it is.

    Written: flows/sources, transforms/staging, tests/fixtures (invented figures); added to: the code lists and the
    dictionary. Raises UsageError, leaving every file as it was, when `root` is no checkout, the table is known, a file
    exists, or the description cannot become a source.
    """
    check_checkout(root)
    name = f"statbank_{english.id.lower()}"
    sources = root / "flows" / "sources"
    codelists = root / "transforms" / "reference" / "codelists.csv"
    dictionary = root / "transforms" / "dictionary.yml"
    catalogue = load_catalogue(sources, codelists=codelists, dictionary=dictionary)
    described = yaml.safe_load(dictionary.read_text(encoding="utf-8"))["columns"]
    created = {
        "source": sources / f"{name}.yml",
        "staging": root / "transforms" / "staging" / f"{name}.sql",
        "fixture": root / "tests" / "fixtures" / f"{english.id.lower()}.csv",
    }
    if existing := [path for path in created.values() if path.exists()]:
        raise UsageError(f"{existing[0].relative_to(root)} exists and is not overwritten; edit it, or remove it first")
    draft = draft_dimensions(danish, english, catalogue, set(described))
    texts = {
        created["source"]: _source_text(name, danish, english, draft),
        created["staging"]: _staging_text(name, danish, english, draft),
        created["fixture"]: _fixture_text(english, draft),
    }
    if draft.codelists:
        texts[codelists] = _ended(codelists) + _codelist_rows(draft.codelists)
    if draft.columns:
        texts[dictionary] = _ended(dictionary) + _dictionary_rows(english.id, draft.columns)
    _write_all(texts, lambda: load_catalogue(sources, codelists=codelists, dictionary=dictionary))
    return NewSource(list(texts), draft.questions)


def _write_all(texts: Mapping[Path, str], check: Any) -> None:
    """Write every file, then `check`; when that fails, put everything back."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        check()
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def _source_text(name: str, danish: TableInfo, english: TableInfo, draft: Draft) -> str:
    kind = period_kind(english)
    unit = UNITS.get(english.unit, "count")
    if english.unit not in UNITS:
        draft.questions.append(f"unit: the publisher says {english.unit!r}; count is a guess")
    cells = 1
    for dimension, variable in _pairs(english, draft):
        cells *= len(variable.codes) if dimension["select"] == ["*"] else len(dimension["select"])
    head = {
        "id": name,
        "connector": "statbank",
        "table": english.id,
        "title_da": danish.text,
        "title_en": english.text,
        "producer": "Danmarks Statistik",
        "licence": "CC BY 4.0",
        "url": f"https://www.statistikbanken.dk/{english.id}",
        "owner": "data-team",
        "frequency": kind,
        "publication_lag_days": _lag(english, kind),
        "max_age_days": MAX_AGE_DAYS[kind],
        "required": False,
        "unit": unit,
        "decimals": 1 if unit == "pct" else 0,
    }
    notes = [f"# To settle: {question}\n" for question in draft.questions]
    dimensions = [f"  - {_flow(dimension)}\n" for dimension in draft.dimensions]
    # A tenth of the cells: BULK leaves zeros out, and a bound is moved once a year of deliveries is known.
    expectations = {"min_rows": max(1, cells // 10), "quarantine_max_share": 0.01}
    return "".join(
        [
            *notes,
            yaml.safe_dump(head, allow_unicode=True, sort_keys=False, width=1000),
            "dimensions:\n",
            *dimensions,
            yaml.safe_dump({"expectations": expectations}, sort_keys=False),
        ]
    )


def _lag(info: TableInfo, kind: str) -> int:
    """Return the days from the first day of the newest period to its publication."""
    newest = next(variable.codes[-1] for variable in info.variables if variable.time)
    part = int(newest[5:]) if kind != "year" else 1
    first_day = date(int(newest[:4]), (part - 1) * MONTHS[kind] + 1, 1)
    return max(0, (info.updated.date() - first_day).days)


def _staging_text(name: str, danish: TableInfo, english: TableInfo, draft: Draft) -> str:
    columns = [(f'"{d["id"].upper()}"', str(d["column"])) for d in draft.dimensions]
    columns += [('stat_value("INDHOLD")', "value"), ('stat_status("INDHOLD")', "value_status")]
    width = max(len(left) for left, _ in columns)
    listed = "".join(f"    {left:<{width}} AS {right},\n" for left, right in columns)
    grain = ", ".join(str(dimension["column"]) for dimension in draft.dimensions)
    return (
        f"-- label_da: {danish.text} ({english.id})\n"
        f"-- label_en: {english.text} ({english.id})\n"
        f"-- description: {english.text}, one row per cell as published.\n"
        f"-- grain: {grain}\n"
        f"SELECT\n{listed}    _snapshot_id\nFROM raw.{name}\n"
    )


def _fixture_text(english: TableInfo, draft: Draft) -> str:
    """Return a canonical extract of a few cells with the figures 1, 2, 3, …, which nobody published."""
    pairs = _pairs(english, draft)
    header = ";".join([*(str(dimension["id"]).upper() for dimension, _ in pairs), "INDHOLD"])
    cells = list(product(*(first_codes(dimension, variable) for dimension, variable in pairs)))[:FIXTURE_ROWS]
    return header + "\n" + "".join(f"{';'.join(codes)};{number}\n" for number, codes in enumerate(cells, start=1))


def _pairs(english: TableInfo, draft: Draft) -> list[tuple[dict[str, Any], Any]]:
    return [(dimension, english.variable(dimension["id"])) for dimension in draft.dimensions]


def _codelist_rows(lists: Mapping[str, list[Code]]) -> str:
    rows = io.StringIO()
    writer = csv.writer(rows, delimiter=";", lineterminator="\n")
    for name, codes in lists.items():
        for code in codes:
            writer.writerow([name, code.code, code.text_da, code.text_en, code.kind, " ".join(code.leaves)])
    return rows.getvalue()


def _dictionary_rows(table: str, columns: Mapping[str, tuple[str, str]]) -> str:
    rows = [f"  # --- {table} ---\n"]
    for name, (danish, english) in columns.items():
        entry = {
            "type": "VARCHAR",
            "label_da": danish[:1].upper() + danish[1:],
            "label_en": english[:1].upper() + english[1:],
            "description": f"The publisher's code for {english} in {table}.",
            "nullable": False,
        }
        rows.append(f"  {name}: {_flow(entry)}\n")
    return "".join(rows)


def _flow(entry: Mapping[str, Any]) -> str:
    """Return a mapping as one line of YAML; codes stay quoted, so they keep their zeros."""
    line = yaml.safe_dump(dict(entry), allow_unicode=True, default_flow_style=True, sort_keys=False, width=10_000)
    return line.strip()


def _ended(path: Path) -> str:
    """Return a file's text, ended by a line end so that rows can be added."""
    text = path.read_text(encoding="utf-8")
    return text if text.endswith("\n") else f"{text}\n"
