"""Charts drawn by Vega at build time as SVG: nothing to load, themed by the page's own colours, read out by name."""

from __future__ import annotations

import csv
import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup

from transforms.areas import area_code, areas
from transforms.errors import DataRefused
from transforms.models.wording import shown

Spec = dict[str, Any]
# Colours that stand for the page's own; replaced in the finished drawing so that it follows light, dark and print.
INK, MUTED, GRID, OWN, SECOND, THIRD, NATION = (
    "#010101", "#020202", "#030303", "#040404", "#050505", "#060606", "#070707",
)  # fmt: skip
THEME = {
    INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", OWN: "var(--s1)", SECOND: "var(--s2)",
    THIRD: "var(--s3)", NATION: "var(--s4)",
}  # fmt: skip
CONFIG: Spec = {
    "font": "sans-serif",
    "background": None,
    "aria": False,
    # The reader's font may be wider than the one measured with.
    "padding": {"left": 22, "top": 6, "right": 14, "bottom": 6},
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED, "labelFontSize": 12, "tickColor": GRID, "domainColor": GRID, "gridColor": GRID,
        "titleColor": MUTED,
    },
}  # fmt: skip
SERIES = ("danish", "total", "women", "nation")
ROOT = re.compile(r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
FONT = re.compile(r' font-family="[^"]*"')


def trend_spec() -> Spec:
    """Return the lines of employment rates over the years; the rows come later."""
    domain = list(SERIES)
    return {
        "width": 560,
        "height": 210,
        "config": CONFIG,
        "data": {"name": "rows", "values": [{"year": 2000, "value": 1.0, "series": "total"}]},
        "encoding": {
            "x": {
                "field": "year",
                "type": "quantitative",
                "axis": {"format": "d", "grid": False, "tickMinStep": 1, "title": None},
                "scale": {"nice": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "axis": {"format": "d", "tickCount": 5, "domain": False, "title": None, "tickMinStep": 1},
                "scale": {"zero": False},
            },
            "color": {
                "field": "series",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": domain, "range": [SECOND, OWN, THIRD, NATION]},
            },
        },
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 2.4, "invalid": "break-paths-show-domains"},
                "encoding": {
                    "strokeDash": {
                        "field": "series",
                        "type": "nominal",
                        "legend": None,
                        "scale": {"domain": domain, "range": [[1, 0], [1, 0], [1, 0], [5, 4]]},
                    }
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                "encoding": {
                    "shape": {
                        "field": "series",
                        "type": "nominal",
                        "legend": None,
                        "scale": {"domain": domain, "range": ["square", "circle", "triangle-up", "diamond"]},
                    }
                },
            },
        ],
    }


def interval_spec() -> Spec:
    """Return differences with their 95 % intervals around nought, one municipality a row; the rows come later."""
    y = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "labelFontSize": 13,
            "labelColor": INK,
            "labelLimit": 190,
            "domain": False,
            "ticks": False,
        },
    }
    color = {
        "field": "own",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": [True, False], "range": [OWN, MUTED]},
    }
    x = {"type": "quantitative", "axis": {"title": None, "format": "d", "tickCount": 7, "domain": False}}
    return {
        "width": 380, "height": {"step": 25}, "config": CONFIG,
        "data": {"name": "rows", "values": [{"name": "a", "low": 0.0, "high": 1.0, "difference": 0.5, "own": True}]},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 1.4, "color": INK}, "encoding": {"x": {"datum": 0, **x}}},
            {"mark": {"type": "rule", "strokeWidth": 2.6},
             "encoding": {"y": y, "color": color, "x": {"field": "low", **x}, "x2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
             "encoding": {"y": y, "color": color, "x": {"field": "difference", **x}}},
        ],
    }  # fmt: skip


@cache
def _compiled(kind: str) -> str:
    """Return a chart's Vega specification as JSON; Vega-Lite is compiled once, whatever the number of charts."""
    import json

    import vl_convert

    spec = trend_spec() if kind == "trend" else interval_spec()
    return json.dumps(vl_convert.vegalite_to_vega(spec))


def svg(kind: str, rows: Sequence[dict[str, Any]], labelled_by: str) -> Markup:
    """Return the chart of these rows as inline SVG, named by the element with the id `labelled_by`."""
    import json

    import vl_convert

    vega = json.loads(_compiled(kind))
    for data in vega["data"]:
        if data["name"] == "rows":
            data["values"] = list(rows)
    return Markup(themed(vl_convert.vega_to_svg(vega), labelled_by))


