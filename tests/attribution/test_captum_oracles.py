"""Every method on a stock Gemma 3 against captum, eager attention and finite differences.

The oracles run the bare transformers module from token ids and pixels on their own: no code of the adapter, none of
attribution.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients, Occlusion, Saliency
from tiny_gemma import GRID, SIZE, sampled, written

from radiolucent.attribution.attention import attention
from radiolucent.attribution.fills import filling, hidden_rows
from radiolucent.attribution.input_x_gradient import input_x_gradient
from radiolucent.attribution.integrated_gradients import integrated_gradients
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.occlusion import occlusion
from radiolucent.attribution.pixel_gradient import pixel_gradient
from radiolucent.attribution.saliency import saliency
from radiolucent.attribution.targets import scores, soft_rows
from radiolucent.attribution.token_ablation import cell_groups, token_ablation
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Target

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
TARGETS = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301)), Target((3, 4), foil=(302,))]


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


@pytest.fixture(params=TARGETS, ids=str)
def target(request):
    return request.param


class Oracle:
    """Scores through the bare module: full forward from input ids and pixels, or with given soft tokens."""

    def __init__(self, model, features, generation, target, dtype=torch.float32):
        self.module = copy.deepcopy(model.module).to(dtype).eval()
        self.module.set_attn_implementation("eager")
        self.generation, self.target, self.features = generation, target, features
        self.dtype = dtype

    def inputs(self, answer):
        prompt = self.generation.prompt_inputs
        ids = torch.from_numpy(np.concatenate([prompt.input_ids, answer]))[None]
        types = torch.cat([torch.from_numpy(prompt.token_type_ids), torch.zeros(len(answer), dtype=torch.long)])[None]
        return ids, types

    def span(self, answer, first, last, pixels=None, soft=None):
        ids, types = self.inputs(answer)
        count = len(pixels) if pixels is not None else len(soft)
        totals = []
        for row in range(count):
            if pixels is not None:
                output = self.module(input_ids=ids, pixel_values=pixels[row], token_type_ids=types)
            else:
                words = self.module.get_input_embeddings()(ids)
                place = (types == 1)[0].nonzero()[:, 0]
                embeddings = words.index_copy(1, place, soft[row : row + 1].to(words.dtype))
                output = self.module(inputs_embeds=embeddings, token_type_ids=types)
            logp = output.logits[0].log_softmax(dim=-1)
            before = len(self.generation.prompt_inputs.input_ids) - 1
            totals.append(sum(logp[before + p, int(answer[p])] for p in range(first, last)))
        return torch.stack(totals)

    def score(self, **given):
        first, last = self.target.tokens
        total = self.span(self.generation.token_ids, first, last, **given)
        if self.target.foil is not None:
            answer = np.concatenate([self.generation.token_ids[:first], self.target.foil])
            total = total - self.span(answer, first, len(answer), **given)
        return total

    def of_soft(self, soft):
        return self.score(soft=soft)

    def of_pixels(self, pixels):
        """(B, images * 3, S, S), images side by side in the channels, as captum's single input."""
        return self.score(pixels=pixels.reshape(len(pixels), -1, 3, SIZE, SIZE))

    @property
    def soft(self):
        return self.features.soft_tokens.detach().flatten(0, 1)[None].to(self.dtype)

    @property
    def pixels(self):
        return self.features.pixels.detach().reshape(1, -1, SIZE, SIZE).to(self.dtype)


def grids(flat, images):
    return np.asarray(flat).reshape(images, GRID, GRID)


def test_saliency_equals_captums_gradient(case, target):
    model, features, generation = case
    oracle = Oracle(model, features, generation, target)
    gradient = Saliency(oracle.of_soft).attribute(oracle.soft, abs=False)
    expected = grids(gradient[0].norm(dim=-1).detach(), len(features.geometries))
    np.testing.assert_allclose(saliency(model, features, generation, target).values, expected, **CLOSE)


def test_input_x_gradient_equals_captum(case, target):
    model, features, generation = case
    oracle = Oracle(model, features, generation, target)
    expected = InputXGradient(oracle.of_soft).attribute(oracle.soft)[0].sum(dim=-1).detach()
    result = input_x_gradient(model, features, generation, target).values
    np.testing.assert_allclose(result, grids(expected, len(features.geometries)), **CLOSE)


