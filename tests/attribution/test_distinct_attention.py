from dataclasses import replace

import numpy as np
import pytest
from analytic import CELLS, GRID, LENGTH, AnalyticModel
from tiny_gemma import written

from radiolucent.attribution.distinct_attention import distinct_attention, distinct_attentions
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.vlm.types import AttentionRows, Target


def with_rows(image):
    model = AnalyticModel(image.shape[-1] // CELLS)
    rest = np.zeros(image.shape[:3], dtype=np.float32)
    rows = AttentionRows(image.astype(np.float32), 1 - image.sum(axis=3), rest, model.layer_types)
    return model, model.features(), model.generation(rows=rows)


def some_rows(images=1, seed=0):
    return np.random.default_rng(seed).random((3, 2, LENGTH, images * CELLS)) / (images * CELLS)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("span", [(0, 1), (1, 4), (2, 6)])
def test_it_is_the_mean_root_of_what_each_head_gives_beyond_its_usual(images, span):
    image = some_rows(images)
    expected = np.zeros(images * CELLS)
    others = [step for step in range(LENGTH) if not span[0] <= step < span[1]]
    for layer in range(3):
        for head in range(2):
            for cell in range(images * CELLS):
                usual = np.mean([image[layer, head, step, cell] for step in others])
                for step in range(*span):
                    expected[cell] += max(0.0, image[layer, head, step, cell] - usual) ** 0.5
    made = distinct_attention(*with_rows(image), Target(span))
    np.testing.assert_allclose(made.values.reshape(-1), expected / (3 * 2 * (span[1] - span[0])), atol=1e-5)
    assert made.claim == "attended" and made.forwards == 0 and made.values.shape == (images, GRID, GRID)


def test_a_cell_that_every_word_attends_to_counts_nothing():
    image = np.full((3, 2, LENGTH, CELLS), 1e-3)
    image[..., 5] = 0.5  # a sink
    image[:, :, 2, 9] = 0.02
    made = distinct_attention(*with_rows(image), Target((2, 3)))
    assert made.values.reshape(-1)[5] == 0 and made.values.argmax() == 9


def test_words_that_are_all_of_the_answer_have_their_weight_alone():
    image = some_rows()
    made = distinct_attention(*with_rows(image), Target((0, LENGTH)))
    np.testing.assert_allclose(made.values.reshape(-1), np.sqrt(image).mean(axis=(0, 1, 2)), rtol=1e-5)


def test_layers_are_chosen_as_for_attention_and_many_are_one_by_one():
    image = some_rows()
    model, features, generation = with_rows(image)
    only_final = image.copy()
    only_final[:2] = 0
    made = distinct_attention(model, features, generation, Target((1, 3)), layers="final")
    alone = distinct_attention(*with_rows(only_final), Target((1, 3)))
    np.testing.assert_allclose(made.values, 3 * alone.values, rtol=1e-5)
    targets = [Target((1, 3)), Target((0, 1), foil=(4,))]
    for target, one in zip(targets, distinct_attentions(model, features, generation, targets), strict=True):
        np.testing.assert_array_equal(one.values, distinct_attention(model, features, generation, target).values)
        assert one.target == target


def test_on_gemma_rows_kept_are_the_rows_replayed():
    model, features, generation = written()
    kept = distinct_attention(model, features, generation, Target((1, 4)))
    fresh = distinct_attention(model, features, replace(generation, rows=None), Target((1, 4)))
    assert (kept.forwards, fresh.forwards) == (0, 1)
    np.testing.assert_allclose(kept.values, fresh.values, atol=2e-3)  # the root widens differences near 0


def test_bad_input_is_refused():
    model, features, generation = with_rows(some_rows())
    with pytest.raises(MalformedInput):
        distinct_attention(model, features, generation, Target((1, 3)), layers=7)
    with pytest.raises(TargetNotFound):
        distinct_attention(model, features, generation, Target((5, 9)))
