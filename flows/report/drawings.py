"""Charts drawn by Vega at build time as SVG: nothing to load, themed by the page's own colours, read out by name.

One module, since charts and maps share colours, classes and the way a drawing is named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

from markupsafe import Markup

from flows.report.words import broken_line
from transforms.areas import area_code, areas, reference_rows
from transforms.catalogue import YamlFile
from transforms.errors import DataRefused
from transforms.models.wording import shown

CHARTS = YamlFile(Path(__file__).with_name("charts.yml")).data
"""The charts in Vega-Lite, and the colours that stand for the page's own."""
ROOT = re.compile(r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
IDLE = re.compile(r' (font-family|class|role|style|pointer-events|aria-[a-z]+)="[^"]*"')


@cache
def _compiled(kind: str) -> str:
    """Return a chart's Vega specification as JSON; Vega-Lite is compiled once, whatever the number of charts."""
    import vl_convert

    return json.dumps(vl_convert.vegalite_to_vega(CHARTS[kind]))


def svg(kind: str, rows: Sequence[dict[str, Any]], labelled_by: str) -> Markup:
    """Return the chart of these rows as inline SVG, named by the element with the id `labelled_by`."""
    import vl_convert

    vega = json.loads(_compiled(kind))
    for data in vega["data"]:
        if data["name"] == "rows":
            data["values"] = list(rows)
    return Markup(themed(vl_convert.vega_to_svg(vega), labelled_by))


def themed(drawing: str, labelled_by: str) -> str:
    """Return Vega's drawing with the page's colours and font, as one image with a name and no parts to read out."""
    for own, colour in CHARTS["colours"].items():
        drawing = drawing.replace(f'"{colour}"', f'"{own}"')
    root = rf'<svg class="chart" viewBox="\1" role="img" aria-labelledby="{labelled_by}" focusable="false">'
    return ROOT.sub(root, IDLE.sub("", drawing), count=1)


# One small chart of a municipality among the others, drawn by hand: seventeen of them stand on one page.


SMALL = 230, 130
SMALL_MARGIN = 30, 8, 6, 18  # left, top, right, bottom


@dataclass(frozen=True)
class Scale:
    """Years and values of all small charts of a page, so that they can be compared by eye."""

    years: tuple[int, int]
    values: tuple[float, float]

    def at(self, year: int, value: float) -> tuple[float, float]:
        """Return the place in the drawing."""
        left, top, right, bottom = SMALL_MARGIN
        (first, last), (low, high) = self.years, self.values
        x = left + (year - first) / max(last - first, 1) * (SMALL[0] - left - right)
        y = SMALL[1] - bottom - (value - low) / ((high - low) or 1.0) * (SMALL[1] - top - bottom)
        return round(x, 1), round(y, 1)


def scale_of(bands: Mapping[int, tuple[float, float]], series: Iterable[Mapping[int, float]]) -> Scale:
    """Return a scale that holds every year and value, in whole tens."""
    years = list(bands)
    values = [value for band in bands.values() for value in band] + [v for line in series for v in line.values()]
    low, high = math.floor(min(values) / 10) * 10, math.ceil(max(values) / 10) * 10
    return Scale((min(years), max(years)), (float(low), float(high)))


def small_chart(
    scale: Scale, lines: Mapping[str, Mapping[int, float]], bands: Mapping[int, tuple[float, float]],
    labelled_by: str, marked: tuple[int, int],
) -> Markup:  # fmt: skip
    """Return the lines of one municipality over the band of all; `lines`: class of the line -> year -> value.

    A line breaks where a year is not known. `marked` are the first and last year of the programme, shaded.
    """
    left, top, right, bottom = SMALL_MARGIN
    floor = SMALL[1] - bottom
    low, high = scale.values
    parts = []
    first, last = max(marked[0], scale.years[0]), min(marked[1], scale.years[1])
    if first < last:
        start, end = scale.at(first, low)[0], scale.at(last, low)[0]
        parts.append(
            f'<rect class="programme" x="{start}" y="{top}" width="{end - start:.1f}" height="{floor - top}"/>'
        )
    years = sorted(bands)
    upper = [scale.at(year, bands[year][1]) for year in years]
    lower = [scale.at(year, bands[year][0]) for year in reversed(years)]
    parts.append('<polygon class="band" points="' + " ".join(f"{x},{y}" for x, y in [*upper, *lower]) + '"/>')
    for value in (low, (low + high) / 2, high):
        y = scale.at(scale.years[0], value)[1]
        parts.append(f'<text class="tick" x="{left - 4}" y="{y + 4}" text-anchor="end">{value:g}</text>')
        parts.append(f'<path class="rule" d="M{left},{y}H{SMALL[0] - right}"/>')
    for year, anchor in ((scale.years[0], "start"), (scale.years[1], "end")):
        x = scale.at(year, low)[0]
        parts.append(f'<text class="tick" x="{x}" y="{SMALL[1] - 4}" text-anchor="{anchor}">{year}</text>')
    for name, line in lines.items():
        all_years = range(scale.years[0], scale.years[1] + 1)
        path = broken_line(scale.at(year, line[year]) if year in line else None for year in all_years)
        parts.append(f'<path class="{name}" d="{path}"/>')
    return Markup(
        f'<svg class="chart small" viewBox="0 0 {SMALL[0]} {SMALL[1]}" role="img" aria-labelledby="{labelled_by}" '
        f'focusable="false">{"".join(parts)}</svg>'
    )


# Colour classes of the map: limits from the newest period, kept for every other, so that years can be compared.


CLASSES = 5


def breaks(values: Iterable[float], decimals: int) -> list[float]:
    """Return the inner limits of up to five classes with about equally many values in each (quantiles).

    Limits are rounded to what the reader sees and never repeated, so few distinct values give fewer classes.
    """
    ordered = sorted(values)
    if len(ordered) < 2:
        return []
    lowest, *limits, highest = (
        float(shown(value, decimals))
        for value in (ordered[0], *quantiles(ordered, n=CLASSES, method="inclusive"), ordered[-1])
    )
    return sorted({limit for limit in limits if lowest < limit <= highest})


# Boundaries of municipalities made light: shared borders are simplified once, so that neighbours still meet.


Point = tuple[float, float]
Ring = list[Point]
Shapes = dict[str, list[Ring]]
"""Municipality code -> rings (outer and inner alike; drawn with the even-odd rule)."""


def read_shapes(geojson: Mapping[str, Any]) -> Shapes:
    """Return the rings per municipality of a GeoJSON FeatureCollection, in its own coordinates.

    The municipality is found in the property that holds all 98 by official code or name (`219`, `0219`, `Hillerød`).
    Areas that are no municipality (Christiansø) are left out. Raises DataRefused when a feature names none, or
    when a municipality is not there.
    """
    features = list(geojson.get("features") or [])
    key = _code_property(features)
    shapes: Shapes = {}
    for number, feature in enumerate(features, start=1):
        code = _municipality((feature.get("properties") or {}).get(key))
        if code is None:
            raise DataRefused(f"boundaries: feature {number} names no Danish area in {key!r}; correct or remove it")
        if areas()[code].level == "municipality":
            shapes.setdefault(code, []).extend(_rings(feature.get("geometry") or {}))
    return shapes


def _code_property(features: Sequence[Mapping[str, Any]]) -> str:
    """Return the property that holds all 98 municipalities, by code or by name.

    A row number may look like a code here and there, but no row number is all of them. Raises DataRefused when no
    property holds them, or when two do that tell different municipalities of one feature.
    """
    told: dict[str, list[str | None]] = {}
    for number, feature in enumerate(features):
        for name, value in (feature.get("properties") or {}).items():
            told.setdefault(str(name), [None] * len(features))[number] = _municipality(value)
    wanted = {area.code for area in areas().values() if area.level == "municipality"}
    whole = [name for name, codes in told.items() if wanted <= set(codes)]
    if not whole:
        nearest = max(told, key=lambda name: len(wanted & set(told[name])), default=None)
        lacking = sorted(wanted - set(told[nearest] if nearest else []))
        if features and len(lacking) == len(wanted):
            raise DataRefused("boundaries: feature 1 names no Danish area in its properties; add the code")
        raise DataRefused(
            f"boundaries: {len(lacking)} municipalities are not there ({areas()[lacking[0]].name_da}) in {nearest!r}, "
            "the property that comes nearest; give a complete file with a code or a name per feature"
        )
    first, *others = whole
    for other in others:
        if any(a != b for a, b in zip(told[first], told[other], strict=True) if a and b):
            raise DataRefused(
                f"boundaries: {first!r} and {other!r} tell different municipalities; remove the wrong one"
            )
    return first


def _municipality(value: Any) -> str | None:
    """Return the municipality (or Christiansø) a property's value is the code or name of, or None."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    whole = isinstance(value, float) and value.is_integer()
    code = area_code(str(int(value) if whole else value))
    return code if code and areas()[code].level in ("municipality", "christiansoe") else None


def read_boundary_file(path: Path) -> Mapping[str, Any]:
    """Return a file of boundaries as a GeoJSON FeatureCollection: GeoJSON as it is, TopoJSON unfolded.

    Raises DataRefused for every other form, with the command that makes GeoJSON of it.
    """
    instead = f"make GeoJSON of it: ogr2ogr -f GeoJSON kommuner.geojson {path.name}"
    cure = "leave it out or give another"
    try:
        content = path.expanduser().read_bytes()
        for signature, kind in _OTHER_FORMS.items():
            if content.startswith(signature):
                raise DataRefused(f"{path}: {kind}, which is not read here; {instead}")
        told = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise DataRefused(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    except ValueError as error:
        raise DataRefused(f"{path}: not a readable GeoJSON file ({type(error).__name__}); {cure}") from None
    if not isinstance(told, dict):
        raise DataRefused(f"{path}: not a GeoJSON FeatureCollection; {cure}")
    return _unfolded(told) if told.get("type") == "Topology" else told


_OTHER_FORMS = {
    b"SQLite format 3": "a GeoPackage",
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a ZIP, perhaps of a shapefile",
    b"\x00\x00\x27\x0a": "a shapefile",
    b"<": "XML (GML or KML)",
}


def _unfolded(topology: Mapping[str, Any]) -> dict[str, Any]:
    """Return a TopoJSON topology as GeoJSON features: arcs of whole steps undone, shared ones joined to rings.

    Source: the TopoJSON format specification, https://github.com/topojson/topojson-specification.
    """
    transform = topology.get("transform") or {}
    (kx, ky), (dx, dy) = transform.get("scale", (1, 1)), transform.get("translate", (0, 0))
    try:
        arcs: list[list[Point]] = []
        for arc in topology["arcs"]:
            xs, ys = ([step[axis] for step in arc] for axis in (0, 1))
            along = map(accumulate, (xs, ys)) if transform else (xs, ys)
            arcs.append([(x * kx + dx, y * ky + dy) for x, y in zip(*along, strict=True)])

        def ring(numbers: Sequence[int]) -> list[Point]:
            joined: list[Point] = []
            for number in numbers:
                part = arcs[number] if number >= 0 else arcs[~number][::-1]
                joined += part[1:] if joined else part
            return joined

        features = []
        for thing in topology["objects"].values():
            for geometry in thing.get("geometries", [thing]):
                polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
                rings = [[ring(numbers) for numbers in polygon] for polygon in polygons]
                shape = {"type": "MultiPolygon", "coordinates": rings}
                features.append({"properties": geometry.get("properties") or {}, "geometry": shape})
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise DataRefused("boundaries: the TopoJSON is damaged; give another file") from None
    return {"type": "FeatureCollection", "features": features}


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


# The map of the front page: a drawing of the municipalities, or the reader's own boundaries; and one tile for each.


OUTLINES = Path(__file__).with_name("outlines.csv")
"""The drawing's rings by municipality code; where it comes from stands in outlines.LICENSE.txt."""
TILE = 62, 38
WIDTH = 760
TOLERANCE_M = 350.0
SMALLEST_ISLAND_M2 = 2e6
BORNHOLM = "400"
CAPITAL = frozenset(
    {"101", "147", "151", "153", "155", "157", "159", "161", "163", "165", "167", "173", "175", "183", "185", "187",
     "190", "230"}
)  # fmt: skip
"""Copenhagen and the small municipalities around it, which are shown a second time, larger."""
CAPITAL_WIDTH = 0.245
"""Width of their frame as a share of the map's."""
PER_PIXEL = 10
"""Paths are in tenths of a pixel and drawn at that scale."""

Frame = tuple[int, int, int, int]
"""Left, top, width and height."""


@dataclass(frozen=True)
class Outline:
    """One municipality on the map: SVG paths in tenths, the middle for keyboard movement, its tile and short name.

    `zoomed` is its path in the frame around Copenhagen, or nothing. `tile` is column and row.
    """

    code: str
    path: str
    x: float
    y: float
    zoomed: str
    tile: tuple[int, int]
    label: tuple[str, ...]


@dataclass(frozen=True)
class Map:
    """A drawn map: kind `outlines` or `boundaries`, size, municipalities, frames of insets, size of the tile map."""

    kind: str
    width: int
    height: int
    outlines: list[Outline]
    insets: list[Frame]
    tiles: tuple[int, int]
    tile: tuple[int, int] = TILE


def draw(boundaries: Path | None, codes: Iterable[str]) -> Map:
    """Return the map of these municipalities. DataRefused when a boundary file is given but cannot be used."""
    wanted = set(codes)
    if boundaries is None:
        return shape_map("outlines", read_outlines(), wanted)
    geojson = read_boundary_file(boundaries)
    return shape_map("boundaries", simplify(to_metres(read_shapes(geojson)), TOLERANCE_M, SMALLEST_ISLAND_M2), wanted)


@cache
def read_outlines() -> Shapes:
    """Return the drawing's rings by municipality, north upwards, in its own units (one is about 28 metres)."""
    rows = reference_rows(OUTLINES.name, OUTLINES.parent)
    return {row["code"]: [_ring(text) for text in row["rings"].split("|")] for row in rows}


def _ring(text: str) -> Ring:
    """Return the closed ring of a first point and the steps from each point to the next."""
    steps = [int(number) for number in text.split()]
    xs, ys = accumulate(steps[0::2]), accumulate(-step for step in steps[1::2])
    ring = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
    return [*ring, ring[0]]


def tiles() -> dict[str, tuple[int, int, tuple[str, ...]]]:
    """Return column, row and name (in one or two lines) of each municipality's tile."""
    rows = reference_rows("tiles.csv")
    return {row["code"]: (int(row["column"]), int(row["row"]), tuple(row["label"].split("|"))) for row in rows}


def shape_map(kind: str, shapes: Shapes, codes: set[str]) -> Map:
    """Return the map of shapes with north upwards; Bornholm in a frame, else the sea takes the page."""
    main = {code: rings for code, rings in shapes.items() if code != BORNHOLM}
    left, bottom, right, top = _bounds(main)
    scale = WIDTH / (right - left)
    height = round((top - bottom) * scale)
    insets: list[Frame] = []
    drawn = {code: _placed(rings, left, top, scale, 0, 0) for code, rings in main.items() if code in codes}
    if BORNHOLM in shapes and BORNHOLM in codes:
        frame, island = _inset({BORNHOLM: shapes[BORNHOLM]}, scale, 2, 10)
        insets.append(frame)
        drawn |= island
    zoomed: dict[str, str] = {}
    near = {code: shapes[code] for code in CAPITAL if code in shapes and code in codes}
    if near:
        west, _, east, _ = _bounds(near)
        larger = (round(WIDTH * CAPITAL_WIDTH) - 2 * 8) / (east - west)
        frame, around = _inset(near, larger, insets[0][3] + 12 if insets else 2, 8)
        insets.append(frame)
        zoomed = {code: _path(rings) for code, rings in around.items()}
    places = tiles()
    outlines = [
        Outline(code, _path(rings), *_middle(rings[0]), zoomed.get(code, ""), places[code][:2], places[code][2])
        for code, rings in drawn.items()
    ]
    columns, lines = (1 + max(at) for at in zip(*(place[:2] for place in places.values()), strict=True))
    return Map(kind, WIDTH, height, outlines, insets, (columns * TILE[0], lines * TILE[1]))


def _inset(shapes: Shapes, scale: float, y: int, margin: int) -> tuple[Frame, Shapes]:
    """Return the frame of shapes that are drawn at the map's right side, so far down, and the shapes within it."""
    west, south, east, north = _bounds(shapes)
    width, height = (round(side * scale) + 2 * margin for side in (east - west, north - south))
    x = WIDTH - width
    placed = {code: _placed(rings, west, north, scale, x + margin, y + margin) for code, rings in shapes.items()}
    return (x, y, width, height), placed


def _placed(rings: list[Ring], left: float, top: float, scale: float, x: float, y: float) -> list[Ring]:
    return [[((px - left) * scale + x, (top - py) * scale + y) for px, py in ring] for ring in rings]


def _bounds(shapes: Shapes) -> tuple[float, float, float, float]:
    xs = [x for rings in shapes.values() for ring in rings for x, _ in ring]
    ys = [y for rings in shapes.values() for ring in rings for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def _middle(ring: Ring) -> tuple[float, float]:
    return round(sum(x for x, _ in ring) / len(ring), 1), round(sum(y for _, y in ring) / len(ring), 1)


def _path(rings: list[Ring]) -> str:
    """Return the SVG path in whole tenths, each step relative to the last: a third of the size of absolute decimals."""
    parts = []
    for ring in rings:
        grid = [(round(x * PER_PIXEL), round(y * PER_PIXEL)) for x, y in ring]
        steps = [(x - a, y - b) for (a, b), (x, y) in pairwise(grid) if (x, y) != (a, b)]
        parts.append(f"M{grid[0][0]},{grid[0][1]}l" + " ".join(f"{x},{y}" for x, y in steps) + "Z")
    return "".join(parts)
