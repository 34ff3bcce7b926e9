"""The tables of the sample world agree with each other to the person, and look as the publisher's do."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from flows.sample.cubes import RECIPES, Cubes, all_periods, reference_day
from flows.sample.people import day_of
from flows.sample.world import build_world, deal, split
from tests.unit.sample.sample_help import catalogue, cells, places, small_cubes, small_world
from transforms.errors import UsageError

GROUPS_16_64 = ["16-19", "20-24", "25-29", "30-34", "35-39", "40-44", "45-49", "50-54", "55-59", "60-64"]


def total(frame: pd.DataFrame, *by: str) -> pd.Series:
    return frame.groupby(list(by))["value"].sum().sort_index()


def same(left: pd.Series, right: pd.Series) -> None:
    assert len(left) > 0
    pd.testing.assert_series_equal(left, right, check_names=False)


def test_the_population_tables_agree_on_the_same_day() -> None:
    quarter = cells("FOLK1A", OMRÅDE="*", KØN="TOT", ALDER="IALT", CIVILSTAND="TOT", Tid="2022K1")
    month = cells("FOLK1AM", OMRÅDE="*", KØN="TOT", ALDER="IALT", Tid="2022M01")
    ancestry = cells("FOLK1E", OMRÅDE="*", KØN="TOT", ALDER="IALT", HERKOMST="TOT", Tid="2022K1")
    same(total(quarter, "OMRÅDE"), total(month, "OMRÅDE"))
    same(total(quarter, "OMRÅDE"), total(ancestry, "OMRÅDE"))


def test_marital_statuses_ages_and_sexes_add_up_to_the_totals() -> None:
    parts = cells("FOLK1A", OMRÅDE="*", KØN=["1", "2"], ALDER="*", CIVILSTAND=["U", "G", "E", "F"], Tid="2016K1")
    parts = parts[parts["ALDER"] != "IALT"]
    whole = cells("FOLK1A", OMRÅDE="*", KØN="TOT", ALDER="IALT", CIVILSTAND="TOT", Tid="2016K1")
    same(total(parts, "OMRÅDE"), total(whole, "OMRÅDE"))
    assert total(parts, "CIVILSTAND").min() > 100_000


def test_regions_and_country_are_sums_of_municipalities() -> None:
    world = small_world()
    region = dict(zip(world.places.codes, world.places.regions, strict=True))
    for table, rest in (
        ("FOLK1E", {"KØN": "TOT", "ALDER": "IALT", "HERKOMST": "25", "Tid": "2016K1"}),
        ("INDOPH1", {"OPHGR1": "13", "Tid": "2016"}),
        ("RAS201", {"SOCIO": "00", "HERKOMST": "25", "ALDER": "30-34", "KØN": "K", "Tid": "2016"}),
    ):
        frame = cells(table, OMRÅDE="*", **rest)
        by_area = total(frame, "OMRÅDE")
        municipal = places(frame)
        sums = municipal.groupby(municipal["OMRÅDE"].map(region))["value"].sum()
        same(by_area[sums.index], sums.sort_index())
        assert by_area["000"] == municipal["value"].sum(), table


def test_immigrants_by_permit_are_the_immigrants_of_folk1e() -> None:
    permits = cells("INDOPH1", OPHGR1="0", OMRÅDE="*", Tid="2017")
    immigrants = cells("FOLK1E", OMRÅDE="*", KØN="TOT", ALDER="IALT", HERKOMST=["24", "25"], Tid="2017K1")
    permit_totals = total(places(permits), "OMRÅDE")
    same(permit_totals, total(places(immigrants), "OMRÅDE")[permit_totals.index])


def test_the_target_group_is_inside_the_published_counts() -> None:
    world, day = small_world(), day_of(date(2018, 1, 1))
    traits = world.traits
    present = traits.present_at(day)
    here = np.bincount(traits.place_at(day)[present & (traits.basis == 0)], minlength=len(world.places.codes))
    asylum = total(places(cells("INDOPH1", OPHGR1="13", OMRÅDE="*", Tid="2018")), "OMRÅDE")
    inside = pd.Series(here, index=world.places.codes)[asylum.index]
    assert (asylum >= inside).all()
    assert inside.sum() > 5_000


def test_employed_newcomers_are_among_the_employed_non_western_immigrants() -> None:
    world, day = small_world(), day_of(date(2018, 11, 30))
    persons = world.careers.job_person[world.population.jobs_on(day)]
    everybody, background = world.population.status(2018)
    added = (everybody - background)[..., 2, 0].sum(axis=(1, 2))
    expected = np.bincount(world.traits.place_at(day)[persons], minlength=len(added))
    np.testing.assert_array_equal(added, expected)
    employed = cells("RAS201", OMRÅDE="*", SOCIO="00", HERKOMST="25", ALDER="*", KØN="*", Tid="2018")
    by_place = total(places(employed), "OMRÅDE")
    np.testing.assert_array_equal(by_place[list(world.places.codes)], everybody[..., 2, 0].sum(axis=(1, 2)))


@pytest.mark.parametrize("ancestry", ["25", "34"])
def test_rates_are_those_of_the_counts(ancestry: str) -> None:
    counts = cells("RAS201", OMRÅDE="*", SOCIO="*", HERKOMST=ancestry, ALDER=GROUPS_16_64, KØN="*", Tid="2019")
    rates = cells(
        "RAS200", OMRÅDE="*", HERKOMST=ancestry, ALDER="16-64", KØN="TOT", BEREGNING=["BFK", "EFK"], Tid="2019"
    )
    whole = total(counts, "OMRÅDE")
    for measure, statuses in (("BFK", ["00"]), ("EFK", ["00", "50"])):
        part = total(counts[counts["SOCIO"].isin(statuses)], "OMRÅDE")
        printed = rates[rates["BEREGNING"] == measure].set_index("OMRÅDE")["value"].sort_index()
        exact = 100 * part / whole
        known = whole > 0
        assert known.sum() > 90
        assert ((printed - exact)[known].abs() <= 0.0500001).all()
        assert printed[~known].isna().all()


def test_commuting_margins_agree_with_each_other_and_with_ras302() -> None:
    matrix = cells("PEND100", BOPKOM="*", ARBEJDSSTED="*", KØN="*", Tid="2022")
    own_places = places(matrix, "BOPKOM")
    leaf = own_places[own_places["ARBEJDSSTED"].isin([*small_world().places.codes, "950"])]
    night = total(leaf, "BOPKOM")
    stays = total(leaf[leaf["BOPKOM"] == leaf["ARBEJDSSTED"]], "BOPKOM")
    directions = cells("PEND101", OMRÅDE="*", BRANCHE07="TOT", PENDLING="*", KØN="*", Tid="2022")
    by = directions.pivot_table(index="OMRÅDE", columns="PENDLING", values="value", aggfunc="sum")
    same(by["NAT"], night)
    same(by["UD"], night - stays)
    same(by["DAG"], by["NAT"] + by["IND"] - by["UD"])
    workers = total(leaf[leaf["ARBEJDSSTED"] != "950"], "ARBEJDSSTED")
    from_abroad = by["DAG"] - workers
    assert (from_abroad >= 0).all()
    assert from_abroad.sum() < 0.02 * workers.sum()
    industries = cells("RAS302", OMRÅDE="*", BRANCHE07="*", SOCIO="*", ALDER="*", KØN="*", Tid="2022")
    same(total(places(industries), "OMRÅDE"), night)


def test_employed_by_industry_keep_the_ages_of_ras201() -> None:
    industries = cells("RAS302", OMRÅDE="*", BRANCHE07="*", SOCIO="*", ALDER="*", KØN="*", Tid="2021")
    status = cells("RAS201", OMRÅDE="*", SOCIO="00", HERKOMST="*", ALDER="*", KØN="*", Tid="2021")
    same(total(industries, "OMRÅDE", "ALDER", "KØN"), total(status, "OMRÅDE", "ALDER", "KØN"))


def test_employed_by_origin_add_up_to_the_industries() -> None:
    codes = ["TOT", "30", "32", "34", "36", "38", "SYR"]
    groups = cells("RAS308", OPRINDLAND=codes, BRANCHE07="*", SOCIO="*", ALDER="*", KØN="*", Tid="2020")
    wide = groups.pivot_table(index="BRANCHE07", columns="OPRINDLAND", values="value", aggfunc="sum")
    industries = cells("RAS302", OMRÅDE="000", BRANCHE07="*", SOCIO="*", ALDER="*", KØN="*", Tid="2020")
    same(wide["TOT"], total(industries, "BRANCHE07"))
    same(wide["TOT"], wide[["30", "32", "34", "36", "38"]].sum(axis=1))
    status = cells("RAS201", OMRÅDE="000", SOCIO="00", HERKOMST="25", ALDER="*", KØN="*", Tid="2020")
    assert wide["34"].sum() == status["value"].sum()
    assert (wide["SYR"] <= wide["34"] + wide["38"]).all()
    share = wide["34"] / wide["TOT"]
    assert share["N"] > 2 * share["O"], "newcomers work in cleaning rather than in public administration"


def test_averages_come_from_the_same_persons_and_amounts() -> None:
    frame = cells("INDKP101", OMRÅDE="*", ENHED=["110", "116"], KOEN="MOK", INDKOMSTTYPE="100", Tid="2019")
    wide = frame.pivot_table(index="OMRÅDE", columns="ENHED", values="value")
    persons = (1000 * wide["110"] / wide["116"]).round()
    provinces = [code for code in wide.index if len(code) == 2]
    assert len(provinces) == 11
    assert abs(persons[provinces].sum() / persons["000"] - 1) < 1e-4


def test_small_cells_are_suppressed_and_zero_is_not() -> None:
    answer = small_cubes().answer(
        "KY038",
        {
            "OMRÅDE": [c.code for c in catalogue().codes(catalogue().source("statbank_ky038"), "OMRÅDE")],
            "YDELSESTYPE": ["10020", "10060"],
            "HERKOMST1": ["2", "9"],
            "HERKOMST": ["20", "30"],
            "Tid": ["2015"],
        },
    )
    values = answer["value"].to_pylist()
    assert ".." in values
    assert "0" in values
    assert not set(values) & {"1", "2", "3", "4"}


def test_an_age_nobody_has_is_a_cell_of_zero() -> None:
    frame = cells("VAN1AAR", OMRÅDE=["000", "306"], ALDER=["121"], STATSB=["5486", "5246"], Tid="2014")
    assert frame["value"].tolist() == [0, 0, 0, 0]


def test_age_groups_that_came_later_have_no_figures_before() -> None:
    frame = cells(
        "RAS200",
        OMRÅDE="000",
        HERKOMST="00",
        ALDER=["16-64", "16-65", "1666"],
        KØN="TOT",
        BEREGNING="BFK",
        Tid=["2019", "2020", "2022"],
    )
    known = frame.pivot_table(index="ALDER", columns="Tid", values="value", dropna=False).notna()
    assert list(known.loc["16-64"]) == [True, True, True]
    assert list(known.loc["16-65"]) == [False, True, True]
    assert list(known.loc["1666"]) == [False, False, True]


def statbank_tables() -> list[str]:
    """Return every StatBank table that is a source, also those without a recipe of their own."""
    return sorted(str(source.table) for source in catalogue().sources.values() if source.connector == "statbank")


@pytest.mark.parametrize("table", statbank_tables())
def test_every_table_answers_what_its_source_asks_for(table: str) -> None:
    cubes, source = small_cubes(), catalogue().by_table(table)
    assert source is not None
    selection = {d.id: catalogue().selected(source, d) for d in source.dimensions if d.role != "time"}
    last = cubes.periods(table)[-1]
    answer = cubes.answer(table, {**selection, source.time.id: [last]})
    assert answer.column_names == [*(d.id for d in source.dimensions), "value"]
    assert answer.num_rows == np.prod([len(codes) for codes in selection.values()])
    shape = r"-?\d+" if source.decimals == 0 else rf"-?\d+\.\d{{{source.decimals}}}"
    values = answer["value"].to_pylist()
    assert all(re.fullmatch(shape, value) or value == ".." for value in values)
    assert sum(value not in ("0", "..") for value in values) > 10


def test_every_recipe_is_of_a_statbank_source() -> None:
    assert set(RECIPES) <= set(statbank_tables())


def test_a_dimension_left_out_is_summed() -> None:
    short = cells("RAS201", OMRÅDE="101", SOCIO="00", HERKOMST="25", ALDER="30-34", KØN="*", Tid="2016")
    assert short["value"].sum() > 0
    whole = cells("BOL101", OMRÅDE="101", BEBO="1000", UDLFORH="*", EJER="*", Tid="2016")
    split_up = cells("BOL101", OMRÅDE="101", BEBO="1000", ANVENDELSE="*", UDLFORH="*", EJER="*", Tid="2016")
    assert "ANVENDELSE" not in whole.columns
    same(total(whole, "UDLFORH", "EJER"), total(split_up, "UDLFORH", "EJER"))


def test_unknown_codes_are_named() -> None:
    cubes = small_cubes()
    with pytest.raises(UsageError, match="no table NOPE"):
        cubes.answer("NOPE", {})
    with pytest.raises(UsageError, match="no code 999 in OMRÅDE"):
        cubes.answer("INDOPH1", {"OPHGR1": ["0"], "OMRÅDE": ["999"], "Tid": ["2016"]})
    with pytest.raises(UsageError, match="no period 2031"):
        cubes.answer("INDOPH1", {"OPHGR1": ["0"], "OMRÅDE": ["000"], "Tid": ["2031"]})
    with pytest.raises(UsageError, match="needs codes for Tid"):
        cubes.answer("INDOPH1", {"OPHGR1": ["0"], "OMRÅDE": ["000"]})


def test_a_vintage_shows_only_what_was_published_by_then() -> None:
    then = Cubes(build_world(persons=2_000, vintage=date(2016, 12, 31)), catalogue())
    assert then.periods("RAS201")[-1] == "2015"
    assert then.periods("FOLK1A")[-1] == "2016K4"
    assert then.periods("FOLK1AM") == []
    assert then.updated("FOLK1A").date() == date(2016, 11, 12)
    assert small_cubes().periods("RAS201")[-1] == "2024"


def test_the_same_seed_gives_the_same_tables_and_another_seed_others() -> None:
    asked = {"OPHGR1": ["0", "13", "14"], "OMRÅDE": ["000", "101", "840"], "Tid": ["2010", "2020"]}
    first, again, other = (
        Cubes(build_world(seed, persons=2_000), catalogue()).answer("INDOPH1", asked) for seed in (9, 9, 10)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_asking_for_periods_simulates_nothing() -> None:
    world = build_world(seed=3, persons=1_000)
    cubes = Cubes(world, catalogue())
    assert cubes.periods("RAS302")
    assert cubes.updated("RAS302")
    assert "traits" not in vars(world)
    assert "careers" not in vars(world)


def test_periods_and_their_days() -> None:
    assert all_periods("2021M10", 2021) == ["2021M10", "2021M11", "2021M12"]
    assert all_periods("2024K3", 2025) == ["2024K3", "2024K4", "2025K1", "2025K2", "2025K3", "2025K4"]
    assert reference_day("2016K2", "end") == date(2016, 6, 30)
    assert reference_day("2016", "november") == date(2016, 11, 30)
    assert reference_day("2024M12", "end") == date(2024, 12, 31)


def test_splitting_and_dealing_lose_nobody() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 40, (30, 2))
    parts = split(counts, rng.random((30, 2, 7)), rng.random((30, 2)))
    np.testing.assert_array_equal(parts.sum(axis=-1), counts)
    assert parts.min() >= 0
    rows = rng.integers(0, 12, (50, 9))
    columns = split(rows.sum(axis=1), rng.random((50, 5)))
    table = deal(columns, rows)
    np.testing.assert_array_equal(table.sum(axis=-1), rows)
    np.testing.assert_array_equal(table.sum(axis=-2), columns)
    assert table.min() >= 0
