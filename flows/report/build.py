"""Write the whole report into a folder: pages, their data, styles and scripts. Nothing is loaded from elsewhere."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from markupsafe import Markup

from flows.report import drawings, pages, words
from flows.report.data import Cell, ReportData, Row, grouped, load
from flows.report.words import HELPERS, clean
from flows.settings import Settings
from transforms.errors import UsageError
from transforms.models.wording import danish_key

HERE = Path(__file__).parent
logger = logging.getLogger(__name__)
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
    "index.html": ("index.html.jinja", ("Kort", "Map")),
    "sammenlign.html": ("compare.html.jinja", ("Sammenlign", "Compare")),
    "deltagere.html": ("participants.html.jinja", ("Deltagerne", "Participants")),
    "brancher.html": ("industries.html.jinja", ("Brancher", "Industries")),
    "opfoelgning.html": ("followup.html.jinja", ("Opfølgning", "Follow-up")),
    "datakvalitet.html": ("quality.html.jinja", ("Datakvalitet", "Data quality")),
    "metode.html": ("method.html.jinja", ("Metode", "Method")),
    "ordbog.html": ("dictionary.html.jinja", ("Ordbog", "Dictionary")),
}
"""Template and Danish and English name of every page but the profiles, in the order of the main menu."""


def find_chromium(settings: Settings) -> Path | None:
    """Return the browser that prints the profiles, None when no PDF is asked for; UsageError when none is installed."""
    if not settings.pdf:
        return None
    names = [str(settings.chromium)] if settings.chromium else ["chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise UsageError(
            f"{names[0]}: no Chromium here to print the profiles with (KOMMUNEKORT_PDF); install one, name it by "
            "KOMMUNEKORT_CHROMIUM, or leave the PDFs out: every profile prints itself on two pages"
        )
    return Path(found)


def build_report(
    database: Path,
    folder: Path,
    settings: Settings,
    ages: Mapping[str, Mapping[str, Any]] | None = None,
    on_step: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write the report of a finished database into `folder` (replaced whole, at once); return its files.

    From the data folder come the delivery receipts, the frozen baselines and the comparisons made with them; each may
    be absent. `ages`: the age of every source as the run judged it (`flows.run.ages.as_plain`). UsageError when the
    file is no published mapping, DataRefused when a given boundary file cannot be used.
    """
    chromium = find_chromium(settings)
    data = load(database)
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "kommune").mkdir(parents=True)
    shutil.copytree(HERE / "assets", unfinished / "assets")
    site = _Site(data, unfinished)
    site.write("assets/definitions.js", pages.script("KK_DEFINITIONS", pages.definitions(data)))
    places = pages.script("KK_PLACES", pages.places(data)) + pages.script("KK_RELEASE", pages.release(data))
    site.write("assets/places.js", places)
    site.write("assets/values.js", pages.script("KK_VALUES", pages.values(data)))
    site.write("assets/exact.js", pages.script("KK_EXACT", pages.exact(data)))
    if data.conditions:
        site.write("assets/conditions.js", pages.script("KK_CONDITIONS", pages.peer_conditions(data)))
    contexts = page_contexts(data, settings, ages or {})
    for page, (template, _) in PAGES.items():
        site.render(page, template, contexts.get(page, {}))
    for municipality in data.municipalities:
        on_step(f"report: {municipality['municipality_name']}")
        context = pages.context(data, municipality)
        site.render(f"kommune/{municipality['municipality_code']}.html", "profile.html.jinja", context)
    if chromium is not None:
        print_profiles(unfinished, chromium, on_step)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


PDF_SECONDS = 120
PDF_LINK = "<!-- pdf -->"
"""Where a profile leads to its PDF, once that is made."""


def print_profiles(folder: Path, chromium: Path, on_step: Callable[[str], None]) -> None:
    """Print every profile of a report to a PDF beside it, and let the profile lead there.

    A browser of its own prints each, as many at once as there are cores. A profile that cannot be printed stays
    without its PDF and is told.
    """
    profiles = sorted((folder / "kommune").glob("*.html"))
    faults: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for profile, fault in zip(profiles, pool.map(partial(_print, chromium), profiles), strict=True):
            on_step(f"report: {profile.stem}.pdf")
            if fault is not None:
                faults[profile.stem] = fault
            link = words.pdf_link(profile.stem) if fault is None else ""
            text = profile.read_text(encoding="utf-8").replace(PDF_LINK, link)
            profile.write_text(text, encoding="utf-8", newline="\n")
    if faults:
        first = next(iter(faults))
        logger.warning("%d of %d PDFs were not made (first %s: %s)", len(faults), len(profiles), first, faults[first])


