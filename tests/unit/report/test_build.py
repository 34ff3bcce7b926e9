"""The report's pages as files: whole, self-contained, safe with hostile text, honest about what is not known."""

from __future__ import annotations

import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.report import pages, words
from flows.report.build import PAGES, build_report, find_chromium
from flows.report.data import load
from flows.settings import Settings
from tests.report_database import HOSTILE, MISSING_CODE, SUPPRESSED_CODE, make_database
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import Warehouse


class Page(HTMLParser):
    """A page's tags with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    # The last twelve in code order hold Læsø, whose figures are withheld.
    build_report(make_database(root / "a.duckdb", municipalities=12), root / "site", Settings(data=root))
    return root / "site"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    build_report(make_database(root / "a.duckdb", municipalities=4, hostile=True), root / "site", Settings(data=root))
    return root / "site"


def test_the_report_has_every_page_and_one_profile_per_municipality(folder: Path) -> None:
    assert {path.name for path in folder.glob("*.html")} == set(PAGES)
    assert len(list((folder / "kommune").glob("*.html"))) == 12
    assert not list(folder.parent.glob(".*.part"))


@pytest.mark.long
def test_every_link_and_file_of_a_page_is_there(folder: Path) -> None:
    anchors = {path: {a["id"] for _, a in Page(path).tags if "id" in a} for path in folder.rglob("*.html")}
    codes = {path.stem for path in (folder / "kommune").glob("*.html")}
    for path, ids in anchors.items():
        for tag, attributes in Page(path).tags:
            target = attributes.get("href") or attributes.get("src")
            if target is None or target.startswith(("https://", "http://")):
                assert target is None or tag == "a"
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            assert file.is_file(), f"{path.name}: {target}"
            if anchor and "sammenlign" in name:
                assert set(anchor.split(",")) <= codes | {"group:participants"}
            elif anchor:
                assert anchor in (anchors[file] if name else ids), f"{path.name}: {target}"


@pytest.mark.long
def test_ids_are_unique_and_nothing_is_inline_or_loaded_from_elsewhere(folder: Path, hostile: Path) -> None:
    for path in [*folder.rglob("*.html"), *hostile.rglob("*.html")]:
        tags = Page(path).tags
        ids = [a["id"] for _, a in tags if "id" in a]
        assert len(ids) == len(set(ids)), path.name
        policy = next(a["content"] for t, a in tags if a.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for tag, attributes in tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes), (path.name, tag)
            assert tag != "script" or attributes.get("src"), path.name
            assert "javascript:" not in attributes.get("href", "")


@pytest.mark.long
def test_the_page_of_industries_names_every_factor_of_the_match(folder: Path) -> None:
    text = (folder / "brancher.html").read_text(encoding="utf-8")
    database = load(make_database(folder.parent / "factors.duckdb"))
    used = {name for row in database.tables["mart.industry_match"] for name in (row["score_factors"] or "").split()}
    assert used
    assert [name for name in used if words.CODES["factor"][name][0] not in text] == []


def test_every_page_bears_the_mark_of_synthetic_data(folder: Path) -> None:
    for path in folder.rglob("*.html"):
        assert "SYNTETISKE DATA / SYNTHETIC DATA" in Page(path).text


def test_hostile_text_is_shown_as_text(hostile: Path) -> None:
    page = Page(hostile / "metode.html")
    assert not [t for t, a in page.tags if t == "img"]
    assert '<script>alert("x")</script>' in page.text
    for path in hostile.rglob("*.html"):
        raw = path.read_text(encoding="utf-8")
        assert "<script>alert" not in raw
        assert "onerror=alert" not in raw.replace("onerror=alert(1)&gt;", "")
        assert "\u202e" not in raw
        assert "\u202c" not in raw


def test_hostile_text_does_not_leave_its_string_in_a_script(hostile: Path) -> None:
    for name, variable in (("definitions.js", "KK_DEFINITIONS"), ("values.js", "KK_VALUES")):
        text = (hostile / "assets" / name).read_text(encoding="utf-8")
        assert "<" not in text
        assert "\u202e" not in text
        content = json.loads(text.removeprefix(f"window.{variable}=").removesuffix(";\n"))
        assert content
    labels = [d["label"][0] for d in _definitions(hostile).values()]
    assert any("<script>" in label for label in labels), "the text itself must still be told"
    assert HOSTILE not in labels, "its turning marks must be made visible"


def _definitions(folder: Path) -> dict[str, dict[str, list[str]]]:
    text = (folder / "assets" / "definitions.js").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = json.loads(text.removeprefix("window.KK_DEFINITIONS=").removesuffix(";\n"))
    return found


def test_a_withheld_figure_is_told_and_never_nought(folder: Path) -> None:
    text = (folder / "kommune" / f"{SUPPRESSED_CODE}.html").read_text(encoding="utf-8")
    own = re.findall(r'<td class="num own">(.*?)</td>', text[: text.index('id="industry-title"')])
    own += re.findall(r'<td class="num own">(.*?)</td>', text[text.index('id="method-title"') :])
    figures = [cell for cell in own if "status" not in cell]
    assert len([cell for cell in own if "diskretioneret" in cell]) > 50
    assert len(figures) == 1, "only the estimate of the expected has a figure"
    values = json.loads((folder / "assets/values.js").read_text(encoding="utf-8")[len("window.KK_VALUES=") : -2])
    place = [m[0] for m in values["municipalities"]].index(SUPPRESSED_CODE)
    for indicator in values["indicators"].values():
        assert {column[place] for column in indicator["v"]} == {"s"}
        assert not indicator["n"] or {values["counts"][column][place] for column in indicator["n"]} == {None}


@pytest.mark.long
def test_a_missing_figure_is_told(tmp_path: Path) -> None:
    build_report(make_database(tmp_path / "a.duckdb"), tmp_path / "site", Settings(data=tmp_path))
    text = (tmp_path / "site" / "kommune" / f"{MISSING_CODE}.html").read_text(encoding="utf-8")
    assert text.count('status-missing"') > 50
    assert (tmp_path / "site" / "index.html").stat().st_size < 1_500_000
    names = ("values.js", "definitions.js", "report.js", "map.js", "report.css")
    loaded = [tmp_path / "site" / "assets" / name for name in names]
    assert sum(path.stat().st_size for path in loaded) < 1_350_000


def test_numbers_are_danish_and_differences_are_percentage_points(folder: Path) -> None:
    text = (folder / "kommune" / "851.html").read_text(encoding="utf-8")
    assert re.search(r'<data value="\d+\.\d+" data-d="1">\d+,\d</data>', text)
    assert re.search(r">\d{1,3}\.\d{3}</data>", text), "thousands are parted by a point"
    assert "procentpoint" in text
    assert re.search(r'data-s="1">[+\u2212]', text)


def test_parts_that_are_not_there_yet_are_named(tmp_path: Path) -> None:
    build_report(
        make_database(tmp_path / "a.duckdb", municipalities=2, models=False), tmp_path / "site", Settings(data=tmp_path)
    )
    profile = next((tmp_path / "site" / "kommune").glob("*.html")).read_text(encoding="utf-8")
    for table in ("expected", "finding", "peer", "method_candidate", "industry_match", "organisation", "eligibility"):
        assert f"<code>mart.{table}</code>" in profile


@pytest.mark.long
def test_the_same_database_gives_the_same_bytes(tmp_path: Path) -> None:
    database = make_database(tmp_path / "a.duckdb", municipalities=3)
    first = {p.name: p.read_bytes() for p in build_report(database, tmp_path / "one", Settings(data=tmp_path))}
    assert first == {p.name: p.read_bytes() for p in build_report(database, tmp_path / "two", Settings(data=tmp_path))}


@pytest.mark.long
def test_a_failed_report_leaves_the_earlier_one_alone(tmp_path: Path) -> None:
    database = make_database(tmp_path / "a.duckdb", municipalities=2)
    before = build_report(database, tmp_path / "site", Settings(data=tmp_path))
    (tmp_path / "bad.geojson").write_text("{", encoding="utf-8")
    with pytest.raises(DataRefused, match="not a readable GeoJSON"):
        build_report(database, tmp_path / "site", Settings(data=tmp_path, boundaries=tmp_path / "bad.geojson"))
    assert all(path.is_file() for path in before)


def test_what_is_no_mapping_is_refused(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "other.duckdb") as warehouse:
        warehouse.execute("CREATE TABLE something AS SELECT 1 AS a")
    with pytest.raises(UsageError, match="no published mapping"):
        build_report(tmp_path / "other.duckdb", tmp_path / "site", Settings(data=tmp_path))
    with pytest.raises(UsageError, match="nothing is published"):
        build_report(tmp_path / "absent.duckdb", tmp_path / "site", Settings(data=tmp_path))


@pytest.mark.long
def test_revised_figures_are_listed_without_the_earlier_build(tmp_path: Path) -> None:
    now = make_database(tmp_path / "now.duckdb", municipalities=2)
    with Warehouse.open(now) as warehouse:
        run_id = warehouse.scalar("SELECT run_id FROM meta.run")
        warehouse.execute(
            "CREATE TABLE meta.revision AS SELECT run_id, municipality_code, indicator_id, period, "
            "NULL::DECIMAL(18, 4) AS value_before, value AS value_after, 'suppressed' AS value_status_before, "
            "value_status AS value_status_after FROM mart.indicator_value, (VALUES (?), ('earlier')) AS run(run_id) "
            "WHERE indicator_id = 'unemployment_pct' AND period = '2024' AND municipality_code = '851'",
            [run_id],
        )
    build_report(now, tmp_path / "site", Settings(data=tmp_path))
    text = (tmp_path / "site" / "datakvalitet.html").read_text(encoding="utf-8")
    part = text[text.index('id="q-revised"') : text.index('id="q-withheld"')]
    assert part.count("<tr>") == 4, "one municipality and one figure, each under a heading"
    own = (tmp_path / "site" / "kommune" / "851.html").read_text(encoding="utf-8")
    assert "Ændret siden forrige udgivelse" in own
    [path] = [path for path in (tmp_path / "site" / "kommune").glob("*.html") if path.stem != "851"]
    other = path.read_text(encoding="utf-8")
    assert "Ingen af kommunens tidligere offentliggjorte tal er ændret." in other
    assert "Aalborg" in part
    assert "diskretioneret" in part


@pytest.mark.long
def test_deliveries_are_told_without_their_file_names(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    receipt = {
        "verdict": "afvist",
        "municipality": "Aalborg",
        "kind": "cases",
        "period": "2024",
        "file": "Jens Hansen.csv",
        "received_at": "2026-01-01T10:00:00",
        "rows_in": 12,
        "rows_accepted": 0,
        "rows_rejected": 12,
    }
    (receipts / "a.json").write_text(json.dumps(receipt), encoding="utf-8")
    (receipts / "broken.json").write_text("{", encoding="utf-8")
    database = make_database(tmp_path / "a.duckdb", municipalities=2)
    build_report(database, tmp_path / "site", Settings(data=tmp_path))
    text = (tmp_path / "site" / "datakvalitet.html").read_text(encoding="utf-8")
    assert "Aalborg" in text
    assert "afvist" in text
    assert "Jens Hansen" not in text
    kinds = text[text.index("kinds-scroll") :].split("</table>")[0]
    assert kinds.count("ingen eller få") == 2
    assert "12" not in re.sub("<[^>]+>", " ", kinds), "twelve rows are twelve persons"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["cases", "measures", "employment", None])
@pytest.mark.parametrize("threshold", [5, 50, 150])
def test_no_small_number_of_delivered_rows_is_told(kind: str | None, threshold: int, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    data = load(make_database(tmp_path / "a.duckdb", municipalities=2))
    data.release["suppression_threshold_count"] = threshold
    for rows in (0, 1, 3, 49, 99, 101, 149, 199, 200, 1234):
        receipt = {"kind": kind, "verdict": "godkendt", "received_at": "2026-01-01T10:00:00", "rows_in": rows + 2}
        receipt |= {"rows_accepted": rows, "rows_rejected": 2}
        (receipts / "a.json").write_text(json.dumps(receipt), encoding="utf-8")
        given = pages.receipts(receipts)
        told = [row[name] for row in pages.deliveries(data, given) for name in pages.COUNTS]
        sources = (row for row in pages.sources(data, given) if row["source_id"] == f"delivery_{kind}")
        told += [row.get(f"rows_{name}_count") for row in sources for name in ("in", "loaded", "rejected")]
        assert told
        assert all(count is None or (count >= threshold and count % 100 == 0) for count in told), told


@pytest.mark.long
def test_questionnaires_are_counted_as_they_are_and_respondents_are_not(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    data = load(make_database(tmp_path / "a.duckdb", municipalities=2))
    for number in range(7):
        receipt = {"kind": "organisation", "verdict": "godkendt", "received_at": "2026-01-01T10:00:00", "rows_in": 1}
        receipt |= {"rows_accepted": 1, "rows_rejected": 0}
        (receipts / f"{number}.json").write_text(json.dumps(receipt), encoding="utf-8")
    (told,) = pages.deliveries(data, pages.receipts(receipts))
    assert [told[name] for name in pages.COUNTS] == [7, 7, 0]
    (receipts / "8.json").write_text(json.dumps(receipt | {"rows_in": 3, "rows_accepted": 3}), encoding="utf-8")
    (told,) = pages.deliveries(data, pages.receipts(receipts))
    assert [told[name] for name in pages.COUNTS] == [None, None, 0]


@pytest.mark.long
def test_the_rules_of_protection_are_told_from_the_settings(tmp_path: Path) -> None:
    database = make_database(tmp_path / "a.duckdb", municipalities=2)
    with Warehouse.open(database) as warehouse:
        warehouse.execute(
            "UPDATE meta.release SET suppression_threshold_count = 7, rounding_base_count = 9, "
            "minimum_denominator_count = 23, least_rate_denominator_count = 31"
        )
    build_report(database, tmp_path / "site", Settings(data=tmp_path))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (tmp_path / "site" / "datakvalitet.html").read_text("utf-8")))
    for told, size in (("intet antal under", 7), ("multipla af", 9), ("færre end", 23), ("tal over færre end", 31)):
        assert re.search(rf"{told} (\S+ \S+ )?.{{0,60}}\b{size}\b", text), told


@pytest.mark.long
def test_a_delivered_source_tells_what_its_receipts_tell(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts"
    receipts.mkdir()
    for place, (verdict, accepted) in enumerate(
        [("godkendt", 1010), ("afvist", 0), ("godkendt med bemærkninger", 2020)]
    ):
        receipt = {
            "verdict": verdict,
            "kind": "cases",
            "received_at": f"2026-01-0{place + 1}T10:00:00",
            "rows_in": 3030,
            "rows_accepted": accepted,
            "rows_rejected": 3030 - accepted,
        }
        (receipts / f"{place}.json").write_text(json.dumps(receipt), encoding="utf-8")
    database = make_database(tmp_path / "a.duckdb", municipalities=2)
    build_report(database, tmp_path / "site", Settings(data=tmp_path))
    text = (tmp_path / "site" / "datakvalitet.html").read_text(encoding="utf-8")
    row = text[text.index('<tr id="delivery_cases">') :].split("</tr>")[0]
    assert "03.01.2026" in row
    assert "6.060" not in text, "rows of persons are told in whole hundreds"
    assert ">6.000<" in row, "a refused delivery is no part of the source"
    assert ">3.000<" in row
    assert '<tr id="delivery_measures">' in text
    assert "mangler" in text[text.index('<tr id="delivery_measures">') :].split("</tr>")[0]


@pytest.mark.long
def test_ages_and_their_verdict_are_the_runs_own(tmp_path: Path) -> None:
    database = make_database(tmp_path / "a.duckdb", municipalities=2)
    data = load(database)
    taken = [key for key in data.snapshots if not key.startswith("delivery_")][:3]
    data.tables["meta.validation"] = [
        {"table_name": f"staging.{taken[0]}", "rule_id": "source_not_too_old", "success": False},
        {"table_name": f"staging.{taken[1]}", "rule_id": "source_not_standing_still", "success": False},
        {"table_name": f"staging.{taken[2]}", "rule_id": "source_not_too_old", "success": True},
    ]
    told = {row["source_id"]: row for row in pages.sources(data, None, {taken[0]: {"age_days": 3}})}
    assert [told[key]["state"] for key in taken] == ["old", "stale", "ok"]
    assert [told[key]["age_days"] for key in taken] == [3, None, None], "no age is counted a second time"


@pytest.mark.long
def test_a_comparison_with_a_baseline_is_shown_with_its_caution(tmp_path: Path) -> None:
    (tmp_path / "baselines" / "nulpunkt-2016").mkdir(parents=True)
    manifest = {"run_id": "r1", "frozen_at": "2026-01-02T03:00:00+00:00"}
    (tmp_path / "baselines" / "nulpunkt-2016" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "comparisons").mkdir()
    rows = [
        {"comparison": "matched", "difference": 1.26, "sister_pool_count": pool, "caution_da": "Pas på.",
         "caution_en": "Beware."} for pool in (None, 0)
    ]  # fmt: skip
    content = {
        "baseline": "nulpunkt-2016",
        "outcome_id": "unemployment_pct",
        "baseline_period": "2018",
        "later_period": "2024",
        "later_run_id": "r2",
        "is_synthetic": True,
        "municipalities": [{"municipality_code": "851", "change": None}],
        "difference_in_differences": rows,
    }
    (tmp_path / "comparisons" / "x.json").write_text(json.dumps(content), encoding="utf-8")
    build_report(make_database(tmp_path / "a.duckdb", municipalities=2), tmp_path / "site", Settings(data=tmp_path))
    text = (tmp_path / "site" / "opfoelgning.html").read_text(encoding="utf-8")
    assert "nulpunkt-2016" in text
    assert "Pas på." in text
    assert ">+1,3</data>" in text, "a difference has its sign, here as on a profile"
    assert text.count("navnene kendes ikke") == 2, "nor is an older file's 0 a count of those whose names are not known"
    assert 'data-da="difference-in-differences, ' in text, "a table tells a screen reader what it is"
    assert "Aalborg" in text
    assert "mangler" in text
    assert text.index("difference-in-differences") < text.index("alle kommuner</span>")


BROWSER = """#!{python}
import sys
from pathlib import Path
target, page = Path(sys.argv[-2].partition("=")[2]), sys.argv[-1]
if {broken!r} in page:
    sys.exit(1)
