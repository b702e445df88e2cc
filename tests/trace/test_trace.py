import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radiolucent.errors import MalformedInput
from radiolucent.trace.build import build_trace, image_reliance
from radiolucent.trace.reverse import words_attending
from radiolucent.trace.types import Trace
from radiolucent.vlm.types import Alternative, Word

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from analytic import CELLS, GRID, AnalyticModel


def case(images=1):
    model = AnalyticModel(images)
    features = model.features()
    bare = model.generation()
    replayed = model.replay(bare, features, capture=True)
    candidates = tuple((Alternative(int(token), "t", -0.1),) for token in bare.token_ids)
    generation = replace(
        bare,
        logprobs=replayed.logprobs.astype(np.float32),
        entropy=np.linspace(0.1, 0.6, 6, dtype=np.float32),
        alternatives=candidates,
        rows=replayed.rows,
        words=(
            Word("no", (0, 2), (0, 1)),
            Word("acute", (3, 8), (1, 4)),
            Word("胸", (9, 10), (3, 4)),  # shares a token with its neighbour
            Word("thought", (0, 7), (4, 6), part="thinking"),
        ),
    )
    model.sequences = 0
    return model, features, generation


def test_a_words_probability_is_the_product_over_its_tokens():
    model, features, generation = case()
    trace = build_trace(model, features, generation)
    acute = next(word for word in trace.words if word.text == "acute")
    assert acute.probability == pytest.approx(np.exp(generation.logprobs.astype(float))[1:4].prod(), rel=1e-5)
    assert acute.logprob == pytest.approx(generation.logprobs[1:4].sum(), rel=1e-5)
    assert acute.entropy == pytest.approx(0.2)
    assert acute.alternatives == generation.alternatives[1]


def test_thinking_comes_first_and_is_told_apart():
    model, features, generation = case()
    trace = build_trace(model, features, generation)
    assert [word.part for word in trace.words] == ["thinking", "answer", "answer", "answer"]
    assert [word.text for word in trace.words][1:] == ["no", "acute", "胸"]


def test_image_reliance_is_the_loss_without_the_picture_and_one_replay_serves_all_words():
    model, features, generation = case(2)
    trace = build_trace(model, features, generation)
    assert model.sequences == 1
    assert model.encoded == 1  # one blank picture serves every image
    blank = model._tokens(features.pixels * 0).reshape(1, -1)
    without = model.token_logprobs(None, generation.token_ids, blank)[0].numpy()
    for word in trace.words:
        first, last = word.tokens
        expected = (generation.logprobs[first:last] - without[first:last]).sum()
        assert word.image_reliance == pytest.approx(expected, rel=1e-4)


def test_another_patients_film_stands_beside_the_blank_and_the_larger_loss_counts():
    model, features, generation = case()
    lost = image_reliance(model, features, generation, other=features)
    np.testing.assert_allclose(lost.other, 0, atol=1e-6)
    trace = build_trace(model, features, generation, other=model.features(9))
    assert trace.replaced_by == "given" and trace.threshold > 0
    for word in trace.words:
        assert word.image_reliance == max(word.reliance_blank, word.reliance_other)
    with pytest.raises(MalformedInput, match="as many images"):
        image_reliance(model, features, generation, other=AnalyticModel(2).features())


def test_both_replacements_run_in_one_batch():
    model, features, generation = case()
    calls = []
    plain = model.token_logprobs

    def counted(inputs, ids, rows, **options):
        calls.append(len(rows))
        return plain(inputs, ids, rows, **options)

    model.token_logprobs = counted
    image_reliance(model, features, generation, other=model.features(9))
    assert calls == [2]


def test_attended_maps_are_means_over_heads_and_the_words_predicting_rows():
    model, features, generation = case(2)
    trace = build_trace(model, features, generation)
    assert (trace.layers, trace.layer_types) == ((0, 1, 2), ("sliding", "global", "sliding"))
    acute = next(word for word in trace.words if word.text == "acute")
    assert acute.attended.shape == (3, 2, GRID, GRID)
    expected = generation.rows.image[:, :, 1:4].mean(axis=(1, 2)).reshape(3, 2, GRID, GRID)
    np.testing.assert_allclose(acute.attended, expected, rtol=1e-5)


