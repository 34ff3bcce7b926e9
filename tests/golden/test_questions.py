"""Questions analysts ask, each answered rightly by one short query over what is published."""

from __future__ import annotations

import pytest

from tests.fixtures.world import Published


def test_participants_against_their_peers_every_year(tiny_run: Published) -> None:
    found = tiny_run.rows(
        "SELECT period, group_kind, value, municipality_count, value_status FROM mart.group_value "
        "WHERE indicator_id = 'employment_gap_non_western_pp' AND group_kind IN ('participants', "
        "'peers_of_participants') ORDER BY ALL"
    )
    assert {kind for _, kind, *_ in found} == {"participants", "peers_of_participants"}
    assert {count for _, kind, _, count, _ in found if kind == "participants"} == {17}
    assert all(10 < value < 40 for _, _, value, _, status in found if status == "observed")


def test_the_rate_of_a_region_comes_from_its_counts(tiny_run: Published) -> None:
    by_counts = tiny_run.rows(
        "SELECT region_name, 100 * sum(numerator) / sum(denominator) FROM mart.figure "
        "WHERE indicator_id = 'employment_rate_non_western_pct' AND is_newest GROUP BY ALL ORDER BY ALL"
    )
    told = tiny_run.rows(
        "SELECT group_name_da, mart.group_value.value FROM mart.group_value "
        "JOIN mart.indicator_value USING (indicator_id, period) "
        "WHERE indicator_id = 'employment_rate_non_western_pct' AND group_kind = 'region' AND is_newest "
        "GROUP BY ALL ORDER BY ALL"
    )
    assert len(told) == 5
    assert [float(rate) for _, rate in told] == pytest.approx([float(rate) for _, rate in by_counts], abs=0.06)


def test_a_published_rate_is_its_counts(tiny_run: Published) -> None:
    """The publisher's rate has one decimal; the counts beside it must give it within its rounding."""
    (worst,) = tiny_run.rows(
        "SELECT max(abs(value - 100 * numerator / denominator)) FROM mart.figure "
        "WHERE indicator_id LIKE 'employment_rate%' AND denominator > 0"
    )[0:1]
    assert float(worst[0]) <= 0.0501


def test_the_headline_gap_is_that_of_non_western_immigrants(tiny_run: Published) -> None:
    differing = tiny_run.rows(
        "SELECT count(*) FROM mart.mapping WHERE abs(employment_gap_non_western_pp - "
        "(employment_rate_danish_pct - employment_rate_non_western_pct)) > 0.0001 "
        "OR employment_gap_non_western_pp IS NULL"
    )
    assert differing == [(0,)]


def test_every_finding_says_what_it_rests_on(tiny_run: Published) -> None:
    found = tiny_run.rows(
        "SELECT rests_on_kind, rests_on_label_da, rests_on_label_en, rests_on_definition_da, rests_on_definition "
        "FROM mart.finding"
    )
    assert found
    assert all(all(row) for row in found)
    assert all(danish != english for *_, danish, english in found)
    joined = tiny_run.rows(
        "SELECT count(*) FROM mart.finding LEFT JOIN mart.indicator USING (indicator_id) "
        "WHERE rests_on_kind = 'indicator' AND mart.indicator.indicator_id IS NULL"
    )
    assert joined == [(0,)]


def test_the_gender_gap_over_time_beside_the_country(tiny_run: Published) -> None:
    found = tiny_run.rows(
        "SELECT period, mine.value, country.value FROM mart.figure mine JOIN mart.group_value country "
        "USING (indicator_id, period) WHERE country.group_kind = 'country' AND mine.municipality_name = 'Rebild' "
        "AND indicator_id = 'employment_gap_women_non_western_pp'"
    )
    assert found
    assert all(country is not None for _, _, country in found)


def test_figures_are_the_indicator_values(tiny_run: Published) -> None:
    (row,) = tiny_run.rows(
        "SELECT count(*), count(*) FILTER (WHERE figure.value IS DISTINCT FROM held.value) "
        "FROM mart.figure figure JOIN mart.indicator_value held USING (municipality_code, indicator_id, period)"
    )
    (count,) = tiny_run.rows("SELECT count(*) FROM mart.indicator_value")
    assert row == (count[0], 0)


def test_unemployment_against_gap_in_the_same_year(tiny_run: Published) -> None:
    found = tiny_run.rows(
        "SELECT gap.municipality_name, avg(unemployment.value), any_value(gap.value) FROM mart.figure gap "
        "JOIN mart.figure unemployment ON unemployment.municipality_code = gap.municipality_code "
        "AND unemployment.indicator_id = 'unemployment_pct' "
        "AND year(unemployment.reference_date) = year(gap.reference_date) "
        "WHERE gap.indicator_id = 'employment_gap_non_western_pp' GROUP BY ALL"
    )
    assert len({name for name, *_ in found}) in (0, 98)
