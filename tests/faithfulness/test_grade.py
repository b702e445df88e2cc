"""Every map tested against twenty controls: on a model whose losses are known in closed form."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.attribution.token_ablation import token_ablation
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade import full_signals, grade_map, grade_maps, region_tests
from radiolucent.faithfulness.grade_signals import on_token_grid
from radiolucent.localize.anatomy import Anatomy
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


def test_a_map_that_holds_half_of_it_gives_the_closed_form():
    model, features, generation = planted()
    made = pointing_at(features, [(0, 0, 2)])
    (test,) = region_tests(model, features, generation, [made])
    assert test.necessity == pytest.approx(0.5) and test.sufficiency == pytest.approx(0.5)
    # one cell in 16 holds each of the two parts; the mean that is left in a hidden cell is 2 in 16
    assert test.everything == pytest.approx(2 * 2.0 * (1 - 2 / GRID**2), rel=1e-5)


def test_the_gap_over_the_controls_and_its_interval():
    model, features, generation = planted()
    result = grade_map(model, features, generation, token_ablation(model, features, generation, TARGET))
    controls = [result.control_low, result.control_high]
    assert result.effect - controls[1] <= result.gap <= result.effect - controls[0]
    low, high = result.gap_interval
    assert low <= result.gap <= high
    assert result.specificity == pytest.approx(result.gap / result.effect)
    assert result.lift == pytest.approx(result.effect) and result.overlap == 1.0


def test_a_map_without_a_positive_cell_is_withheld_with_its_reason():
    model, features, generation = planted()
    result = grade_map(model, features, generation, as_map(features, -np.ones((2, GRID, GRID))))
    assert (result.grade, result.withheld, result.control_low, result.score) == ("not shown", True, None, 0.0)
    assert "no region" in result.note


def test_words_that_the_picture_adds_nothing_to_are_withheld_whatever_the_region():
    model, features, generation = planted(strength=0.05)  # 2 * 0.05 nats in all
    result = grade_map(model, features, generation, token_ablation(model, features, generation, TARGET))
    assert (result.grade, result.letter, result.score) == ("not shown", "withheld", 0.0)
    assert "hardly depend" in result.note


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
    assert model.sequences == cost == 1 + 3 + 20  # whole picture; region, its complement, all hidden; controls
    assert both[0] == one[0] == both[1]


def test_a_map_with_a_test_of_its_own_against_as_many_controls_costs_nothing_more():
    model, features, generation = planted()
    made = token_ablation(model, features, generation, TARGET)
    known = replace(made, tests=region_tests(model, features, generation, [made]))
    model.sequences = 0
    assert grade_map(model, features, generation, known) == grade_map(model, features, generation, made)
    assert model.sequences == 1 + 3 + 20  # of the second call


def test_a_region_that_suffices_but_is_not_needed_is_compared_with_others_shown_alone():
    model, features, generation = planted(place=((0, 0),), strength=1.0)
    # the same evidence in the second picture: either alone carries most of the words
    row = model.weights[2, 1].clone()
    model.weights[2, 1, GRID * GRID * HIDDEN :] = row[: GRID * GRID * HIDDEN]
    soft = features.soft_tokens.clone()
    soft[1] = soft[0]
    model.curvature = -0.25  # log p = s - s^2 / 4: 1 of both cells keeps 3/4 of what both give
    features = replace(features, soft_tokens=soft)
    made = pointing_at(features, [(0, 0, 0)])
    (test,) = region_tests(model, features, generation, [made])
    assert test.necessity == pytest.approx(0.25, abs=0.03)
    assert test.sufficiency == pytest.approx(0.75, abs=0.06)


def test_a_foil_is_measured_against():
    model, features, generation = planted()
    target = Target((1, 3), foil=(2, 7))  # the foil reads the very same cells: the contrast reads nothing
    made = replace(token_ablation(model, features, generation, TARGET), target=target)
    assert grade_map(model, features, generation, made).grade == "not shown"


def test_bad_requests_are_refused():
    model, features, generation = planted()
    made = pointing_at(features, [(0, 0, 2)])
    with pytest.raises(MalformedInput, match="95th"):
        grade_map(model, features, generation, made, controls=19)
    with pytest.raises(MalformedInput, match="one for each map"):
        grade_maps(model, features, generation, [made, made], allowed=[()])
    with pytest.raises(MalformedInput, match="frames"):
        grade_maps(model, features, generation, [made], allowed=[[Anatomy(np.ones((GRID, GRID)))]])
    with pytest.raises(MalformedInput, match="finite"):
        grade_map(model, features, generation, as_map(features, np.full((2, GRID, GRID), np.nan)))
    assert grade_maps(model, features, generation, []) == ()


def test_evidence_outside_the_allowed_anatomy_is_at_most_weak_and_stays_visible():
    model, features, generation = planted()
    made = token_ablation(model, features, generation, TARGET)
    elsewhere = np.ones((GRID, GRID))
    elsewhere[:2, 2] = 0
    everywhere = np.ones((GRID, GRID))
    for anatomy, grade in (
        (Anatomy(everywhere), "verified"),
        (Anatomy(elsewhere), "weak"),
        (Anatomy(elsewhere, everywhere), "weak"),
        (None, "verified"),
    ):
        allowed = [anatomy] * 2
        (result,) = grade_maps(model, features, generation, [made], allowed=[allowed])
        assert result.grade == grade and not result.withheld
        wrong_side = anatomy is not None and anatomy.either_side is not None
        assert result.outside == (None if anatomy is None else grade == "weak")
        assert result.other_side == (True if wrong_side else None)
        assert ("outside the anatomy" in result.note) == (grade == "weak" and not wrong_side)
        assert ("the patient's other side" in result.note) == wrong_side


def test_maps_of_the_same_target_speak_for_each_other():
    model, features, generation = planted()
    right = token_ablation(model, features, generation, TARGET)
    agreeing = replace(right, method="another", values=np.where(right.values > 1, 3.0, right.values - 1).astype("f4"))
    wrong = replace(pointing_at(features, [(1, 3, 3)]), method="a third")
    (test,) = region_tests(model, features, generation, [right])
    assert full_signals(right, test, [right]).agreement is None
    assert full_signals(right, test, [right, agreeing]).agreement == pytest.approx(1.0)
    assert full_signals(right, test, [right, agreeing, wrong]).agreement < 0.6
    assert full_signals(right, test, [right, replace(agreeing, target=Target((1, 2)))]).agreement is None


def test_notes_speak_the_prompts_language():
    model, features, generation = planted()
    chinese = replace(generation, prompt=Prompt("描述", language="zh"))
    result = grade_map(model, features, chinese, token_ablation(model, features, chinese, TARGET))
    assert "隐藏该区域" in result.note


def test_a_finer_map_is_averaged_onto_the_token_grid():
    fine = np.random.default_rng(0).random((2, 16, 16))
    np.testing.assert_allclose(on_token_grid(fine, 4), fine.reshape(2, 4, 4, 4, 4).mean(axis=(2, 4)))
