"""The grading rule on a model whose losses are known, and on evidence made up to sit at each side of each limit."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.attribution.token_ablation import token_ablation
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade import LEAST_NATS, Evidence, evidence, grade_map, grade_maps, on_token_grid, rule
from radiolucent.vlm.types import Prompt, Target

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from analytic import GRID, HIDDEN, AnalyticModel

TARGET = Target((1, 3))


def planted(place=((0, 2), (1, 2)), strength=2.0, images=2):
    """A model that reads two cells of the first picture for the target, each worth ``strength`` nats, and no more."""
    model = AnalyticModel(images)
    features, generation = model.features(), model.generation()
    tokens = torch.zeros_like(features.soft_tokens)
    weights = torch.zeros_like(model.weights)
    for row, column in place:
        cell = row * GRID + column
        tokens[0, cell, 0] = 1.0
        weights[2, 1, cell * HIDDEN] = strength  # token id 2 stands at step 1 of the target
    model.weights = weights
    return model, replace(features, soft_tokens=tokens), generation


def as_map(features, values, target=TARGET):
    return AttributionMap(
        np.asarray(values, dtype=np.float32), "sensitive", "made up", target, "nats", features.geometries
    )


def pointing_at(features, cells):
    values = np.zeros((len(features.geometries), GRID, GRID))
    for frame, row, column in cells:
        values[frame, row, column] = 1
    return as_map(features, values)


def test_a_map_of_what_the_model_reads_is_verified():
    model, features, generation = planted()
    result = grade_map(model, features, generation, token_ablation(model, features, generation, TARGET))
    mean = 2 / GRID**2  # both tokens of 1 in 16 cells: what the fill leaves behind
    assert result.grade == "verified" and not result.withheld
    assert result.effect == pytest.approx(2 * 2.0 * (1 - mean), rel=1e-5)
    assert result.control_low <= result.control_high < result.effect
    assert result.necessity == pytest.approx(1.0) and result.sufficiency == pytest.approx(1.0)


def test_a_map_of_something_else_is_withheld():
    model, features, generation = planted()
    result = grade_map(model, features, generation, pointing_at(features, [(0, 3, 0), (1, 1, 1)]))
    assert result.grade == "not shown" and result.withheld
    assert result.effect == 0


def test_a_map_that_holds_half_of_it_is_no_better_than_luck_only_if_luck_finds_the_other_half():
    model, features, generation = planted()
    result = grade_map(model, features, generation, pointing_at(features, [(0, 0, 2)]))
    # single-cell controls: one of 30 places holds the other half and costs as much
    assert result.grade in ("verified", "weak")
    assert result.necessity == pytest.approx(0.5, abs=0.05)
    assert result.sufficiency == pytest.approx(0.5, abs=0.05)


def test_a_map_without_a_positive_cell_is_withheld_with_its_reason():
    model, features, generation = planted()
    result = grade_map(model, features, generation, as_map(features, -np.ones((2, GRID, GRID))))
    assert (result.grade, result.withheld, result.control_low) == ("not shown", True, None)
    assert "no region" in result.note


def test_where_too_few_controls_fit_nothing_is_verified():
    model, features, generation = planted(images=1)
    # a single frame of 4 x 4 cells leaves 15 single-cell controls
    result = grade_map(model, features, generation, pointing_at(features, [(0, 0, 2)]))
    assert result.grade == "not shown" and result.withheld
    assert "15 control" in result.note and "20" in result.note


def test_grades_repeat_and_do_not_depend_on_the_batch():
    model, features, generation = planted()
    made = token_ablation(model, features, generation, TARGET)
    assert grade_map(model, features, generation, made) == grade_map(model, features, generation, made, batch=3)


def test_maps_of_several_targets_share_every_pass():
    model, features, generation = planted()
    first = token_ablation(model, features, generation, TARGET)
    second = replace(first, target=Target((1, 2)))
    model.sequences = 0
    one = grade_maps(model, features, generation, [first])
    cost = model.sequences
    model.sequences = 0
    both = grade_maps(model, features, generation, [first, second])
    assert model.sequences == cost == 1 + 20 + 4  # whole picture, controls, region, its complement, centre, all hidden
    assert both[0] == one[0] == both[1]


def test_a_foil_is_measured_against():
    model, features, generation = planted()
    target = Target((1, 3), foil=(2, 7))  # the foil reads the very same cells: the contrast reads nothing
    made = replace(token_ablation(model, features, generation, TARGET), target=target)
    assert grade_map(model, features, generation, made).grade == "not shown"


def test_fewer_than_twenty_controls_are_refused():
    model, features, generation = planted()
    with pytest.raises(MalformedInput, match="95th"):
        grade_map(model, features, generation, pointing_at(features, [(0, 0, 2)]), controls=19)


def test_notes_speak_the_prompts_language():
    model, features, generation = planted()
    chinese = replace(generation, prompt=Prompt("描述", language="zh"))
    result = grade_map(model, features, chinese, token_ablation(model, features, chinese, TARGET))
    assert "隐藏该区域" in result.note


def test_a_finer_map_is_averaged_onto_the_token_grid():
    fine = np.random.default_rng(0).random((2, 16, 16))
    np.testing.assert_allclose(on_token_grid(fine, 4), fine.reshape(2, 4, 4, 4, 4).mean(axis=(2, 4)))


def test_evidence_holds_the_losses_the_grade_is_read_from():
    model, features, generation = planted()
    (found,) = evidence(model, features, generation, [token_ablation(model, features, generation, TARGET)])
    assert set(map(tuple, np.argwhere(found.region))) == {(0, 0, 2), (0, 1, 2)}
    assert len(found.controls) == 20 and found.controls.max() <= 0


REGION = np.zeros((1, 4, 4), dtype=bool)
REGION[0, 0, 0] = True


def made_up(effect, controls, centre=0.0, shared=0.0, region=REGION):
    return Evidence(region, effect, np.asarray(controls, dtype=float), centre, shared, None, None)


@pytest.mark.parametrize(
    ("entry", "grade"),
    [
        (made_up(1.0, [0.0] * 20), "verified"),
        (made_up(1.0, [0.0] * 19 + [1.5]), "weak"),  # one of twenty controls does better: chance once in 21 and more
        (made_up(1.0, [0.0] * 39 + [1.5]), "verified"),  # one of forty does not undo it
        (made_up(1.0, [0.5] * 10 + [2.0] * 10), "not shown"),  # at or below the median
        (made_up(1.0, [0.5] * 11 + [2.0] * 9), "weak"),
        (made_up(1.0, [0.0] * 20, centre=1.2), "weak"),  # the centre prior does better
        (made_up(1.0, [0.0] * 20, centre=1.2, shared=0.6), "verified"),  # but it is the same place
        (made_up(LEAST_NATS * 0.99, [-5.0] * 20), "not shown"),
        (made_up(LEAST_NATS, [-5.0] * 20), "verified"),
        (made_up(9.0, [0.0] * 19), "not shown"),
        (made_up(9.0, [0.0] * 20, region=np.zeros((1, 4, 4), dtype=bool)), "not shown"),
        (made_up(-1.0, [-2.0] * 20), "not shown"),
    ],
)
def test_the_rule(entry, grade):
    assert rule(entry) == grade


def test_a_map_that_knows_nothing_is_verified_about_once_in_twenty_one():
    """The model reads noise everywhere and the regions are random: effect and controls are exchangeable."""
    rng = np.random.default_rng(0)
    verified = 0
    trials = 4000
    for _ in range(trials):
        losses = rng.normal(5, 1, 21)
        verified += rule(made_up(losses[0], losses[1:], centre=0.0)) == "verified"
    assert verified / trials == pytest.approx(1 / 21, abs=0.011)