def test_integrated_gradients_equal_captum(case, target):
    model, features, generation = case
    oracle = Oracle(model, features, generation, target)
    captums = IntegratedGradients(oracle.of_soft).attribute(
        oracle.soft, baselines=torch.zeros_like(oracle.soft), n_steps=5, method="gausslegendre"
    )
    result = integrated_gradients(model, features, generation, target, baseline="zero", steps=5, batch=2).values
    np.testing.assert_allclose(result, grids(captums[0].sum(dim=-1).detach(), len(features.geometries)), **CLOSE)


@pytest.mark.parametrize("group", [1, 2, 3])
def test_token_ablation_equals_captums_feature_ablation(case, target, group):
    model, features, generation = case
    oracle = Oracle(model, features, generation, target)
    images = len(features.geometries)
    mean = features.soft_tokens.mean(dim=1, keepdim=True).expand_as(features.soft_tokens).flatten(0, 1)[None]
    labels = torch.from_numpy(cell_groups(features, group))[None, :, None].expand_as(oracle.soft)
    with torch.no_grad():
        captums = FeatureAblation(oracle.of_soft).attribute(oracle.soft, baselines=mean, feature_mask=labels)
    result = token_ablation(model, features, generation, target, group=group, batch=3).values
    np.testing.assert_allclose(result, grids(captums[0, :, 0], images), **CLOSE)


@pytest.mark.parametrize(("patch", "stride", "fill"), [(16, 8, "mean"), (12, 9, "blur"), (8, 8, "blank")])
def test_occlusion_equals_captum(case, patch, stride, fill):
    model, features, generation = case
    target = Target((2, 5), foil=(300, 301))
    oracle = Oracle(model, features, generation, target)
    stands = filling(model, features, fill, "pixels", blur=patch / 2 / (SIZE // GRID))
    nothing = np.zeros((1, 1), dtype=bool)
    baseline = torch.cat([stands(image, nothing) for image in range(len(features.pixels))])[None]
    with torch.no_grad():
        captums = Occlusion(oracle.of_pixels).attribute(
            oracle.pixels, sliding_window_shapes=(3, patch, patch), strides=(3, stride, stride), baselines=baseline
        )
    result = occlusion(
        model, features, generation, target, patch=patch, stride=stride, fill=fill, per_pixel=True, batch=4
    )
    expected = captums.reshape(-1, 3, SIZE, SIZE)[:, 0]
    np.testing.assert_allclose(result.values, expected, **CLOSE)
    on_grid = occlusion(model, features, generation, target, patch=patch, stride=stride, fill=fill)
    cell = SIZE // GRID
    means = expected.reshape(-1, GRID, cell, GRID, cell).mean(dim=(2, 4))
    np.testing.assert_allclose(on_grid.values, means, **CLOSE)


def test_pixel_gradient_equals_captums_through_the_vision_tower(case, target):
    model, features, generation = case
    oracle = Oracle(model, features, generation, target)
    gradient = Saliency(oracle.of_pixels).attribute(oracle.pixels, abs=False)
    expected = gradient.reshape(-1, 3, SIZE, SIZE).sum(dim=1)
    result = pixel_gradient(model, features, generation, target).values
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()) + 1e-6)


def test_gradients_equal_finite_differences_in_double_precision():
    model, features, generation = sampled(1)
    target = Target((2, 5), foil=(300, 301))
    oracle = Oracle(model, features, generation, target, dtype=torch.float64)
    by_pixel = pixel_gradient(model, features, generation, target).values[0]
    by_cell = input_x_gradient(model, features, generation, target).values[0]
    step = 5e-3  # transformers' softmax and norms stay in single precision: noise of about 1e-7 / step
    with torch.no_grad():
        for row, column in [(3, 5), (20, 11), (31, 31)]:
            change = torch.zeros_like(oracle.pixels)
            change[0, :, row, column] = step
            slope = (oracle.of_pixels(oracle.pixels + change) - oracle.of_pixels(oracle.pixels - change)) / (2 * step)
            assert by_pixel[row, column] == pytest.approx(float(slope), rel=1e-2, abs=2e-4)
        for cell in (0, 7, 15):
            change = torch.zeros_like(oracle.soft)
            change[0, cell] = step * oracle.soft[0, cell]
            slope = (oracle.of_soft(oracle.soft + change) - oracle.of_soft(oracle.soft - change)) / (2 * step)
            assert by_cell.reshape(-1)[cell] == pytest.approx(float(slope), rel=1e-2, abs=2e-4)


