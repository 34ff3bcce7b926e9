"""The parts of the report: numbers and periods in words, classes, map, chart and boundaries."""

from __future__ import annotations

import itertools
import json
import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from markupsafe import Markup

from flows.report import drawings
from flows.report.data import Cell
from flows.report.drawings import area, breaks, douglas_peucker, read_shapes, simplify, to_metres
from flows.report.words import clean, day, delta, n, outcome, shown, spark, t, words
from transforms.areas import areas_at
from transforms.errors import DataRefused
from transforms.models.wording import danish_key, date_text, period_text, signed
from transforms.models.wording import shown as rounded

MUNICIPALITIES = [a.code for a in areas_at(["municipality"])]


@pytest.mark.parametrize(
    ("period", "da", "en"),
    [
        ("2016K1", "1. kvt. 2016", "Q1 2016"),
        ("2016M05", "maj 2016", "May 2016"),
        ("2016", "2016", "2016"),
        ("2016M13",) * 3,
    ],
)
def test_periods_in_words(period: str, da: str, en: str) -> None:
    assert period_text(period) == (da, en)


def test_dates_and_signs() -> None:
    assert date_text(date(2016, 11, 3), "da") == "03.11.2016"
    assert date_text(date(2016, 11, 3), "en") == "3 Nov 2016"
    assert signed(2.04, 1, "da") == "+2,0"
    assert signed(-2.04, 1, "en") == "\u22122.0"
    assert signed(0.04, 1, "da") == "0,0"


def test_numbers_carry_their_value_for_the_other_language() -> None:
    assert n(1234567.891, 1) == Markup('<data value="1234567.9" data-d="1">1.234.567,9</data>')
    assert delta(-0.5, 1) == Markup('<data value="-0.5" data-d="1" data-s="1">\u22120,5</data>')
    assert day(date(2016, 1, 2)) == Markup('<time datetime="2016-01-02">02.01.2016</time>')


def test_a_cell_without_figure_says_why() -> None:
    assert "diskretioneret" in shown(Cell(None, "suppressed", "2016", None), "pct")
    assert "mangler" in shown(None, "pct")
    assert "mangler" in shown(Cell(None, "observed", "2016", None), "pct"), "no figure is never nought"
    assert shown(Cell(0.0, "zero", "2016", None), "pct") == n(0, 1)
    assert "foreløbigt" in shown(Cell(1.0, "provisional", "2016", None), "pct")


def test_texts_are_escaped_and_turning_marks_shown() -> None:
    assert "&lt;b&gt;" in t("<b>", "x")
    assert clean("a\u202eb\u200bc\x00") == "a\ufffdb\ufffdc\ufffd"
    assert clean("æøå – 1 «2»") == "æøå – 1 «2»"
    assert t("Odense", "Odense") == "Odense"


def test_danish_names_sort_as_danes_expect() -> None:
    assert sorted(["Aarhus", "Ærø", "Odense", "Albertslund"], key=danish_key) == [
        "Albertslund",
        "Odense",
        "Ærø",
        "Aarhus",
    ]


def class_of(value: float, limits: list[float], decimals: int) -> int:
    """Return the class (0 = lowest) of a value as it is shown; a limit belongs to the class above it."""
    return bisect_right(limits, float(rounded(value, decimals)))


def test_classes_hold_about_equally_many_and_limits_are_what_is_shown() -> None:
    values = [float(v) for v in range(100)]
    limits = breaks(values, 0)
    counts = [sum(class_of(v, limits, 0) == c for v in values) for c in range(5)]
    assert len(limits) == 4
    assert min(counts) >= 19
    assert max(counts) <= 21
    assert class_of(limits[0], limits, 0) == 1, "a limit belongs to the class above it"
    assert class_of(limits[0] - 0.4, limits, 0) == 1, "what is shown as the limit lies with it"


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0, 3.04], [0.0] * 90 + [5.0]])
def test_few_distinct_values_give_few_classes(values: list[float]) -> None:
    limits = breaks(values, 1)
    assert limits == sorted(set(limits))
    assert len(limits) < max(len({round(v, 1) for v in values}), 1) + 1
    assert all(0 <= class_of(v, limits, 1) <= len(limits) for v in values)