def themed(drawing: str, labelled_by: str) -> str:
    """Return Vega's drawing with the page's colours and font, as one image with a name and no parts to read out."""
    for colour, own in THEME.items():
        drawing = drawing.replace(f'"{colour}"', f'"{own}"')
    drawing = FONT.sub("", drawing).replace(' aria-hidden="true"', "").replace(' pointer-events="none"', "")
    drawing = re.sub(r' class="[^"]*"| role="[^"]*"| aria-[a-z]+="[^"]*"| style="[^"]*"', "", drawing)
    return ROOT.sub(
        rf'<svg class="chart" viewBox="\1" role="img" aria-labelledby="{labelled_by}" focusable="false">',
        drawing,
        count=1,
    )


# Colour classes of the map: limits from the newest period, kept for every other, so that years can be compared.


CLASSES = 5


def breaks(values: Iterable[float], decimals: int, classes: int = CLASSES) -> list[float]:
    """Return the inner limits of up to `classes` classes with about equally many values in each (quantiles).

    Limits are rounded to what the reader sees and never repeated, so few distinct values give fewer classes.
    """
    ordered = sorted(values)
    if not ordered:
        return []
    limits = []
    for part in range(1, classes):
        place = part * (len(ordered) - 1) / classes
        low = ordered[int(place)]
        high = ordered[min(int(place) + 1, len(ordered) - 1)]
        limits.append(float(shown(low + (high - low) * (place % 1), decimals)))
    lowest, highest = float(shown(ordered[0], decimals)), float(shown(ordered[-1], decimals))
    return sorted({limit for limit in limits if lowest < limit <= highest})


def class_of(value: float, limits: list[float], decimals: int) -> int:
    """Return the class (0 = lowest) of a value as it is shown; a limit belongs to the class above it."""
    return bisect_right(limits, float(shown(value, decimals)))


# Boundaries of municipalities made light: shared borders are simplified once, so that neighbours still meet.


Point = tuple[float, float]
Ring = list[Point]
Shapes = dict[str, list[Ring]]
"""Municipality code -> rings (outer and inner alike; drawn with the even-odd rule)."""


def read_shapes(geojson: Mapping[str, Any]) -> Shapes:
    """Return the rings per municipality of a GeoJSON FeatureCollection, in its own coordinates.

    The municipality is found in whichever property holds an official code or name (`219`, `0219`, `Hillerød`).
    Areas that are no municipality (Christiansø) are left out. Raises DataRefused when a feature names none, or
    when a municipality is not there.
    """
    shapes: Shapes = {}
    for number, feature in enumerate(geojson.get("features") or [], start=1):
        code = _code_of(feature.get("properties") or {})
        if code is None:
            raise DataRefused(f"boundaries: feature {number} names no Danish area in its properties; add the code")
        if areas()[code].level == "municipality":
            shapes.setdefault(code, []).extend(_rings(feature.get("geometry") or {}))
    absent = [area.name_da for area in areas().values() if area.level == "municipality" and area.code not in shapes]
    if absent:
        raise DataRefused(f"boundaries: {len(absent)} municipalities are not there ({absent[0]}); give a complete file")
    return shapes


def _code_of(properties: Mapping[str, Any]) -> str | None:
    found = (area_code(str(value)) for value in properties.values() if value is not None)
    return next((code for code in found if code and areas()[code].level in ("municipality", "christiansoe")), None)


def _rings(geometry: Mapping[str, Any]) -> Iterator[Ring]:
    kind = geometry.get("type")
    polygons = {"Polygon": [geometry.get("coordinates")], "MultiPolygon": geometry.get("coordinates")}.get(str(kind))
    if not polygons:
        raise DataRefused(f"boundaries: geometry {kind!r}; rule: Polygon or MultiPolygon")
    for polygon in polygons:
        for ring in polygon or []:
            # Rounded, so that a vertex two neighbours share is one point whatever the last decimals say.
            yield [(round(float(x), 6), round(float(y), 6)) for x, y, *_ in ring]


