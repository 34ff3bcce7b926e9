"""Write the whole report into a folder: pages, their data, styles and scripts. Nothing is loaded from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from flows.report import drawings, pages, words
from flows.report.data import Cell, ReportData, Row, load
from flows.report.words import HELPERS, clean
from flows.settings import Settings
from transforms.models.wording import danish_key

HERE = Path(__file__).parent
OVERVIEW = (
    "refugees_and_family_count", "immigrants_non_western_pct", "employment_rate_non_western_pct",
    "employment_gap_non_western_pp", "unemployment_pct",
)  # fmt: skip
PARTICIPANT_INDICATORS = (
    "employment_rate_non_western_pct", "employment_rate_non_western_women_pct", "employment_gap_non_western_pp",
)  # fmt: skip
PROGRAMME = 2016, 2019
"""First and last year of the programme."""
MAP_FIRST = "employment_rate_non_western_pct"
PAGES = {
    "index.html": "index.html.jinja",
    "sammenlign.html": "compare.html.jinja",
    "opfoelgning.html": "followup.html.jinja",
    "datakvalitet.html": "quality.html.jinja",
    "metode.html": "method.html.jinja",
    "ordbog.html": "dictionary.html.jinja",
    "deltagere.html": "participants.html.jinja",
    "brancher.html": "industries.html.jinja",
}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ReportOptions:
    """What the report takes from outside the database; each may be left out.

    `boundaries`: a GeoJSON of the municipalities, `boundaries_source` whom it is credited to. `receipts`: folder of
    delivery receipts. `baselines`: folder of frozen baselines, `comparisons` of the comparisons made with them.
    `previous`: an earlier build, for the log of revised figures. `ages`: the age of every source as the run judged it
    (`flows.run.ages.as_plain`).
    """

    boundaries: Path | None = None
    boundaries_source: str = ""
    receipts: Path | None = None
    baselines: Path | None = None
    comparisons: Path | None = None
    previous: Path | None = None
    ages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def report_options(
    settings: Settings, previous: Path | None = None, ages: Mapping[str, Mapping[str, Any]] | None = None
) -> ReportOptions:
    """Return what the report takes from outside the database: the settings' own folders."""
    return ReportOptions(
        boundaries=settings.boundaries,
        boundaries_source=settings.boundaries_source,
        receipts=settings.receipts,
        baselines=settings.baselines,
        comparisons=settings.root / "comparisons",
        previous=previous,
        ages=ages or {},
    )


def build_report(
    database: Path, folder: Path, options: ReportOptions | None = None, on_step: Progress = lambda text: None
) -> list[Path]:
    """Write the report of a finished database into `folder` (replaced whole, at once); return its files.

    UsageError when the file is no published mapping, DataRefused when a given boundary file cannot be used.
    """
    options = options or ReportOptions()
    data = load(database)
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "kommune").mkdir(parents=True)
    shutil.copytree(HERE / "assets", partial / "assets")
    site = _Site(data, partial)
    site.write("assets/definitions.js", pages.script("KK_DEFINITIONS", pages.definitions(data)))
    site.write(
        "assets/places.js",
        pages.script("KK_PLACES", pages.places(data)) + pages.script("KK_RELEASE", pages.release(data)),
    )
    site.write("assets/values.js", pages.script("KK_VALUES", pages.values(data)))
    if data.conditions:
        site.write("assets/conditions.js", pages.script("KK_CONDITIONS", pages.peer_conditions(data)))
    changed = pages.revisions(database, options.previous)
    contexts = page_contexts(data, options, changed)
    for page, template in PAGES.items():
        site.render(page, template, contexts.get(page, {}))
    columns = column_labels(data)
    units = {str(row["column_name"]): row["unit"] for row in data.dictionary}
    for municipality in data.municipalities:
        on_step(f"report: {municipality['municipality_name']}")
        context = pages.context(data, municipality, columns, units, changed)
        site.render(f"kommune/{municipality['municipality_code']}.html", "profile.html.jinja", context)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


class _Site:
    """The folder under construction and the template environment."""

    def __init__(self, data: ReportData, folder: Path) -> None:
        import jinja2

        self.folder = folder
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, finalize=_seen,
        )  # fmt: skip
        environment.globals |= HELPERS
        environment.globals |= {"data": data, "labels_of": words, "newest_day": pages.newest_day(data)}
        self.environment = environment

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8", newline="\n")

    def render(self, page: str, template: str, context: dict[str, Any]) -> None:
        root = "../" if "/" in page else ""
        self.write(page, self.environment.get_template(template).render(page=page, root=root, **context))


