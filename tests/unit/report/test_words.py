"""What a Danish page says: every number as the mart has it, in Danish, municipalities by their official name."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from expectations.drift import drift_rules
from expectations.history import history_rules, series_of
from expectations.rules import FOLDER
from flows.cli.look import print_profile, profiled
from flows.deliveries.contract import TEXTS
from flows.report import words
from flows.report.build import build_report
from flows.report.words import _rule_texts, condition, examples, rule_text
from flows.report.workbook import SERIES, write_workbook
from flows.run.night import freeze
from flows.settings import Settings
from flows.store import baselines
from tests.fixtures.world import Published
from tests.report_database import make_database, reference
from transforms.areas import areas_at
from transforms.catalogue import Catalogue, load_catalogue
from transforms.dictionary import load_dictionary
from transforms.models.wording import OFFICIAL, UNITS, level, official_name
from transforms.tables import read_all
from transforms.warehouse import Warehouse

ENGLISH = re.compile(
    r"\b(the|and|of|with|from|not|are|is known|which|figure|figures|municipality|municipalities|missing|withheld|"
    r"observed|estimate|unknown|none|employed|jobs|rules?|must|should|this|that|been|were|their|when|than|years?|"
    r"share|persons|newcomers|published|until|because|without|rows|value|delivery|deliveries|expected|peers|country)\b",
    re.IGNORECASE,
)
ROOT = Path(__file__).resolve().parents[3]
REPORT = ROOT / "flows" / "report"
PUBLISHERS = ("codelists", "areas", "area_aliases", "db07_classes", "shortage_classes", "industry_crosswalk")
# Words that are the same in Danish, or names.
SAME = {"of", "share"}
# What no civil servant would write: idiom translated word by word, pretty words for a plain one, half names.
IDIOM = re.compile(
    r"hver kommune går ud fra|bruger privat virksomhedspraktik|halter|beskæftiger på landsplan flere|\boptag\b|"
    r"bedømme|over landet\b|mere end i landet|\bi landet\b|bebrejdes|så sproget bør|"
    r"tilbud kommer efter|metoder at drøfte|viden fra:|regnet over på|gensidigt|skelnes fra|bærer sin egen|"
    r"sæt ikke to tal|lige stor flade|landkortet omtrent|klasserne deler|viser det mellem|frosset|holdes op mod|"
    r"forskel i forskelle|ventet af regression|søsterpulje|af sig selv|regler, der (holder|ikke)|\bbrud\b|\bfrisk\w*|"
    r"sat til side|fyldes ud for sig|siges kun|går metoden sammen|(?<!med )under 80 personer|ingen beregning af|"
    r"ved tilladelsen|sum af tællere|som indikatoren|i pct\. af alle\.|gennemsnit af kvartalet|meldt ud|«\w|»[^«]*$|"
    r"\bkvt\d|\d{4}QMAT|programpersoner",
    re.IGNORECASE,
)


class Spoken(HTMLParser):
    """The text of a page in one language: without the other's, without what is code, names of files or scripts."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.other = "en" if language == "da" else "da"
        self.stack: list[bool] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("meta", "link", "input", "br", "path", "rect", "circle", "data-"):
            return
        told = dict(attrs)
        hidden = tag in ("code", "script", "style", "title", "option")
        hidden |= self.other in (told.get("class") or "").split()
        self.stack.append(hidden or told.get("lang") == self.other or told.get("id") in ("language",))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "link", "input", "br", "path", "rect", "circle") and self.stack:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not any(self.stack) and data.strip():
            self.text.append(" ".join(data.split()))


def spoken(path: Path, language: str) -> list[str]:
    parser = Spoken(language)
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.text


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("words")
    database = make_database(root / "a.duckdb", municipalities=12)
    build_report(database, root / "site", Settings(data=root))
    return database, root / "site"


