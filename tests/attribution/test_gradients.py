"""What the gradient methods share: passes counted, targets together, foils, scores, precision, refusals."""

import copy
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
import torch
from analytic import CELLS, HIDDEN, AnalyticModel
from bare_module import BareScore
from tiny_gemma import GRID, SIZE, sampled

from radiolucent.attribution.gradients import target_gradients, target_values
from radiolucent.attribution.integrated_gradients import completeness, integrated_gradients
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.method import Size
from radiolucent.attribution.pixel_gradient import pixel_gradient
from radiolucent.attribution.registry import attribute, attribute_all, methods
from radiolucent.attribution.targets import scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.vlm.parity import check_parity
from radiolucent.vlm.types import Target

FAMILY = [
    "saliency", "smooth_grad", "input_x_gradient", "integrated_gradients", "pixel_gradient", "grad_cam",
    "grad_cam:local",
]  # fmt: skip
PLAIN, LONG, CONTRAST = Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301))
TOGETHER = [PLAIN, LONG, CONTRAST, Target((3, 4), foil=(302,)), LONG]


def close(one, other, relative=1e-5):
    scale = max(float(np.abs(np.asarray(other)).max()), 1e-12)
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=relative, atol=relative * scale)


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


class Counted:
    """Passes of the language model and the vision tower, counted at the bare modules."""

    def __init__(self, model):
        self.replays = self.encodes = 0
        self.handles = [
            model.module.model.language_model.register_forward_hook(self._language),
            model.module.model.vision_tower.register_forward_hook(self._vision),
        ]

    def _language(self, module, inputs, output):
        self.replays += len(output[0])

    def _vision(self, module, inputs, output):
        self.encodes += len(output[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


@pytest.mark.parametrize("name", FAMILY)
def test_several_targets_give_the_maps_that_they_give_one_by_one(case, name):
    model, features, generation = case
    together = attribute_all(model, features, generation, TOGETHER, name)
    for target, made in zip(TOGETHER, together, strict=True):
        alone = attribute(model, features, generation, target, name)
        assert made.target == target and made.method == name and made.units == alone.units
        close(made.values, alone.values)
        assert made.forwards >= alone.forwards and made.backwards >= alone.backwards


@pytest.mark.parametrize("name", FAMILY)
def test_a_method_costs_what_it_says_whatever_the_number_of_targets(case, name):
    model, features, generation = case
    targets = [Target((0, 1)), Target((1, 3)), Target((3, 6))]
    entry = methods()[name.partition(":")[0]]
    with Counted(model) as counted:
        made = attribute_all(model, features, generation, targets, name)
    images = len(features.geometries)
    expected = entry.passes(Size(cells=GRID**2, images=images, targets=3, layers=3))
    assert counted.replays == expected.replays == made[0].forwards
    assert counted.encodes == expected.encodes
    assert made[0].backwards == expected.backwards


def test_each_distinct_span_and_each_distinct_foil_costs_one_gradient():
    model, features, generation = sampled(1)
    targets = [LONG, LONG, CONTRAST, PLAIN, Target((2, 3), foil=(300, 301))]  # one foil at one place: one text
    with Counted(model) as counted:
        found = target_gradients(model, generation, soft_rows(features), targets)
    assert counted.replays == found.forwards == 2
    assert found.backwards == 3 + 1


@pytest.mark.parametrize("name", ["saliency", "input_x_gradient", "pixel_gradient", "grad_cam", "grad_cam:local"])
@pytest.mark.parametrize("score", ["logprob", "logit"])
def test_gradients_taken_once_serve_the_parity_gate_and_every_map(case, name, score):
    model, features, generation = case
    taken = target_gradients(model, generation, soft_rows(features), TOGETHER, score=score, replay=True)
    check_parity(model, generation, taken.replay)
    with Counted(model) as counted:
        given = attribute_all(model, features, generation, TOGETHER, name, score=score, gradients=taken)
    assert counted.replays == 0
    for made, alone in zip(given, attribute_all(model, features, generation, TOGETHER, name, score=score), strict=True):
        close(made.values, alone.values)
        assert (made.forwards, made.backwards, made.units) == (0, 0, alone.units)


def test_gradients_of_something_else_are_refused():
    model, features, generation = sampled(1)
    rows = soft_rows(features)
    taken = target_gradients(model, generation, rows, [LONG])
    refused = [
        (taken, [PLAIN], {}),
        (taken, [LONG, LONG], {}),
        (taken, [CONTRAST], {}),
        (taken, [LONG], {"score": "logit"}),
        (target_gradients(model, generation, torch.cat([rows, rows]), [LONG]), [LONG], {}),
        (target_gradients(model, generation, rows, [LONG], layer=0), [LONG], {}),
    ]
    for gradients, targets, options in refused:
        with pytest.raises(MalformedInput, match="gradients given"):
            attribute_all(model, features, generation, targets, "saliency", gradients=gradients, **options)
    with pytest.raises(MalformedInput, match="language layer"):
        attribute(model, features, generation, LONG, "grad_cam", tower="language", gradients=taken)
    other, shown, _ = sampled(2)
    with pytest.raises(MalformedInput, match="this study alone"):
        attribute(other, shown, generation, LONG, "saliency", gradients=taken)


def test_a_foil_is_the_difference_of_two_gradients(case):
    """Oracle: the same words taken from a generation that reads so."""
    model, features, generation = case
    rows = soft_rows(features)
    contrasted = replace(generation, token_ids=np.array([*generation.token_ids[:2], 300, 301]))
    own = target_gradients(model, generation, rows, [LONG])
    other = target_gradients(model, contrasted, rows, [Target((2, 4))])
    both = target_gradients(model, generation, rows, [CONTRAST])
    close(both.values, own.values - other.values)
    close(both.scores, own.scores - other.scores)


@pytest.mark.parametrize("score", ["logprob", "logit"])
def test_pictures_together_have_the_gradients_that_they_have_alone(score):
    model, features, generation = sampled(2)
    rows = soft_rows(features)
    pictures = torch.cat([rows, rows * 0.5, rows.roll(3, dims=1)])
    together = target_gradients(model, generation, pictures, [LONG, CONTRAST], score=score)
    assert together.values.shape == (2, *pictures.shape) and together.scores.shape == (2, 3)
    for index in range(3):
        alone = target_gradients(model, generation, pictures[index : index + 1], [LONG, CONTRAST], score=score)
        close(together.values[:, index], alone.values[:, 0], 1e-4)
        close(together.scores[:, index], alone.scores[:, 0])


def test_the_scores_are_those_of_passes_without_a_graph(case):
    model, features, generation = case
    rows = torch.cat([soft_rows(features), 0.5 * soft_rows(features)])
    found = target_gradients(model, generation, rows, TOGETHER)
    close(found.scores.T, scores(model, generation, rows, TOGETHER))
    close(target_values(model, generation, rows, TOGETHER), found.scores)
    logits = target_gradients(model, generation, rows, TOGETHER, score="logit")
    close(target_values(model, generation, rows, TOGETHER, score="logit"), logits.scores)


def test_the_forward_of_the_gradients_serves_the_parity_gate_too(case):
    model, features, generation = case
    with Counted(model) as counted:
        found = target_gradients(model, generation, soft_rows(features), [PLAIN, LONG], replay=True)
    assert counted.replays == 1
    separate = model.replay(generation, features)
    for name in ("logprobs", "entropy", "top_logprob"):
        np.testing.assert_allclose(getattr(found.replay, name), getattr(separate, name), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.replay.top, separate.top)
    assert check_parity(model, generation, found.replay) < 1e-4
    without = target_gradients(model, generation, soft_rows(features), [PLAIN, LONG])
    close(found.values, without.values)
    assert without.replay is None


@pytest.mark.parametrize("score", ["logprob", "logit"])
@pytest.mark.parametrize("target", [LONG, CONTRAST], ids=["span", "foil"])
def test_gradients_at_soft_tokens_equal_finite_differences_in_double_precision(case, target, score):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, score, double=True)
    rows = soft_rows(features)
    found = target_gradients(model, generation, rows, [target], score=score).values[0, 0].double()
    assert found.norm() > 0
    draws = torch.Generator().manual_seed(1)
    for cell in (0, 7, rows.shape[1] - 1):
        direction = torch.zeros_like(rows, dtype=torch.float64)
        direction[0, cell] = torch.randn(rows.shape[2], generator=draws, dtype=torch.float64)
        expected = bare.slope(bare.of_soft, bare.soft, direction)
        assert float((found * direction[0]).sum()) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("target", [LONG, CONTRAST], ids=["span", "foil"])
def test_gradients_at_pixels_equal_finite_differences_in_double_precision(case, target):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, double=True)
    found = pixel_gradient(model, features, generation, target).values
    for image, row, column in [(0, 3, 5), (len(found) - 1, 20, 11), (0, SIZE - 1, SIZE - 1)]:
        direction = torch.zeros_like(bare.pixels)
        direction[0, 3 * image : 3 * image + 3, row, column] = 1
        expected = bare.slope(bare.of_pixels, bare.pixels, direction)
        assert float(found[image, row, column]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_weight_gets_a_gradient_even_where_weights_ask_for_one():
    model, features, generation = sampled(1)
    trained = copy.deepcopy(model)
    trained.module.requires_grad_(True)
    for name in FAMILY:
        made = attribute(trained, features, generation, CONTRAST, name)
        close(made.values, attribute(model, features, generation, CONTRAST, name).values, 1e-4)
    assert all(parameter.grad is None for parameter in trained.module.parameters())
    assert features.soft_tokens.grad is None and not features.soft_tokens.requires_grad


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("target", [LONG, CONTRAST], ids=["span", "foil"])
def test_bfloat16_weights_give_float32_maps_that_agree(name, target):
    model, features, generation = sampled(1)
    half = copy.deepcopy(model)
    half.module.to(torch.bfloat16)
    rough = replace(
        features, soft_tokens=features.soft_tokens.to(torch.bfloat16), pixels=features.pixels.to(torch.bfloat16)
    )
    fine = attribute(model, features, generation, target, name).values
    coarse = attribute(half, rough, generation, target, name)
    assert coarse.values.dtype == np.float32
    assert np.corrcoef(fine.reshape(-1), coarse.values.reshape(-1))[0, 1] > 0.95


def test_gradients_of_a_bfloat16_model_arrive_in_float32():
    model, features, generation = sampled(1)
    half = copy.deepcopy(model)
    half.module.to(torch.bfloat16)
    rough = replace(features, soft_tokens=features.soft_tokens.to(torch.bfloat16))
    found = target_gradients(half, generation, soft_rows(rough), [LONG, CONTRAST], layer=1)
    assert found.values.dtype == found.states.dtype == torch.float32 and torch.isfinite(found.values).all()
    contrast = found.values[1].to(torch.bfloat16).float()
    assert not torch.equal(contrast, found.values[1])  # the foil was taken away after the cast, unrounded


class TestCompleteness:
    def test_the_map_says_how_far_its_values_add_to_the_change(self, case):
        model, features, generation = case
        made = integrated_gradients(model, features, generation, CONTRAST, steps=8)
        rows = soft_rows(features)
        mean = features.soft_tokens.mean(dim=1, keepdim=True).expand_as(features.soft_tokens).flatten(0, 1)[None]
        picture, start = scores(model, generation, torch.cat([rows, mean]), [CONTRAST])[:, 0].tolist()
        english, chinese = made.note.split("\n")
        for line in (english, chinese):
            assert f"{made.values.sum():+.3f} nats" in line and f"{picture - start:+.3f} nats" in line

    @pytest.mark.parametrize(("score", "unit"), [("logprob", "nats"), ("logit", "logits")])
    @pytest.mark.parametrize("target", [LONG, CONTRAST], ids=["span", "foil"])
    def test_the_gap_closes_as_steps_are_added(self, case, target, score, unit):
        model, features, generation = case
        made = integrated_gradients(model, features, generation, target, steps=100, batch=50, score=score)
        mean = features.soft_tokens.mean(dim=1, keepdim=True).expand_as(features.soft_tokens).flatten(0, 1)[None]
        rows = torch.cat([mean, soft_rows(features)])
        before, after = target_values(model, generation, rows, [target], score=score)[0]
        assert made.values.sum() == pytest.approx(after - before, rel=1e-2)
        assert made.units == unit and "Warning" not in made.note

    def test_a_path_from_zero_is_caught_where_the_norms_make_it_jump(self):
        """Gemma normalises each token: near zero any small step changes all of it, and no quadrature sees the jump."""
        model, features, generation = sampled(2)
        made = integrated_gradients(model, features, generation, LONG, baseline="zero", steps=16)
        assert "Warning" in made.note and "警告" in made.note

    def test_a_gap_above_the_tolerance_warns_in_both_languages(self):
        model = AnalyticModel(1, curvature=0.3)
        features, generation = model.features(), model.generation()
        rough = integrated_gradients(model, features, generation, Target((1, 3)), steps=1)
        exact = integrated_gradients(model, features, generation, Target((1, 3)), steps=2)
        assert "gap of 0.0%" in exact.note and "Warning" not in exact.note and "警告" not in exact.note
        # one midpoint integrates a quadratic's linear gradient exactly too; a cubic would need more
        assert rough.values.sum() == pytest.approx(exact.values.sum(), rel=1e-5)
        warned = completeness(1.0, 2.0, "nats", 4)
        assert "gap of 50.0%" in warned and "Warning: more than 5%" in warned and "more than 4 steps" in warned
        assert "警告：超过 5%" in warned and "多于 4 步" in warned

    def test_a_change_near_zero_is_not_divided_by(self):
        assert "gap of 1.0%" in completeness(0.001, 0.0, "nats", 4)


OPTIONS = {
    "saliency": [{"score": "probability"}, {"norm": "l3"}],
    "smooth_grad": [
        {"score": ""}, {"norm": "L2"}, {"copies": 0}, {"batch": 0}, {"noise": 0.0}, {"noise": -1.0},
        {"noise": float("nan")}, {"noise": float("inf")},
    ],
    "input_x_gradient": [{"score": "logits"}, {"baseline": "black"}],
    "integrated_gradients": [{"score": "loss"}, {"baseline": "noise"}, {"steps": 0}, {"batch": -1}],
    "pixel_gradient": [{"score": None}],
    "grad_cam": [
        {"score": "x"}, {"layer": 2}, {"layer": -3}, {"layer": "final"}, {"tower": "text"}, {"weights": "max"},
        {"tower": "language", "layer": 3},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"), [(name, one) for name, every in OPTIONS.items() for one in every], ids=str
)
def test_options_that_mean_nothing_are_refused(name, options):
    model, features, generation = sampled(1)
    with pytest.raises(MalformedInput):
        attribute(model, features, generation, PLAIN, name, **options)


def test_every_method_of_the_family_takes_the_score_as_an_option():
    for name in OPTIONS:
        assert methods()[name].claim == "sensitive"
        assert signature(methods()[name].function).parameters["score"].default == "logprob"


@pytest.mark.parametrize("name", FAMILY)
def test_the_logit_has_a_map_of_its_own_in_its_own_unit(name):
    model, features, generation = sampled(1)
    made = attribute(model, features, generation, CONTRAST, name, score="logit")
    assert made.units.startswith("logits")
    plain = attribute(model, features, generation, CONTRAST, name)
    assert plain.units.startswith("nats") and not np.allclose(made.values, plain.values, rtol=1e-3)


def test_what_cannot_be_asked_is_refused():
    model, features, generation = sampled(1)
    rows = soft_rows(features)
    with pytest.raises(MalformedInput, match="one picture; 2"):
        target_gradients(model, generation, torch.cat([rows, rows]), [PLAIN], replay=True)
    with pytest.raises(MalformedInput, match="No target"):
        target_gradients(model, generation, rows, [])
    with pytest.raises(TargetNotFound):
        target_gradients(model, generation, rows, [Target((0, 99))])
    with pytest.raises(MalformedInput, match="Layer 3 is none"):
        target_gradients(model, generation, rows, [PLAIN], layer=3)


@pytest.mark.parametrize("name", FAMILY)
def test_a_target_without_a_map_is_empty_in_its_place_and_the_others_are_kept(name):
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    model.weights[int(generation.token_ids[3]), 3] = 0  # this word owes nothing to the picture
    none, some = attribute_all(model, features, generation, [Target((3, 4)), Target((1, 3))], name)
    assert isinstance(none, EmptyMap) and isinstance(some, AttributionMap)
    with pytest.raises(EmptyMap, match="does not mean that a finding is absent"):
        attribute(model, features, generation, Target((3, 4)), name)


def test_finite_differences_of_a_curved_model_with_a_closed_form():
    model = AnalyticModel(2, curvature=0.3)
    features, generation = model.features(), model.generation()
    target = Target((1, 3), foil=(7, 8))
    rows = soft_rows(features)
    found = target_gradients(model, generation, rows, [target]).values[0, 0]
    for place in (0, 5, 2 * CELLS - 1):
        for channel in range(HIDDEN):
            step = torch.zeros_like(rows)
            step[0, place, channel] = 1e-6
            slope = scores(model, generation, torch.cat([rows + step, rows - step]), [target])[:, 0]
            assert float(found[place, channel]) == pytest.approx(float(slope[0] - slope[1]) / 2e-6, rel=1e-5, abs=1e-6)