def _seen(value: Any) -> Any:
    """Make hidden and turning marks visible in whatever text a template prints; markup and numbers pass."""
    return clean(value) if type(value) is str else value


def page_contexts(data: ReportData, options: ReportOptions, changed: list[Row] | None) -> dict[str, dict[str, Any]]:
    """Return what each page but the profiles needs beside the data."""
    rules, receipts = pages.rules(data), pages.receipts(options.receipts)
    return {
        "index.html": index_context(data, options),
        "opfoelgning.html": {
            "baselines": pages.baselines(options.baselines, options.comparisons),
            "columns": column_labels(data),
            "names": {str(m["municipality_code"]): m["municipality_name"] for m in data.municipalities},
        },
        "datakvalitet.html": {
            "sources": pages.sources(data, receipts, options.ages),
            "rules": rules,
            "tally": pages.tally(rules),
            "receipts": receipts,
            "delivered": pages.deliveries(receipts),
            "withheld": pages.withheld(data),
            "revisions": changed,
            "changes": pages.changes(data, changed),
            "silent": pages.not_delivered(data, receipts),
            "names": {str(m["municipality_code"]): m["municipality_name"] for m in data.municipalities},
        },
        "metode.html": {
            "ages": pages.ages,
            "groups": method_groups(data),
            "effects": effects(data),
            "columns": column_labels(data),
            "method_names": {
                str(row["method_code"]): (str(row["label_da"]), str(row["label_en"]))
                for row in data.tables.get("reference.methods", [])
            },
        },
        "ordbog.html": {"tables": dictionary_tables(data)},
        "deltagere.html": {"multiples": participants(data), "programme": PROGRAMME},
        "brancher.html": {"industries": industry_names(data), "matrix": industry_matrix(data)},
    }


def index_context(data: ReportData, options: ReportOptions) -> dict[str, Any]:
    """Return the front page's map, the columns of its table and the choices of its filters."""
    shown = pages.ordered(data)
    first = MAP_FIRST if MAP_FIRST in shown else next(iter(shown), None)
    overview = [key for key in OVERVIEW if key in data.indicators] or shown[:5]
    expected: dict[str, Row] = {}
    outcomes = sorted({str(row["outcome_id"]) for row in data.tables.get("mart.expected", [])})
    if outcomes:
        rows = sorted(
            (r for r in data.tables["mart.expected"] if r["outcome_id"] == outcomes[0]), key=lambda r: str(r["period"])
        )
        expected = {str(row["municipality_code"]): row for row in rows}
    names = {str(m["municipality_code"]): m for m in data.municipalities}
    drawn = drawings.draw(options.boundaries, names)
    return {
        "map": drawn,
        "boundaries_source": options.boundaries_source,
        "names": names,
        "by_name": sorted(data.municipalities, key=lambda m: danish_key(str(m["municipality_name"]))),
        "first": first,
        "choices": shown,
        "overview": overview,
        "expected": expected,
        "outcome": words.outcome(outcomes[0], data.indicators) if outcomes else None,
        "regions": sorted({str(m["region_name"]) for m in data.municipalities if m.get("region_name")}),
        "group_names": sorted(
            {
                (str(m["municipality_group_da"]), str(m["municipality_group_en"]))
                for m in data.municipalities
                if m.get("municipality_group_da")
            }
        ),
    }


@dataclass(frozen=True)
class Multiples:
    """One indicator over all years: a small chart per participant, and the figures behind them.

    `rows`: municipality, chart, its line, its peers' line and how many non-participant peers are in it. `lines`: the
    country's line. `bands`: lowest and highest municipality per year.
    """

    indicator: Row
    years: list[int]
    rows: list[tuple[Row, Markup, dict[int, float], dict[int, float], int]]
    country: dict[int, float]
    bands: dict[int, tuple[float, float]]