def scripts(site: Path, name: str) -> dict[str, Any]:
    text = (site / "assets" / f"{name}.js").read_text(encoding="utf-8").splitlines()[0]
    found: dict[str, Any] = json.loads(text[text.index("=") + 1 : -1])
    return found


def as_shown(value: Decimal, decimals: int) -> Decimal:
    """Round half away from nought, once, from the figure the mart holds: written apart from the code it tests."""
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


@pytest.mark.long
def test_every_printed_value_is_the_marts(files: tuple[Path, Path], tmp_path: Path) -> None:
    database, site = files
    values = scripts(site, "values")
    codes = [row[0] for row in values["municipalities"]]
    with Warehouse.open(database, read_only=True) as warehouse:
        mart = {
            (indicator, period, code): (Decimal(repr(value)) if value is not None else None)
            for indicator, period, code, value in warehouse.rows(
                "SELECT indicator_id, period, municipality_code, value::DOUBLE FROM mart.indicator_value"
            )
        }
        units = dict(warehouse.rows("SELECT indicator_id, unit FROM mart.indicator"))
    compared = 0
    for indicator, told in values["indicators"].items():
        decimals = UNITS[units[indicator]].decimals
        assert told["decimals"] == decimals
        for period, column in zip(told["periods"], told["v"], strict=True):
            for code, printed in zip(codes, column, strict=True):
                value = mart[indicator, period, code]
                if value is None:
                    assert printed in ("s", "m", "x")
                else:
                    assert Decimal(repr(printed)) == as_shown(value, decimals), (indicator, period, code)
                    compared += 1
    assert compared > 5_000
    # The profile, whose cells carry the figure and its Danish form.
    printed_cells = 0
    for code in codes:
        page = (site / "kommune" / f"{code}.html").read_text(encoding="utf-8")
        for indicator, own in _own_cells(page):
            value = mart[indicator, "2024", code]
            if value is not None:
                figure, decimals_, text = own
                assert Decimal(figure) == as_shown(value, UNITS[units[indicator]].decimals)
                assert text == level(value, "count" if decimals_ == "0" else "pct", "da").removesuffix(" pct.")
                printed_cells += 1
    assert printed_cells > 1_000
    # The workbook stores the mart's figure and shows it with the same decimals; so does the terminal.
    book = openpyxl.load_workbook(write_workbook(database, tmp_path / "a.xlsx"))
    names = [cell.value for cell in book["indicator_value"][3]]
    at = {name: names.index(name) for name in ("indicator_id", "period", "municipality_code", "value")}
    for row in book["indicator_value"].iter_rows(min_row=4):
        key = row[at["indicator_id"]].value, row[at["period"]].value, row[at["municipality_code"]].value
        cell, value = row[at["value"]], mart[key]
        decimals = UNITS[units[key[0]]].decimals
        assert (cell.value is None) == (value is None)
        if value is not None:
            assert cell.number_format == "#,##0" + ("." + "0" * decimals if decimals else "")
            assert as_shown(Decimal(repr(float(cell.value))), decimals) == as_shown(value, decimals)
    assert book[SERIES].max_row > 100
    for row in profiled(database, codes[0])["headlines"]:
        if row["value"] is not None:
            value = mart[row["indicator_id"], "2024", codes[0]]
            assert Decimal(repr(row["value"])) == value


def danish(value: Decimal, decimals: int, signed: bool = False) -> str:
    """Write a figure of the mart as a Dane reads it: written apart from the code it tests."""
    figure = as_shown(value, decimals)
    text = f"{abs(figure):,.{decimals}f}".translate(str.maketrans(",.", ".,"))
    return ("\u2212" if figure < 0 else "+" if signed and figure > 0 else "") + text


COLUMNS_OF_INDUSTRY = {
    "match_score": 0, "jobs_in_reach_count": 0, "jobs_growth_pct": 1, "absorption_pct": 1, "openings_count": 0,
    "placement_to_job_pct": 1, "present_use_pct": 1,
}  # fmt: skip


