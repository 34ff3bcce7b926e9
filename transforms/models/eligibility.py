"""Which programme a municipality takes part in or may apply to: `mart.eligibility`."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pandas as pd

from transforms.models.wording import TEXTS, Language, date_text

LANGUAGES: tuple[Language, ...] = get_args(Language)


def eligibility(
    municipalities: list[str], programmes: pd.DataFrame, participants: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """Return who takes part in and who may apply to each programme, with the reason in Danish and English.

    Input `programmes` (reference/programmes.csv): programme_id, name_da, name_en, applicants (granted | all_except),
    excludes_programme_id, has_known_participants, deadline_date (ISO), and facts that only travel along.
    `participants` (reference/programme_participants.csv): programme_id, municipality_code, project_unit.
    Output, one row per municipality x programme: municipality_code, programme_id, project_unit, is_participant (empty
    where the list of participants is not known), may_apply (by the rule of the applicants' circle),
    is_deadline_passed on `as_of`, reason_da, reason_en.
    """
    names = programmes.set_index("programme_id")
    unit = participants.set_index(["programme_id", "municipality_code"])["project_unit"].to_dict()
    rows = []
    for programme in programmes.itertuples(index=False):
        deadline = pd.Timestamp(str(programme.deadline_date)).date()
        known = str(programme.has_known_participants).lower() == "true"
        named = str(programme.excludes_programme_id)
        excluding = named if named in names.index else None
        for code in sorted(municipalities):
            member = (programme.programme_id, code) in unit
            barred = excluding is not None and (excluding, code) in unit
            outside = "open" if programme.applicants == "all_except" else "closed"
            key = "participant" if member else "excluded" if barred else outside
            other = names.loc[excluding] if excluding is not None else None
            late = as_of > deadline
            reasons = TEXTS["eligibility"].get(f"late {key}" if late else key, TEXTS["eligibility"][key])
            da, en = (reasons[language].format(programme="" if other is None else other[f"name_{language}"],
                                        deadline=date_text(deadline, language))
                      for language in LANGUAGES)  # fmt: skip
            rows.append((code, programme.programme_id, unit.get((programme.programme_id, code)),
                         member if known else None, key == "open", late, da, en))  # fmt: skip
    columns = ["municipality_code", "programme_id", "project_unit", "is_participant", "may_apply",
               "is_deadline_passed", "reason_da", "reason_en"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype({"is_participant": "boolean", "project_unit": "string"})