def participants(data: ReportData) -> list[Multiples]:
    """Return the participants over the years against their non-participant peers, the country and all municipalities.

    A peers' mean is taken over the peers known in every year of the line, so that no peer's absence looks like a
    change.
    """
    members = [row for row in data.municipalities if row.get("is_participant")]
    codes = {str(row["municipality_code"]) for row in members}
    found = []
    for indicator_id in PARTICIPANT_INDICATORS:
        series = {code: by_year(data, cells, indicator_id) for code, cells in data.values.get(indicator_id, {}).items()}
        country = by_year(data, data.national.get(indicator_id, {}), indicator_id)
        years = sorted({year for line in series.values() for year in line})
        if not members or len(years) < 2:
            continue
        bands = {}
        for year in years:
            known = [line[year] for line in series.values() if year in line]
            bands[year] = min(known), max(known)
        scale = drawings.scale_of(bands, [country])
        rows = []
        for member in members:
            code = str(member["municipality_code"])
            near = [str(row["peer_code"]) for row in pages.peers(data, code) if str(row["peer_code"]) not in codes]
            whole = [series[peer] for peer in near if peer in series and set(series[peer]) >= set(years)]
            peer_line = {year: sum(line[year] for line in whole) / len(whole) for year in years} if whole else {}
            own = series.get(code, {})
            lines = {"nation": country, "peers": peer_line, "own": own}
            caption = f"multiple-{indicator_id}-{code}"
            drawn = drawings.small_chart(scale, lines, bands, caption, PROGRAMME)
            rows.append((member, drawn, own, peer_line, len(whole)))
        rows.sort(key=lambda row: danish_key(str(row[0]["municipality_name"])))
        found.append(Multiples(data.indicators[indicator_id], years, rows, country, bands))
    return found


def by_year(data: ReportData, cells: Mapping[str, Cell], indicator_id: str) -> dict[int, float]:
    """Return a series' known values by the year of their day."""
    out = {}
    for period in data.history.get(indicator_id, []):
        cell = cells.get(period)
        if cell is not None and cell.value is not None and cell.day is not None:
            out[cell.day.year] = cell.value
    return out


def industry_names(data: ReportData) -> dict[str, words.Words]:
    """Return the names of the industries by code, without the letter code that the publisher puts before them."""
    return {
        str(row["industry_code"]): words.industry(row)
        for row in sorted(data.tables.get("mart.industry_match", []), key=lambda row: str(row["industry_code"]))
    }


def industry_matrix(data: ReportData) -> list[tuple[Row, dict[str, Row]]]:
    """Return every municipality with its industries by code, in Danish order."""
    by_code = {
        str(m["municipality_code"]): {
            str(row["industry_code"]): row for row in data.of("mart.industry_match", str(m["municipality_code"])) or []
        }
        for m in data.municipalities
    }
    ordered = sorted(data.municipalities, key=lambda m: danish_key(str(m["municipality_name"])))
    return [(m, by_code[str(m["municipality_code"])]) for m in ordered] if any(by_code.values()) else []


def method_groups(data: ReportData) -> list[tuple[words.Words, list[Row]]]:
    """Return the indicators by part of the mapping, for the page of definitions."""
    return [
        (label, [row for row in data.indicators.values() if row["dimension"] == dimension])
        for dimension, label in words.DIMENSIONS.items()
    ]


def effects(data: ReportData) -> list[tuple[words.Words, list[Row]]]:
    """Return the rows of mart.method_effect by method: all contexts first, then during and after, then each context."""
    first = {"all": 0, "during": 1, "after": 2}
    names = {
        str(row["method_code"]): (str(row["label_da"]), str(row["label_en"]))
        for row in data.tables.get("reference.methods", [])
    }
    out: dict[words.Words, list[Row]] = {}
    for row in sorted(data.tables.get("mart.method_effect", []), key=lambda r: first.get(str(r["context_code"]), 3)):
        method = str(row["method_code"])
        out.setdefault(names.get(method) or words.answer("measure_kind_code", method), []).append(row)
    return sorted(out.items(), key=lambda item: danish_key(item[0][0]))


def dictionary_tables(data: ReportData) -> dict[str, list[Row]]:
    """Return the rows of the data dictionary by table, analysts' tables first."""
    first = {"mart": 0, "meta": 1, "core": 2}
    out: dict[str, list[Row]] = {}
    for row in data.dictionary:
        out.setdefault(str(row["table_name"]), []).append(row)
    return dict(sorted(out.items(), key=lambda item: (first.get(item[0].split(".")[0], 9), item[0])))


def column_labels(data: ReportData) -> dict[str, words.Words]:
    """Return the Danish and English label of every column name."""
    return {str(row["column_name"]): (str(row["label_da"]), str(row["label_en"])) for row in data.dictionary}
