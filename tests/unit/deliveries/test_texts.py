"""What municipalities are told: every text is used, is filled in whole, and says numbers as its language does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from flows.deliveries import contract
from flows.deliveries.contract import TEXTS, Refusal, remark_of

ROOM = Path(contract.__file__).parent
LANGUAGES = ("text_da", "text_en")


def said() -> Iterator[tuple[str, set[str]]]:
    """Yield every remark the code speaks of, with what is told in it there."""
    for module in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in ("Refusal", "remark_of", "remark"):
                told = {str(each.arg) for each in node.keywords} - {"is_table", "None"}
                names = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                yield from ((str(each), told) for each in names)


def wanted(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_text_is_told_with_all_it_wants() -> None:
    seen = list(said())
    assert {name for name, _ in seen} == set(TEXTS["remarks"])
    for name, told in seen:
        assert told == {each for language in LANGUAGES for each in wanted(TEXTS["remarks"][name][language])}, name


def test_every_text_stands_in_both_languages() -> None:
    for texts in TEXTS.values():
        for name, text in texts.items():
            assert all(text[language] for language in LANGUAGES), name
            assert text["text_da"] != text["text_en"], name
            assert not any(" \n" in each or "\n" in each for each in text.values()), name


def test_numbers_are_told_as_each_language_writes_them() -> None:
    wide = remark_of("sheet_too_wide", rows=1, columns=2_000)
    assert wide.text_da.startswith("Et ark spænder over 1 række og 2.000 kolonner;")
    assert wide.text_en.startswith("a sheet spans 1 rows and 2,000 columns;")
    many = remark_of("formulas", formulas=1_234)
    assert many.text_da.startswith("Projektmappen indeholder 1.234 formler;")
    assert many.text_en.startswith("The workbook holds 1,234 formulas;")
    assert many.severity == "info"
    assert remark_of("rows_gone", gone=0.07).text_da.startswith("7 % af rækkerne")


def test_a_refusal_says_why_in_both_languages() -> None:
    why = remark_of("in_the_future")
    refusal = Refusal("wrong_period", period="2030", why=why)
    assert refusal.remark.text_da == "Perioden 2030 ligger i fremtiden; ret perioden eller rækkerne."
    assert (
        str(refusal) == refusal.remark.text_en == "the period 2030 lies in the future; correct the period or the rows"
    )
    assert refusal.is_table
    assert str(Refusal("too_long_line", limit=4 << 20)) == "a line longer than 4 MB; deliver one row per line"