assert page.startswith("file:///")
target.write_bytes(b"%PDF")
"""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="the stand-in for the browser is a script")
def test_profiles_are_printed_beside_themselves_and_one_that_fails_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(tmp_path / "a.duckdb", municipalities=3)
    codes = sorted(row["municipality_code"] for row in load(database).municipalities)
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, broken=f"{codes[0]}.html"), encoding="utf-8")
    browser.chmod(0o755)
    build_report(database, tmp_path / "site", Settings(data=tmp_path, pdf=True, chromium=browser))
    pages_of = {code: (tmp_path / "site" / "kommune" / f"{code}.html").read_text(encoding="utf-8") for code in codes}
    assert {path.stem for path in (tmp_path / "site" / "kommune").glob("*.pdf")} == set(codes[1:])
    assert [f'href="{code}.pdf"' in pages_of[code] for code in codes] == [False, True, True]
    assert f"1 of 3 PDFs were not made (first {codes[0]}: CalledProcessError)" in caplog.text


def test_pdfs_asked_for_without_a_browser_are_refused_with_the_way_out(tmp_path: Path) -> None:
    ours = Settings(data=tmp_path, pdf=True, chromium=tmp_path / "absent")
    with pytest.raises(UsageError, match="no Chromium here to print the profiles with"):
        find_chromium(ours)
    assert find_chromium(ours.model_copy(update={"pdf": False})) is None
