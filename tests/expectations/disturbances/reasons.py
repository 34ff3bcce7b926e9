"""Why some disturbances cannot be seen in principle: beside them, so that nothing is unnoticed without a reason.

Every cell is named: a reason speaks of the sources it is true of, and of no other. The long tests hold that each of
them is still unseen.
"""

from __future__ import annotations

UNSEEN: dict[str, dict[str, tuple[str, ...]]] = {
    "the two differ by less than each has moved from one period to the next": {
        "newest two like areas swapped": (
            "jobindsats_otij01",
            "jobindsats_y14d03",
            "statbank_regk31",
            "statbank_van1aar",
        ),
        "newest two large areas swapped": (
            "statbank_aulkp01",
            "statbank_indkp101",
            "statbank_regk31",
        ),
    },
    (
        "rates, averages and costs have no weights in the table, and persons who moved are counted in two "
        "municipalities: 3 per cent off is what the country itself has moved"
    ): {
        "the country not the sum": (
            "jobindsats_otij01",
            "jobindsats_refugees",
            "jobindsats_y25i10",
            "statbank_indkp101",
            "statbank_regk31",
        ),
    },
    "figures of this table have moved as much by themselves from one period to the next": {
        "newest with random noise of a fifth": (
            "jobindsats_otij01",
            "jobindsats_ptva02",
            "jobindsats_y25i10",
        ),
        "newest × 1.3": (
            "jobindsats_y25i10",
            "statbank_regk31",
        ),
        "one cell × 10": (
            "jobindsats_y25i10",
            "jobindsats_y30r21",
        ),
        "newest × 1.2 in every other municipality": (
            "jobindsats_y25i10",
            "statbank_regk31",
        ),
        "newest twice as large": (
            "jobindsats_y25i10",
            "statbank_regk31",
            "statbank_van1aar",
        ),
        "newest two municipalities merged": (
            "jobindsats_y14d03",
            "statbank_regk31",
        ),
        "a fifth of one municipality traded to another": (
            "jobindsats_otij01",
            "jobindsats_y25i10",
            "statbank_aulkp01",
            "statbank_regk31",
        ),
        "newest at most 9999": ("jobindsats_y25i10",),
        "newest counted together with the last": (
            "statbank_regk31",
            "statbank_van1aar",
        ),
        "newest noise of a fifth, totals right": (
            "jobindsats_y25i10",
            "statbank_van1aar",
        ),
        "newest one municipality doubled": ("statbank_regk31",),
        "newest one municipality doubled, totals right": ("statbank_van1aar",),
        "newest one municipality halved, totals right": (
            "jobindsats_y25i10",
            "statbank_van1aar",
        ),
        "newest × 1.15": (
            "jobindsats_y25i10",
            "statbank_regk31",
        ),
    },
    "every figure lies between two right ones, nearer than half of them do anyway": {
        "newest half mixed with the last": (
            "jobindsats_otij01",
            "jobindsats_ptva02",
            "jobindsats_refugees",
            "jobindsats_y25i10",
            "jobindsats_y35a02",
            "jobindsats_y60a02",
            "statbank_indkp101",
            "statbank_regk31",
        ),
    },
    "so few figures, or shares of so few, stand still by chance": {
        "one municipality stands still for three periods": (
            "jobindsats_ptva02",
            "jobindsats_y35a02",
            "jobindsats_y60a02",
            "statbank_aulkp01",
            "statbank_indkp101",
        ),
    },
    "it is what the last publication was made of: nothing in it is new": {
        "last year's file again": (
            "statbank_bol101",
            "statbank_erhv2",
            "statbank_folk1a",
            "statbank_folk1e",
            "statbank_hfudd11",
            "statbank_indkp101",
            "statbank_indoph1",
            "statbank_ky038",
            "statbank_pend100",
            "statbank_pend101",
            "statbank_ras200",
            "statbank_ras201",
            "statbank_ras302",
            "statbank_ras308",
            "statbank_regk31",
            "statbank_van1aar",
        ),
    },
    (
        "two neighbouring ages: their figures differ by three per cent where each has moved by two from one "
        "period to the next"
    ): {
        "newest codes of category 1 swapped": ("statbank_folk1e",),
    },
    "a share of few may be zero or withheld from one period to the next, and is elsewhere in this table": {
        "newest one municipality gone": ("jobindsats_y14d03",),
        "newest zero in one municipality": ("statbank_aulkp01",),
    },
    "the shares of the two differ by less than each has moved from one period to the next": {
        "newest two large areas swapped": ("statbank_ras200",),
    },
    "a row less is what a corrected delivery has; the receipt tells the sender how many rows were taken": {
        "one row gone": (
            "delivery_cases",
            "delivery_employment",
            "delivery_measures",
        ),
        "cut at a line end at 99.9%": (
            "delivery_cases",
            "delivery_employment",
            "delivery_measures",
        ),
    },
    "a delivery of an earlier period is right by itself, and does not replace that of a later one": {
        "last year's file again": (
            "delivery_cases",
            "delivery_measures",
        ),
    },
    "the word is «ukendt», which in a field that may stand empty means that it is not stated": {
        "one cell a word": ("delivery_employment",),
    },
    (
        "a questionnaire has one answer to each question and no other to hold it against; a number that is "
        "none counts as not answered"
    ): {
        "all NaN": ("delivery_organisation",),
        "all withheld": ("delivery_organisation",),
        "columns swapped": ("delivery_organisation",),
        "a column missing": ("delivery_organisation",),
    },
    "the first and the last line have the same first cell, or change places as whole lines: the table is the same": {
        "two rows swapped in their first column": (
            "reference/complementary_shares",
            "reference/programme_participants",
            "reference/quotas",
        ),
    },
    "what is lost of a figure is less than it moves by itself": {
        "newest in scientific notation": (
            "jobindsats_y14d03",
            "jobindsats_y60a02",
            "statbank_aulkp01",
        ),
        "newest in tens": ("jobindsats_y60a02",),
        "one figure in a hundred without its last digit": ("statbank_ras200",),
    },
    "a nought of few may be one in the next period": {
        "newest zeros as ones": (
            "jobindsats_y25i10",
            "jobindsats_y30r21",
            "jobindsats_y35a02",
            "statbank_ras308",
        ),
    },
    "the figures of this table have moved as little by themselves": {
        "newest the last, moved by up to a hundredth": (
            "jobindsats_refugees",
            "statbank_indkp101",
        ),
    },
    "the query asks for the latest periods: the oldest goes as a new one comes": {
        "the oldest period gone": (
            "jobindsats_otij01",
            "jobindsats_ptva02",
            "jobindsats_refugees",
            "jobindsats_y14d03",
            "jobindsats_y25i10",
            "jobindsats_y30r21",
            "jobindsats_y35a02",
            "jobindsats_y60a02",
            "statbank_ras302",
            "statbank_ras308",
        ),
        "all but the newest period gone": ("jobindsats_y30r21",),
    },
    "net costs of few may be negative": {
        "one small cell negative": ("statbank_regk31",),
    },
    "the publisher prints as many decimals as a figure has": {
        "one small cell with more decimals": ("jobindsats_y30r21",),
    },
    "rows of few come and go, and as many do in the other periods": {
        "newest every tenth row gone": ("jobindsats_y14d03",),
    },
}
"""Reason -> disturbance -> the sources in which it cannot be seen."""


def reason(source_id: str, kind: str) -> str:
    """Return why a disturbance of a source cannot be seen; empty where no reason is known."""
    return next((because for because, cells in UNSEEN.items() if source_id in cells.get(kind, ())), "")


def unseen(source_id: str) -> set[str]:
    """Return the disturbances of a source that have a reason."""
    return {kind for cells in UNSEEN.values() for kind, sources in cells.items() if source_id in sources}
