"""StatBank's language of values: ids, wildcards and time expressions, worked out on a list of codes."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LATEST = re.compile(r"\(\s*(\d+)\s*\)")
_LAST_N = re.compile(r"\(\s*-n\s*\+\s*(\d+)\s*\)", re.IGNORECASE)
_RANGE = re.compile(r"(?:>=(?P<low>[^<>=]+))?(?:<=(?P<high>[^<>=]+))?")


def matching(codes: Sequence[str], expression: str, *, time: bool) -> list[str]:
    """Return the codes that one expression selects, in the order of `codes`; empty when there are none.

    Ids, `*`, wildcards (`1*`, `*K1`, `202*K1`); for the time variable also `(1)` the latest, `(2)` the one
    before, `(-n+5)` the last five, `>=2015K1`, `<=2024K2`, `>=2023K1<=2024K2`. `codes` of time ascend.
    """
    wanted = expression.strip()
    if wanted in codes:
        return [wanted]
    if time and (found := _by_time(codes, wanted)) is not None:
        return found
    if "*" not in wanted:
        return [code for code in codes if code.casefold() == wanted.casefold()]
    pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("*")), re.IGNORECASE)
    return [code for code in codes if pattern.fullmatch(code)]


def _by_time(codes: Sequence[str], wanted: str) -> list[str] | None:
    """Return what a time expression selects, None when `wanted` is no time expression."""
    if latest := _LATEST.fullmatch(wanted):
        place = int(latest[1])
        return [codes[-place]] if 1 <= place <= len(codes) else []
    if last := _LAST_N.fullmatch(wanted):
        count = int(last[1])
        return list(codes[-count:]) if count else []
    bounds = _RANGE.fullmatch(wanted)
    if bounds is None or not wanted:
        return None
    low, high = bounds["low"], bounds["high"]
    # Periods of one table have one form (2015, 2015K1, 2015M01), so their order is that of the text.
    return [code for code in codes if (not low or code >= low) and (not high or code <= high)]
