"""What publishers, transports and attackers do to a file stops its source; what is right does not."""

from __future__ import annotations

import pytest

from tests.expectations.disturbances import files
from tests.expectations.disturbances.kinds import further_kinds, kinds
from tests.expectations.disturbances.quiet import quiet_nights
from tests.expectations.disturbances.reasons import reason, unseen
from tests.expectations.disturbances.table import sources, verdicts

# A small table of averages, without any total that could give a disturbance away.
SMALL = "statbank_indkp101"
ALWAYS = {
    "all × 1000", "all × 10", "all × 1.3", "all × 0.1", "newest × 1000", "newest × 1.3", "newest × 0.1", "old × 1000",
    "old × 1.3", "newest areas shifted by one", "newest zero", "newest equal", "all NaN", "newest infinity",
    "newest withheld", "newest a copy of the last", "last year's figures, this year's labels", "one cell × 10",
    "newest half of the municipalities gone", "cut at a line end at 50.0%", "newest labelled 2099",
}  # fmt: skip
# Whatever the source, these stop it once there is a past.
EVERYWHERE = {
    name for name in ALWAYS if "× 1.3" not in name and name not in ("one cell × 10", "newest areas shifted by one")
} | {"old × 1.3", "all two large areas swapped", "all zero", "all negative"}


@pytest.mark.long
def test_a_disturbed_table_of_averages_stops() -> None:
    chosen = [kind for kind in kinds() if kind.name in ALWAYS]
    assert {kind.name for kind in chosen} == ALWAYS
    missed = [v for v in verdicts(SMALL, chosen, ["new"]) if v.word != "stop"]
    assert missed == []


@pytest.mark.long
def test_without_a_past_the_anchors_and_the_other_periods_tell() -> None:
    chosen = [kind for kind in kinds() if kind.name in ("all × 1000", "all × 1.3", "newest × 1000", "old × 1.3")]
    assert [v.word for v in verdicts(SMALL, chosen, ["first"])] == ["stop"] * 4


def test_ordinary_revisions_and_a_new_period_stop_nothing() -> None:
    assert [v for v in quiet_nights(SMALL, 4) if v.word == "stop"] == []


# All sources, every kind and night: python -m tests.expectations.disturbances
@pytest.mark.long
@pytest.mark.parametrize("source_id", [source for source in sources() if source == "statbank_ras200"])
def test_every_source_stops(source_id: str) -> None:
    chosen = [kind for kind in kinds() if kind.name in EVERYWHERE]
    missed = [(v.kind, v.word, v.warns) for v in verdicts(source_id, chosen, ["new"]) if v.word != "stop"]
    assert missed == []


# One source of each kind; all of them: python -m tests.expectations.disturbances
@pytest.mark.long
@pytest.mark.parametrize("source_id", [SMALL, "delivery_measures", "reference/quotas"])
def test_nothing_goes_unnoticed_without_its_reason(source_id: str) -> None:
    chosen = [*kinds(), *further_kinds()]
    tried = list(files.verdicts(source_id) if source_id in files.SOURCES else verdicts(source_id, chosen))
    missed = [(v.kind, v.night) for v in tried if v.word == "unnoticed" and not reason(source_id, v.kind)]
    assert len(tried) > 10
    assert missed == []
    assert {v.kind for v in tried if v.word == "unnoticed"} >= unseen(source_id), "a reason says more than is so"


# All sources: python -m tests.expectations.disturbances quiet
@pytest.mark.long
def test_quiet_nights_are_quiet() -> None:
    found = [
        v for source in ("statbank_folk1am", "statbank_aulkp01", "jobindsats_otij01") for v in quiet_nights(source)
    ]
    assert sum(v.word == "stop" for v in found) <= 1
    assert sum(v.word == "warn" for v in found) <= 2


@pytest.mark.long
def test_a_period_far_ahead_does_not_break_the_rules_themselves() -> None:
    chosen = [kind for kind in kinds() if kind.name == "a period of 2099 beside"]
    assert [v.word for v in verdicts("statbank_indoph1", chosen)] == ["stop"]
