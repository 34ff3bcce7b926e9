"""All rules: derived from the source file, the code lists and the dictionary, or written in `rules/*.sql`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from transforms.errors import UsageError
from transforms.tables import header_and_select
from transforms.warehouse import quote_identifier, quote_literal

if TYPE_CHECKING:
    import jinja2

# The words of validation: a rule, what came of it, and the sentence that says so.


Severity = Literal["critical", "warning"]
Action = Literal["stop", "quarantine", "report"]
Kind = Literal["row", "set"]
OWNER = "data-team"


@dataclass(frozen=True)
class Rule:
    """One thing that must be true of one table.

    `sql` of a row rule is a predicate that is true for a bad row; of a set rule a SELECT of the rows or keys that
    break it (a column `row_id` holds the table's rowid where single rows are to blame). `proof` is an optional SELECT
    of one boolean that, when true, shows cheaply that no row can break the rule.
    """

    rule_id: str
    table: str
    kind: Kind
    severity: Severity
    action: Action
    description: str
    sql: str
    owner: str = OWNER
    proof: str | None = None

    def found(self, n_violations: int, rows_scanned: int, examples: tuple[str, ...] = ()) -> Outcome:
        """Return what came of the rule."""
        facts = (self.rule_id, self.table, self.severity, self.action, self.description)
        return Outcome(*facts, n_violations, rows_scanned, examples, n_violations == 0)


def set_rule(table: str, rule_id: str, severity: Severity, description: str, sql: str = "", owner: str = OWNER) -> Rule:
    """Return a rule over a whole table: a critical one stops the publication, of a warning is told."""
    action: Action = "stop" if severity == "critical" else "report"
    return Rule(rule_id, table, "set", severity, action, description, sql, owner)


@dataclass(frozen=True)
class Outcome:
    """What one rule found: how many violations among how many rows, with up to three short examples."""

    rule_id: str
    table_name: str
    severity: Severity
    action: Action
    description: str
    n_violations: int
    rows_scanned: int
    examples: tuple[str, ...]
    success: bool


def blocking(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that forbid publication: broken rules of severity critical."""
    return [outcome for outcome in outcomes if outcome.severity == "critical" and not outcome.success]


def verdict_sentence(outcome: Outcome) -> str:
    """Return one line: table, number of violations, an example, the rule, and what to do next."""
    where = f"{outcome.table_name}: rule {outcome.rule_id}"
    if outcome.success:
        return f"{where}: holds for {outcome.rows_scanned} rows"
    example = f" ({outcome.examples[0]})" if outcome.examples else ""
    count = f"{outcome.n_violations} violation" + ("s" if outcome.n_violations != 1 else "")
    return f"{where}: {count}{example}: {outcome.description.rstrip('.')}; {_next_step(outcome)}"


def _next_step(outcome: Outcome) -> str:
    if outcome.action == "quarantine":
        return "the rows are in quarantine.row; correct them at the source and fetch it again"
    if outcome.severity == "warning":
        return "published all the same; look at meta.validation"
    if outcome.table_name.startswith("staging."):
        return (
            "fetch the source again, or correct its file in flows/sources (figures that stand out and are right are "
            "named there under `accepted`)"
        )
    return f"look at {outcome.table_name} in the refused build"


FOLDER = Path(__file__).parent / "rules"
_KEYS = ("table", "severity", "action", "reason", "owner")


@lru_cache(maxsize=4)
def read_rule_files(folder: Path = FOLDER) -> tuple[Rule, ...]:
    """Return the hand-written rules of `folder`, by file name.

    Raises UsageError naming the file for a header key that is missing, unknown or has no known value.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.sql")))


def _read(path: Path) -> Rule:
    where = f"expectations/rules/{path.name}"
    header, sql = header_and_select(path.read_text(encoding="utf-8"))
    _require(where, header, _KEYS)
    if unknown := sorted(header.keys() - set(_KEYS)):
        raise UsageError(f"{where}: unknown header key `{unknown[0]}`; use {', '.join(_KEYS)}")
    if (header["severity"] == "critical") != (header["action"] == "stop"):
        raise UsageError(f"{where}: a critical rule has action stop, and a warning has report or quarantine")
    severity, action = cast(Severity, header["severity"]), cast(Action, header["action"])
    return Rule(path.stem, header["table"], "set", severity, action, header["reason"], sql, header["owner"])


def _require(where: str, header: Mapping[str, str], keys: Iterable[str]) -> None:
    """Refuse a header that lacks one of the keys, or whose severity or action is none."""
    if lacking := [key for key in keys if key not in header]:
        raise UsageError(f"{where}: the header lacks `-- {lacking[0]}: …`")
    for key, values in (("severity", get_args(Severity)), ("action", get_args(Action))):
        if header.get(key, values[0]) not in values:
            raise UsageError(f"{where}: {key} is {header[key]!r}; use one of {', '.join(values)}")


def literals(values: Iterable[str]) -> str:
    """Return the values as a comma-separated list of SQL literals."""
    return ", ".join(quote_literal(value) for value in values)


@dataclass(frozen=True)
class SqlTemplates:
    """SQL files that are filled in for one table: what stands in braces is Jinja's, and knows the names of `known`."""

    folder: Path
    known: Mapping[str, Any]

    @cached_property
    def _files(self) -> jinja2.Environment:
        import jinja2

        files = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self.folder), undefined=jinja2.StrictUndefined, auto_reload=False,
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        files.filters |= {"identifier": quote_identifier, "literal": quote_literal, "literals": literals}
        files.globals |= self.known
        return files

    def sql(self, name: str, **facts: Any) -> str:
        """Return a file filled in with facts."""
        return self._files.get_template(name).render(facts)

    def rule(self, name: str, table: str, owner: str = OWNER, column: str = "", **facts: Any) -> Rule:
        """Return the rule of the file `name`, whose header tells severity and reason; of one column where given.

        Raises UsageError naming the file for a header that lacks one of them or has no known severity.
        """
        text = self.sql(f"{name}.sql", table=table, column=column, **facts)
        keys = ("severity", "reason")
        header, sql = header_and_select(text, keys)
        _require(f"expectations/rules/{self.folder.name}/{name}.sql", header, keys)
        rule_id = f"{name}_{column}" if column else name
        return set_rule(table, rule_id, cast(Severity, header["severity"]), header["reason"], sql, owner)