def table_rows(page: str, place: str) -> list[str]:
    """Return the rows of the body of the first table after a place in a page."""
    begin = page.index("<tbody>", page.index(place))
    return page[begin : page.index("</tbody>", begin)].split("<tr>")[1:]


def figures(html: str) -> list[str]:
    """Return what is printed in each cell of a row: the figure, or nothing where a word stands in its place."""
    return ["".join(re.findall(r"<data [^>]*>([^<]*)</data>", cell)) for cell in html.split("<td")[1:]]


def industries_are_the_marts(database: Path, site: Path) -> int:
    """Hold the industries of every profile, and the matrix, against the mart; return how many figures were held."""
    held, matrix = 0, (site / "brancher.html").read_text(encoding="utf-8")
    with Warehouse.open(database, read_only=True) as warehouse:
        names = ", ".join(f"{name}::DOUBLE" for name in COLUMNS_OF_INDUSTRY)
        rows = warehouse.rows(
            f"SELECT municipality_code, regexp_replace(industry_name_da, '^' || industry_code || ' ', ''), {names} "
            "FROM mart.industry_match"
        )
        in_matrix = warehouse.rows(
            "SELECT municipality_code, list(match_score::DOUBLE ORDER BY industry_code) FROM mart.industry_match "
            "GROUP BY ALL HAVING count(match_score) > 0"
        )
    by_code: dict[str, dict[str, list[Any]]] = {}
    for code, name, *values in rows:
        by_code.setdefault(code, {})[name] = values
    for code, told in by_code.items():
        page = (site / "kommune" / f"{code}.html").read_text(encoding="utf-8")
        place = next((f'id="{name}"' for name in ("industry-all", "industry-scroll") if f'id="{name}"' in page), None)
        if place is None:
            continue  # nothing can be estimated for it, as the page says
        for row in table_rows(page, place):
            (name,) = [name for name in told if f'<span class="da" lang="da">{escape(name)}</span>' in row]
            for printed, value, (column, decimals) in zip(
                figures(row), told[name], COLUMNS_OF_INDUSTRY.items(), strict=False
            ):
                signed = column == "jobs_growth_pct"
                assert printed == ("" if value is None else danish(Decimal(repr(value)), decimals, signed)), (
                    code,
                    name,
                )
                held += value is not None
    for code, scores in in_matrix:
        row = next(row for row in table_rows(matrix, "matrix-scroll") if f"kommune/{code}.html" in row)
        texts = ["" if value is None else danish(Decimal(repr(value)), 0) for value in scores]
        assert [printed for printed in figures(row) if printed] == [text for text in texts if text], code
        held += len(scores)
    return held


def peers_are_the_marts(database: Path, site: Path) -> int:
    """Hold every distance and gap printed on the profiles against mart.peer; return how many were held."""
    held = 0
    with Warehouse.open(database, read_only=True) as warehouse:
        rows = warehouse.rows(
            "SELECT municipality_code, peer_code, distance::DOUBLE, condition_1_gap::DOUBLE, condition_2_gap::DOUBLE, "
            "condition_3_gap::DOUBLE FROM mart.peer"
        )
    for code, peer, distance, *gaps in rows:
        page = (site / "kommune" / f"{code}.html").read_text(encoding="utf-8")
        row = next(row for row in table_rows(page, 'id="peer-scroll"') if f'href="{peer}.html"' in row)
        wanted = [danish(Decimal(repr(distance)), 2)]
        wanted += [danish(Decimal(repr(gap)), 1, signed=True) for gap in gaps if gap is not None]
        assert re.findall(r"<data [^>]*>([^<]*)</data>", row) == wanted, (code, peer)
        held += len(wanted)
    return held


