"""What a request says, taken from its address and body; what cannot be understood is refused as StatBank does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flows.sample.standin_tables import Language

_OF_LISTS = ("subjects", "recursive", "includetables", "pastdays", "includeinactive")
_OMISSIONS = ("omitemptysubjects", "omitsubjectswithouttables", "omitinactivesubjects")
_OF_DATA = ("valuepresentation", "delimiter", "timeorder", "allowvariablesinhead", "allowcodeoverrideincolumnnames")
OPTIONS = frozenset({"table", "format", "lang", "variables", *_OF_LISTS, *_OMISSIONS, *_OF_DATA})


class ApiError(Exception):
    """An answer of 400 or 404: StatBank's errorTypeCode and its message in both languages."""

    def __init__(self, code: str, danish: str, english: str, status: int = 400):
        super().__init__(danish)
        self.code = code
        self.status = status
        self.text: Mapping[Language, str] = {"da": danish, "en": english}


def read_options(body: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of a GET (query string) or POST (JSON body), names in lower case; ApiError for no JSON.

    In a GET every name that is no option is a variable, with its values separated by commas.
    """
    options: dict[str, Any] = {}
    variables = []
    for name, value in query.items():
        if name.casefold() == "subjects":
            options["subjects"] = [subject for subject in value.split(",") if subject]
        elif name.casefold() in OPTIONS:
            options[name.casefold()] = value
        elif name.casefold() == "id":  # understood in an address, not in a body
            options["table"] = value
        else:
            variables.append({"code": name, "values": value.split(",")})
    if variables:
        options["variables"] = variables
    if body.strip():
        try:
            posted = json.loads(body)
        except (ValueError, RecursionError):
            posted = None
        if not isinstance(posted, dict):
            raise not_understood()
        options.update({str(name).casefold(): value for name, value in posted.items()})
    return options


def not_understood() -> ApiError:
    """Return the refusal of a body that is no JSON object, which was seen in a log.

    Given as well for a body whose parts have another shape than the API's (`"variables": 7`). That is inferred, no
    such call was seen: a server that reads the body into typed objects ends with none, as for text that is no JSON.
    """
    both = "Medsend gyldigt JSON-objekt når der postes. / Supply valid JSON-object when posting."
    return ApiError("REQUEST-EMPTY", both, both)


def language(options: Mapping[str, Any]) -> Language:
    """Return the language asked for; Danish is the default."""
    return "en" if str(options.get("lang", "da")).casefold() == "en" else "da"


def flag(options: Mapping[str, Any], name: str) -> bool:
    """Tell whether a switch is on; any text but `true` is off (`"yes"` was seen to be)."""
    return str(options.get(name)).casefold() == "true"


def texts(value: Any) -> list[str]:
    """Return a list of ids or codes as texts; one alone counts as a list of one, nothing as none."""
    if value is None or value == "":
        return []
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(entry, str | int | float) for entry in listed):
        raise not_understood()
    return [str(entry) for entry in listed]


def whole_number(value: Any) -> int | None:
    """Return a number of days, None when none is given."""
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise not_understood() from None


def asked_values(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return variable -> value expressions, in the order asked; head variables come after stub ones."""
    entries = options.get("variables")
    if entries is None:
        return {}
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise not_understood()
    entries = sorted(entries, key=lambda entry: str(entry.get("placement", "stub")).casefold() == "head")
    return {_name(entry): texts(entry.get("values")) for entry in entries}


def _name(entry: Mapping[str, Any]) -> str:
    name = entry.get("code", "")
    if not isinstance(name, str | int):
        raise not_understood()
    return str(name).casefold()
