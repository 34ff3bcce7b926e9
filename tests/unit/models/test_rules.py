from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.sql_rows import give, warehouse_with_reference
from transforms.dictionary import load_dictionary
from transforms.errors import UsageError
from transforms.models import steps
from transforms.models.findings import GROUP, apply_rules, check_rules, find
from transforms.models.methods import GRADES, method_candidates
from transforms.models.wording import UNITS, gap, level, number, official_name, shown

REFERENCE = Path(__file__).resolve().parents[3] / "transforms" / "reference"
NAMES = pd.DataFrame(
    {"municipality_code": ["840", "336"], "name_da": ["Rebild", "Stevns"], "name_en": ["Rebild", "Stevns"]}
)


def reference(stem: str) -> pd.DataFrame:
    """Return a reference file as the warehouse gives it: every value text, empty ones missing."""
    return pd.read_csv(REFERENCE / f"{stem}.csv", sep=";", dtype="string", encoding="utf-8")


def fact(**values: object) -> dict[str, object]:
    return {"municipality_code": "840", "unit": "pct", **values}


def facts(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_numbers_in_both_languages() -> None:
    assert number(1234.5, 1, "da") == "1.234,5"
    assert number(1234.5, 1, "en") == "1,234.5"
    assert number(-0.04, 1, "da") == "0,0"
    assert number(-2.5, 1, "da") == "\u22122,5"
    assert level(12.34, "pct", "da") == "12,3 pct."
    assert level(80000, "dkk", "da") == "80.000 kr."


def test_the_gap_between_two_shares_is_in_percentage_points() -> None:
    # 74 pct. of ethnic Danes against 49 pct. of refugees and immigrants in 2016, printed as "25 procent".
    assert gap(49 - 74, "pct", "da") == "25,0 procentpoint"
    assert gap(49 - 74, "pct", "en") == "25.0 percentage points"


def test_finding_holds_its_values_and_sentences() -> None:
    known = facts(fact(indicator_id="use_placement_private_pct", value=22.5, peer_value=41.25, n_count=1234))
    out = find(known, reference("finding_rules"), NAMES)
    row = out.iloc[0]
    assert (row["finding_id"], row["kind"], row["strength"]) == ("few_private_placements", "challenge", "medium")
    assert (row["value"], row["reference_value"], row["gap"]) == (22.5, 41.25, -18.75)
    assert "22,5 pct. af de nyankomne i Rebild Kommune har" in row["sentence_da"]
    assert "18,8 procentpoint færre end i sammenligningskommunerne (41,3 pct.)" in row["sentence_da"]
    assert "18.8 percentage points fewer than in its peers (41.3 per cent)" in row["sentence_en"]


def test_high_raw_and_worse_than_expected_are_said_together() -> None:
    known = facts(
        fact(municipality_code="336", indicator_id="employment_rate_non_western_pct", value=50.0, nation_value=36.0,
             expected_value=56.5, assessment="worse", n_count=220)
    )  # fmt: skip
    out = find(known, reference("finding_rules"), NAMES)
    assert out["finding_id"].tolist() == ["employment_below_expected"]
    assert out["strength"].tolist() == ["strong"]
    assert out["sentence_da"].iloc[0].startswith("50,0 pct. af de 16-64-årige ikke-vestlige indvandrere i Stevns")
    assert "6,5 procentpoint under det forventede (220 personer)" in out["sentence_da"].iloc[0]


def test_a_threshold_in_the_bare_value_is_passed_and_not_merely_reached() -> None:
    def found(days: float) -> list[str]:
        known = facts(fact(indicator_id="start_firm_directed_days", value=days, unit="days"))
        return find(known, reference("finding_rules"), NAMES)["finding_id"].tolist()

    assert found(30.0) == []
    assert found(30.4) == [], "what is shown as 30 days is not 0 days later than 30 days"
    assert found(31.0) == ["late_firm_contact"]
    assert found(14.0) == []
    assert found(13.0) == ["early_firm_contact"]


def test_what_a_municipality_tells_of_itself_says_so_and_is_never_strong() -> None:
    rules = reference("finding_rules")
    known = facts(
        fact(indicator_id="start_firm_directed_days", value=300.0, unit="days"),
        fact(indicator_id="caseload_per_caseworker_count", value=200.0, peer_value=40.0, unit="count"),
        fact(indicator_id="contract_within_1_month_pct", value=1.0, peer_value=99.0),
        fact(indicator_id="org_model_code", text_value="split_authorities", unit="count"),
    )
    out = find(known, rules, NAMES)
    assert len(out) == 4
    assert set(out["strength"]) == {"medium"}
    assert out["sentence_da"].str.contains("kommunens egen besvarelse").all()
    assert out["sentence_en"].str.contains("municipality's own answer").all()
    indicators = reference("indicators").set_index("indicator_id")["source_id"]
    own = rules["indicator_id"].map(indicators).eq("delivery_organisation") | rules["compare_to"].eq("text")
    assert (rules["is_self_reported"] == own.map({True: "true", False: "false"})).all()


@settings(deadline=None, max_examples=40)
@given(
    value=st.integers(0, 1_000_000), peer=st.integers(0, 1_000_000), language=st.sampled_from(["da", "en"]),
    indicator=st.sampled_from(["use_placement_private_pct", "use_placement_public_pct", "contract_within_1_month_pct"]),
)  # fmt: skip
def test_sentences_add_up_as_shown(value: int, peer: int, language: str, indicator: str) -> None:
    known = facts(fact(indicator_id=indicator, value=value / 10_000, peer_value=peer / 10_000))
    for sentence in find(known, reference("finding_rules"), NAMES)[f"sentence_{language}"]:
        digits = r"\d+,\d" if language == "da" else r"\d+\.\d"
        own, distance, other = (Decimal(text.replace(",", ".")) for text in re.findall(digits, sentence))
        assert abs(own - other) == distance, sentence
        assert distance > 0


def test_rounded_counts_are_about_and_one_is_singular() -> None:
    known = facts(
        fact(indicator_id="first_job_weeks", value=90.0, expected_value=91.0, assessment="better", n_count=85,
             unit="weeks"),
    )  # fmt: skip
    sentences = " ".join(find(known, reference("finding_rules"), NAMES)["sentence_da"])
    assert "omkring 85 personer" in sentences
    assert "1 uge mindre end forventet" in sentences


@pytest.mark.parametrize(
    ("name", "da", "en"),
    [
        ("København", "Københavns Kommune", "Copenhagen"),
        ("Bornholm", "Bornholms Regionskommune", "the Regional Municipality of Bornholm"),
        ("Vesthimmerlands", "Vesthimmerlands Kommune", "Vesthimmerlands Municipality"),
        ("Læsø", "Læsø Kommune", "Læsø Municipality"),
    ],
)
def test_municipalities_stand_with_their_official_name(name: str, da: str, en: str) -> None:
    assert official_name(name, "da") == da
    if name != "København":
        assert official_name(name, "en") == en
    else:
        assert official_name("Copenhagen", "en") == "the City of Copenhagen"


@given(units=st.integers(-(10**9), 10**9), decimals=st.integers(0, 2))
def test_a_figure_is_rounded_once_as_the_database_and_a_spreadsheet_round(units: int, decimals: int) -> None:
    value = units / 10_000
    assert shown(value, decimals) == Decimal(units).scaleb(-4).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    assert str(shown(value, decimals)).startswith("-") == (shown(value, decimals) < 0)


def test_an_unknown_value_meets_no_rule() -> None:
    known = facts(
        fact(indicator_id="use_placement_private_pct", value=None, peer_value=40.0),
        fact(indicator_id="use_placement_public_pct", value=30.0, peer_value=None),
        fact(indicator_id="org_model_code", text_value=None, unit="count"),
        fact(indicator_id="first_job_weeks", value=None, assessment=None, unit="weeks"),
    )
    assert find(known, reference("finding_rules"), NAMES).empty
    assert apply_rules(known, reference("finding_rules")).empty


def test_facts_that_no_rule_asks_for_give_empty_frames() -> None:
    known = facts(fact(indicator_id="nobody_asks", value=1.0))
    assert find(known, reference("finding_rules"), NAMES).empty
    assert method_candidates(known, reference("methods"), reference("method_rules")).empty


def test_thresholds_are_met_at_their_value_and_not_before() -> None:
    def kinds(value: float) -> list[str]:
        known = facts(fact(indicator_id="area_net_unemployed_pct", value=value, nation_value=4.0))
        return find(known, reference("finding_rules"), NAMES)["finding_id"].tolist()

    assert kinds(4.5) == ["high_unemployment"]
    assert kinds(4.4) == []
    assert kinds(3.5) == ["low_unemployment"]


def test_every_shipped_template_can_be_filled_and_its_unit_is_known() -> None:
    rules = reference("finding_rules")
    rows = []
    for rule in rules.itertuples():
        words = str(rule.threshold).split()
        numbers = dict.fromkeys(["value", "peer_value", "nation_value", "expected_value"], 10.0)
        rows.append(fact(indicator_id=rule.indicator_id, text_value=words[0], assessment=words[0], **numbers))
    known = pd.DataFrame(rows).drop_duplicates("indicator_id")
    for language in ("da", "en"):
        for template in rules[f"template_{language}"]:
            assert not any(
                f"}} {word}" in template for word in ("pct", "per cent", "procent", "percentage", "uger", "weeks")
            )
            assert "{" not in template.format(municipality="X", value="1", reference="2", gap="3", size="5", n="4")
    assert len(find(known, rules, NAMES)) > 0
    assert set(UNITS) >= set(known["unit"])
    assert rules["rule_id"].is_unique


def test_a_broken_rule_names_file_row_and_value() -> None:
    rules = reference("finding_rules")
    rules.loc[1, "operator"] = "around"
    with pytest.raises(UsageError, match=r"finding_rules.csv: row 3 .*around"):
        find(facts(fact(indicator_id="x", value=1.0)), rules, NAMES)


def test_method_candidates_rank_conditions_and_carry_no_effect() -> None:
    known = facts(
        fact(indicator_id="use_placement_private_pct", value=10.0, peer_value=30.0),
        fact(indicator_id="use_placement_public_pct", value=30.0, peer_value=10.0),
        fact(indicator_id="area_jobs_share_manufacturing_pct", value=20.0, peer_value=15.0),
        fact(indicator_id="newcomers_count", value=300.0, unit="persons"),
    )
    out = method_candidates(known, reference("methods"), reference("method_rules")).set_index("method_code")
    assert out["rank"].tolist() == list(range(1, len(out) + 1))
    assert out.index[:2].tolist() == ["placement_manufacturing", "shift_public_to_private"]
    assert "joint_unit" not in out.index
    assert out.loc["placement_manufacturing", "conditions_met"] == "factory_jobs factory_private_low"
    assert not any(word in column for column in out.columns for word in ("effect", "ratio", "gain"))
    assert out[["caution_da", "caution_en", "source_url", "evidence_population_da"]].notna().all(axis=None)


def test_too_small_is_what_the_assessment_says_and_points_to_neighbours() -> None:
    """Nobody is told to be too few beside a table that judges them."""
    for assessment, told in (("too_small", ["joint_unit"]), ("as_expected", ["commuting_reach"])):
        known = facts(
            fact(indicator_id="first_job_weeks", value=91.0, expected_value=91.0, assessment=assessment, n_count=45,
                 unit="weeks"),
            fact(indicator_id="newcomers_count", value=25.0, unit="persons"),
        )  # fmt: skip
        assert method_candidates(known, reference("methods"), reference("method_rules"))["method_code"].tolist() == told
        found = find(known, reference("finding_rules"), NAMES)
        assert found["finding_id"].tolist() == (["few_newcomers"] if assessment == "too_small" else [])
        assert found["strength_value"].isna().all(), "no difference is called small or large"
        assert all("Med omkring 45 personer i målgruppen" in text for text in found["sentence_da"])


def test_methods_file_is_whole() -> None:
    methods, rules = reference("methods"), reference("method_rules")
    assert set(methods["evidence_grade"]) <= set(GRADES)
    # What a study shows goes before what registers show together, and that before experience.
    assert GRADES["effect_study"] > GRADES["register_correlation"] > GRADES["practice_experience"]
    assert set(methods["method_code"]) == set(rules["method_code"])
    assert methods.notna().all(axis=None)
    assert methods["source_url"].str.startswith("http").all()
    with pytest.raises(UsageError, match="method_code 'magic'"):
        method_candidates(facts(fact(indicator_id="x")), methods, rules.assign(method_code="magic"))


def placement_facts(use: np.ndarray, n: np.ndarray, seed: int) -> pd.DataFrame:
    """Return drawn shares of `n` newcomers whose true use is `use`, beside seven peers each, as `facts.sql` tells."""
    rng = np.random.default_rng(seed)
    value = 100 * rng.binomial(n, use) / n
    variance = np.maximum(value * (100 - value) / n, (100 / (n + 2)) ** 2)
    peers = np.array([rng.choice(np.delete(np.arange(len(n)), i), 7, replace=False) for i in range(len(n))])
    return pd.DataFrame(
        {
            "municipality_code": [f"{i:03}" for i in range(len(n))],
            "indicator_id": "use_placement_private_pct",
            "value": value,
            "peer_value": value[peers].mean(axis=1),
            "value_error": np.sqrt(variance),
            "peer_gap_error": np.sqrt(variance + variance[peers].sum(axis=1) / 49),
            "n_count": n * 1.0,
            "unit": "pct",
        }
    )


def test_equal_use_everywhere_makes_hardly_a_finding() -> None:
    rules = reference("finding_rules")
    n = np.random.default_rng(1).integers(30, 400, 98)
    found = [apply_rules(placement_facts(np.full(98, 0.3), n, seed), rules)["is_met"].sum() for seed in range(5)]
    without = [
        apply_rules(placement_facts(np.full(98, 0.3), n, seed).drop(columns="peer_gap_error"), rules)["is_met"].sum()
        for seed in range(5)
    ]
    assert np.mean(found) <= 1
    assert np.mean(without) > 10


def test_a_use_far_below_that_of_the_peers_is_found() -> None:
    use = np.full(98, 0.45)
    use[7] = 0.10
    out = apply_rules(placement_facts(use, np.full(98, 200), 3), reference("finding_rules"))
    met = out[out["is_met"]]
    assert "007" in met.loc[met["rule_id"] == "few_private_placements", "municipality_code"].tolist()


def test_the_interval_has_to_clear_the_limit_on_either_side() -> None:
    rules = reference("finding_rules")
    rules = rules[rules["rule_id"].isin(["few_private_placements", "many_private_placements"])]
    facts = pd.DataFrame(
        {
            "municipality_code": ["a", "b", "c", "d"], "indicator_id": "use_placement_private_pct", "peer_value": 30.0,
            "value": [30 + 5 + 1.97 * 2, 30 + 5 + 1.95 * 2, 30 - 5 - 1.97 * 2, 30 - 5 - 1.95 * 2],
            "peer_gap_error": 2.0, "unit": "pct",
        }
    )  # fmt: skip
    met = apply_rules(facts, rules).query("is_met")
    assert sorted(zip(met["municipality_code"], met["rule_id"], strict=True)) == [
        ("a", "many_private_placements"), ("c", "few_private_placements"),
    ]  # fmt: skip


@pytest.mark.parametrize("n", [5, 8, 15, 40, 400, 5000])
def test_every_municipality_can_be_flagged_however_few_it_tells_of(n: int) -> None:
    """Where nobody, or everybody, has had what half of the peers' have, that is a finding for the smallest as well."""
    rules = reference("finding_rules")
    rules = rules[
        rules["rule_id"].isin(["few_private_placements", "many_private_placements", "many_public_placements"])
    ]
    chance = 100 / (n + 2)  # that of a share at either end, as `inputs/facts.sql` has it
    of_peers = np.sqrt(50 * 50 / (4 * 5))  # four peers of five persons each, the fewest there are
    rows = [
        fact(indicator_id=indicator, value=value, peer_value=50.0, value_error=chance,
             peer_gap_error=float(np.hypot(chance, of_peers)), n_count=n)
        for indicator, value in (
            ("use_placement_private_pct", 0.0),
            ("use_placement_private_pct", 100.0),
            ("use_placement_public_pct", 100.0),
        )
    ]  # fmt: skip
    met = apply_rules(facts(*rows), rules).query("is_met")
    assert set(met["rule_id"]) == set(rules["rule_id"])


def known_of(*with_figure: str) -> tuple[str, float] | None:
    """Return what 101 is compared with, and the mean, when these municipalities have a figure besides itself."""
    group, peers = ["101", "147", "151", "153", "155"], ["201", "210", "217", "219", "223", "230", "240"]
    with warehouse_with_reference() as warehouse:
        give(warehouse, "mart.municipality", "municipality_code municipality_group_code",
             [*((code, "910") for code in group), *((code, "911") for code in peers)])  # fmt: skip
        give(warehouse, "mart.peer", "municipality_code peer_code", [("101", code) for code in peers])
        give(warehouse, "mart.indicator", "indicator_id unit operation", [("x_pct", "pct", "delivery")])
        values = [(code, "x_pct", 50 if code == "101" else int(code) % 100, 10, True) for code in ("101", *with_figure)]
        give(warehouse, "mart.indicator_value", "municipality_code indicator_id value denominator is_newest", values)
        for table in ("mart.indicator_national", "mart.expected", "mart.organisation"):
            give(warehouse, table, " ".join(load_dictionary().columns), [])
        found = steps.read(warehouse, "facts").query("municipality_code == '101' and indicator_id == 'x_pct'").iloc[0]
    return None if pd.isna(found["peer_value"]) else (found["peer_kind"], found["peer_value"])


def test_where_fewer_than_four_peers_are_known_the_group_is_the_yardstick() -> None:
    four, group = ("201", "210", "217", "219"), ("147", "151", "153", "155")
    assert known_of(*four, *group) == ("peers", pytest.approx((1 + 10 + 17 + 19) / 4))
    assert known_of(*four[1:], *group) == ("municipality_group", pytest.approx((47 + 51 + 53 + 55) / 4))
    assert known_of(*four[1:], *group[1:]) is None


def test_a_sentence_names_the_group_where_it_is_the_yardstick() -> None:
    row = fact(indicator_id="use_placement_private_pct", value=22.5, peer_value=41.25, n_count=1234)
    (found,) = find(facts({**row, "peer_kind": "municipality_group"}), reference("finding_rules"), NAMES).to_dict(
        "records"
    )
    assert found["compare_to"] == "municipality_group"
    assert "færre end i de øvrige kommuner i kommunegruppen (41,3 pct.)" in found["sentence_da"]
    assert "fewer than in the others of its municipality group (41.3 per cent)" in found["sentence_en"]
    rules = reference("finding_rules").query("compare_to == 'peers'")
    for language, (peers, _) in GROUP.items():
        assert rules[f"template_{language}"].str.contains(peers).all()


def rules_of(**columns: object) -> pd.DataFrame:
    usual = {
        "rule_version": "1", "kind": "challenge", "indicator_id": "x", "compare_to": "nation", "operator": "above",
        "threshold": "1", "strength_formula": "gap", "medium_from": "5", "strong_from": "10",
        "is_self_reported": "false", "template_da": "{gap}", "template_en": "{gap}",
    }  # fmt: skip
    rows = pd.DataFrame({**usual, **columns})
    return rows.assign(rule_id=[f"r{i}" for i in range(len(rows))])


def test_strength_begins_at_its_limits_and_the_strongest_stands_first() -> None:
    given = [(f"i{i}", 20.0 + difference) for i, difference in enumerate((1.0, 4.9, 5.0, 9.9, 10.0, 0.9))]
    known = facts(*(fact(indicator_id=name, value=value, nation_value=20.0) for name, value in given))
    out = find(known, rules_of(indicator_id=[name for name, _ in given]), NAMES)
    assert out["indicator_id"].tolist() == ["i4", "i2", "i3", "i0", "i1"]
    assert out["strength"].tolist() == ["strong", "medium", "medium", "weak", "weak"]
    assert out["strength_value"].tolist() == pytest.approx([10, 5, 9.9, 1, 4.9])
    lower = facts(*(fact(indicator_id=name, value=value - 40, nation_value=-20.0) for name, value in given))
    assert find(lower, rules_of(indicator_id=["i2"]), NAMES)["gap"].tolist() == [5]


def test_a_relative_gap_is_in_per_cent_of_the_reference_and_has_no_size_against_nought() -> None:
    """22 against 20 is a tenth more, and against minus 20 it is 210 per cent of that; nothing is a part of nought."""
    known = facts(
        fact(indicator_id="x", value=22.0, nation_value=20.0), fact(indicator_id="y", value=22.0, nation_value=-20.0),
        fact(indicator_id="z", value=22.0, nation_value=0.0),
    )  # fmt: skip
    out = find(known, rules_of(indicator_id=["x", "y", "z"], strength_formula="relative_gap"), NAMES)
    table = out.set_index("indicator_id")
    assert table.loc[["x", "y"], "strength_value"].tolist() == pytest.approx([10, 210])
    assert pd.isna(table.loc["z", "strength_value"])
    assert table["strength"].to_dict() == {"x": "strong", "y": "strong", "z": "medium"}


def test_challenges_stand_before_potentials_whatever_their_strength() -> None:
    known = facts(
        fact(indicator_id="x", value=40.0, nation_value=20.0), fact(indicator_id="y", value=22, nation_value=20)
    )
    out = find(known, rules_of(indicator_id=["x", "y"], kind=["potential", "challenge"]), NAMES)
    assert out["kind"].tolist() == ["challenge", "potential"]


def test_a_gap_is_of_the_figures_as_shown_and_against_the_expected_of_those_that_are_kept() -> None:
    """20.04 and 18.96 are shown as 20.0 and 19.0; less than a shown tenth is nothing to tell."""
    rules = rules_of(indicator_id=["x", "y", "z"], compare_to=["nation", "expected", "nation"], threshold="0.01")
    known = facts(
        fact(indicator_id="x", value=20.04, nation_value=18.96),
        fact(indicator_id="y", value=20.04, expected_value=18.96),
        fact(indicator_id="z", value=20.04, nation_value=19.96),
    )
    out = find(known, rules, NAMES).set_index("indicator_id")
    assert out["sentence_da"].to_dict() == {"x": "1,0 procentpoint", "y": "1,1 procentpoint"}


def test_rules_that_cannot_be_applied_are_named_with_their_row() -> None:
    whole = rules_of(indicator_id=["x", "y"])
    check_rules(whole, "rules.csv")
    for column, value, message in (
        ("compare_to", "neighbours", r"row 3 \(r1\): compare_to 'neighbours'"),
        ("operator", "one_of", r"row 3 \(r1\): operator 'one_of'; rule: above or below"),
        ("rule_id", "r0", "rule_id occurs twice: r0"),
    ):
        broken = whole.copy()
        broken.loc[1, column] = value
        with pytest.raises(UsageError, match=message):
            check_rules(broken, "rules.csv")
    words = whole.assign(compare_to=["text", "assessment"], operator="one_of")
    check_rules(words, "rules.csv")
    with pytest.raises(UsageError, match=r"row 2 \(r0\): operator 'above'; rule: one_of"):
        check_rules(words.assign(operator="above"), "rules.csv")


def test_candidates_are_ordered_by_conditions_met_then_evidence_then_share() -> None:
    """a: two of three conditions; b, c and f: one of one, f on the best evidence; d: one of two; e: none."""
    grades = {"a": "practice_experience", "b": "practice_experience", "c": "register_correlation",
              "d": "register_correlation", "e": "effect_study", "f": "effect_study"}  # fmt: skip
    methods = reference("methods").head(6).assign(method_code=list(grades), evidence_grade=list(grades.values()))
    asked = ["a x", "a x", "a y", "b x", "c x", "d x", "d y", "e y", "f x"]
    rules = pd.DataFrame({
        "rule_id": [f"r{i}" for i in range(9)], "method_code": [each[0] for each in asked],
        "indicator_id": [each[2] for each in asked], "compare_to": "value", "operator": "above", "threshold": "10",
        "reason_da": "da", "reason_en": "en",
    })  # fmt: skip
    known = facts(fact(indicator_id="x", value=11.0), fact(indicator_id="y", value=10.0))
    out = method_candidates(known, methods, rules).set_index("method_code")
    assert out.index.tolist() == ["a", "f", "c", "d", "b"]
    assert out["rank"].tolist() == [1, 2, 3, 4, 5]
    assert out["conditions_met_count"].tolist() == [2, 1, 1, 1, 1]
    assert out["conditions_known_count"].tolist() == [3, 1, 1, 2, 1]
    assert out.loc["a", "conditions_met"] == "r0 r1"
    with pytest.raises(UsageError, match="evidence_grade 'rumour'"):
        method_candidates(known, methods.assign(evidence_grade="rumour"), rules)