def comparisons_are_as_compared(site: Path, folder: Path) -> int:
    """Hold every table of the follow-up page against what `compare` wrote; return how many figures were held."""
    held, page = 0, (site / "opfoelgning.html").read_text(encoding="utf-8")
    printed = [row for body in re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL) for row in body.split("<tr>")[1:]]
    shown = [figures(row) for row in printed]
    for path in sorted(folder.glob("*.json")):
        for told in json.loads(path.read_text(encoding="utf-8")).values():
            for row in told if isinstance(told, list) else []:
                wanted = []
                for name, value in row.items():
                    if name.startswith("caution_"):
                        continue
                    is_figure = isinstance(value, int | float) and not isinstance(value, bool)
                    decimals = 0 if isinstance(value, int) else 2 if name == "placebo_p" else 1
                    signed = any(word in name for word in ("difference", "change", "alike"))
                    wanted.append(danish(Decimal(repr(value)), decimals, signed) if is_figure else "")
                assert wanted in shown, row
                held += sum(map(bool, wanted))
    return held


def test_industries_and_peers_are_the_marts(files: tuple[Path, Path]) -> None:
    assert industries_are_the_marts(*files) > 300
    assert peers_are_the_marts(*files) > 100


@pytest.mark.long
def test_every_table_of_the_sample_world_is_the_marts(sample_run: Published, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    shutil.copytree(sample_run.settings.root, settings.root, symlinks=True)
    freeze(settings, "nulpunkt", period="2016")
    baselines.compare(settings, "nulpunkt")
    build_report(settings.published, tmp_path / "site", settings)
    assert industries_are_the_marts(settings.published, tmp_path / "site") > 10_000
    assert peers_are_the_marts(settings.published, tmp_path / "site") > 2_000
    assert comparisons_are_as_compared(tmp_path / "site", settings.root / "comparisons") > 500
    front = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    loaded = ["index.html", *re.findall(r'(?:src|href)="(assets/[^"]+\.(?:js|css))"', front)]
    assert len(loaded) == 8
    assert sum((tmp_path / "site" / name).stat().st_size for name in loaded) < 1.2e6, "the front page and all it loads"
    follow_up = " ".join(spoken(tmp_path / "site" / "opfoelgning.html", "da"))
    assert "procentpoint" in follow_up
    assert "Syddjurs, Norddjurs, Randers" in follow_up, "units by their municipalities' names, not by their codes"


def test_what_is_expected_is_the_same_on_page_map_and_terminal(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database, site = files
    outcomes, codes = scripts(site, "values")["outcomes"], [row[0] for row in scripts(site, "values")["municipalities"]]
    names = ("observed", "expected", "difference", "difference_low", "difference_high")
    with Warehouse.open(database, read_only=True) as warehouse:
        rows = warehouse.rows(
            f"SELECT municipality_code, outcome_id, n_count, {', '.join(f'{name}::DOUBLE' for name in names)} "
            "FROM mart.expected WHERE period = (SELECT max(period) FROM mart.expected e "
            "WHERE e.outcome_id = expected.outcome_id AND e.municipality_code = expected.municipality_code) "
            "AND difference_low IS NOT NULL"
        )
    assert len(rows) > 10
    for code, outcome_id, n_count, *figures in rows:
        decimals = outcomes[outcome_id]["decimals"]
        observed, expected, *differences = (Decimal(repr(figure)) for figure in figures)
        on_map = outcomes[outcome_id]["v"][codes.index(code)]
        assert [Decimal(repr(on_map[place])) for place in (5, 6, 1, 2, 3)] == [
            as_shown(figure, decimals) for figure in (observed, expected, *differences)
        ]
        texts = [danish(figure, decimals) for figure in (observed, expected)]
        texts += [danish(figure, decimals, signed=True) for figure in differences]
        page = (site / "kommune" / f"{code}.html").read_text(encoding="utf-8")
        table = page[page.index('id="expected-scroll"') : page.index("</table>", page.index('id="expected-scroll"'))]
        row = next(row for row in table.split("<tr>") if f"metode.html#{outcome_id}" in row)
        assert re.findall(r"<data [^>]*>([^<]*)</data>", row)[:5] == texts
        print_profile(profiled(database, code))
        terminal = capsys.readouterr().out
        assert f"{texts[0]}" in terminal
        assert f"forskel {texts[2]}" in terminal
        assert f"[{texts[3]}; {texts[4]}], n = {danish(Decimal(n_count), 0)}" in terminal


def test_the_terminal_prints_every_headline_as_the_mart_has_it(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    database, site = files
    printed = 0
    for municipality in scripts(site, "values")["municipalities"]:
        told = profiled(database, municipality[0])
        print_profile(told)
        cells = [[cell.strip() for cell in line.split("\u2502")] for line in capsys.readouterr().out.splitlines()]
        for row in told["headlines"]:
            (line,) = [parts[2] for parts in cells if len(parts) > 2 and parts[1] == row["label_da"]]
            value = row["value"]
            unit = UNITS[row["unit"]]
            wanted = "diskretioneret" if value is None else danish(Decimal(repr(value)), unit.decimals)
            assert line.startswith(wanted) or (value is None and line == "mangler"), line
            printed += value is not None
    assert printed > 100


OWN = re.compile(
    r'<a class="def"[^>]*data-i="(\w+)">(?:(?!</tr>).)*?'
    r'<td class="num own"><data value="([^"]+)" data-d="(\d)">([^<]+)<',
    re.DOTALL,
)


def _own_cells(page: str) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield indicator, and figure, decimals and text of each own cell of the two tables of indicators."""
    for start, end in (("headline-title", "organisation-title"), ("all-title", "source-title")):
        part = page[page.index(f'id="{start}"') : page.index(f'id="{end}"')]
        for found in OWN.finditer(part):
            yield found[1], (found[2], found[3], found[4])


def test_no_english_stands_in_a_danish_page(files: tuple[Path, Path]) -> None:
    _, site = files
    for path in [*site.glob("*.html"), site / "kommune" / "851.html"]:
        for text in spoken(path, "da"):
            if text.startswith(("SYNTETISKE DATA", "Source ", "Kilde statbank")) or re.fullmatch(r"[\w.]+", text):
                continue
            found = {word.lower() for word in ENGLISH.findall(re.sub("»[^«]*«", "", text))} - SAME
            assert not found, f"{path.name}: {text[:200]}"
            assert not IDIOM.search(text), f"{path.name}: {text[:200]}"


def danish_texts() -> Iterator[tuple[str, str]]:
    """Yield where it stands, and every Danish text that pages, receipts, workbook and messages are made of."""
    for path in [*(ROOT / "transforms" / "reference").glob("*.csv"), *REPORT.glob("*_texts.csv"), REPORT / "codes.csv"]:
        if path.stem not in PUBLISHERS:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream, delimiter=";"))
            yield from ((path.name, row[name]) for row in rows for name in row if name.endswith("_da"))
    for name, column_ in load_dictionary().columns.items():
        yield from ((name, text) for text in (column_.label_da, column_.description_da))
    for template in sorted(REPORT.rglob("*.jinja")):
        text = template.read_text(encoding="utf-8")
        yield from ((template.name, found) for found in re.findall(r't\(\s*"([^"]*)"', text))
    receipt = (REPORT / "receipt.html.jinja").read_text(encoding="utf-8")
    danish_only = re.sub(r'<span lang="en">.*?</span>|{[%{].*?[%}]}|<style>.*?</style>', " ", receipt, flags=re.DOTALL)
    yield from (("receipt.html.jinja", line) for line in danish_only.splitlines())
    for script in sorted((REPORT / "assets").glob("*.js")):
        text = script.read_text(encoding="utf-8")
        yield from ((script.name, found) for found in re.findall(r'english\(\) \? "[^"]*" : "([^"]*)"', text))
    for texts in TEXTS.values():
        yield from (("texts.yml", f"{text['text_da']} {text.get('fix_da', '')}") for text in texts.values())


def test_no_idiom_stands_in_anything_a_danish_text_is_made_of() -> None:
    seen: dict[str, int] = {}
    for place, text in danish_texts():
        seen[place] = seen.get(place, 0) + 1
        assert not IDIOM.search(text), f"{place}: {text[:200]}"
    assert sum(seen.values()) > 1_000
    assert {"codes.csv", "rule_texts.csv", "receipt.html.jinja", "report.js", "profile.html.jinja", "texts.yml"} <= set(
        seen
    )


def test_municipalities_stand_in_sentences_by_their_official_name() -> None:
    rules = reference("finding_rules")
    for language in ("da", "en"):
        for sentence in rules[f"template_{language}"]:
            assert "{municipality}" in sentence
            assert not re.search(r"\{municipality\}[\wæøå]", sentence), "no ending is hung on a name"
    names = {area.name_da for area in areas_at(["municipality"])}
    assert {"København", "Bornholm"} <= names
    assert OFFICIAL["da", "København"] == "Københavns Kommune"


def test_every_municipality_has_its_official_name_in_every_sentence() -> None:
    rules = reference("finding_rules")
    for area in areas_at(["municipality"]):
        official = official_name(area.name_da, "da")
        for template in rules["template_da"]:
            text = template.replace("{municipality}", official)
            for found in re.finditer(re.escape(area.name_da), text):
                assert text[found.start() :].startswith((official, f"{area.name_da}s Kommune")), text


def test_every_column_is_described_in_danish() -> None:
    columns = load_dictionary().columns
    lacking = [name for name, column in columns.items() if not column.description_da]
    assert lacking == []
    for name, column in columns.items():
        assert not re.search(r"\b(the|and|with|which|where|whether)\b", column.description_da), name


def test_producers_and_terms_are_told_in_both_languages() -> None:
    for source in load_catalogue().sources.values():
        for text in (source.producer, source.licence):
            da, en = words.words(text)
            assert da == text
            assert en != da or text == "CC BY 4.0", text


def test_a_source_file_tells_its_producer_and_terms_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_catalogue().source("reference_quotas")
    said = {"producer": "Styrelsen", "producer_en": "The agency", "licence": "Fri_brug", "licence_en": "Free use"}
    new = known.model_copy(update=said)
    monkeypatch.setattr(words, "load_catalogue", lambda: Catalogue({new.id: new}, {}))
    words.source_words.cache_clear()
    try:
        told = [words.words(text) for text in (new.producer, new.licence, "no_source")]
    finally:
        words.source_words.cache_clear()
    assert told == [("Styrelsen", "The agency"), ("Fri_brug", "Free use"), ("no source", "no source")]


def test_the_figures_a_mean_is_made_of_are_the_marts(files: tuple[Path, Path]) -> None:
    database, site = files
    exact, codes = scripts(site, "exact"), [row[0] for row in scripts(site, "values")["municipalities"]]
    with Warehouse.open(database, read_only=True) as warehouse:
        rows = warehouse.rows(
            "SELECT indicator_id, municipality_code, (value * 10000)::BIGINT FROM mart.indicator_value WHERE is_newest"
        )
    told = {(key, code): figure for key in exact for code, figure in zip(codes, exact[key], strict=True)}
    wanted = {(key, code): figure for key, code, figure in rows if figure is not None}
    assert len(wanted) > 1000
    assert {place: figure for place, figure in told.items() if figure is not None} == wanted


def test_rules_are_told_in_both_languages() -> None:
    assert len(_rule_texts()) > 40
    danish, english = rule_text({"rule_id": "value_min", "description": "a figure must be at least 0"})
    assert (danish, english) == ("Et tal skal være mindst 0.", "a figure must be at least 0")
    for low, told in (("-100,000", "\u2212100.000"), ("10,000,000,000", "10.000.000.000"), ("0.5", "0,5")):
        text = rule_text({"rule_id": "value_min", "description": f"a figure must be at least {low}"})[0]
        assert text == f"Et tal skal være mindst {told}."
    assert rule_text({"rule_id": "total_is_sum_sex_code", "description": "a total"})[0].startswith(
        "En total over »Kønskode«"
    )
    for table in ("finding_rules", "method_rules"):
        units = reference("indicators").set_index("indicator_id")["unit"]
        for rule in reference(table).to_dict("records"):
            da, en = condition(rule, units.get(rule["indicator_id"]))
            assert da != en
            assert "_" not in da + en, rule["rule_id"]


def test_every_rule_of_a_build_is_told_in_danish(tiny_run: Published) -> None:
    told = {rule: text for rule, text in tiny_run.rows("SELECT DISTINCT rule_id, description FROM meta.validation")}
    told |= {rule.rule_id: rule.description for rule in drift_rules([])}
    told |= {path.stem: "rule" for path in FOLDER.glob("*.sql")}
    others = (
        "source_not_standing_still",
        "extract_readable",
        "newest_extract_used",
        "source_as_known",
        "drift_compared",
        "correction_reverted",
    )
    # Rules against what was published are planned only where there is a publication.
    source_id = "statbank_folk1e"
    series = series_of(load_catalogue().sources[source_id], read_all()[f"staging.{source_id}"], "published")
    against_the_past = {rule.rule_id: rule.description for rule in history_rules(series)}
    assert "figure_revised" in against_the_past
    told |= against_the_past
    told |= dict.fromkeys(others, "rule")
    assert len(told) > 100
    for rule, english in told.items():
        danish = rule_text({"rule_id": rule, "description": english})[0]
        assert danish != english, f"{rule} has no Danish text in rule_texts.csv"
        assert danish.endswith("."), f"{rule}: {danish}"
        assert not re.search(r"\w_\w", danish), f"{rule} shows code: {danish}"


def test_every_term_of_a_model_is_told_in_words(tiny_run: Published) -> None:
    terms = {str(term) for row in tiny_run.rows("SELECT DISTINCT term, term_kind FROM meta.model") for term in row}
    labelled = {str(key) for (key,) in tiny_run.rows("SELECT indicator_id FROM mart.indicator")}
    assert len(terms) > 20
    unnamed = (
        {term.removeprefix("bend ").removeprefix("step ") for term in {*terms, "products"}}
        - labelled
        - set(words.CODES[""])
    )
    assert unnamed == set(), "give them a row in codes.csv"


def test_examples_of_a_broken_rule_are_told_by_name() -> None:
    indicators = {"unemployment_pct": {"label_da": "Ledighed", "label_en": "Unemployment"}}
    text = "indicator_id=unemployment_pct, period=2025QMAT02, municipalities=85 | area_code=151, times=1.42"
    assert examples(text, indicators) == (
        "indikator: Ledighed, periode: året til og med 2. kvt. 2025, kommuner: 85; område: Ballerup, gange: 1,42",
        "indicator: Unemployment, period: the year to Q2 2025, municipalities: 85; area: Ballerup, times: 1.42",
    )
    assert examples("the table is closed", indicators) == ("the table is closed", "the table is closed")


def test_a_median_that_is_not_reached_is_told_from_one_that_is_not_known() -> None:
    median = {"outcome_id": "first_job_median_weeks", "observed": None, "expected": None, "value_status": "missing"}
    assert not words.is_not_reached({**median, "n_count": 60})
    assert words.is_not_reached({**median, "n_count": 60, "value_status": "not_applicable"})
    assert not words.is_not_expected(median)
    told = {**median, "observed": 112, "value_status": "estimated"}
    assert words.is_not_expected(told)
    assert not words.is_not_expected({**told, "expected": 120})
    assert not words.is_not_expected({**told, "outcome_id": "first_job_weeks"})