def to_metres(shapes: Shapes) -> Shapes:
    """Return the shapes in metres: coordinates in degrees are laid flat around 56° N, others returned as they are."""
    if any(abs(x) > 180 or abs(y) > 90 for rings in shapes.values() for ring in rings for x, y in ring[:1]):
        return shapes
    narrow = 111_320 * math.cos(math.radians(56))
    return {c: [[(x * narrow, y * 110_540) for x, y in ring] for ring in rings] for c, rings in shapes.items()}


def area(ring: Ring) -> float:
    """Return the area a closed ring encloses, in the square of its unit."""
    pairs = zip(ring, ring[1:] + ring[:1], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def simplify(shapes: Shapes, tolerance: float, smallest: float = 0.0) -> Shapes:
    """Return lighter shapes: no point lies further than `tolerance` from where its border was (Douglas-Peucker).

    Borders are cut where three areas meet and each piece is simplified once, so neighbours keep one common
    border. Rings under `smallest` (square units) go, but every area keeps its largest ring.
    """
    cut = _junctions(shapes)
    known: dict[tuple[Point, ...], list[Point]] = {}
    out: Shapes = {}
    for code, rings in shapes.items():
        order = sorted(rings, key=area, reverse=True)
        kept = [ring for place, ring in enumerate(order) if place == 0 or area(ring) >= smallest]
        light = [_light_ring(ring, cut, tolerance, known) for ring in kept]
        out[code] = [ring for ring in light if len(ring) >= 4] or [order[0]]
    return out


def _junctions(shapes: Shapes) -> set[Point]:
    """Return the points where a border must be cut: there the neighbours along it change."""
    links: dict[Point, set[Point]] = {}
    for rings in shapes.values():
        for ring in rings:
            for a, b in pairwise(ring):
                links.setdefault(a, set()).add(b)
                links.setdefault(b, set()).add(a)
    return {point for point, others in links.items() if len(others) > 2}


def _light_ring(ring: Ring, cut: set[Point], tolerance: float, known: dict[tuple[Point, ...], list[Point]]) -> Ring:
    points = ring[:-1] if ring[0] == ring[-1] else ring
    places = [place for place, point in enumerate(points) if point in cut]
    # A ring without junctions (an island) starts at its lowest point, so the same ring always gives the same result.
    start = places[0] if places else points.index(min(points))
    points = points[start:] + points[:start]
    stops = [place - start for place in places] if places else [0]
    if len(stops) == 1:
        stops.append(max(range(len(points)), key=lambda place: math.dist(points[0], points[place])))
    points.append(points[0])
    out: Ring = [points[0]]
    for first, last in zip(stops, [*stops[1:], len(points) - 1], strict=True):
        arc = tuple(points[first : last + 1])
        forward = arc <= arc[::-1]
        key = arc if forward else arc[::-1]
        if key not in known:
            known[key] = douglas_peucker(list(key), tolerance)
        light = known[key]
        out += (light if forward else light[::-1])[1:]
    return out


def douglas_peucker(line: list[Point], tolerance: float) -> list[Point]:
    """Return the line's ends and those points without which it would stray more than `tolerance` from itself."""
    keep = {0, len(line) - 1}
    stack = [(0, len(line) - 1)]
    while stack:
        first, last = stack.pop()
        (x1, y1), (x2, y2) = line[first], line[last]
        dx, dy = x2 - x1, y2 - y1
        length = math.hypot(dx, dy)
        furthest, where = tolerance, -1
        for place in range(first + 1, last):
            x, y = line[place]
            gap = abs(dx * (y - y1) - dy * (x - x1)) / length if length else math.hypot(x - x1, y - y1)
            if gap > furthest:
                furthest, where = gap, place
        if where >= 0:
            keep.add(where)
            stack += [(first, where), (where, last)]
    return [line[place] for place in sorted(keep)]


# The map of the front page: true boundaries when they are at hand, else one tile of equal size per municipality.


TILES = Path(__file__).resolve().parents[2] / "transforms" / "reference" / "tiles.csv"
TILE = 40
WIDTH = 760
TOLERANCE_M = 350.0
SMALLEST_ISLAND_M2 = 2e6
BORNHOLM = "400"
PER_PIXEL_SHARE = 10


@dataclass(frozen=True)
class Outline:
    """One municipality on the map: an SVG path, the middle for its label and keyboard movement."""

    code: str
    path: str
    x: float
    y: float


@dataclass(frozen=True)
class Map:
    """A drawn map: kind `boundaries` or `tiles`, size, outlines, and the frame around an inset (or nothing)."""

    kind: str
    width: int
    height: int
    outlines: list[Outline]
    inset: tuple[int, int, int, int] | None = None


def draw(boundaries: Path | None, codes: Iterable[str]) -> Map:
    """Return the map of these municipalities. DataRefused when a boundary file is given but cannot be used."""
    wanted = set(codes)
    if boundaries is None:
        return tile_map(wanted)
    try:
        geojson = json.loads(boundaries.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataRefused(
            f"{boundaries}: not a readable GeoJSON file ({type(error).__name__}); leave it out or give another"
        ) from None
    if not isinstance(geojson, dict):
        raise DataRefused(f"{boundaries}: not a GeoJSON FeatureCollection; leave it out or give another")
    return boundary_map(simplify(to_metres(read_shapes(geojson)), TOLERANCE_M, SMALLEST_ISLAND_M2), wanted)


def tile_map(codes: set[str]) -> Map:
    """Return the tile map: every municipality weighs the same, whatever its area."""
    with TILES.open(encoding="utf-8", newline="") as stream:
        tiles = [row for row in csv.DictReader(stream, delimiter=";") if row["code"] in codes]
    outlines = []
    for row in tiles:
        x, y = int(row["column"]) * TILE, int(row["row"]) * TILE
        outlines.append(
            Outline(row["code"], f"M{x + 1},{y + 1}h{TILE - 2}v{TILE - 2}h{2 - TILE}Z", x + TILE / 2, y + TILE / 2)
        )
    width = max((int(row["column"]) + 1 for row in tiles), default=1) * TILE
    height = max((int(row["row"]) + 1 for row in tiles), default=1) * TILE
    return Map("tiles", width, height, outlines)


def boundary_map(shapes: Shapes, codes: set[str]) -> Map:
    """Return the map drawn from boundaries in metres; Bornholm stands in an inset, else the sea takes the page."""
    main = {code: rings for code, rings in shapes.items() if code != BORNHOLM}
    left, bottom, right, top = _bounds(main)
    scale = WIDTH / (right - left)
    height = round((top - bottom) * scale)

    def place(point: Point) -> Point:
        return (point[0] - left) * scale, (top - point[1]) * scale

    outlines = [
        _outline(code, [[place(p) for p in ring] for ring in rings]) for code, rings in main.items() if code in codes
    ]
    inset = None
    if BORNHOLM in shapes and BORNHOLM in codes:
        west, south, east, north = _bounds({BORNHOLM: shapes[BORNHOLM]})
        size = round((east - west) * scale) + 20, round((north - south) * scale) + 20
        inset = (WIDTH - size[0], round(height * 0.02), *size)
        rings = [
            [((x - west) * scale + inset[0] + 10, (north - y) * scale + inset[1] + 10) for x, y in ring]
            for ring in shapes[BORNHOLM]
        ]
        outlines.append(_outline(BORNHOLM, rings))
    return Map("boundaries", WIDTH, height, outlines, inset)


def _bounds(shapes: Shapes) -> tuple[float, float, float, float]:
    xs = [x for rings in shapes.values() for ring in rings for x, _ in ring]
    ys = [y for rings in shapes.values() for ring in rings for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def _outline(code: str, rings: list[list[Point]]) -> Outline:
    parts = []
    for ring in rings:
        # Whole tenths of a pixel, each step relative to the last: a third of the size of absolute decimals.
        grid = [(round(x * PER_PIXEL_SHARE), round(y * PER_PIXEL_SHARE)) for x, y in ring]
        steps = [(x - a, y - b) for (a, b), (x, y) in pairwise(grid) if (x, y) != (a, b)]
        start = f"{_tenth(grid[0][0])},{_tenth(grid[0][1])}"
        parts.append(f"M{start}l" + " ".join(f"{_tenth(x)},{_tenth(y)}" for x, y in steps) + "Z")
    x = sum(px for px, _ in rings[0]) / len(rings[0])
    y = sum(py for _, py in rings[0]) / len(rings[0])
    return Outline(code, "".join(parts), round(x, 1), round(y, 1))


def _tenth(value: int) -> str:
    return f"{value / PER_PIXEL_SHARE:g}"
