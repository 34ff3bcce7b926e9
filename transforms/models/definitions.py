"""Two figures may be compared only when they mean the same."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.errors import DataRefused

FIELDS = ("population_definition", "age_from", "age_to", "residence_basis", "job_definition", "period_type")


def differing_fields(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """Return the fields of FIELDS in which two indicator definitions differ; a field not stated differs from all."""

    def text(definition: Mapping[str, object], field: str) -> str:
        value = definition.get(field)
        return "" if value is None or str(value) in {"nan", "<NA>", "NaT"} else str(value).strip()

    return [f for f in FIELDS if not text(a, f) or text(a, f) != text(b, f)]


def comparable(a: Mapping[str, object], b: Mapping[str, object]) -> None:
    """Return nothing when two indicators may be compared; raise DataRefused naming every field that differs.

    `a` and `b`: the definition of an indicator (a row of `mart.indicator` as a mapping) with indicator_id and
    FIELDS. The commonest error of this field is to subtract shares of different groups: Rebild's 10 pct.
    (self-supporting after a year, 2009-13) and 55 pct. (wage employment, 2017) are not a rise of 45 points.
    """
    fields = differing_fields(a, b)
    if fields:
        pairs = "; ".join(f"{f}: {a.get(f)!r} against {b.get(f)!r}" for f in fields)
        names = " and ".join(str(d.get("indicator_id", "indicator")) for d in (a, b))
        raise DataRefused(
            f"{names} cannot be compared: {pairs}; "
            "rule: population, ages, residence basis, job definition and period type must agree; "
            "choose two with one definition"
        )