@pytest.mark.parametrize("kind", ["outline", "tile"])
def test_the_map_has_every_municipality_once_and_none_on_another(kind: str) -> None:
    drawn = drawings.draw(None, MUNICIPALITIES)
    assert sorted(o.code for o in drawn.outlines) == sorted(MUNICIPALITIES)
    at = {o.code: (o.x, o.y) if kind == "outline" else (float(o.tile[0]), float(o.tile[1])) for o in drawn.outlines}
    assert len(set(at.values())) == 98
    assert at["860"][1] < at["851"][1] < at["751"][1] < at["540"][1], (
        "Hjørring, Aalborg, Aarhus, Sønderborg: north to south"
    )
    assert at["561"][0] < at["461"][0] < at["101"][0], "Esbjerg, Odense, København: west to east"
    assert at["400"][0] >= at["101"][0] - 60, "Bornholm lies east"
    assert all(1 <= len(o.label) <= 2 and max(map(len, o.label)) <= 10 for o in drawn.outlines)


def borders(shapes: drawings.Shapes) -> set[tuple[str, str]]:
    """Return the pairs of municipalities that share a piece of border."""
    owners: dict[frozenset[tuple[float, float]], set[str]] = {}
    for code, rings in shapes.items():
        for ring in rings:
            for a, b in itertools.pairwise(ring):
                owners.setdefault(frozenset((a, b)), set()).add(code)
    return {(a, b) for codes in owners.values() for a, b in itertools.combinations(sorted(codes), 2)}


def test_the_drawing_is_light_whole_and_its_neighbours_meet() -> None:
    assert drawings.OUTLINES.stat().st_size <= 90_000
    assert drawings.OUTLINES.with_suffix(".LICENSE.txt").read_text(encoding="utf-8").count("Martin Polley") == 1
    shapes = drawings.read_outlines()
    assert sorted(shapes) == sorted(MUNICIPALITIES)
    assert all(area(ring) > 0 for rings in shapes.values() for ring in rings)
    pairs = borders(shapes)
    assert {("101", "147"), ("461", "480"), ("813", "860"), ("751", "746")[::-1]} <= pairs
    assert not [pair for pair in pairs if "400" in pair or "825" in pair], "islands have no neighbours"
    drawn = drawings.draw(None, MUNICIPALITIES)
    assert sum(len(o.path) + len(o.zoomed) for o in drawn.outlines) <= 90_000, "in the page"
    assert len(drawn.insets) == 2
    for x, y, width, height in drawn.insets:
        assert x >= 0
        assert x + width <= drawn.width
        assert y >= 0
        assert y + height <= drawn.height


@pytest.mark.real
def test_the_drawing_has_the_neighbours_of_the_real_boundaries(real_dir: object) -> None:
    import json
    from pathlib import Path

    file = Path(str(real_dir)) / "boundaries" / "regiongis_kommune_epsg25832.geojson"
    if not file.is_file():
        pytest.skip("no boundary file among the real files")
    shapes = read_shapes(json.loads(file.read_text(encoding="utf-8")))
    real, mine = borders(shapes), borders(drawings.read_outlines())
    assert len(real) > 150
    assert len(real & mine) / len(real) >= 0.95, sorted(real - mine)
    assert len(real & mine) / len(real | mine) >= 0.95, sorted(mine - real)
    for code, rings in drawings.read_outlines().items():
        x, y = _middle(rings)
        east, north = _middle(shapes[code])
        if code != "400":  # the drawing itself moves Bornholm
            assert abs(443_200 + 28.42 * x - east) < 8_000, code
            assert abs(6_400_000 + 28.85 * y - north) < 8_000, code


