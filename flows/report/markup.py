"""Small pieces of HTML the templates share: both languages side by side, numbers that change with the language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from flows.report.data import Cell
from flows.report.labels import Words, words
from flows.report.units import STATUSES, Unit, date_text, period_text, signed, unit_of
from transforms.models.wording import number

# Marks that turn or hide the text around them; shown as a visible sign instead of being obeyed.
HIDDEN_MARKS = dict.fromkeys(
    [*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x061C, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
     *range(0x2060, 0x206A), 0xFEFF], "\N{REPLACEMENT CHARACTER}",
)  # fmt: skip


def clean(text: Any) -> str:
    """Return text with direction marks, zero-width and control characters made visible."""
    return str(text).translate(HIDDEN_MARKS)


@lru_cache(maxsize=100_000, typed=True)  # typed: a text is never taken for markup that reads the same
def t(danish: Any, english: Any) -> Markup:
    """Return a text in both languages, of which the page shows one; one element when they are the same."""
    da, en = (text if isinstance(text, Markup) else escape(clean(text)) for text in (danish, english))
    if da == en:
        return Markup(da)
    return Markup('<span class="da" lang="da">{}</span><span class="en" lang="en">{}</span>').format(da, en)


def w(pair: Words) -> Markup:
    """Return a pair of words in both languages."""
    return t(*pair)


def code(value: Any) -> Markup:
    """Return what a code is called, in both languages."""
    return t(*words(value))


def n(value: float, decimals: int = 0) -> Markup:
    """Return a number in Danish form that the page rewrites when the language changes."""
    shown = number(float(value), decimals, "da")
    return Markup(f'<data value="{_bare(value)}" data-d="{decimals:d}">{escape(shown)}</data>')


def delta(value: float, decimals: int = 0) -> Markup:
    """Return a difference with its sign."""
    shown = signed(float(value), decimals, "da")
    return Markup(f'<data value="{_bare(value)}" data-d="{decimals:d}" data-s="1">{escape(shown)}</data>')


def _bare(value: float) -> str:
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def day(value: date | datetime | None) -> Markup:
    """Return a date that the page rewrites when the language changes."""
    if value is None:
        return Markup("–")
    plain = value.date() if isinstance(value, datetime) else value
    return Markup('<time datetime="{}">{}</time>').format(plain.isoformat(), date_text(plain, "da"))


def period(text: str) -> Markup:
    """Return a publisher's period in words."""
    return t(*period_text(text))


def level_unit(unit: str | None) -> Markup:
    """Return the word that stands after a level."""
    return t(*unit_of(unit).level)


def difference_unit(unit: str | None) -> Markup:
    """Return the word that stands after a difference: percentage points, never per cent, between shares."""
    return t(*unit_of(unit).difference)


@lru_cache(maxsize=100)
def status(name: str) -> Markup:
    """Return why there is no figure, as a word: never a nought, never an empty cell."""
    return Markup('<span class="status status-{}">{}</span>').format(name, t(*STATUSES.get(name, words(name))))


def shown(cell: Cell | None, unit: str | None) -> Markup:
    """Return a cell's figure, or its status; provisional and estimated figures say so."""
    if cell is None or cell.value is None:
        return status("missing" if cell is None or cell.status in ("observed", "zero") else cell.status)
    figure = n(cell.value, unit_of(unit).decimals)
    return figure + Markup(" ") + status(cell.status) if cell.status in ("provisional", "estimated") else figure


def definition(indicator: Mapping[str, Any], root: str) -> Markup:
    """Return an indicator's label as a link to its definition; the page shows the definition beside it on focus."""
    return _definition(indicator["indicator_id"], indicator["label_da"], indicator["label_en"], root)


@lru_cache(maxsize=10_000)
def _definition(indicator_id: str, label_da: str, label_en: str, root: str) -> Markup:
    return Markup('<a class="def" href="{}metode.html#{}" data-i="{}">{}</a>').format(
        root, indicator_id, indicator_id, t(label_da, label_en)
    )


def spark(values: list[float | None], width: int = 84, height: int = 22) -> Markup:
    """Return a small line of the years, for the eye only (the figures are in the table of all indicators)."""
    known = [v for v in values if v is not None]
    if len(known) < 3:
        return Markup("")
    low, spread = min(known), (max(known) - min(known)) or 1.0
    step = (width - 6) / (len(values) - 1)
    points, pen = [], "M"
    for place, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        points.append(f"{pen}{3 + place * step:.1f},{height - 3 - (value - low) / spread * (height - 6):.1f}")
        pen = "L"
    end = points[-1][1:].split(",")
    return Markup(
        '<svg class="spark" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true" focusable="false">'
        '<path d="{2}"/><circle cx="{3}" cy="{4}" r="2.2"/></svg>'
    ).format(width, height, "".join(points), *end)


HELPERS = {
    "t": t, "w": w, "code": code, "n": n, "delta": delta, "day": day, "period": period, "level_unit": level_unit,
    "difference_unit": difference_unit, "status": status, "shown": shown, "definition": definition, "spark": spark,
    "unit_of": unit_of, "clean": clean,
}  # fmt: skip

__all__ = ["HELPERS", "Unit", "clean", "n", "t"]
