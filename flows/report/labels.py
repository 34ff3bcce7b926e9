"""Words for the codes the mapping uses, in Danish and English, where no table of the database carries them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

Words = tuple[str, str]

DIMENSIONS: dict[str, Words] = {
    "starting_point": ("Afsæt", "Starting point"),
    "organisation": ("Organisering", "Organisation"),
    "framework_conditions": ("Rammevilkår", "Framework conditions"),
    "industry": ("Brancher", "Industries"),
}
SIZE_BANDS: dict[str, Words] = {
    "very_small": ("under 25.000 indbyggere", "under 25,000 residents"),
    "small": ("25.000-40.000 indbyggere", "25,000-40,000 residents"),
    "middle": ("40.000-60.000 indbyggere", "40,000-60,000 residents"),
    "large": ("60.000-200.000 indbyggere", "60,000-200,000 residents"),
    "very_large": ("over 200.000 indbyggere", "over 200,000 residents"),
}
ASSESSMENTS: dict[str, Words] = {
    "better": ("bedre end forventet", "better than expected"),
    "as_expected": ("som forventet", "as expected"),
    "worse": ("ringere end forventet", "worse than expected"),
    "too_small": ("for få til at vurdere", "too few to judge"),
}
OUTCOMES: dict[str, tuple[Words, str]] = {
    "first_job_weeks": (
        ("Uger til første job af mindst 13 uger", "Weeks to a first job of at least 13 weeks"),
        "weeks",
    ),
    "non_western_employment_pct": (
        ("Beskæftigelsesfrekvens, ikke-vestlige indvandrere", "Employment rate, non-western immigrants"),
        "pct",
    ),
}
STRENGTHS: dict[str, Words] = {
    "strong": ("stærk", "strong"),
    "medium": ("middel", "medium"),
    "weak": ("svag", "weak"),
}
GROUPS: dict[str, Words] = {
    "participant": ("deltagere", "participants"),
    "sister_pool": ("søsterpuljen", "the sister pool"),
    "other": ("øvrige kommuner", "other municipalities"),
    "unknown": ("ukendt", "unknown"),
}
GRADES: dict[str, Words] = {
    "effect_study": ("effektstudie", "effect study"),
    "register_correlation": ("registersammenhæng", "register correlation"),
    "practice_experience": ("praksiserfaring", "practice experience"),
}
CODES: dict[str, Words] = {
    **SIZE_BANDS,
    **ASSESSMENTS,
    **STRENGTHS,
    **GRADES,
    "true": ("ja", "yes"),
    "false": ("nej", "no"),
    "none": ("ingen", "none"),
    "other": ("andet", "other"),
    "all": ("alle", "all"),
    "participant": ("deltager", "participant"),
    "sister_pool": ("søsterpulje", "sister pool"),
    "unknown": ("ukendt", "unknown"),
    "during": ("under forløbet", "during the measure"),
    "after": ("efter forløbet", "after the measure"),
    "observed": ("observeret", "observed"),
    "estimated": ("skøn", "estimate"),
    "missing": ("mangler", "missing"),
    "peers": ("sammenligningskommuner", "peers"),
    "nation": ("hele landet", "the country"),
    "expected": ("forventet", "expected"),
    "critical": ("kritisk", "critical"),
    "warning": ("advarsel", "warning"),
    "godkendt": ("godkendt", "accepted"),
    "afvist": ("afvist", "refused"),
    "godkendt med bemærkninger": ("godkendt med bemærkninger", "accepted with remarks"),
    "stop": ("stopper udgivelsen", "stops the publication"),
    "quarantine": ("rækken sættes til side", "the row is set aside"),
    "report": ("meldes", "is reported"),
    "value": ("værdien selv", "the value itself"),
    "ratio": ("forhold", "ratio"),
    "difference": ("forskel mellem to frekvenser", "difference of two rates"),
    "growth_5y": ("vækst over fem år", "growth over five years"),
    "year": ("år", "year"),
    "quarter": ("kvartal", "quarter"),
    "month": ("måned", "month"),
    "any": ("alle", "any"),
    "first_of_month": ("den 1. i måneden", "first day of the month"),
    "first_of_quarter": ("den 1. i kvartalet", "first day of the quarter"),
    "first_january": ("1. januar", "1 January"),
    "end_november": ("ultimo november", "end of November"),
    "quarter_average": ("kvartalsgennemsnit", "quarterly average"),
    "year_average": ("årsgennemsnit", "yearly average"),
    "cohort": ("årgang", "cohort"),
    "ras": ("registerbaseret arbejdsstyrkestatistik (RAS)", "register-based labour force (RAS)"),
    "municipalities": ("alle kommuner", "all municipalities"),
    "groups": ("grupper", "groups"),
    "matched": ("deltagere mod sammenligningskommuner", "participants against peers"),
    "matched_beyond_regression": (
        "det samme, renset for regression mod middelværdien",
        "the same, regression to the mean taken out",
    ),
    "difference_in_differences": ("forskel i forskelle", "difference in differences"),
    "group": ("gruppe", "group"),
    "comparison": ("sammenligning", "comparison"),
    "baseline_value": ("nulpunkt", "baseline"),
    "later_value": ("senere", "later"),
    "change": ("ændring", "change"),
    "expected_change": ("ventet af regression", "expected by regression"),
    "change_beyond_regression": ("ændring ud over regression", "change beyond regression"),
    "peer_change": ("sammenligningskommuners ændring", "change of the peers"),
    "peers_used_count": ("antal brugt", "number used"),
    "difference_beyond_regression": ("forskel ud over regression", "difference beyond regression"),
    "difference_low": ("nedre grænse", "lower limit"),
    "difference_high": ("øvre grænse", "upper limit"),
    "participants_count": ("deltagere", "participants"),
    "others_count": ("øvrige", "others"),
    "sister_pool_count": ("i søsterpuljen", "in the sister pool"),
    "municipality_code": ("kommune", "municipality"),
    "municipality_count": ("kommuner", "municipalities"),
    "mean_change": ("gennemsnitlig ændring", "mean change"),
    "mean_expected_change": ("heraf ventet af regression", "of it expected by regression"),
    "value_status": ("status", "status"),
    "population_log": ("indbyggertal (logaritme)", "population (logarithm)"),
    "is_colocated": ("samlet på ét sted", "on one site"),
    "has_danish_parallel": ("dansk ved siden af praktik", "Danish alongside placement"),
    "job_consultants_per_100": ("virksomhedskonsulenter pr. 100 nyankomne", "job consultants per 100 newcomers"),
    "delivery_cases": ("sager", "cases"),
    "cases": ("sager", "cases"),
    "measures": ("indsatser", "measures"),
    "employment": ("ansættelser", "employment"),
    "organisation": ("organisering", "organisation"),
    "higher_is_better": ("højere er bedre", "higher is better"),
    "lower_is_better": ("lavere er bedre", "lower is better"),
    "neutral": ("hverken bedre eller ringere", "neither better nor worse"),
}


@cache
def form_words() -> dict[str, dict[str, Words]]:
    """Return what the codes of the municipalities' forms are called: column -> code -> words, as the forms say it."""
    from flows.connectors.deliveries_contract import load_contracts

    return {
        field.name: {value.code: (value.text_da, value.text_en) for value in field.values}
        for contract in load_contracts().values()
        for field in contract.fields
        if field.values
    }


def answer(column: str, value: Any) -> Words:
    """Return what an answer on a form is called, as the form says it; several codes are told one after the other."""
    known = form_words().get(column) or form_words().get(column.removesuffix("s"), {})
    told = [known.get(part) or words(part) for part in str(value).split()] if known else [words(value)]
    return ", ".join(da for da, _ in told), ", ".join(en for _, en in told)


def words(code: Any) -> Words:
    """Return what a code is called; a code nobody named is shown as it is, underscores as spaces."""
    if isinstance(code, bool):
        code = "true" if code else "false"
    text = str(code)
    return CODES.get(text, (text.replace("_", " "), text.replace("_", " ")))


def outcome(outcome_id: str, indicators: Mapping[str, Mapping[str, Any]]) -> tuple[Words, str]:
    """Return the label and unit of an outcome of mart.expected."""
    known = indicators.get(outcome_id)
    if known:
        return (str(known["label_da"]), str(known["label_en"])), str(known["unit"])
    if outcome_id in OUTCOMES:
        return OUTCOMES[outcome_id]
    unit = next((unit for unit in ("pct", "weeks", "days", "dkk") if unit in outcome_id.split("_")), "count")
    return words(outcome_id), unit