def eager_attention(case, answer):
    """(layers, heads, rows, columns) of a full forward with eager attention."""
    model, features, generation = case
    oracle = Oracle(model, features, generation, None)
    ids, types = oracle.inputs(answer)
    with torch.no_grad():
        output = oracle.module(
            input_ids=ids, pixel_values=features.pixels, token_type_ids=types, output_attentions=True
        )
    return torch.stack([layer[0] for layer in output.attentions]), types[0]


def test_attention_equals_eager_attention_in_the_row_before_the_token(case, target):
    model, features, generation = case
    images = len(features.geometries)
    before = len(generation.prompt_inputs.input_ids) - 1
    first, last = target.tokens

    def span(answer, start, stop):
        maps, types = eager_attention(case, answer)
        return maps[:, :, before + start : before + stop][..., types == 1].mean(dim=2)  # (layers, heads, cells)

    own = span(generation.token_ids, first, last)
    expected = {"mean": own.mean(dim=(0, 1)), "max": own.amax(dim=(0, 1))}
    if target.foil is not None:
        answer = np.concatenate([generation.token_ids[:first], target.foil])
        other = span(answer, first, len(answer))
        expected["mean"] = expected["mean"] - other.mean(dim=(0, 1))
        expected["max"] = expected["max"] - other.amax(dim=(0, 1))
    if target == TARGETS[3]:  # one token and a foil of one token share their row: there is nothing to tell
        with pytest.raises(EmptyMap):
            attention(model, features, generation, target)
        return
    for reduce in ("mean", "max"):
        result = attention(model, features, generation, target, reduce=reduce).values
        np.testing.assert_allclose(result, grids(expected[reduce], images), rtol=1e-4, atol=1e-6)


def test_rows_kept_while_generating_give_the_map_that_a_replay_gives():
    model, features, generation = written(2)
    target = Target((1, 4))
    kept = attention(model, features, generation, target)
    replayed = attention(model, features, replace(generation, rows=None), target)
    assert (kept.forwards, replayed.forwards) == (0, 1)
    np.testing.assert_allclose(kept.values, replayed.values, rtol=1e-4, atol=1e-6)


def test_the_prior_taken_away_is_the_map_of_a_blank_picture(case):
    model, features, generation = case
    target = Target((2, 5))
    blank = blank_features(model, features)
    before = len(generation.prompt_inputs.input_ids) - 1

    def mean_map(shown):
        maps, types = eager_attention((model, shown, generation), generation.token_ids)
        return maps[:, :, before + 2 : before + 5][..., types == 1].mean(dim=(0, 1, 2))

    result = attention(model, features, generation, target, without_prior=True)
    expected = grids(mean_map(features) - mean_map(blank), len(features.geometries))
    np.testing.assert_allclose(result.values, expected, rtol=1e-3, atol=1e-6)
    assert result.forwards == 2 and result.values.min() < 0 < result.values.max()


def test_ablating_everything_with_what_is_there_changes_nothing():
    """The base score is the score of the picture itself: the same picture as its own fill loses 0."""
    model, features, generation = sampled(1)
    rows = soft_rows(features)
    hidden = torch.ones(2, rows.shape[1], dtype=torch.bool)
    score = scores(model, generation, hidden_rows(rows, rows, hidden), [Target((1, 3))])
    assert torch.allclose(score, scores(model, generation, rows, [Target((1, 3))]).expand(2, 1), atol=1e-6)


@pytest.mark.parametrize("method", [saliency, input_x_gradient, integrated_gradients, token_ablation, pixel_gradient])
def test_bfloat16_weights_give_the_same_map_up_to_their_precision(method):
    model, features, generation = sampled(1)
    half = copy.deepcopy(model)
    half.module.to(torch.bfloat16)
    rough = replace(
        features,
        soft_tokens=features.soft_tokens.to(torch.bfloat16),
        pixels=features.pixels.to(torch.bfloat16),
    )
    target = Target((2, 5))
    fine = method(model, features, generation, target).values.reshape(-1)
    coarse = method(half, rough, generation, target).values.reshape(-1)
    assert np.corrcoef(fine, coarse)[0, 1] > 0.95