def _print(chromium: Path, profile: Path) -> str | None:
    """Print one page to a PDF beside it; return what went wrong, if anything did."""
    target = profile.with_suffix(".pdf")
    with TemporaryDirectory(prefix="kommunekort-print-", ignore_cleanup_errors=True) as own:
        command = [
            str(chromium), "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--no-pdf-header-footer",
            f"--user-data-dir={own}", f"--print-to-pdf={target}", profile.resolve().as_uri(),
        ]  # fmt: skip
        if os.name == "posix" and os.geteuid() == 0:  # Chromium's own sandbox does not work for root
            command.insert(1, "--no-sandbox")
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PDF_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            target.unlink(missing_ok=True)
            return type(error).__name__
    return None if target.is_file() else "the browser wrote none"


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
        environment.globals |= {
            "data": data, "labels_of": words,
            "menu": [(page, name) for page, (_, name) in PAGES.items()], "columns": column_labels(data),
            "units": {str(row["column_name"]): row["unit"] for row in data.dictionary},
        }  # fmt: skip
        self.environment = environment

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8", newline="\n")

    def render(self, page: str, template: str, context: dict[str, Any]) -> None:
        root = "../" if "/" in page else ""
        self.write(page, self.environment.get_template(template).render(page=page, root=root, **context))


def _seen(value: Any) -> Any:
    """Make hidden and turning marks visible in whatever text a template prints; markup and numbers pass."""
    return clean(value) if type(value) is str else value


