from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.deliveries.contract import load_contracts
from flows.deliveries.values import (
    EXCEL_EPOCH,
    Wrong,
    clean,
    parse_date,
    parse_industry,
    parse_municipality,
    parse_number,
    parse_stated_period,
    parser_of,
)

DAY = date(2016, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "02-01-2016",
        "2.1.16",
        "2/1-2016",
        "2/1 2016",
        "02/01/2016",
        "2016-01-02",
        "2016-01-02 00:00:00",
        "2016-01-02T00:00:00Z",
        "2. januar 2016",
        "den 2. jan. 2016",
        "2 Januar 2016",
        "20160102",
        "02012016",
        "42371",
        "42371,0",
        "02-01-2016 14:30",
    ],
)
def test_every_usual_form_of_a_date_is_the_same_day(text: str) -> None:
    assert parse_date(text) == DAY


@pytest.mark.parametrize(
    "text",
    [
        "31-02-2016",
        "01/13/2016",
        "2016",
        "1",
        "99-99-9999",
        "29-02-2015",
        "01-01-1800",
        "2016-13-01",
        "1. foo 2016",
        "5",
        "999999",
    ],
)
def test_a_day_that_does_not_exist_is_wrong(text: str) -> None:
    with pytest.raises(Wrong):
        parse_date(text)


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2049, 12, 31)))
def test_dates_survive_every_form(day: date) -> None:
    months = [
        "januar",
        "februar",
        "marts",
        "april",
        "maj",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "december",
    ]
    forms = [
        day.isoformat(),
        f"{day:%d-%m-%Y}",
        f"{day.day}/{day.month}-{day.year}",
        f"{day.day}. {months[day.month - 1]} {day.year}",
        f"{day:%Y%m%d}",
        str((day - EXCEL_EPOCH).days),
        f"{day:%d.%m.%y}",
    ]
    assert {parse_date(form) for form in forms} == {day}
    assert parse_date(str((day - EXCEL_EPOCH).days)) == EXCEL_EPOCH + timedelta((day - EXCEL_EPOCH).days)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("37", 37),
        ("37,5", 37.5),
        ("20.5", 20.5),
        ("1.229", 1229),
        ("1.229,5", 1229.5),
        ("80 000 kr.", 80000),
        ("12,5 %", 12.5),
        ("-3", -3),
        ("20 timer", 20),
    ],
)
def test_danish_numbers(text: str, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "1e5", "12,", ",5", "inf", "nan", "1,2,3", "12.34.5", "0x10", "9" * 30])
def test_what_is_no_number_is_wrong(text: str) -> None:
    with pytest.raises(Wrong):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("561010", "561010"),
        ("56.10.10", "561010"),
        ("11100", "011100"),
        ("56", "56"),
        ("56.10", "561000"),
        ("561010 Restauranter", "561010"),
    ],
)
def test_industries(text: str, code: str) -> None:
    assert parse_industry(text) == code


@pytest.mark.parametrize("text", ["Restauranter", "000000", "040000", "1234567", "A"])
def test_what_is_no_industry_is_wrong(text: str) -> None:
    with pytest.raises(Wrong):
        parse_industry(text)


@pytest.mark.parametrize("text", ["Rebild", "840", "0840", "Rebild Kommune", "840 Rebild", " rebild "])
def test_municipalities(text: str) -> None:
    assert parse_municipality(clean(text)) == "840"


@pytest.mark.parametrize(
    "text", ["411", "Christiansø", "Region Nordjylland", "000", "Hele landet", "Værløse", "950", ""]
)
def test_only_the_98_are_municipalities(text: str) -> None:
    with pytest.raises(Wrong):
        parse_municipality(text)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2016", "2016"),
        ("2016K1", "2016K1"),
        ("2016Q1", "2016K1"),
        ("1. kvartal 2016", "2016K1"),
        ("K1 2016", "2016K1"),
        ("31-03-2016", "2016K1"),
        ("1. kvt. 2016", "2016K1"),
    ],
)
def test_periods(text: str, period: str) -> None:
    assert parse_stated_period(text) == period


@pytest.mark.parametrize(
    ("kind", "field", "text", "value"),
    [
        ("cases", "residence_basis_code", "§ 7, stk. 1", "convention"),
        ("cases", "residence_basis_code", "KVOTEFLYGTNING", "quota"),
        ("cases", "origin_country_code", "Syrien", "SYR"),
        ("cases", "origin_country_code", "statsløs", "XXA"),
        ("cases", "danish_track_code", "DU 2", "du2"),
        ("cases", "danish_track_code", "2.0", "du2"),
        ("cases", "has_partner", "Ja", True),
        ("cases", "has_partner", "-", None),
        ("cases", "children_count", "", None),
        ("cases", "end_reason_code", "Anden aarsag", "other"),
        ("measures", "measure_kind_code", "Virksomhedspraktik - privat", "placement_private"),
        ("measures", "measure_kind_code", "igu", "igu"),
        ("measures", "weekly_hours", "20,5", 20.5),
        ("organisation", "has_evidence_firm", "Vi følger op hver uge.", True),
        ("organisation", "has_evidence_firm", "", False),
        ("organisation", "cooperation_municipality_codes", "Randers, 707", ["730", "707"]),
    ],
)
def test_texts_become_codes(kind: str, field: str, text: str, value: Any) -> None:
    assert parser_of(load_contracts()[kind].field(field))(text) == (value, None)


@pytest.mark.parametrize(
    ("kind", "field", "text", "rule"),
    [
        ("cases", "permit_date", "", "required"),
        ("cases", "permit_date", "010180-1234", "cpr_misplaced"),
        ("cases", "children_count", "2,5", "whole_number"),
        ("cases", "children_count", "99", "range"),
        ("cases", "residence_basis_code", "noget andet", "unknown_value"),
        ("cases", "end_date", '=HYPERLINK("http://x")', "formula"),
        ("measures", "weekly_hours", "169", "range"),
        ("employment", "is_subsidised", "måske", "boolean"),
    ],
)
def test_faults_have_a_rule(kind: str, field: str, text: str, rule: str) -> None:
    assert parser_of(load_contracts()[kind].field(field))(text) == (None, rule)


def test_zeros_protected_for_excel_are_unwrapped() -> None:
    assert clean('="0101801234"') == "0101801234"
    assert clean("'0101801234") == "0101801234"