def _middle(rings: list[drawings.Ring]) -> tuple[float, float]:
    """Return the middle of the box around the largest ring."""
    xs, ys = zip(*max(rings, key=area), strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def test_unknown_codes_are_told_in_words() -> None:
    assert words("some_new_code") == ("some new code", "some new code")
    assert words(True) == ("ja", "yes")
    assert outcome("first_job_weeks", {})[1] == "weeks"
    known = {"x_pct": {"label_da": "X", "label_en": "X", "unit": "pct"}}
    assert outcome("x_pct", known) == (("X", "X"), "pct")


def test_a_chart_is_one_named_image_in_the_page_s_own_colours() -> None:
    rows = [{"year": 2010 + k, "value": None if k == 2 else 50.0 + k, "series": "total"} for k in range(6)]
    drawing = drawings.svg("trend", rows, "caption-id")
    assert drawing.startswith('<svg class="chart" viewBox="')
    assert 'role="img" aria-labelledby="caption-id"' in drawing
    assert "var(--s1)" in drawing
    assert not re.search(r'"#0[1-7]0', drawing)
    assert " style=" not in drawing
    assert "<text" in drawing
    assert "http" not in drawing


def test_a_chart_of_differences_names_every_municipality() -> None:
    judged = ("better", "as_expected", "worse")
    rows = [
        {
            "name": f"K{k}",
            "difference": k - 1.0,
            "low": k - 2.0,
            "high": float(k),
            "own": k == 0,
            "assessment": judged[k],
        }
        for k in range(3)
    ]
    drawing = drawings.svg("interval", rows, "x")
    assert [f"K{k}" in drawing for k in range(3)] == [True, True, True]
    assert "var(--ink)" in drawing
    for colour in ("better", "muted", "worse"):
        assert f"var(--{colour})" in drawing, "the colour is the assessment"


def test_a_spark_line_breaks_where_a_year_is_missing() -> None:
    assert spark([1.0, 2.0, None, 3.0, 4.0]).count("M") == 2
    assert spark([1.0, None, 2.0]) == "", "two points are no development"


def _feature(code: str, ring: list[list[float]]) -> dict[str, object]:
    return {"type": "Feature", "properties": {"KOMKODE": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def _country(wiggle: float = 0.3) -> dict[str, object]:
    """Return 98 squares in a row whose shared borders wiggle."""
    features = []
    for k, code in enumerate(MUNICIPALITIES):
        right = [[k + 1 + (wiggle if y % 2 else 0), y] for y in range(1, 6)]
        left = [[k + (wiggle if y % 2 else 0), y] for y in range(5, 0, -1)]
        ring = [[k, 0], [k + 1, 0], *right, [k + 1, 6], [k, 6], *left, [k, 0]]
        features.append(_feature(code, [[x * 1000.0, y * 1000.0] for x, y in ring]))
    return {"type": "FeatureCollection", "features": features}


def test_neighbours_keep_one_common_border_when_simplified() -> None:
    light = simplify(read_shapes(_country()), tolerance=400.0)
    for left, right in itertools.pairwise(MUNICIPALITIES):
        shared = set(light[left][0]) & set(light[right][0])
        edge_left = {p for p in light[left][0] if p[0] >= (MUNICIPALITIES.index(right)) * 1000.0}
        assert edge_left == shared
    # The last one's outer side is one long coast, so its corners may be kept elsewhere.
    assert all(len(light[code][0]) == 5 for code in MUNICIPALITIES[:-1]), "a wiggle of 300 m goes at 400 m"
    kept = simplify(read_shapes(_country()), tolerance=100.0)
    assert all(len(rings[0]) > 5 for rings in kept.values())


def test_small_islands_go_and_the_largest_ring_always_stays() -> None:
    square = [(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0), (0.0, 0.0)]
    islet = [(20.0, 0.0), (20.0, 1.0), (21.0, 1.0), (21.0, 0.0), (20.0, 0.0)]
    assert area(square) == 100
    assert area(islet) == 1
    light = simplify({"825": [islet, square], "563": [islet]}, tolerance=0.1, smallest=50)
    assert [area(ring) for ring in light["825"]] == [100]
    assert len(light["563"]) == 1


def test_no_point_strays_further_than_the_tolerance() -> None:
    line = [(float(x), (x % 7) * 0.4) for x in range(60)]
    light = douglas_peucker(line, 1.0)
    assert light[0] == line[0]
    assert light[-1] == line[-1]
    assert len(light) < len(line)
    for x, y in line:
        before = max((p for p in light if p[0] <= x), key=lambda p: p[0])
        after = min((p for p in light if p[0] >= x), key=lambda p: p[0])
        share = 0 if before == after else (x - before[0]) / (after[0] - before[0])
        assert abs(y - (before[1] + share * (after[1] - before[1]))) <= 1.1


def test_degrees_are_laid_flat_and_metres_left_alone() -> None:
    metres = {"825": [[(441000.0, 6200000.0)]]}
    assert to_metres(metres) is metres
    (x, y), *_ = to_metres({"825": [[(10.0, 56.0)]]})["825"][0]
    assert 600_000 < x < 640_000
    assert 6_150_000 < y < 6_250_000


@pytest.mark.parametrize(
    ("geojson", "message"),
    [
        ({"features": [{"properties": {"name": "Atlantis"}, "geometry": {}}]}, "feature 1 names no Danish area"),
        ({"features": []}, "98 municipalities are not there"),
    ],
)
def test_an_unusable_boundary_file_is_refused_in_words(geojson: dict[str, object], message: str) -> None:
    with pytest.raises(DataRefused, match=message):
        read_shapes(geojson)


def _with(properties: Callable[[int, str], dict[str, object]], geometry: dict[str, object]) -> dict[str, object]:
    """Return one feature per municipality, with properties made of its number and code."""
    codes = sorted(MUNICIPALITIES)
    return {"features": [{"properties": properties(n, code), "geometry": geometry} for n, code in enumerate(codes)]}


SQUARE: dict[str, object] = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}


def test_a_row_number_is_never_a_code() -> None:
    """Row numbers from 100 look like codes here and there; the column that holds all 98 is the code."""
    shapes = read_shapes(_with(lambda n, code: {"objectid": n + 100, "kode": int(code)}, SQUARE))
    assert set(shapes) == set(MUNICIPALITIES)
    with pytest.raises(DataRefused, match="'objectid', the property that comes nearest"):
        read_shapes(_with(lambda n, code: {"objectid": n + 100}, SQUARE))
    shifted = sorted(MUNICIPALITIES)
    with pytest.raises(DataRefused, match="'kode' and 'id' tell different municipalities; remove the wrong one"):
        read_shapes(_with(lambda n, code: {"kode": code, "id": shifted[n - 1]}, SQUARE))


def test_a_geometry_that_is_no_area_is_refused() -> None:
    with pytest.raises(DataRefused, match="geometry 'Point'; rule: Polygon or MultiPolygon"):
        read_shapes(_with(lambda n, code: {"kode": code}, {"type": "Point", "coordinates": [1, 2]}))


def test_topojson_is_unfolded(tmp_path: Path) -> None:
    """Two arcs in whole steps, the second shared and walked backwards."""
    geometries = [
        {"type": "Polygon", "arcs": [[0, -2]], "properties": {"kode": code}} for code in sorted(MUNICIPALITIES)
    ]
    topology = {
        "type": "Topology",
        "transform": {"scale": [10, 10], "translate": [500, 600]},
        "arcs": [[[0, 0], [2, 0], [0, 2]], [[0, 0], [2, 2]]],
        "objects": {"kommuner": {"type": "GeometryCollection", "geometries": geometries}},
    }
    file = tmp_path / "kommuner.json"
    file.write_text(json.dumps(topology), encoding="utf-8")
    shapes = read_shapes(drawings.read_boundary_file(file))
    assert set(shapes) == set(MUNICIPALITIES)
    assert shapes["101"] == [[(500, 600), (520, 600), (520, 620), (500, 600)]]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"SQLite format 3\x00", "a GeoPackage"), (b"PAR1", "a Parquet file"), (b"PK\x03\x04", "a ZIP")],
)
def test_other_forms_are_named_with_the_way_to_convert(tmp_path: Path, content: bytes, kind: str) -> None:
    file = tmp_path / "kommuner.gpkg"
    file.write_bytes(content)
    with pytest.raises(DataRefused, match=rf"{kind}.* which is not read here; make GeoJSON of it: ogr2ogr -f GeoJSON"):
        drawings.draw(file, MUNICIPALITIES)


def test_a_boundary_map_is_drawn_with_bornholm_beside() -> None:
    drawn = drawings.shape_map("boundaries", simplify(read_shapes(_country()), 100.0), set(MUNICIPALITIES))
    assert drawn.kind == "boundaries"
    assert len(drawn.insets) == 2
    assert len(drawn.outlines) == 98
    assert all(re.fullmatch(r"M[-\d.,lZ ]+", o.path) for o in drawn.outlines)


@pytest.mark.real
def test_the_real_boundaries_become_a_light_map(real_dir: object) -> None:
    from pathlib import Path

    file = Path(str(real_dir)) / "boundaries" / "regiongis_kommune_epsg25832.geojson"
    if not file.is_file():
        pytest.skip("no boundary file among the real files")
    drawn = drawings.draw(file, MUNICIPALITIES)
    assert len(drawn.outlines) == 98
    assert sum(len(o.path) for o in drawn.outlines) < 120_000
