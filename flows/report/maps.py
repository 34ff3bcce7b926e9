"""The map of the front page: true boundaries when they are at hand, else one tile of equal size per municipality."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from transforms.boundaries import Point, Shapes, read_shapes, simplify, to_metres
from transforms.errors import DataRefused

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
