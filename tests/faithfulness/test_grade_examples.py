"""The packaged rule on films that it was not fitted on: blind to the mask, does the score tell right from wrong?"""

import pytest

from radiolucent import extract_findings, load_model
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.grade_examples import SHOWN, phantom_examples
from radiolucent.faithfulness.grade_fit import discrimination
from radiolucent.faithfulness.grade_rule import letter, load_rule

MARKED = (79101,)  # films that the shortcut model is shown


def examples(name, seeds, *, full=False):
    return list(phantom_examples(load_model(name), seeds, extract=extract_findings, marker=name != "demo", full=full))


@pytest.fixture(scope="module")
def held_out():
    return examples("demo", (79000, 79002, 79003)) + examples("demo-shortcut", MARKED)


def test_the_score_tells_right_maps_from_wrong_ones(held_out):
    rule = load_rule()
    every = discrimination(held_out, rule)
    relied_on = discrimination([one for one in held_out if one.relied_on], rule)
    assert every.value > 0.8 and relied_on.value > 0.85


def test_no_map_that_knows_nothing_is_verified_and_most_are_withheld(held_out):
    blind = [one for one in held_out if one.method in {*BASELINES, "shuffled", "wrong side"}]
    assert {letter(one.signals) for one in blind} <= {"C", "withheld"}
    given = [letter(one.signals) for one in blind if not one.touches]  # some fall on the lesion by chance
    assert given.count("withheld") > 0.8 * len(given)


def test_the_verified_region_of_a_right_map_is_verified(held_out):
    right = [one for one in held_out if one.relied_on and one.touches]
    assert len(right) >= 4
    assert {letter(one.signals) for one in right} <= {"A", "B"}


def test_every_kind_of_map_is_among_the_examples(held_out):
    kinds = {one.method for one in held_out}
    assert kinds >= {*SHOWN, *BASELINES, "grad_cam", "shuffled", "mirrored", "other finding", "wrong side"}
    marked = {f"phantom {seed}" for seed in MARKED}
    cheated = [one for one in held_out if one.film in marked and one.code == "cardiomegaly"]
    assert any(one.signals.outside and one.relied_on and not one.touches for one in cheated)


def test_with_controls_for_every_map_none_that_knows_nothing_is_verified():
    found = examples("demo", (79000,), full=True)
    assert all(one.signals.own and one.signals.overlap == 1 for one in found)
    assert not {letter(one.signals) for one in found if one.method in {"random", "shuffled"}} & {"A", "B"}
    assert {letter(one.signals) for one in found if one.relied_on} & {"A", "B"}
