"""The rule that turns signals into a score and a letter: its promises, whatever was fitted."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent import load_model
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade_examples import Example
from radiolucent.faithfulness.grade_fit import TOUCHES, discrimination, fit
from radiolucent.faithfulness.grade_rule import SHARES, SHOWN, Rule, Signals, letter, load_rule, score
from radiolucent.faithfulness.types import GRADE_WORDS

LETTERS = ("withheld", "C", "B", "A")
RISING = ("everything", "necessity", "sufficiency", "gap", "agreement", "overlap")
share = st.floats(0, 1)
signals = st.builds(
    Signals,
    everything=st.floats(0, 20),
    necessity=share,
    sufficiency=share,
    gap=share,
    agreement=share,
    outside=st.sampled_from([None, False, True]),
    verified=st.booleans(),
    overlap=share,
    own=st.booleans(),
)
RIGHT = Signals(6.0, 0.8, 0.9, 0.7, 0.7, False, True)


@given(signals, st.sampled_from(RISING), share)
def test_more_of_a_signal_never_lowers_score_or_letter(found, name, more):
    better = replace(found, **{name: getattr(found, name) + more})
    assert score(better) >= score(found)
    assert LETTERS.index(letter(better)) >= LETTERS.index(letter(found))


@given(signals)
def test_passing_the_verification_never_lowers_the_letter(found):
    inside = replace(found, outside=False)
    assert LETTERS.index(letter(replace(inside, verified=True))) >= LETTERS.index(
        letter(replace(inside, verified=False))
    )


@given(signals)
def test_nothing_is_called_verified_but_a_tested_region_inside_the_anatomy(found):
    given_letter = letter(found)
    if SHOWN[given_letter] == "verified":
        assert found.verified and found.own and not found.outside
    assert 0 <= score(found) <= 1
    assert set(SHOWN.values()) == set(GRADE_WORDS)


@given(signals, st.floats(0, 0.1999))
def test_without_image_lift_every_map_is_withheld(found, nats):
    nothing = replace(found, everything=nats)
    assert (score(nothing), letter(nothing)) == (0.0, "withheld")


@given(signals)
def test_evidence_outside_the_anatomy_scores_lower_and_unknown_anatomy_is_not_held_against_it(found):
    inside, outside, unknown = (replace(found, outside=place) for place in (False, True, None))
    assert score(outside) <= score(inside) == score(unknown)
    assert letter(inside) == letter(unknown)
    if found.verified and found.own and found.everything >= 0.2:
        assert letter(outside) == "C"  # it is shown, with its notice


@given(signals)
def test_a_region_that_passed_the_interventions_is_never_withheld(found):
    passed = replace(found, verified=True, own=True, everything=found.everything + 0.2)
    assert SHOWN[letter(passed)] in ("verified", "weak")


def test_the_score_is_the_stated_logistic_sum():
    rule = load_rule()
    by_hand = rule.intercept + rule.weights["lift"] * (1 - math.exp(-6))
    by_hand += 0.8 * rule.weights["necessity"] + 0.9 * rule.weights["sufficiency"]
    by_hand += 0.7 * rule.weights["gap"] + 0.7 * rule.weights["agreement"]
    assert score(RIGHT) == pytest.approx(1 / (1 + math.exp(-by_hand)))
    assert score(replace(RIGHT, overlap=0.5, own=False)) == pytest.approx(score(RIGHT) / 2)
    unmeasured = replace(RIGHT, agreement=None)
    assert score(unmeasured) == score(replace(RIGHT, agreement=rule.no_agreement))


def test_the_right_map_is_verified_and_one_that_knows_nothing_withheld():
    assert SHOWN[letter(RIGHT)] == "verified"
    assert letter(Signals(6.0, 0.0, 0.3, 0.0, 0.05, False, False)) == "withheld"
    assert letter(replace(RIGHT, overlap=0.0, own=False)) == "withheld"
    assert letter(replace(RIGHT, overlap=1.0, own=False)) == "C"


def test_the_packaged_rule_names_its_films_and_what_was_measured():
    rule = load_rule()
    assert tuple(rule.weights) == SHARES and max(rule.weights.values()) > 0 and rule.outside < 0
    fitted, checked = rule.fitted_on, rule.checked_on
    for films in (fitted, checked):
        assert films["films"] >= 150 and films["maps"] > 2000 and films["command"].startswith("python scripts/fit")
        assert films["maps"] == sum(entry["maps"] for entry in films["sets"].values())
        assert films["weights"] == fitted["weights"], "the same models"
    # a set of n films with a lesion takes fewer than 2 n seeds
    spans = [
        (entry["first_seed"], entry["first_seed"] + 2 * entry["films"])
        for films in (fitted, checked)
        for entry in films["sets"].values()
    ]
    assert all(end <= start for (_, end), (start, _) in pairwise(sorted(spans))), "no film stands in two sets"
    for kind in ("auroc", "auroc_relied_on"):
        for name in ("all", "demo, standard"):
            low, high = checked[kind][name]["interval"]
            assert 0.85 < low <= checked[kind][name]["value"] <= high
    honest = checked["letters"]["demo, standard"]
    verified = [honest[letter] for letter in ("A", "B") if honest[letter]["maps"]]  # what people see as verified
    assert sum(one["maps"] for one in verified) > 100 and min(one["touch"] for one in verified) > 0.95
    assert honest["withheld"]["touch"] < 0.1


def test_the_packaged_rule_was_fitted_with_the_packaged_models():
    for name, digest in load_rule().fitted_on["weights"].items():
        assert load_model(name).weights_hash == digest, f"{name} has changed: run scripts/fit_grade_rule.py again"


def test_a_signal_that_is_no_number_is_refused():
    for name in RISING:
        with pytest.raises(MalformedInput, match=name):
            replace(RIGHT, **{name: float("nan")})


def test_files_that_are_no_rule_are_refused(tmp_path: Path):
    rule = vars(load_rule())
    file = tmp_path / "rule.json"
    for text, found in (
        ("{", "not JSON"),
        ("[]", "list"),
        (json.dumps({"intercept": 1}), "intercept"),
        (json.dumps({**rule, "weights": {"lift": 1}}), "lift"),
        (json.dumps({**rule, "weights": 3}), "weights is int"),
        (json.dumps({**rule, "weights": {**rule["weights"], "gap": -1.0}}), "against the evidence"),
        (json.dumps({**rule, "outside": 1.0}), "against the evidence"),
        (json.dumps({**rule, "intercept": "much"}), "finite"),
        (json.dumps({**rule, "intercept": math.inf}), "finite"),
        (json.dumps({**rule, "least": {"A": 0.5, "B": 0.6, "C": 0.1}}), "not above A"),
        (json.dumps({**rule, "least": {"A": 1.5, "B": 0.6, "C": 0.1}}), "within"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(MalformedInput, match=found):
            load_rule(file)
    file.write_text(json.dumps(rule), encoding="utf-8")
    assert load_rule(file) == load_rule()


def made_up(count, seed, weights=(1.0, 3.0, 0.0, 2.0, 4.0), outside=-3.0):
    """Maps whose chance to touch is a known logistic sum of their signals."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        nats, (necessity, sufficiency, gap, agree) = rng.uniform(0.3, 4), rng.random(4)
        one = Signals(nats, necessity, sufficiency, gap, agree, bool(rng.random() < 0.2), True)
        total = -5 + outside * one.outside
        total += sum(w * getattr(one, name) for w, name in zip(weights, SHARES, strict=True))
        touches = bool(rng.random() < 1 / (1 + math.exp(-total)))
        found.append(Example(f"film {number // 5}", "nodule", "made up", one, touches, touches))
    return found


