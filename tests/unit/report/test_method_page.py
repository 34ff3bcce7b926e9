"""What the method page says of the models is what the models do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows import report
from transforms.models.durations import MIN_MUNICIPALITIES, TOLERANCE_WEEKS
from transforms.models.durations import MIN_N as MIN_N_DURATIONS
from transforms.models.expected import MIN_N, TOLERANCE_PCT_POINTS
from transforms.models.industries import MIN_JOB_SHARE, NATIONAL_POWER
from transforms.models.peers import PEERS

PAGE = (Path(report.__file__).parent / "templates" / "method.html.jinja").read_text(encoding="utf-8")


def said(number: float) -> str:
    """Return a number as Danish and English write it, either of them."""
    text = f"{number:g}"
    return re.escape(text).replace("\\.", "[.,]")


@pytest.mark.parametrize(
    "sentence",
    [
        # Two standard deviations of the margin of relevance either way.
        f"± {said(2 * TOLERANCE_PCT_POINTS)} procentpoint",
        f"± {said(2 * TOLERANCE_WEEKS)} uge",
        f"± {said(2 * TOLERANCE_PCT_POINTS)} percentage points or ± {said(2 * TOLERANCE_WEEKS)} week",
        f"Med under {MIN_N} personer gives ingen vurdering",
        f"Fewer than {MIN_N} persons are not assessed",
        f"når mindst {MIN_MUNICIPALITIES} kommuner har leveret nok",
        f"at least {MIN_MUNICIPALITIES} municipalities have delivered enough",
        f"under {said(100 * MIN_JOB_SHARE)} pct. af jobbene inden for rækkevidde",
        f"under {said(100 * MIN_JOB_SHARE)} per cent of the jobs within reach",
        {0.5: "kvadratroden"}[NATIONAL_POWER],
        {7: "De syv kommuner"}[PEERS],
    ],
)
def test_numbers_on_the_page_are_those_of_the_code(sentence: str) -> None:
    assert re.search(sentence, PAGE)


def test_shares_and_times_are_judged_from_the_same_size_on() -> None:
    assert MIN_N == MIN_N_DURATIONS


@pytest.mark.parametrize(
    "claim", ["egen indsats", "statistisk sikker", "to tredjedele", "own effort", "statistically certain"]
)
def test_no_word_says_more_than_the_figures_carry(claim: str) -> None:
    assert claim not in PAGE
