"""Searched sets against brute force, closed forms, and what they are by definition."""

from itertools import combinations

import numpy as np
import pytest
import torch
from planted import PlantedModel, additive, heat, span
from tiny_gemma import GRID as TINY_GRID
from tiny_gemma import written

from radiolucent.attribution.evidence_search import evidence_search, evidence_searches
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.registry import attribute
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target

SHAPE = (1, 4, 4)


def search(function, grid=4, images=1, **options):
    model = PlantedModel({0: function}, grid=grid, images=images)
    made = evidence_search(model, model.features(), model.generation([0]), span(0), **options)
    return made, {test.proposer.split()[1]: test for test in made.tests}


def smallest(weights, share):
    """Fewest cells whose weights reach a share of the total, by trying every set."""
    flat = weights.reshape(-1)
    for size in range(1, flat.size + 1):
        if max(flat[list(cells)].sum() for cells in combinations(range(flat.size), size)) >= share * flat.sum():
            return size
    raise AssertionError


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_on_additive_evidence_the_set_of_single_cells_is_the_smallest_there_is(group, seed, share):
    weights = np.random.default_rng(seed).exponential(1.0, SHAPE) ** 2
    _, sets = search(additive(weights), group=group, share=share)
    for test in sets.values():
        reached = weights[test.region].sum()
        assert reached >= share * weights.sum()
        if group == 1 or smallest(weights, share) == test.region.sum():
            assert test.region.sum() == smallest(weights, share)
        else:  # blocks are chosen by their sum: a good cell among poor ones may be left out
            assert test.region.sum() <= smallest(weights, share) + 3


@pytest.mark.parametrize("seed", [0, 1])
def test_gains_are_the_cells_own_weights_the_largest_first(seed):
    weights = np.random.default_rng(seed).exponential(1.0, SHAPE)
    made, sets = search(additive(weights), group=1)
    for test in sets.values():
        order = np.argsort(test.order[test.region])
        entered = weights[test.region][order]
        assert (np.diff(entered) <= 1e-9).all()
        assert sorted(test.order[test.region]) == list(range(1, test.region.sum() + 1))
        assert not test.order[~test.region].any()
    np.testing.assert_array_equal(sets["sufficient"].region, sets["necessary"].region)
    np.testing.assert_allclose(made.values, np.where(sets["necessary"].region, weights, 0), rtol=1e-5)


def test_a_larger_share_takes_a_larger_set_and_holds_the_smaller_one():
    weights = np.random.default_rng(5).exponential(1.0, SHAPE)
    before = np.zeros(SHAPE, dtype=bool)
    for share in (0.2, 0.5, 0.8, 0.95, 1.0):
        _, sets = search(additive(weights), group=1, share=share)
        assert not (before & ~sets["sufficient"].region).any()
        before = sets["sufficient"].region
    assert before.all()


