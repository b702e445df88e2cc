"""The packaged rule on films that it was not fitted on: the score is blind to the mask; does it tell right from wrong?"""

import pytest

from radiolucent import extract_findings, load_model
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.grade_examples import SHOWN, examples_of
from radiolucent.faithfulness.grade_fit import discrimination
from radiolucent.faithfulness.grade_rule import letter, load_rule
from radiolucent.faithfulness.lab.case import Case
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study
from radiolucent.vlm.types import Prompt

SIDES = {" left": " right", " right": " left"}


def examples(name, seeds, *, full=False):
    model = load_model(name)
    words = {word: model.tokenizer.encode(word, add_special_tokens=False)[0] for word in SIDES}
    opposite = {words[one]: words[other] for one, other in SIDES.items()}
    prompt = Prompt(model.profile.question("en"), "en")
    found = []
    for seed in seeds:
        drawn = draw_case(seed, marker=name != "demo", pairs=False)
        case = Case(load_study(drawn.film, patient_right="left"), drawn.masks, name=f"{name} {seed}")
        found += examples_of(
            model, case, prompt=prompt, extract=extract_findings, full=full, opposite=opposite, seed=seed
        )
    return found


@pytest.fixture(scope="module")
def held_out():
    return examples("demo", range(79000, 79004)) + examples("demo-shortcut", (79000, 79002))


def test_the_score_tells_right_maps_from_wrong_ones(held_out):
    rule = load_rule()
    every = discrimination(held_out, rule)
    relied_on = discrimination([one for one in held_out if one.relied_on or one.method == "wrong side"], rule)
    assert every.value > 0.8 and relied_on.value > 0.85


def test_no_map_that_knows_nothing_is_verified_and_most_are_withheld(held_out):
    given = [letter(one.signals) for one in held_out if one.method in {*BASELINES, "shuffled", "wrong side"}]
    assert set(given) <= {"C", "withheld"}
    assert given.count("withheld") > 0.8 * len(given)


def test_the_verified_region_of_a_right_map_is_verified(held_out):
    right = [one for one in held_out if one.relied_on and one.touches]
    assert len(right) >= 4
    assert {letter(one.signals) for one in right} <= {"A", "B"}


def test_every_kind_of_map_is_among_the_examples(held_out):
    kinds = {one.method for one in held_out}
    assert kinds >= {*SHOWN, *BASELINES, "grad_cam", "shuffled", "mirrored", "other finding", "wrong side"}
    cheated = [one for one in held_out if one.film.startswith("demo-shortcut") and one.code == "cardiomegaly"]
    assert any(one.signals.outside and one.relied_on and not one.touches for one in cheated)


def test_with_controls_for_every_map_none_that_knows_nothing_is_verified():
    found = examples("demo", (79001,), full=True)
    assert all(one.signals.own and one.signals.overlap == 1 for one in found)
    assert not {letter(one.signals) for one in found if one.method in {"random", "shuffled"}} & {"A", "B"}
    assert {letter(one.signals) for one in found if one.relied_on} & {"A", "B"}
