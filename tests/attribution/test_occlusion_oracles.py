"""The occlusion family against captum and brute force on a stock Gemma 3 of random weights."""

import copy

import numpy as np
import pytest
import torch
from analytic import AnalyticModel
from captum.attr import FeatureAblation, Occlusion
from scipy import ndimage
from tiny_gemma import GRID, SIZE, sampled, study, tiny_model

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.occlusion import METHOD, occlusion, occlusions
from radiolucent.attribution.token_ablation import cell_groups, token_ablation, token_ablations
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target

CELL = SIZE // GRID
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
TARGET = Target((2, 5), foil=(300, 301))
TARGETS = [Target((0, 1)), Target((2, 5)), TARGET]


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


class BareModule:
    """log p(span) - log p(foil) by the bare transformers module in eager attention, from pixels or soft tokens."""

    def __init__(self, model, generation, target):
        self.module = copy.deepcopy(model.module).eval()
        self.module.set_attn_implementation("eager")
        self.generation, self.target = generation, target

    def span(self, answer, first, **shown):
        prompt = self.generation.prompt_inputs
        ids = torch.from_numpy(np.concatenate([prompt.input_ids, answer]))[None]
        types = torch.cat([torch.from_numpy(prompt.token_type_ids), torch.zeros(len(answer), dtype=torch.long)])[None]
        if "soft" in shown:
            words = self.module.get_input_embeddings()(ids)
            embeddings = words.index_copy(1, (types == 1)[0].nonzero()[:, 0], shown["soft"])
            output = self.module(inputs_embeds=embeddings, token_type_ids=types)
        else:
            output = self.module(input_ids=ids, pixel_values=shown["pixels"], token_type_ids=types)
        logp = output.logits[0].log_softmax(-1)
        before = len(prompt.input_ids) - 1
        return sum(logp[before + p, int(answer[p])] for p in range(first, len(answer)))

    def score(self, **shown):
        first, last = self.target.tokens
        total = self.span(self.generation.token_ids[:last], first, **shown)
        if self.target.foil is not None:
            written = np.concatenate([self.generation.token_ids[:first], self.target.foil])
            total = total - self.span(written, first, **shown)
        return total

    def of_soft(self, soft):
        return torch.stack([self.score(soft=one[None]) for one in soft])

    def of_pixels(self, pixels):
        """(B, images * 3, S, S): images side by side in the channels, as captum's single input."""
        return torch.stack([self.score(pixels=one.reshape(-1, 3, SIZE, SIZE)) for one in pixels])


def another(images):
    return tiny_model().encode(study(images, seed=9))


@pytest.mark.parametrize("fill", ["blank", "blur", "counterfactual"])
def test_token_ablation_equals_captums_feature_ablation_under_every_fill(case, fill):
    model, features, generation = case
    images = len(features.geometries)
    other = another(images) if fill == "counterfactual" else None
    tokens = features.soft_tokens
    if fill == "blank":
        baseline = model.encode_pixels(torch.zeros(1, 3, SIZE, SIZE)).detach().expand_as(tokens)
    elif fill == "blur":
        grids = tokens.reshape(images, GRID, GRID, -1).numpy()
        baseline = torch.from_numpy(ndimage.gaussian_filter(grids, (0, 1, 1, 0), mode="mirror", truncate=3))
    else:
        baseline = other.soft_tokens
    soft, baseline = tokens.flatten(0, 1)[None], baseline.reshape(1, images * GRID**2, -1)
    labels = torch.from_numpy(cell_groups(features, 1))[None, :, None].expand_as(soft)
    with torch.no_grad():
        captums = FeatureAblation(BareModule(model, generation, TARGET).of_soft).attribute(
            soft, baselines=baseline, feature_mask=labels
        )
    result = token_ablation(model, features, generation, TARGET, fill=fill, other=other, batch=5)
    np.testing.assert_allclose(result.values, captums[0, :, 0].reshape(images, GRID, GRID), **CLOSE)


def test_occlusion_by_another_picture_equals_captum(case):
    model, features, generation = case
    images = len(features.geometries)
    other = another(images)
    with torch.no_grad():
        captums = Occlusion(BareModule(model, generation, TARGET).of_pixels).attribute(
            features.pixels.reshape(1, -1, SIZE, SIZE),
            sliding_window_shapes=(3, 16, 16),
            strides=(3, 8, 8),
            baselines=other.pixels.reshape(1, -1, SIZE, SIZE),
        )
    expected = captums.reshape(images, 3, SIZE, SIZE)[:, 0]
    result = occlusion(model, features, generation, TARGET, fill="counterfactual", other=other, per_pixel=True)
    np.testing.assert_allclose(result.values, expected, **CLOSE)


