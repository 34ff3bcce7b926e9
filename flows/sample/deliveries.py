"""Municipal deliveries of the sample world: what each municipality would send, in its own handwriting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.connectors.deliveries_contract import KINDS, load_contracts
from flows.connectors.deliveries_values import quarter_of
from flows.sample.deliveries_cpr import made_up_cpr
from flows.sample.deliveries_files import Hand, write_table
from transforms.areas import areas

if TYPE_CHECKING:
    import pandas as pd

    from flows.sample.world import World

Rows = list[list[Any]]
NOTE = "SYNTETISKE DATA / SYNTHETIC DATA: alle personer og CPR-lignende numre er opdigtede"

# Codes of the world -> codes of the contract; several mean that persons are spread over them by their number.
BASES = {"asylum": ("convention", "protection", "convention", "temporary_protection", "quota"),
         "family_of_refugee": ("family_refugee",), "other_family": ("family_other",)}  # fmt: skip
EDUCATIONS = {"none": ("none",), "primary": ("primary",), "secondary": ("upper_secondary", "vocational"),
              "higher": ("higher_short", "higher_medium", "higher_long"), "unknown": ("unknown",)}  # fmt: skip
END_REASONS = {"emigrated": "left_denmark", "died": "other"}
MEASURES = {
    "private_praktik": "placement_private", "public_praktik": "placement_public",
    "private_loentilskud": "subsidy_private", "public_loentilskud": "subsidy_public", "igu": "igu", "mentor": "mentor",
    "danskuddannelse": "danish", "opkvalificering": "upskilling", "branchepakke": "industry_package",
}  # fmt: skip
ORGANISATION = {
    "org_model_code": "org_model", "physical_colocation_code": "physical_colocation",
    "family_coordinator_code": "family_coordinator", "contract_responsible_code": "contract_responsible",
    "contract_within_1_month_pct": "contract_within_1_month_pct",
    "start_firm_directed_days_median": "start_firm_directed_days_median",
    "started_within_14d_pct": "started_within_14_days_pct", "started_within_30d_pct": "started_within_30_days_pct",
    "caseload_per_caseworker_count": "caseload_per_caseworker", "job_consultants_fte": "job_consultants_fte",
    "has_dedicated_job_consultants": "is_dedicated_to_refugees", "danish_provider_code": "danish_provider",
    "danish_parallel_with_placement_code": "danish_parallel_with_placement",
    "has_workplace_danish": "is_danish_workplace_based", "health_assessment_code": "health_assessment_offered",
    "health_assessment_days": "health_assessment_timing_days", "has_day1_job_ready_rule": "is_day1_job_ready_rule",
    "intake_screening_code": "intake_screening_tool", "political_committee_code": "political_committee",
    "has_political_goal": "is_political_goal_set",
    "programme_expenditure_dkk": "programme_expenditure_per_person_year_dkk",
    "use_placement_private_pct": "use_private_praktik_pct", "use_placement_public_pct": "use_public_praktik_pct",
    "use_subsidy_private_pct": "use_private_loentilskud_pct", "use_subsidy_public_pct": "use_public_loentilskud_pct",
    "use_igu_pct": "use_igu_pct", "use_mentor_pct": "use_mentor_pct",
    "firm_partnerships_count": "firm_partnerships_count",
}  # fmt: skip
PACKAGES = {"none": "none", "LG_concept": "lg_concept", "lg_concept": "lg_concept", "own_concept": "own_concept"}
THEMES = ("leadership", "targeting", "firm", "danish", "family_health", "data_use")


@dataclass(frozen=True)
class Written:
    """One file written: rows under the heading, and how many of them a receiver must reject."""

    path: Path
    municipality_code: str
    kind: str
    rows: int
    faulty: int


def write_deliveries(
    world: World,
    folder: Path,
    municipalities: Iterable[str] | None = None,
    *,
    dirt: bool = True,
    since: date | None = None,
) -> list[Written]:
    """Write the deliveries of the given municipalities (all 98 when None) as known on the world's vintage.

    With `since` they hold the persons whose permit is from that day on, as an extract of recent cases does.

    Four files each, one per kind, named by municipality and quarter. Encodings, delimiters, headings and forms of
    dates differ from one to the next; with `dirt` one row in about seventy is wrong in a way real ones are.
    """
    tables = DeliveryTables(world, since)
    codes = list(municipalities) if municipalities is not None else tables.codes
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Written] = []
    for code in codes:
        for kind in KINDS.values():
            hand = Hand(world.seed, code, kind, dirt=dirt and kind != "organisation")
            headings, rows = tables.table(kind, code)
            path, count, faulty = write_table(folder, tables.stem(kind, code), headings, rows, hand, NOTE)
            written.append(Written(path, code, kind, count, faulty))
    return written


class DeliveryTables:
    """The tables municipalities send, as field names and plain values, before handwriting and dirt."""

    def __init__(self, world: World, since: date | None = None):
        self._world = world
        self._since = since

    @property
    def codes(self) -> list[str]:
        """The 98 municipalities."""
        return [area.code for area in areas().values() if area.level == "municipality"]

    def stem(self, kind: str, code: str) -> str:
        """Return a file name without ending: municipality, kind in Danish, quarter."""
        word = load_contracts()[kind].file_words[0]
        return f"{areas()[code].name_da}_{word}_{quarter_of(self._world.vintage)}".replace(" ", "-")

    def table(self, kind: str, code: str) -> tuple[list[str], Rows]:
        """Return (field names, rows) of one kind for one municipality."""
        make = {"cases": self._cases, "measures": self._measures, "employment": self._employment}
        return self._organisation(code) if kind == "organisation" else make[kind](code)

    @cached_property
    def _people(self) -> pd.DataFrame:
        """Persons with their made-up number and the municipality they live in."""
        people = self._world.persons.copy()
        if self._since is not None:
            people = people[people["permit_date"] >= np.datetime64(self._since)]
        born = [day.date() for day in people["birth_date"]]
        people["cpr"] = made_up_cpr(born, list(people["sex_code"].astype(str)))
        moved = people["move_municipality_code"].astype(object)
        people["home"] = moved.where(moved.notna(), people["municipality_code"].astype(object))
        return people.set_index("person_id", drop=False)

    @cached_property
    def _residents(self) -> dict[str, Any]:
        """Person ids by municipality."""
        return {str(code): ids.to_numpy() for code, ids in self._people.groupby("home")["person_id"]}

    def _cases(self, code: str) -> tuple[list[str], Rows]:
        names = [
            "cpr", "person_name", "permit_date", "takeover_date", "residence_basis_code", "origin_country_code",
            "education_code", "has_partner", "children_count", "danish_track_code", "match_category_code", "end_date",
            "end_reason_code",
        ]  # fmt: skip
        columns = [
            "cpr", "person_id", "permit_date", "takeover_date", "residence_basis", "origin_code", "education",
            "has_partner", "children_count", "danish_track", "match_category", "end_date", "end_reason",
        ]  # fmt: skip
        chosen = self._people[self._people["home"] == code]
        rows: Rows = []
        for values in zip(*(chosen[column].tolist() for column in columns), strict=True):
            cpr, number, permit, takeover, basis, origin, education, partner, children, track, match, end, reason = (
                values
            )
            why = END_REASONS.get(reason) if _day(end) else None
            rows.append([
                cpr, f"Opdigtet Person {number}", _day(permit), _day(takeover), _spread(BASES[basis], number), origin,
                _spread(EDUCATIONS[education], number), partner, children, f"du{track}", match, _day(end), why,
            ])  # fmt: skip
        return names, rows

    def _measures(self, code: str) -> tuple[list[str], Rows]:
        names = ["cpr", "measure_kind_code", "start_date", "end_date", "weekly_hours", "industry_code", "note"]
        rows: Rows = [
            [person, MEASURES[kind], _day(start), _day(end), float(hours), _industry(industry), None]
            for person, kind, start, end, hours, industry in self._of(
                code, self._world.measures, "kind", "weekly_hours"
            )
        ]
        return names, rows

    def _employment(self, code: str) -> tuple[list[str], Rows]:
        names = ["cpr", "start_date", "end_date", "weekly_hours", "industry_code", "is_subsidised", "employer_name"]
        rows: Rows = [
            [person, _day(start), _day(end), float(hours), _industry(industry), bool(subsidised), "Opdigtet ApS"]
            for person, subsidised, start, end, hours, industry in self._of(
                code, self._world.employment, "is_subsidised", "weekly_hours"
            )
        ]
        return names, rows

    def _of(self, code: str, frame: pd.DataFrame, first: str, hours: str) -> Iterable[tuple[Any, ...]]:
        """Return the frame's rows of those who live in a municipality, one per person, first column and start."""
        chosen = frame[np.isin(frame["person_id"], self._residents[code])]
        chosen = chosen.drop_duplicates(["person_id", first, "start_date", "industry_code"])
        if first == "kind":
            chosen = chosen.drop_duplicates(["person_id", first, "start_date"])
        cpr = self._people["cpr"].reindex(chosen["person_id"])
        columns = [chosen[name] for name in (first, "start_date", "end_date", hours, "industry_code")]
        return zip(cpr, *columns, strict=True)

    def _organisation(self, code: str) -> tuple[list[str], Rows]:
        answers = self._world.organisation.set_index("municipality_code").loc[code]
        values: dict[str, Any] = {
            "municipality": areas()[code].name_da,
            "reference_date": self._world.vintage,
            "respondent_role_code": "joint",
            "value_source_code": "survey",
            "confidence_code": "medium",
            **{name: _plain(answers[column]) for name, column in ORGANISATION.items()},
            "industry_packages_code": PACKAGES[str(answers["branchepakker_used"])],
        }
        for theme in THEMES:
            values[f"rating_{theme}"] = _plain(answers[f"self_evaluation_{theme}_score"])
            values[f"has_evidence_{theme}"] = "Opdigtet begrundelse" if values[f"rating_{theme}"] >= 4 else None
        return list(values), [list(values.values())]


def _spread(codes: tuple[str, ...], number: int) -> str:
    return codes[number % len(codes)]


def _day(stamp: Any) -> date | None:
    return None if stamp != stamp else stamp.date()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _industry(group: Any) -> str | None:
    """Return a six-digit DB07 code of a group of 37: its first division, filled up."""
    return _FIRST_DIVISION.get(str(group))


def _first_divisions() -> dict[str, str]:
    import csv

    from transforms.areas import REFERENCE

    with (REFERENCE / "industry_crosswalk.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    found: dict[str, str] = {}
    for row in rows:
        found.setdefault(row["db07_37_code"], f"{row['division_code']}1000")
    return {group: code for group, code in found.items() if group != "X"}


_FIRST_DIVISION = _first_divisions()