@pytest.mark.parametrize("seed", range(4))
def test_a_set_reaches_its_share_and_can_spare_no_cell(seed):
    rng = np.random.default_rng(seed)
    linear, pairs = rng.normal(1.0, 1.0, 16), rng.normal(0, 0.5, (16, 16))

    def function(shown):
        flat = shown.reshape(len(shown), 16)
        return flat @ torch.from_numpy(linear) + ((flat @ torch.from_numpy(pairs)) * flat).sum(dim=1)

    def worth(region):
        return float(function(torch.from_numpy(region.astype(float))[None])[0])

    whole, nothing = np.ones(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    total = worth(whole) - worth(nothing)
    assert total > 1  # the draws support the words
    made, sets = search(function, group=2, share=0.8)
    kept = {
        "sufficient": lambda region: worth(region) - worth(nothing),
        "necessary": lambda region: worth(whole) - worth(~region),
    }
    for goal, test in sets.items():
        value = kept[goal]
        assert value(test.region) >= 0.8 * total - 1e-6
        for cell in np.argwhere(test.region):
            without = test.region.copy()
            without[tuple(cell)] = False
            assert not without.any() or value(without) < 0.8 * total + 1e-6
    sums = [kept[goal](test.region) for goal, test in sets.items()]
    assert made.values.sum() == pytest.approx(np.mean(sums), rel=1e-4)


def test_evidence_in_two_places_is_sufficient_once_and_necessary_twice():
    def either(shown):
        return 3 * torch.maximum(shown[:, 0, 2, 2], shown[:, 0, 6, 6])

    _, sets = search(either, grid=8)
    assert sets["sufficient"].region.sum() == 1 and sets["necessary"].region.sum() == 2
    assert sets["necessary"].region[0, 2, 2] and sets["necessary"].region[0, 6, 6]
    assert sets["sufficient"].verdict == "sufficient" and sets["necessary"].verdict == "necessary and sufficient"


def test_evidence_that_counts_only_together_is_found():
    def both(shown):
        return 3 * shown[:, 0, 1, 1] * shown[:, 0, 6, 6]

    _, sets = search(both, grid=8)
    assert sets["sufficient"].region.sum() == 2 and sets["necessary"].region.sum() == 1


def test_a_planted_cell_in_the_third_image_is_the_whole_set():
    made, sets = search(additive(heat((3, 8, 8), (2, 5, 3), value=4.0)), grid=8, images=3)
    for test in sets.values():
        assert np.argwhere(test.region).tolist() == [[2, 5, 3]]
    assert made.values[2, 5, 3] == pytest.approx(4) and made.tests[0].necessity == pytest.approx(1)


def test_a_foil_is_searched_as_the_difference():
    weights, contrast = heat(SHAPE, (0, 0, 1), value=3.0), heat(SHAPE, (0, 3, 3), value=-2.0)
    model = PlantedModel({0: additive(weights), 1: additive(contrast)}, grid=4)
    made = evidence_search(model, model.features(), model.generation([0]), span(0, foil=(1,)), share=1.0)
    np.testing.assert_allclose(made.values, weights - contrast, atol=1e-5)
    assert made.forwards == model.sequences


def test_many_are_one_by_one_and_share_what_was_hidden():
    functions = {step: additive(np.random.default_rng(step).exponential(1.0, SHAPE)) for step in range(2)}
    model = PlantedModel(functions, grid=4)
    generation = model.generation([0, 1])
    together = evidence_searches(model, model.features(), generation, [span(0), span(1)])
    shared, model.sequences = model.sequences, 0
    alone = [evidence_search(model, model.features(), generation, span(step)) for step in range(2)]
    assert shared < model.sequences
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6)
    assert {one.forwards for one in together} == {shared}


def test_far_fewer_passes_than_evaluating_every_block_each_time():
    weights = np.random.default_rng(0).exponential(1.0, (1, 16, 16)) * 0.01 + heat(
        (1, 16, 16), *[(0, row, column) for row in (4, 5, 6) for column in (9, 10, 11)], value=1.0
    )
    made, sets = search(additive(weights), grid=16, share=0.6)
    assert made.forwards < 256
    assert sets["necessary"].region[0, 4:7, 9:12].sum() == sets["necessary"].region.sum()


def test_a_spent_budget_leaves_the_set_out_and_says_so():
    weights = np.random.default_rng(0).exponential(1.0, SHAPE)
    enough = search(additive(weights), group=1, goals=("sufficient",))[0].forwards
    made, sets = search(additive(weights), group=1, budget=enough)
    assert set(sets) == {"sufficient"} and "necessary" in made.note
    with pytest.raises(EmptyMap, match="larger budget"):
        search(additive(weights), group=1, budget=3)


def test_words_that_hardly_depend_on_the_picture_have_no_set():
    with pytest.raises(EmptyMap, match="does not mean that the finding is absent"):
        search(additive(heat(SHAPE, (0, 1, 1), value=0.1)))


@pytest.mark.parametrize(
    "options",
    [
        {"share": 0.0},
        {"share": 1.5},
        {"budget": 0},
        {"group": 3},
        {"group": 0},
        {"goals": ()},
        {"goals": ("sufficient", "likely")},
        {"control": "opposite"},
        {"controls": 0},
        {"fill": "black"},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(MalformedInput):
        search(additive(np.ones(SHAPE)), **options)


def test_as_many_controls_as_targets():
    model = PlantedModel({0: additive(np.ones(SHAPE))}, grid=4)
    with pytest.raises(MalformedInput):
        evidence_searches(model, model.features(), model.generation([0]), [span(0)], control=["matched"] * 2)


def test_on_gemma_the_sets_do_what_they_say():
    model, features, generation = written()
    made = attribute(model, features, generation, Target((0, 4), label="words"), "evidence_search", share=0.8)
    tests = {test.proposer.split()[1]: test for test in made.tests}
    assert made.values.shape == (1, TINY_GRID, TINY_GRID) and made.claim == "relied_on"
    assert tests["necessary"].necessity >= 0.8 - 1e-4 and tests["sufficient"].sufficiency >= 0.8 - 1e-4
