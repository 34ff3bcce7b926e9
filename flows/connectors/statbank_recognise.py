"""Which table is this file: told from its content against every source of the catalogue, never from its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.connectors.statbank_canonical import canonical_scan
from flows.connectors.statbank_decode import Limits, refusal
from flows.connectors.statbank_fit import Candidate, Fit, Misfit
from flows.connectors.statbank_labels import Match, key_of
from flows.connectors.statbank_open import DEFAULT_LIMITS, open_table
from flows.connectors.statbank_table import Table

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Dimension, Source

Presentation = Literal["code", "text", "both"]


@dataclass(frozen=True)
class Recognised:
    """What a file is.

    `language` is "" when nothing in it is written in one language only; `filled` names the dimensions that have no
    column and the code that stands for each; `complete_rectangle_hint` says that the file has BULK's form (CSV, one
    row per cell, no BOM, a column for every dimension), in which absent cells may be zeros;
    `canonical` that it can be scanned as is.
    """

    source_id: str
    presentation: Presentation
    language: Literal["da", "en", ""]
    complete_rectangle_hint: bool
    filled: tuple[tuple[str, str], ...] = ()
    canonical: bool = False


def recognise(path: Path, catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS) -> Recognised:
    """Return which source of the catalogue a file belongs to and how it says it.

    A source fits when every column is one of its dimensions, every dimension without a column is eliminable and has
    a total, and every cell has a code. A source with a column for each dimension goes before one with totals filled
    in. Raises DataRefused, with the reason nearest to a fit, when no source or more than one source fits.
    """
    table = open_table(path, limits)
    sources = _sources(table, catalogue)
    candidate = Candidate(table, catalogue)
    placed = [candidate.place(source) for source in sources]
    fits = [fit for fit in placed if isinstance(fit, Fit)]
    exact = [fit for fit in fits if not fit.filled]
    if len(exact) == 1 and canonical_scan(path, exact[0].source, catalogue) is not None:
        return Recognised(exact[0].source.id, "code", "", not table.shape.bom, canonical=True)
    misfits = [misfit for misfit in placed if isinstance(misfit, Misfit)]
    accepted: list[tuple[Fit, list[Match]]] = []
    for fit in fits:
        checked = candidate.check_cells(fit)
        if isinstance(checked, Misfit):
            misfits.append(checked)
        else:
            accepted.append((fit, _telling(checked)))
    accepted = [pair for pair in accepted if not pair[0].filled] or accepted
    _require_identity(table, [fit for fit, _ in accepted])
    if len(accepted) > 1:
        raise _ambiguous(path, [fit.source for fit, _ in accepted])
    if not accepted:
        raise max(misfits, key=lambda misfit: misfit.score).reason
    fit, matches = accepted[0]
    presentation = _presentation(matches)
    shape = table.shape
    hint = shape.format == "csv" and shape.layout == "long" and not shape.bom and not fit.filled
    return Recognised(fit.source.id, presentation, _language(matches), hint, tuple(fit.filled.items()))


def _sources(table: Table, catalogue: Catalogue) -> list[Source]:
    """Return the sources to try: the one the file itself names, else every StatBank source."""
    known = [source for source in catalogue.sources.values() if source.connector == "statbank"]
    if table.table_id is not None:
        named = catalogue.by_table(table.table_id)
        if named is None or named.connector != "statbank":
            close = get_close_matches(table.table_id, [source.table or "" for source in known], n=3, cutoff=0.6)
            nearest = f", the nearest known: {', '.join(close)}" if close else ""
            rule = f"the file says it is table {table.table_id}, which has no source file{nearest}"
            raise refusal(table.path, rule, f"add it with kommunekort new-source statbank {table.table_id}")
        return [named]
    if not known:
        raise refusal(table.path, "the catalogue has no StatBank table", "add one with kommunekort new-source")
    return known


def _require_identity(table: Table, fits: Sequence[Fit]) -> None:
    """Refuse a bare region × time grid: any table can be boiled down to one, of any group of people."""
    said = key_of(table.statement)
    for fit in fits:
        titled = any(key_of(title) in said for title in (fit.source.title_da, fit.source.title_en))
        roles = {d.role for d in fit.source.dimensions if d.id in fit.columns}
        if table.table_id or titled or not fit.filled or roles & {"category", "selector"}:
            continue
        rule = "only area and time, so nothing in the file says which table it is and which people it counts"
        raise refusal(table.path, rule, "download the table with its other columns")


def _ambiguous(path: Path, sources: Sequence[Source]) -> Exception:
    tables = [source.table or source.id for source in sources]
    rule = f"fits {' and '.join(tables)} alike"
    return refusal(path, rule, "download the table with all its columns and with codes, or as XLSX, which names it")


def _telling(checked: Sequence[tuple[Dimension, Sequence[tuple[str, Match]]]]) -> list[Match]:
    """Return the matches that tell presentation and language: of all columns but time, whose code is its text."""
    return [match for dimension, pairs in checked if dimension.role != "time" for _, match in pairs]


def _presentation(matches: Sequence[Match]) -> Presentation:
    hows = {match.how for match in matches}
    return "text" if "text" in hows else "both" if "both" in hows else "code"


def _language(matches: Sequence[Match]) -> Literal["da", "en", ""]:
    danish = sum(match.language == "da" for match in matches)
    english = sum(match.language == "en" for match in matches)
    return "da" if danish > english else "en" if english else ""
