"""The rule that picks a default, and the statements, on tables whose answer is plain."""

import dataclasses

import pytest

from radiolucent.attribution.defaults import DEFAULTS, LEVEL_DEFAULTS, LEVEL_PASSES, affordable
from radiolucent.attribution.method import Passes, Size
from radiolucent.attribution.registry import method
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.lab.choice import COMPARED, choose, price
from radiolucent.faithfulness.lab.randomise import STAGES
from radiolucent.faithfulness.lab.records import Curve, Perturbed, Score
from radiolucent.faithfulness.lab.statements import default_methods, statements
from radiolucent.faithfulness.metrics import Interval, cascade_verdict
from radiolucent.faithfulness.table import MethodRow, hides, row_from, tabulate
from radiolucent.levels import PLANS


def row(name, hit, half=0.02, gap=5.0, cascade=0.1):
    claim = "baseline" if name in BASELINES else method(name).claim
    measures = {
        "hit": Interval(hit, hit - half, hit + half, 50),
        "gap_mean": Interval(gap, gap - 0.5, gap + 0.5, 50),
    }
    verdicts = {one: cascade_verdict(STAGES, [cascade] * len(STAGES), 0.3) for one in ("ssim", "rank")}
    return MethodRow(name, claim, 90, 50, 0, measures, Interval(hit, hit - half, hit + half, 50), verdicts)


def table(**changed):
    hits = {
        "attention:final": 0.7, "attention": 0.8, "distinct_attention": 0.9, "saliency": 0.6,
        "integrated_gradients": 0.8, "hierarchical_occlusion": 0.7, "propose_and_verify": 0.95,
        "random": 0.02, "centre_prior": 0.01, "edges": 0.03,
    }  # fmt: skip
    gaps = {"random": 0.0, "centre_prior": 2.0, "edges": -1.0}
    return [row(name, hit, **{"gap": gaps.get(name, 5.0), **changed.get(name, {})}) for name, hit in hits.items()]


def said(rows):
    return {one.name: one for one in statements(rows)}


def test_the_highest_hit_rate_is_chosen_where_intervals_are_apart():
    assert choose(table(), "attended", "quick").chosen == "distinct_attention"
    assert choose(table(), "sensitive", "deep").chosen == "integrated_gradients"
    assert choose(table(), "relied_on", "standard").chosen == "propose_and_verify"


def test_of_methods_that_intervals_do_not_tell_apart_the_cheapest_is_chosen():
    rows = table(integrated_gradients={"half": 0.3})
    choice = choose(rows, "sensitive", "deep")
    assert choice.best == "integrated_gradients" and choice.tied == ("saliency", "integrated_gradients")
    assert choice.chosen == "saliency" and price("saliency") < price("integrated_gradients")
    assert not said(rows)["default_sensitive_deep"].holds
    same_price = choose(table(attention={"half": 0.2}), "attended", "deep")
    assert same_price.tied[0] == "distinct_attention" and "attention" in same_price.tied


def test_a_level_chooses_among_what_it_can_pay_for():
    assert choose(table(), "sensitive", "standard").chosen == "saliency"
    assert choose(table(), "relied_on", "quick") is None
    assert not affordable(Passes(replays=1, encodes=1), "quick") and affordable(Passes(1, 1), "quick")
    assert not affordable(Passes(replays=1, backwards=2), "standard") and affordable(Passes(999, 9, 9, 9), "deep")
    for level, named in LEVEL_DEFAULTS.items():
        assert all(affordable(method(name).passes(Size(targets=1)), level) for name in named.values())
    assert set(LEVEL_DEFAULTS) == set(LEVEL_PASSES) == set(PLANS)


def test_a_level_runs_the_defaults_of_its_claims():
    for level, named in LEVEL_DEFAULTS.items():
        assert set(named.values()) <= {*PLANS[level].methods, *PLANS[level].main_methods}
        assert all(method(name).claim == claim for claim, name in named.items())
    assert set(DEFAULTS) == {"attended", "sensitive", "relied_on"} and set(default_methods()) <= set(COMPARED)


def test_statements_hold_on_a_table_that_shows_them():
    found = said(table())
    assert all(one.holds for name, one in found.items() if name != "last_layer")
    assert "0.70 (0.68 to 0.72)" in found["last_layer"].en and found["last_layer"].holds is None
    assert {"beats_hit", "beats_gap_mean", "randomised", "default_attended_quick"} <= set(found)
    assert "beats_gap_road" not in found  # not measured


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"saliency": {"half": 0.58}}, "beats_hit"),
        ({"distinct_attention": {"gap": 2.9}}, "beats_gap_mean"),
        ({"propose_and_verify": {"cascade": 0.3}}, "randomised"),
        ({"saliency": {"half": 0.19}}, "default_sensitive_deep"),
    ],
)
def test_a_statement_that_does_not_hold_says_so(changed, name):
    found = said(table(**changed))
    wrong = [key for key, one in found.items() if one.holds is False]
    assert name in wrong
    if name.startswith("beats"):
        assert next(iter(changed)) in found[name].en.partition("Not apart")[2]


def test_nothing_is_said_of_methods_that_are_no_default():
    assert statements([one for one in table() if one.method not in default_methods()]) == ()


def test_a_stored_line_comes_back_equal():
    for one in table():
        assert row_from(one.flat()).flat() == one.flat()
    bare = dataclasses.replace(row("saliency", 0.5), over_baseline=None, cascade={})
    assert row_from(bare.flat()) == dataclasses.replace(
        bare, measures={name: dataclasses.replace(found, cases=bare.films) for name, found in bare.measures.items()}
    )
    with pytest.raises(MalformedInput, match="hit_low"):
        row_from({key: value for key, value in bare.flat().items() if key != "hit_low"})


def test_a_fill_that_hides_nothing_has_no_gap():
    def curve(fill, last, end):
        return Curve(fill, (0.0, 0.5, end), (-1.0, -1.5, last), (-1.0, -1.0, last), (-1.0, -1.2, last), 0.4, 0.3)

    assert hides(curve("blur", -2.0, 1.0)) and not hides(curve("blur", -1.5, 1.0))
    assert hides(curve("road", -1.5, 0.6))
    curves = (curve("mean", -9.0, 1.0), curve("blur", -1.1, 1.0), curve("road", -1.1, 0.6))
    score = Score(
        "film", "nodule", "saliency", 1.0, 0.5, 0.9, 0.03, 0.5, 0.5, 0.3, 0.4, 0.8,
        perturbed=Perturbed(curves, (0.1,), 0.5, None, None),
    )  # fmt: skip
    (line,) = tabulate([score])
    assert line.value("gap_mean") == line.value("gap_road") == 0.3 and line.value("gap_blur") is None
