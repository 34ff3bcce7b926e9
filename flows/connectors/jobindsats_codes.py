"""The texts of a Jobindsats dimension as codes of one of the project's code lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from flows.connectors.jobindsats import JobindsatsDimension
from transforms.codelists import load_codelists
from transforms.errors import DataRefused, UsageError

TOTAL = "TOT"
"""Our code for the sum over a dimension."""

Coder = Callable[[str, str, int], str]


def coder_of(dimension: JobindsatsDimension) -> Coder:
    """Return a function (text, file, number of the value) -> what is kept of it.

    Without a code list that is the text itself. With one it is the code; DataRefused names file, value and text when
    there is none, so that no row is lost unseen. Raises UsageError for a code list the project does not have.
    """
    if dimension.codelist is None:
        return lambda text, name, number: text
    known = _codes(dimension.codelist) | {_key(text): TOTAL for text in dimension.total_texts}
    known |= {_key(text): code for text, code in dimension.texts.items()}

    @cache
    def find(text: str) -> str | None:
        return known.get(_key(text))

    def code(text: str, name: str, number: int) -> str:
        found = find(text)
        if found is None:
            raise DataRefused(
                f"{name}: value {number}: {dimension.text_da} {text!r} has no code in the code list "
                f"{dimension.codelist}; add it under `texts:` of the source, with the code it stands for"
            )
        return found

    return code


def coded(coders: Sequence[Coder], texts: Sequence[str], name: str, number: int) -> tuple[str, ...]:
    """Return the dimension texts of one value as they are kept; DataRefused as `coder_of` says."""
    return tuple(code(text, name, number) for code, text in zip(coders, texts, strict=True))


def _codes(codelist: str) -> dict[str, str]:
    """Return text, text without its leading code, and code -> code, for the leaves of a list."""
    codes = load_codelists().get(codelist)
    if codes is None:
        raise UsageError(f"there is no code list {codelist!r} in transforms/reference/codelists.csv")
    leaves = [code for code in codes if code.kind == "leaf"]
    return {
        _key(text): code.code
        for code in leaves
        for text in (code.code, code.text_da, code.text_da.removeprefix(f"{code.code} "))
    }


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()