def test_rows_are_replayed_where_none_were_kept_and_can_be_left_out():
    model, features, generation = case()
    kept = build_trace(model, features, generation, reliance=False)
    assert model.sequences == 0
    replayed = build_trace(model, features, replace(generation, rows=None), reliance=False)
    assert model.sequences == 1
    np.testing.assert_allclose(kept.words[2].attended, replayed.words[2].attended, rtol=1e-5)
    bare = build_trace(model, features, generation, reliance=False, attended=False)
    assert bare.layers == () and all(word.attended is None and word.image_reliance is None for word in bare.words)


def test_a_generation_without_words_is_refused():
    model, features, generation = case()
    with pytest.raises(MalformedInput):
        build_trace(model, features, replace(generation, words=()))


def traced():
    """Word i attends cell i twice as much as every other word does; all attend cell (3, 3) most of all (a sink)."""
    model, features, generation = case()
    words = []
    for index, word in enumerate(build_trace(model, features, generation).words):
        maps = np.full((3, 1, GRID, GRID), 0.01, dtype=np.float32)
        maps[:, 0, 0, index] = 0.02
        maps[:, 0, 3, 3] = 0.5
        words.append(replace(word, attended=maps))
    return Trace(tuple(words), (0, 1, 2), ("sliding", "global", "sliding"))


def test_the_word_that_looks_at_a_place_more_than_others_comes_first():
    trace = traced()
    for column in range(4):
        found = words_attending(trace, 0, (0, column))
        assert found[0].word is trace.words[column]
        assert found[0].lift > 1 > found[1].lift
        total = 0.02 + 0.5 + 0.01 * (CELLS - 2)
        assert found[0].share == pytest.approx(0.02 / total, rel=1e-5)


def test_a_cell_that_every_word_attends_singles_out_none():
    found = words_attending(traced(), 0, (3, 3))
    assert all(entry.lift == pytest.approx(1.0, abs=1e-5) for entry in found)
    assert found[0].share > 0.7


def test_one_layer_can_be_asked():
    trace = traced()
    trace.words[1].attended[1, 0, 2, 2] = 0.9
    assert words_attending(trace, 0, (2, 2), layer=1)[0].word is trace.words[1]
    assert words_attending(trace, 0, (2, 2), layer=0)[0].lift == pytest.approx(1.0)


def test_places_outside_and_traces_without_maps_are_refused():
    trace = traced()
    for frame, cell in [(1, (0, 0)), (0, (4, 0)), (0, (0, -1))]:
        with pytest.raises(MalformedInput, match="outside"):
            words_attending(trace, frame, cell)
    with pytest.raises(MalformedInput, match="Layer"):
        words_attending(trace, 0, (0, 0), layer=7)
    bare = Trace(tuple(replace(word, attended=None) for word in trace.words))
    with pytest.raises(MalformedInput, match="attended=True"):
        words_attending(bare, 0, (0, 0))


def test_a_words_place_is_not_the_cell_that_every_word_attends():
    """The named place follows the word's own cell, not the sink."""
    named = []

    class Place:
        def of_peak(self, values):
            named.append(np.unravel_index(int(values.argmax()), values.shape))
            return None

    model, features, generation = case()
    image = np.full_like(generation.rows.image, 0.01)
    image[..., 15] = 0.5  # a sink
    for token in range(image.shape[2]):
        image[:, :, token, token] = 0.05
    rows = replace(generation.rows, image=image)
    build_trace(model, features, replace(generation, rows=rows), reliance=False, places=[Place()])
    assert (3, 3) not in [tuple(int(x) for x in cell) for cell in named] and len(set(named)) > 1
    with pytest.raises(MalformedInput, match="one an image"):
        build_trace(model, features, generation, reliance=False, places=[Place(), Place()])