def test_occlusion_by_in_painting_equals_painting_each_square_by_hand():
    """Oracle: scikit-image on the picture itself (a cell here has 8 pixels, so nothing is coarsened)."""
    from skimage.restoration import inpaint_biharmonic

    model, features, generation = sampled(1)
    oracle = BareModule(model, generation, TARGET)
    picture = features.pixels[0].double().numpy().transpose(1, 2, 0)
    total, covered = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    with torch.no_grad():
        base = float(oracle.score(pixels=features.pixels))
        for top in range(0, SIZE - 15, 8):
            for left in range(0, SIZE - 15, 8):
                mask = np.zeros((SIZE, SIZE), dtype=bool)
                mask[top : top + 16, left : left + 16] = True
                painted = inpaint_biharmonic(picture, mask, channel_axis=-1).transpose(2, 0, 1)
                shown = torch.from_numpy(np.where(mask, painted, picture.transpose(2, 0, 1))).float()[None]
                total[mask] += base - float(oracle.score(pixels=shown))
                covered[mask] += 1
    result = occlusion(model, features, generation, TARGET, fill="inpaint", per_pixel=True)
    np.testing.assert_allclose(result.values[0], total / covered, **CLOSE)


@pytest.mark.parametrize("many", [token_ablations, occlusions])
@pytest.mark.parametrize("fill", ["mean", "inpaint"])
def test_many_targets_are_one_by_one_in_any_batch(case, many, fill):
    model, features, generation = case
    together = many(model, features, generation, TARGETS, fill=fill)
    apart = [many(model, features, generation, [target], fill=fill, batch=3)[0] for target in TARGETS]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.values, other.values, **CLOSE)
        assert one.target == other.target and one.units == "nats"


@pytest.mark.parametrize("images", [1, 2])
def test_squares_are_hidden_once_for_all_targets_and_the_cost_is_what_was_run(images):
    model = AnalyticModel(images)
    features, generation = model.features(), model.generation()
    count = (GRID - 1) ** 2 * images
    made = occlusions(model, features, generation, [Target((0, 1)), Target((1, 3)), Target((1, 3), foil=(7,))])
    assert model.sequences == 2 * (count + 1) and model.encoded == count
    assert [one.forwards for one in made] == [2 * (count + 1)] * 3
    single = occlusion(model, features, generation, Target((1, 3)))
    assert single.forwards == count + 1
    from radiolucent.attribution.method import Size

    counted = METHOD.passes(Size(cells=GRID**2, images=images, targets=2))
    assert (counted.replays, counted.encodes) == (count + 1, count)


def test_a_target_that_loses_nothing_is_empty_in_its_place_and_the_others_are_maps():
    model = AnalyticModel(1)
    model.weights[:, 4] = 0
    features, generation = model.features(), model.generation()
    for many in (token_ablations, occlusions):
        dead, alive = many(model, features, generation, [Target((4, 5)), Target((1, 3))])
        assert isinstance(dead, EmptyMap) and isinstance(alive, AttributionMap)
    with pytest.raises(EmptyMap):
        occlusion(model, features, generation, Target((4, 5)))


@pytest.mark.parametrize("function", [token_ablation, occlusion])
def test_bad_fills_are_refused(function):
    model, features, generation = sampled(1)
    for options in ({"fill": "black"}, {"fill": "counterfactual"}, {"other": features}):
        with pytest.raises(MalformedInput):
            function(model, features, generation, TARGET, **options)
    with pytest.raises(MalformedInput, match="at least 1"):
        function(model, features, generation, TARGET, batch=0)


@pytest.mark.parametrize(("patch", "stride"), [(0, 1), (8, 0), (8, 9), (SIZE + 1, 1)])
def test_squares_that_miss_pixels_or_the_picture_are_refused(patch, stride):
    model, features, generation = sampled(1)
    with pytest.raises(MalformedInput, match="expected 1 <= stride <= patch"):
        occlusion(model, features, generation, TARGET, patch=patch, stride=stride)