def page_contexts(
    data: ReportData, settings: Settings, ages: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what each page but the profiles needs beside the data."""
    rules, receipts = pages.rules(data), pages.receipts(settings.receipts)
    return {
        "index.html": index_context(data, settings),
        "opfoelgning.html": {
            "baselines": pages.baselines(settings.baselines, settings.comparisons),
            "columns": column_labels(data) | {key: words.words(key) for key in ("municipality_code", "project_unit")},
            "names": pages.names_of_units(data),
        },
        "datakvalitet.html": {
            "sources": pages.sources(data, receipts, ages),
            "rules": rules,
            "tally": pages.tally(rules),
            "receipts": receipts,
            "delivered": pages.deliveries(data, receipts),
            "withheld": pages.withheld(data),
            "changes": pages.changes(data),
            "silent": pages.not_delivered(data, receipts),
        },
        "metode.html": {
            "ages": pages.ages,
            "groups": method_groups(data),
            "effects": effects(data),
            "method_names": method_names(data),
        },
        "ordbog.html": {"tables": dictionary_tables(data)},
        "deltagere.html": {"multiples": participants(data), "programme": PROGRAMME},
        "brancher.html": {
            "industries": industry_names(data),
            "matrix": industry_matrix(data),
            "commonest": commonest_industry(data),
            "used": max((str(row.get("score_factors") or "") for row in data.tables.get("mart.industry_match", [])),
                        key=len, default=""),
        },
    }  # fmt: skip


def index_context(data: ReportData, settings: Settings) -> dict[str, Any]:
    """Return the front page's map, the columns of its table and the choices of its filters."""
    shown = pages.ordered(data)
    first = MAP_FIRST if MAP_FIRST in shown else next(iter(shown), None)
    overview = [key for key in OVERVIEW if key in data.indicators] or shown[:5]
    by_period = sorted(data.tables.get("mart.expected", []), key=lambda row: str(row["period"]))
    outcomes = sorted({str(row["outcome_id"]) for row in by_period})
    expected = {str(row["municipality_code"]): row for row in by_period if row["outcome_id"] == outcomes[0]}
    names = {str(m["municipality_code"]): m for m in data.municipalities}
    groups = ((m.get("municipality_group_da"), m.get("municipality_group_en")) for m in data.municipalities)
    return {
        "map": drawings.draw(settings.boundaries, names),
        "boundaries_source": settings.boundaries_source,
        "names": names,
        "first": first,
        "choices": shown,
        "overview": overview,
        "expected": expected,
        "outcome": words.outcome(outcomes[0], data.indicators) if outcomes else None,
        "regions": sorted({str(m["region_name"]) for m in data.municipalities if m.get("region_name")}),
        "group_names": sorted({group for group in groups if group[0]}),
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
    members = [row for row in data.by_name if row.get("is_participant")]
    codes = {str(row["municipality_code"]) for row in members}
    found = []
    for indicator_id in PARTICIPANT_INDICATORS:
        series = {code: by_year(data, cells, indicator_id) for code, cells in data.values.get(indicator_id, {}).items()}
        country = by_year(data, data.national.get(indicator_id, {}), indicator_id)
        years = sorted({year for line in series.values() for year in line})
        if not members or len(years) < 2:
            continue
        known = {year: [line[year] for line in series.values() if year in line] for year in years}
        bands = {year: (min(values), max(values)) for year, values in known.items()}
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
        found.append(Multiples(data.indicators[indicator_id], years, rows, country, bands))
    return found


def by_year(data: ReportData, cells: Mapping[str, Cell], indicator_id: str) -> dict[int, float]:
    """Return a series' known values by the year of their day."""
    told = [cells[period] for period in data.history.get(indicator_id, []) if period in cells]
    return {cell.day.year: cell.value for cell in told if cell.value is not None and cell.day is not None}


def industry_names(data: ReportData) -> dict[str, words.Words]:
    """Return the names of the industries by code, without the letter code that the publisher puts before them."""
    rows = sorted(data.tables.get("mart.industry_match", []), key=lambda row: str(row["industry_code"]))
    return {str(row["industry_code"]): words.industry(row) for row in rows}


def industry_matrix(data: ReportData) -> list[tuple[Row, dict[str, Row]]]:
    """Return every municipality with its industries by code, in Danish order."""
    found = []
    for m in data.by_name:
        rows = data.of("mart.industry_match", str(m["municipality_code"])) or []
        found.append((m, {str(row["industry_code"]): row for row in rows}))
    return found if any(rows for _, rows in found) else []


def commonest_industry(data: ReportData) -> str | None:
    """Return the industry that has the highest match on average: the one a narrow screen shows first."""
    scores: dict[str, float] = defaultdict(float)
    for row in data.tables.get("mart.industry_match", []):
        scores[str(row["industry_code"])] += float(row.get("match_score") or 0)
    return max(sorted(scores), key=lambda key: scores[key], default=None)


def method_groups(data: ReportData) -> list[tuple[words.Words, list[Row]]]:
    """Return the indicators by part of the mapping, for the page of definitions."""
    return [
        (label, [row for row in data.indicators.values() if row["dimension"] == dimension])
        for dimension, label in words.DIMENSIONS.items()
    ]


def method_names(data: ReportData) -> dict[str, words.Words]:
    """Return the Danish and English name of every method by its code."""
    rows = data.tables.get("reference.methods", [])
    return {str(row["method_code"]): (str(row["label_da"]), str(row["label_en"])) for row in rows}


def effects(data: ReportData) -> list[tuple[words.Words, list[Row]]]:
    """Return the rows of mart.method_effect by method: all contexts first, then during and after, then each context."""
    first = {"all": 0, "during": 1, "after": 2}
    names = method_names(data)
    rows = sorted(data.tables.get("mart.method_effect", []), key=lambda r: first.get(str(r["context_code"]), 3))
    methods = grouped(
        rows, lambda r: names.get(r["method_code"]) or words.answer("measure_kind_code", r["method_code"])
    )
    return sorted(methods.items(), key=lambda item: danish_key(item[0][0]))


def dictionary_tables(data: ReportData) -> dict[str, list[Row]]:
    """Return the rows of the data dictionary by table, analysts' tables first."""
    first = {"mart": 0, "meta": 1, "core": 2}
    tables = grouped(data.dictionary, lambda row: str(row["table_name"]))
    return dict(sorted(tables.items(), key=lambda item: (first.get(item[0].split(".")[0], 9), item[0])))


def column_labels(data: ReportData) -> dict[str, words.Words]:
    """Return the Danish and English label of every column name."""
    return {str(row["column_name"]): (str(row["label_da"]), str(row["label_en"])) for row in data.dictionary}