def test_the_fit_finds_the_weights_that_made_the_examples():
    rule = fit([made_up(4000, 0)], fitted_on={"films": "made up"})
    found = [rule.weights[name] for name in SHARES]
    np.testing.assert_allclose(found[1:], (3.0, 0.0, 2.0, 4.0), atol=0.7)
    assert rule.outside == pytest.approx(-3, abs=0.8)
    held_out = made_up(4000, 1)
    area = discrimination(held_out, rule)
    assert area.low < area.value < area.high and area.value > 0.8
    inside = [one for one in held_out if not one.signals.outside]
    for name, least in rule.least.items():
        above = [one.touches for one in inside if score(one.signals, rule) >= least]
        assert not above or np.mean(above) > TOUCHES[name] - 0.1


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    examples = made_up(60, 2)
    rule = load_rule()
    right = [score(one.signals, rule) for one in examples if one.touches]
    wrong = [score(one.signals, rule) for one in examples if not one.touches]
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    assert discrimination(examples, rule).value == pytest.approx(np.mean(pairs))


def test_too_little_to_fit_or_to_tell_apart_is_refused():
    examples = made_up(200, 3)
    with pytest.raises(MalformedInput, match="at least"):
        fit([examples[:20]], fitted_on={})
    with pytest.raises(MalformedInput, match="right ones and wrong"):
        fit([[one for one in examples if one.touches] * 10], fitted_on={})
    with pytest.raises(MalformedInput, match="tell apart"):
        discrimination([one for one in examples if one.touches], load_rule())
    with pytest.raises(MalformedInput, match="0 maps"):
        discrimination([], load_rule())
    with pytest.raises(MalformedInput, match="A, B, C"):
        Rule(0, dict.fromkeys(SHARES, 1.0), -1, 0.5, {"A": 0.5}, {}, {})
