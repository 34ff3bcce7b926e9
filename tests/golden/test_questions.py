"""Questions analysts ask, each answered rightly by one short query over what is published."""

from __future__ import annotations

import shutil

import pytest

from tests.fixtures.world import Published, hurry, run_from

# Each is named by its number among the twelve. What is asked of persons (3, 11) needs deliveries, so the sample world.


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


@pytest.mark.long
def test_industries_a_municipality_could_target_and_why(sample_run: Published) -> None:
    found = sample_run.rows(
        "SELECT industry_name_da, jobs_in_reach_count, jobs_growth_pct, openings_count, openings_status, reason_da "
        "FROM mart.industry_match JOIN mart.municipality USING (municipality_code) "
        "WHERE municipality_name = 'Rebild' ORDER BY match_rank LIMIT 5"
    )
    assert len(found) == 5
    assert all(jobs > 0 and growth is not None and reason for _, jobs, growth, _, _, reason in found)
    assert all((openings is None) == (status in ("suppressed", "missing")) for *_, openings, status, _ in found)


@pytest.mark.long
def test_first_jobs_by_organisation_model_with_interval(sample_run: Published) -> None:
    found = sample_run.rows(
        "SELECT breakdown_code, within_years, first_job_share_pct, first_job_share_low_pct, first_job_share_high_pct, "
        "n_count, municipality_count, value_status FROM mart.first_job "
        "WHERE breakdown_id = 'org_model_code' AND within_years <= 2 ORDER BY ALL"
    )
    known = [row for row in found if row[2] is not None]
    assert len(known) >= 6
    assert all(low <= share <= high and n >= 50 and places >= 5 for _, _, share, low, high, n, places, _ in known)
    assert {row[-1] for row in found if row[2] is None} <= {"suppressed"}
    assert all(row[3:6] == (None, None, None) for row in found if row[2] is None)


@pytest.mark.long
def test_first_jobs_by_municipality_are_those_of_the_assessment(sample_run: Published) -> None:
    found = sample_run.rows(
        "SELECT first_job_share_pct, first_job_share_low_pct, first_job_share_high_pct, first_job.value_status, "
        "observed "
        "FROM mart.first_job JOIN mart.expected ON municipality_code = breakdown_code "
        "AND outcome_id = format('first_job_within_{}_years_pct', within_years) "
        "WHERE breakdown_id = 'municipality_code' AND within_years = 3"
    )
    assert len(found) == 98
    assert all(share == observed for share, _, _, _, observed in found)
    assert all(low <= share <= high for share, low, high, status, _ in found if status == "estimated")
    assert sum(status == "estimated" for _, _, _, status, _ in found) > 10


def test_observed_against_expected_then_and_now(tiny_run: Published) -> None:
    found = tiny_run.rows(
        "SELECT municipality_name, period, observed, expected, difference, difference_low, difference_high, n_count "
        "FROM mart.expected JOIN mart.municipality USING (municipality_code) "
        "WHERE outcome_id = 'employment_rate_non_western_pct' AND period IN ('2019', '2024') ORDER BY ALL"
    )
    assert len(found) == 2 * 98
    assert all(low <= difference <= high for *_, difference, low, high, _ in found if difference is not None)
    assert sum(difference is not None and n > 0 for *_, difference, _, _, n in found) > 180


@pytest.mark.long
def test_expectations_reach_back_to_the_programme(sample_run: Published) -> None:
    rows = sample_run.rows(
        "SELECT period, count(expected) FROM mart.expected "
        "WHERE outcome_id = 'employment_rate_non_western_pct' GROUP BY 1 ORDER BY 1"
    )
    known = dict(rows)
    assert min(known) <= "2013"
    assert known["2016"] == known[max(known)] == 98


@pytest.mark.long
def test_refugees_in_employment_by_municipality_and_region(sample_run: Published) -> None:
    """From counts, each year of the source; a year it does not tell of is no row, never a 0."""
    found = sample_run.rows(
        "SELECT year(reference_date), region_name, round(100 * sum(numerator) / sum(denominator), 1), sum(denominator) "
        "FROM mart.figure WHERE indicator_id = 'refugees_any_job_pct' AND year(reference_date) >= 2015 GROUP BY 1, 2"
    )
    assert {region for _, region, *_ in found} == {
        "Region Hovedstaden", "Region Sjælland", "Region Syddanmark", "Region Midtjylland", "Region Nordjylland"
    }  # fmt: skip
    assert {year for year, *_ in found} >= set(range(2015, 2026))
    assert all(10 < rate < 85 and n > 0 for _, _, rate, n in found)


@pytest.mark.long
def test_what_goes_with_faster_jobs_and_what_cannot_be_said(sample_run: Published) -> None:
    found = sample_run.rows(
        "SELECT method_code, hazard_ratio, hazard_ratio_low, hazard_ratio_high, n_count, value_status, "
        "what_it_is_not_da "
        "FROM mart.method_effect WHERE context_code = 'all' AND outcome_id = 'first_job_weeks' ORDER BY 2 DESC"
    )
    assert len(found) > 3
    assert all("sammenhæng" in caution for *_, caution in found)
    assert all(low <= ratio <= high and n > 0 for _, ratio, low, high, n, _, _ in found if ratio is not None)
    alike = sample_run.rows(
        "SELECT peers.method_name_da, evidence_grade, count(*) FROM mart.peer JOIN mart.method_candidate peers "
        "ON peers.municipality_code = peer_code WHERE mart.peer.municipality_code = '840' GROUP BY ALL ORDER BY 3 DESC"
    )
    assert alike
    assert all(grade for _, grade, _ in alike)


@pytest.mark.long
def test_what_changed_since_the_last_publication(own_data: Published) -> None:
    """Two publications, the second with one figure revised: the revision is the row, with both values."""
    changed = (
        "SELECT municipality_name, label_da, period, value_before, value_after, value_after - value_before "
        "FROM meta.revision JOIN mart.municipality USING (municipality_code) JOIN mart.indicator USING (indicator_id) "
        "WHERE run_id = (SELECT run_id FROM meta.release)"
    )
    assert own_data.rows(changed) == []
    revised = own_data.settings.root.parent / "revised"
    shutil.copytree(own_data.origin, revised)
    lines = (revised / "aulkp01.csv").read_text(encoding="utf-8").splitlines()
    place = max(number for number, line in enumerate(lines) if line.startswith("840;TOT;TOT;"))
    cells = lines[place].split(";")
    lines[place] = ";".join([*cells[:-1], f"{float(cells[-1]) + 0.1:.1f}"])
    (revised / "aulkp01.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        run_from(own_data.settings, revised)
    found = own_data.rows(changed)
    assert found
    assert {name for name, *_ in found} == {"Rebild"}
    assert all(float(change) == pytest.approx(0.1) for *_, change in found)


def test_every_share_has_its_number_or_says_that_there_is_none(tiny_run: Published) -> None:
    bare = tiny_run.rows(
        "SELECT indicator_id FROM mart.indicator JOIN mart.indicator_value USING (indicator_id) "
        "WHERE unit = 'pct' AND value IS NOT NULL GROUP BY ALL HAVING count(denominator) = 0 "
        "AND NOT bool_or(definition_da LIKE '%antallet bag andelen%' OR definition_da LIKE '%Et skøn.')"
    )
    assert bare == []
    of_areas = tiny_run.rows(
        "SELECT count(denominator) FROM mart.indicator_value WHERE indicator_id LIKE 'area_%' AND value IS NOT NULL"
    )
    assert of_areas[0][0] > 0, "a share of a commuting area tells what it is over"
