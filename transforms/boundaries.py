"""Boundaries of municipalities made light: shared borders are simplified once, so that neighbours still meet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from transforms.areas import area_code, areas
from transforms.errors import DataRefused

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
