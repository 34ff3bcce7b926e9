"""Charts drawn by Vega at build time as SVG: nothing to load, themed by the page's own colours, read out by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

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
