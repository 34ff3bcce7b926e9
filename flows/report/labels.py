"""Words for the codes the mapping uses, in Danish and English, where no table of the database carries them."""

from __future__ import annotations

from collections.abc import Mapping
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
    "single_interdisciplinary_unit": ("én tværfaglig enhed", "one interdisciplinary unit"),
    "jobcenter_general": ("jobcentret, alment", "job centre, general"),
    "jobcenter_special_team": ("særligt team i jobcentret", "special team in the job centre"),
    "separate_integration_department": ("egen integrationsafdeling", "separate integration department"),
    "split_authorities": ("delt mellem forvaltninger", "split between authorities"),
    "external_main_provider": ("ekstern hovedleverandør", "external main provider"),
    "joint_municipal": ("fælleskommunal", "joint between municipalities"),
    "same_site": ("samme sted", "same site"),
    "several_sites": ("flere steder", "several sites"),
    "some_families": ("nogle familier", "some families"),
    "all_families": ("alle familier", "all families"),
    "survey": ("spørgeskema", "survey"),
    "document": ("dokument", "document"),
    "register": ("register", "register"),
    "estimate": ("skøn", "estimate"),
    "leader": ("leder", "leader"),
    "caseworker": ("sagsbehandler", "caseworker"),
    "job_consultant": ("jobkonsulent", "job consultant"),
    "teacher": ("underviser", "teacher"),
    "always": ("altid", "always"),
    "mostly": ("som regel", "mostly"),
    "sometimes": ("nogle gange", "sometimes"),
    "rarely": ("sjældent", "rarely"),
    "own": ("egen", "own"),
    "private": ("privat", "private"),
    "mixed": ("blandet", "mixed"),
    "municipal_joint": ("fælleskommunal", "joint municipal"),
    "all": ("alle", "all"),
    "by_need": ("efter behov", "by need"),
    "quota_refugees_only": ("kun kvoteflygtninge", "quota refugees only"),
    "not_systematic": ("ikke systematisk", "not systematic"),
    "national": ("nationalt", "national"),
    "high": ("høj", "high"),
    "low": ("lav", "low"),
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
    "higher_is_better": ("højere er bedre", "higher is better"),
    "lower_is_better": ("lavere er bedre", "lower is better"),
    "neutral": ("hverken bedre eller ringere", "neither better nor worse"),
}


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
