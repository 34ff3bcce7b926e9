"""The lists of the stand-in, `/tables` and `/subjects`, narrowed as StatBank narrows them.

The sample world has one subject. It and all its tables are active, so `includeInactive` adds nothing and
`omitInactiveSubjects` leaves nothing out; it has no levels below, so `recursive` changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flows.sample.standin_options import ApiError, flag, language, texts, whole_number
from flows.sample.standin_tables import Language, Table, Tables, summary

SUBJECT = "0"
_NAMES: Mapping[Language, str] = {"da": "Syntetiske tabeller", "en": "Synthetic tables"}
_DAY = timedelta(days=1)


def table_list(tables: Tables, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answer of `/tables`: those of the subjects asked for, updated within `pastdays` days."""
    _check_subjects(options)
    days = whole_number(options.get("pastdays"))
    return [summary(table, language(options)) for table in tables.all() if days is None or _age(tables, table) < days]


def subject_list(tables: Tables, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answer of `/subjects`: the one subject there is, with its tables when asked for."""
    _check_subjects(options)
    lang = language(options)
    subject = {"id": SUBJECT, "description": _NAMES[lang], "active": True, "hasSubjects": False, "subjects": []}
    # The first is the name logged clients send, the second the one of the publisher's page; both mean the same.
    omits_empty = flag(options, "omitemptysubjects") or flag(options, "omitsubjectswithouttables")
    if omits_empty and not tables.all():
        return []
    if flag(options, "includetables"):
        # The shape of an entry is inferred: the logged answer of all subjects has as many bytes per table as /tables.
        subject["tables"] = [summary(table, lang) for table in tables.all()]
    return [subject]


def _check_subjects(options: Mapping[str, Any]) -> None:
    """Refuse a subject that is not there: 400 was seen; the code and the words are inferred from those for a table."""
    for subject in texts(options.get("subjects")):
        if subject != SUBJECT:
            raise ApiError("EXTRACT-NOTFOUND", f"Emne findes ikke: {subject}", f"Subject does not exist: {subject}")


def _age(tables: Tables, table: Table) -> float:
    """Return the days from a table's publication to the end of the sample world's today."""
    return (tables.now - table.updated) / _DAY
