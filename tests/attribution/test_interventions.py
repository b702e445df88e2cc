"""The engine that hides regions: against the bare model, against scipy and scikit-image, and against itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic import AnalyticModel
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic
from tiny_gemma import GRID, SIZE, sampled, study, tiny_model

from radiolucent.attribution.fills import blurred, filling, inpainted, soft_fill
from radiolucent.attribution.interventions import distinct, hidden_scores, losses, losses_of_each
from radiolucent.attribution.targets import scores, soft_rows
from radiolucent.errors import MalformedInput
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Target

TARGETS = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301))]
FILLS = ["mean", "blank", "blur", "inpaint", "counterfactual"]
SPACES = ["tokens", "pixels"]
CELL = SIZE // GRID


def some_regions(images, count=5, seed=0):
    regions = np.random.default_rng(seed).random((count, images, GRID, GRID)) < 0.3
    regions[0] = False
    regions[0, -1, 1:3, 1:3] = True  # one image is left alone
    return regions


def another(images):
    return tiny_model().encode(study(images, seed=9))


def given_other(fill, images):
    return another(images) if fill == "counterfactual" else None


def log_probability(model, generation, soft, target):
    """Oracle: the bare module run over prompt and words, one picture at a time."""
    first, last = target.tokens

    def of(answer, start, stop):
        prompt = generation.prompt_inputs
        ids = torch.from_numpy(np.concatenate([prompt.input_ids, answer]))[None]
        types = torch.cat([torch.from_numpy(prompt.token_type_ids), torch.zeros(len(answer), dtype=torch.long)])[None]
        words = model.module.get_input_embeddings()(ids)
        embeddings = words.index_copy(1, (types == 1)[0].nonzero()[:, 0], soft[None])
        with torch.no_grad():
            logp = model.module(inputs_embeds=embeddings, token_type_ids=types).logits[0].log_softmax(-1)
        before = len(prompt.input_ids) - 1
        return sum(float(logp[before + p, int(answer[p])]) for p in range(start, stop))

    total = of(generation.token_ids, first, last)
    if target.foil is not None:
        answer = np.concatenate([generation.token_ids[:first], target.foil])
        total -= of(answer, first, len(answer))
    return total


def stand_in(model, features, fill, space, other):
    """Oracle for fills that are the same wherever they stand: (images, channels, k, k), by other arithmetic."""
    grid = (len(features.soft_tokens), GRID, GRID, -1)
    picture = features.pixels if space == "pixels" else features.soft_tokens.reshape(grid).permute(0, 3, 1, 2)
    if fill == "mean":
        return picture.mean(dim=(2, 3))[:, :, None, None].expand(picture.shape)
    if fill == "blank":
        if space == "pixels":
            return torch.zeros_like(picture)
        encoded = model.encode_pixels(torch.zeros(1, 3, SIZE, SIZE)).detach()
        return encoded.reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2).expand(picture.shape)
    if fill == "blur":
        deviation = picture.shape[-1] / GRID
        return torch.from_numpy(
            ndimage.gaussian_filter(picture.numpy(), (0, 0, deviation, deviation), mode="mirror", truncate=3)
        )
    return other.pixels if space == "pixels" else other.soft_tokens.reshape(grid).permute(0, 3, 1, 2)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("fill", ["mean", "blank", "blur", "counterfactual"])
def test_a_score_is_the_bare_models_on_the_picture_with_the_region_overwritten(fill, space, images):
    model, features, generation = sampled(images)
    other = given_other(fill, images)
    regions = some_regions(images)
    found = hidden_scores(model, features, generation, TARGETS, regions, fill=fill, space=space, other=other)
    standing = stand_in(model, features, fill, space, other)
    for row, region in enumerate(regions):
        if space == "pixels":
            hidden = torch.from_numpy(np.kron(region, np.ones((CELL, CELL), dtype=bool)))[:, None]
            pixels = torch.where(hidden, standing, features.pixels)
            soft = torch.stack([model.encode_pixels(one[None])[0] for one in pixels]).detach()
        else:
            flat = standing.flatten(2).transpose(1, 2)
            soft = torch.where(torch.from_numpy(region.reshape(images, -1, 1)), flat, features.soft_tokens)
        for column, target in enumerate(TARGETS):
            expected = log_probability(model, generation, soft.flatten(0, 1), target)
            assert found[row, column] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("fill", FILLS)
def test_batched_is_unbatched_and_many_targets_are_one_by_one(fill, space):
    model, features, generation = sampled(2)
    regions = some_regions(2, count=7)
    options = {"fill": fill, "space": space, "other": given_other(fill, 2)}
    together = losses(model, features, generation, TARGETS, regions, **options)
    for batch in (1, 3):
        again = losses(model, features, generation, TARGETS, regions, batch=batch, **options)
        np.testing.assert_allclose(again, together, atol=2e-5)
    for column, target in enumerate(TARGETS):
        alone = losses(model, features, generation, [target], regions, **options)
        np.testing.assert_allclose(alone[:, 0], together[:, column], atol=2e-5)


def test_a_loss_is_the_pictures_own_score_less_the_hidden_one():
    model, features, generation = sampled(1)
    regions = some_regions(1)
    base = scores(model, generation, soft_rows(features), TARGETS).numpy()
    hidden = hidden_scores(model, features, generation, TARGETS, regions)
    np.testing.assert_allclose(losses(model, features, generation, TARGETS, regions), base - hidden, atol=2e-5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("images", [1, 2])
def test_the_whole_picture_replaced_by_another_scores_as_the_other(space, images):
    model, features, generation = sampled(images)
    other = another(images)
    everything = np.ones((1, images, GRID, GRID), dtype=bool)
    found = hidden_scores(
        model, features, generation, TARGETS, everything, fill="counterfactual", space=space, other=other
    )
    expected = scores(model, generation, soft_rows(other), TARGETS).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert not np.allclose(found, scores(model, generation, soft_rows(features), TARGETS).numpy(), atol=1e-2)


@pytest.mark.parametrize("space", SPACES)
def test_the_whole_picture_blanked_scores_as_the_blank_study(space):
    model, features, generation = sampled(2)
    everything = np.ones((1, 2, GRID, GRID), dtype=bool)
    found = hidden_scores(model, features, generation, TARGETS, everything, fill="blank", space=space)
    expected = scores(model, generation, soft_rows(blank_features(model, features)), TARGETS).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("fill", ["mean", "blur", "inpaint"])
@pytest.mark.parametrize("space", SPACES)
def test_a_constant_picture_hidden_by_what_it_is_made_of_changes_nothing(fill, space):
    model, features, generation = sampled(1)
    pixels = torch.full_like(features.pixels, 0.4)
    if space == "tokens":
        flat = replace(features, soft_tokens=features.soft_tokens[:, :1].expand(-1, GRID**2, -1))
    else:
        flat = replace(features, pixels=pixels, soft_tokens=model.encode_pixels(pixels).detach())
    regions = np.concatenate([some_regions(1), np.ones((1, 1, GRID, GRID), dtype=bool)])
    assert np.abs(losses(model, flat, generation, TARGETS, regions, fill=fill, space=space)).max() < 2e-5


@pytest.mark.parametrize("fill", ["mean", "blank", "blur", "inpaint"])
@pytest.mark.parametrize("space", SPACES)
def test_an_image_is_filled_from_itself_alone(fill, space):
    """Beside another picture it is filled as it is alone."""
    model, features, _ = sampled(2)
    region = some_regions(2)[1, 1]
    alone = replace(features, soft_tokens=features.soft_tokens[1:], pixels=features.pixels[1:])
    alone = replace(alone, geometries=features.geometries[1:], key="alone")
    together = filling(model, features, fill, space)(1, region)
    torch.testing.assert_close(together, filling(model, alone, fill, space)(0, region))


def test_an_image_that_no_row_sees_carries_no_loss_and_the_other_is_as_alone():
    """On a model whose second picture is masked out, two pictures are one."""
    two, one = AnalyticModel(2), AnalyticModel(1)
    half = two.weights.shape[-1] // 2
    two.weights[..., half:] = 0
    one.weights, one.projection, one.bias = two.weights[..., :half], two.projection, two.bias
    pair, generation = two.features(), two.generation()
    single = replace(
        pair, soft_tokens=pair.soft_tokens[:1], pixels=pair.pixels[:1], geometries=pair.geometries[:1], key="one"
    )
    regions = some_regions(1, seed=4)
    beside = np.concatenate([regions, np.zeros_like(regions)], axis=1)
    for space in SPACES:
        for fill in ("mean", "blur", "inpaint"):
            alone = losses(one, single, generation, [Target((1, 3))], regions, fill=fill, space=space)
            paired = losses(two, pair, generation, [Target((1, 3))], beside, fill=fill, space=space)
            np.testing.assert_allclose(paired, alone, atol=1e-5)
            unseen = losses(two, pair, generation, [Target((1, 3))], beside[:, ::-1], fill=fill, space=space)
            assert np.abs(unseen).max() < 1e-9


def test_equal_regions_run_once_and_a_foil_costs_a_second_pass():
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    regions = some_regions(2, count=4)
    regions = np.concatenate([regions, regions[::-1], np.zeros_like(regions[:1])])
    for targets, cost in [(TARGETS[:2], 1), ([Target((1, 3), foil=(7,)), Target((2, 3))], 2)]:
        model.sequences = 0
        found = losses(model, features, generation, targets, regions)
        assert model.sequences == cost * (4 + 1)  # the region of no cell is the picture as it is
        np.testing.assert_array_equal(found[:4], found[4:8][::-1])
        assert (found[8] == 0).all()


def test_only_images_with_a_hidden_cell_are_encoded_again_and_each_way_once():
    model = AnalyticModel(3)
    features, generation = model.features(), model.generation()
    regions = np.zeros((3, 3, GRID, GRID), dtype=bool)
    regions[0, 1, 0, 0] = True
    regions[1, 1, 0, 0] = regions[1, 2, 2, 2] = True
    losses(model, features, generation, [Target((1, 3))], regions, space="pixels")
    assert model.encoded == 2
    losses(model, features, generation, [Target((1, 3))], regions, space="tokens")
    assert model.encoded == 2


def test_each_target_has_its_own_regions_measured_and_foils_run_theirs_alone():
    model = AnalyticModel(1)
    features, generation = model.features(), model.generation()
    regions = some_regions(1, count=6)
    wanted = [
        (Target((1, 3)), regions[:3]),
        (Target((2, 3), foil=(7,)), regions[3:5]),
        (Target((4, 5)), regions[2:]),
        (Target((0, 1)), regions[:0]),
    ]
    found = losses_of_each(model, features, generation, wanted)
    assert model.sequences == (1 + 6) + 2 * (1 + 2)
    assert [len(lost) for lost in found] == [3, 2, 4, 0]
    for (target, own), lost in zip(wanted, found, strict=True):
        np.testing.assert_allclose(lost, losses(model, features, generation, [target], own)[:, 0], atol=1e-9)
    assert losses_of_each(model, features, generation, []) == []


def test_no_region_costs_nothing_and_distinct_keeps_the_order():
    model = AnalyticModel(1)
    features, generation = model.features(), model.generation()
    none = np.zeros((0, 1, GRID, GRID), dtype=bool)
    assert hidden_scores(model, features, generation, TARGETS[:2], none).shape == (0, 2) and model.sequences == 0
    regions = some_regions(1, count=3)
    places, back = distinct(regions[[2, 0, 2, 1]])
    np.testing.assert_array_equal(places, regions[[2, 0, 1]])
    assert back.tolist() == [0, 1, 0, 2]


class TestInpainting:
    @pytest.mark.parametrize("samples", [16, 100])
    def test_it_is_scikit_images_at_the_pictures_own_grid(self, samples):
        picture = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).random((5, 16, 16)), (0, 2, 2)))
        hidden = np.zeros((8, 8), dtype=bool)
        hidden[2:5, 3:6] = hidden[7, 7] = True
        fine = hidden.repeat(2, 0).repeat(2, 1)
        made = inpainted(picture, hidden, samples).numpy()
        expected = inpaint_biharmonic(picture.numpy().transpose(1, 2, 0), fine, channel_axis=-1).transpose(2, 0, 1)
        np.testing.assert_allclose(made[:, fine], expected[:, fine], atol=1e-10)

    def test_a_slope_is_continued(self):
        rows, columns = np.mgrid[:64, :64]
        picture = torch.from_numpy(np.stack([rows + 2.0 * columns, 5.0 - columns]))
        hidden = np.zeros((8, 8), dtype=bool)
        hidden[3:5, 2:5] = True
        fine = hidden.repeat(8, 0).repeat(8, 1)
        made = inpainted(picture, hidden, 32)
        np.testing.assert_allclose(made[:, fine], picture[:, fine], atol=1e-6)

    def test_nothing_of_what_is_hidden_shines_through(self):
        """Also where a hidden pixel shares a coarse point with seen ones."""
        picture = torch.from_numpy(np.random.default_rng(1).random((3, 56, 56)))
        hidden = np.zeros((56, 56), dtype=bool)
        hidden[9:31, 17:23] = True
        changed = picture.clone()
        changed[:, hidden] = 99.0
        one, other = inpainted(picture, hidden, 8), inpainted(changed, hidden, 8)
        np.testing.assert_array_equal(one[:, hidden], other[:, hidden])

    @settings(max_examples=30, deadline=None)
    @given(arrays.arrays(bool, (8, 8)), st.floats(-3, 3))
    def test_it_stays_within_what_is_seen_and_a_constant_stays_constant(self, hidden, value):
        picture = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 16, 16)))
        made = inpainted(picture, hidden, 16)
        fine = hidden.repeat(2, 0).repeat(2, 1)
        if fine.any() and not fine.all():
            for channel in range(2):
                seen = picture[channel][torch.from_numpy(~fine)]
                inside = made[channel][torch.from_numpy(fine)]
                assert inside.min() >= seen.min() - 1e-9 and inside.max() <= seen.max() + 1e-9
        flat = inpainted(torch.full((2, 16, 16), value, dtype=torch.float64), hidden, 16)
        np.testing.assert_allclose(flat[:, fine], value, atol=1e-8)

    def test_a_picture_hidden_as_a_whole_becomes_its_mean(self):
        picture = torch.rand(3, 8, 8)
        made = inpainted(picture, np.ones((2, 2), dtype=bool), 8)
        torch.testing.assert_close(made, picture.mean(dim=(1, 2), keepdim=True).expand(3, 8, 8))


def test_the_blur_is_a_gaussian():
    pixels = torch.randn(2, 3, 48, 48)
    expected = ndimage.gaussian_filter(pixels.numpy(), (0, 0, 3.4, 3.4), mode="mirror", truncate=3)
    torch.testing.assert_close(blurred(pixels, 3.4), torch.tensor(expected), atol=1e-5, rtol=0)


def test_a_paths_starting_point_is_the_filling_as_a_row():
    model, features, _ = sampled(2)
    expected = features.soft_tokens.mean(dim=1, keepdim=True).expand_as(features.soft_tokens)
    torch.testing.assert_close(soft_fill(model, features, "mean"), expected.flatten(0, 1)[None])
    blank = blank_features(model, features).soft_tokens.flatten(0, 1)[None]
    torch.testing.assert_close(soft_fill(model, features, "blank"), blank)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fill": "black"}, "'black' is unknown"),
        ({"fill": "inpainting"}, "'inpaint'"),
        ({"space": "voxels"}, "'tokens', 'pixels'"),
        ({"fill": "counterfactual"}, "needs"),
        ({"other": "features"}, "needs"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_bad_options_are_refused(options, words):
    model, features, generation = sampled(1)
    if options.get("other"):
        options = {"other": another(1)}
    with pytest.raises(MalformedInput, match=words):
        losses(model, features, generation, TARGETS, some_regions(1), **options)


@pytest.mark.parametrize("space", SPACES)
def test_a_counterfactual_of_other_images_and_regions_of_another_shape_are_refused(space):
    model, features, generation = sampled(1)
    with pytest.raises(MalformedInput, match="as many images"):
        losses(
            model,
            features,
            generation,
            TARGETS,
            some_regions(1),
            fill="counterfactual",
            space=space,
            other=another(2),
        )
    for wrong in (some_regions(2), some_regions(1)[0], some_regions(1).astype(float), some_regions(1)[..., :3]):
        with pytest.raises(MalformedInput, match="expected bool"):
            losses(model, features, generation, TARGETS, wrong, space=space)


def test_a_blur_of_nothing_is_refused():
    with pytest.raises(MalformedInput, match="above 0"):
        blurred(torch.zeros(1, 3, 8, 8), 0.0)


def test_bfloat16_is_perturbed_in_single_precision():
    import copy

    model, features, generation = sampled(1)
    half = copy.deepcopy(model)
    half.module.to(torch.bfloat16)
    rough = replace(
        features, soft_tokens=features.soft_tokens.to(torch.bfloat16), pixels=features.pixels.to(torch.bfloat16)
    )
    regions = some_regions(1, count=12)
    for space in SPACES:
        for fill in ("mean", "blur", "inpaint"):
            fine = losses(model, features, generation, [TARGETS[1]], regions, fill=fill, space=space)[:, 0]
            coarse = losses(half, rough, generation, [TARGETS[1]], regions, fill=fill, space=space)[:, 0]
            assert np.corrcoef(fine, coarse)[0, 1] > 0.95
