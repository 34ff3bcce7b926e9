"""Why some disturbances cannot be seen in principle: beside them, so that nothing is unnoticed without a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unseen:
    """Disturbances (a pattern of their names) that cannot be seen in some sources, and why."""

    kinds: str
    because: str
    sources: str = ".*"
    nights: str = ".*"


SMALL = "jobindsats_(otij01|y14d03|y25i10|y30r21)|statbank_(regk31|van1aar|aulkp01|indkp101)"
"""Tables of few or volatile figures: their own have moved as much from one period to the next."""
UNSEEN: tuple[Unseen, ...] = (
    Unseen(
        "last year's file again", "it is what the last publication was made of: nothing in it is new", "statbank_.*"
    ),
    Unseen(
        "last year's file again",
        "a delivery of an earlier period is right by itself, and does not replace that of a later one",
        "delivery_.*",
    ),
    Unseen(
        "newest half mixed with the last",
        "every figure lies between two right ones, nearer than half of them do anyway",
    ),
    Unseen(
        "the country not the sum",
        "rates, averages and costs have no weights in the table, and persons who moved are counted in two "
        "municipalities: 3 per cent off is what the country itself has moved",
        "jobindsats_.*|statbank_(regk31|indkp101|aulkp01)",
    ),
    Unseen(
        "(all|newest) two (large|like) areas swapped|newest areas shifted by one",
        "the two differ by less than each has moved from one period to the next",
        f"{SMALL}|jobindsats_.*",
    ),
    Unseen(
        "newest × 1.3|newest twice as large|newest × 1.2 in every other municipality|one cell × 10|"
        "newest with random noise of a fifth|newest two municipalities merged|newest halved in one region",
        "figures of this table have moved as much by themselves from one period to the next",
        f"{SMALL}|jobindsats_.*",
    ),
    Unseen(
        "newest (one municipality gone|zero in one municipality)|newest sign flipped in one area",
        "a share of few may be zero or withheld from one period to the next, and is elsewhere in this table",
        "jobindsats_y14d03|statbank_aulkp01",
    ),
    Unseen(
        "one municipality stands still for three periods",
        "so few figures, or shares of so few, stand still by chance",
        "jobindsats_.*|statbank_(indkp101|aulkp01)",
    ),
    Unseen(
        "newest one category copied to another",
        "the two differ by less than a fiftieth, or there are too few periods to tell that they do",
        "jobindsats_.*",
    ),
    Unseen(
        "one row gone|cut at a line end at 99.9%",
        "a row less is what a corrected delivery has; the receipt tells the sender how many rows were taken",
        "delivery_.*",
    ),
    Unseen(
        "all NaN|all withheld|columns swapped|a column missing",
        "a questionnaire has one answer to each question and no other to hold it against; a number that is none counts "
        "as not answered",
        "delivery_organisation",
    ),
    Unseen(
        "one cell a word",
        "the word is «ukendt», which in a field that may stand empty means that it is not stated",
        "delivery_employment",
    ),
    Unseen(
        "two rows swapped in their first column",
        "the first and the last line have the same first cell, or change places as whole lines: the table is the same",
        "reference/.*",
    ),
)


def reason(source_id: str, kind: str, night: str) -> str:
    """Return why a disturbance of a source cannot be seen on a night; empty where no reason is known."""
    return next(
        (
            each.because
            for each in UNSEEN
            if re.fullmatch(each.kinds, kind)
            and re.fullmatch(each.sources, source_id)
            and re.fullmatch(each.nights, night)
        ),
        "",
    )
