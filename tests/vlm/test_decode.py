"""Greedy writing and sampling against transformers' own ``generate``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_gemma import IMAGE_LAST, Shape, picture_study, tiny_model
from transformers import TopPLogitsWarper

from radiolucent.errors import DegenerateSampling, InsufficientMemory, MalformedInput
from radiolucent.vlm import decode
from radiolucent.vlm.decode import draw, fork_cache
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Prompt

PROMPT = Prompt("is the effusion seen")


@pytest.mark.parametrize(
    ("shape", "images"),
    [(Shape(), 1), (Shape(cells=16, window=11), 2), (Shape(kv_heads=1), 3), (Shape(template=IMAGE_LAST, window=9), 1)],
)
@pytest.mark.parametrize("seed", [0, 3])
def test_tokens_and_scores_equal_transformers_generate(shape: Shape, images: int, seed: int) -> None:
    model = tiny_model(shape, seed=seed)
    features = model.encode(picture_study(images, seed=seed))
    ours = model.generate(PROMPT, features, max_new_tokens=25)
    inputs = ours.prompt_inputs
    theirs = model.module.generate(
        input_ids=torch.tensor(inputs.input_ids)[None],
        token_type_ids=torch.tensor(inputs.token_type_ids)[None],
        attention_mask=torch.ones(1, len(inputs.input_ids), dtype=torch.long),
        pixel_values=features.pixels,
        max_new_tokens=25,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
    )
    np.testing.assert_array_equal(ours.token_ids, theirs.sequences[0, len(inputs.input_ids) :].numpy())
    scores = torch.cat(theirs.scores).log_softmax(-1)
    expected = scores[torch.arange(len(scores)), torch.tensor(ours.token_ids)]
    np.testing.assert_allclose(ours.logprobs, expected.numpy(), atol=2e-5)
    np.testing.assert_allclose(ours.entropy, -(scores.exp() * scores).sum(-1).numpy(), atol=2e-4)
    for index, candidates in enumerate(ours.alternatives):
        values, ids = scores[index].topk(5)
        assert [candidate.token_id for candidate in candidates] == ids.tolist()
        np.testing.assert_allclose([candidate.logprob for candidate in candidates], values.numpy(), atol=2e-5)


def test_the_end_token_is_kept_and_named() -> None:
    model = tiny_model()
    features = model.encode(picture_study(1))
    free = model.generate(PROMPT, features, max_new_tokens=12)
    assert free.finish == "length" and len(free.token_ids) == 12
    end = int(free.token_ids[7])
    stop = list(free.token_ids).index(end)
    model.profile = model.profile.__class__(**{**model.profile.__dict__, "end_tokens": (end,)})
    stopped = model.generate(PROMPT, features, max_new_tokens=12)
    assert stopped.finish == "stop" and stopped.token_ids.tolist() == free.token_ids[: stop + 1].tolist()


def test_sixteen_samples_cost_one_encode_and_one_prefill() -> None:
    model = tiny_model()
    counts = {"vision": 0, "prefill": 0, "decode": 0}

    def vision(*_: object) -> None:
        counts["vision"] += 1

    def text(_module: object, _args: object, kwargs: dict[str, torch.Tensor]) -> None:
        counts["prefill" if kwargs["inputs_embeds"].shape[1] > 1 else "decode"] += 1

    model.module.model.vision_tower.register_forward_hook(vision)
    model.module.model.language_model.register_forward_pre_hook(text, with_kwargs=True)
    study = picture_study(1)
    samples = model.sample(PROMPT, model.encode(study), count=16, max_new_tokens=6)
    assert counts["vision"] == 1 and counts["prefill"] == 1 and counts["decode"] <= 5
    assert len(samples) == 16 and len({sample.text for sample in samples}) > 4
    prefill = model.prefill(PROMPT, model.encode(study))
    model.generate(PROMPT, model.encode(study), max_new_tokens=6, prefill=prefill)
    model.sample(PROMPT, model.encode(study), count=4, max_new_tokens=6, prefill=prefill)
    assert counts["vision"] == 1 and counts["prefill"] == 2 and model.encodes == 1


def test_sampled_log_probabilities_are_those_of_temperature_one(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    for sample in model.sample(PROMPT, features, count=5, temperature=1.7, max_new_tokens=9, seed=4):
        replay = model.replay(sample, features)
        np.testing.assert_allclose(sample.logprobs, replay.logprobs, atol=1e-4)
        np.testing.assert_allclose(sample.entropy, replay.entropy, atol=1e-3)


def test_a_series_of_samples_goes_on_where_it_stopped(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    whole = model.sample(PROMPT, features, count=6, seed=9, max_new_tokens=8)
    parts = model.sample(PROMPT, features, count=2, seed=9, max_new_tokens=8)
    parts += model.sample(PROMPT, features, count=4, seed=9, max_new_tokens=8, first=2)
    assert [part.text for part in parts] == [sample.text for sample in whole]
    other = model.sample(PROMPT, features, count=6, seed=10, max_new_tokens=8)
    assert [sample.text for sample in other] != [sample.text for sample in whole]


@pytest.mark.parametrize("images", [1, 2])
def test_samples_beside_the_draft_change_neither(model: Gemma3Model, images: int) -> None:
    features = model.encode(picture_study(images))
    options = {"count": 5, "temperature": 1.3, "seed": 2}
    draft, drawn = model.generate_and_sample(PROMPT, features, max_new_tokens=9, **options)
    alone = model.generate(PROMPT, features, max_new_tokens=9)
    assert draft.token_ids.tolist() == alone.token_ids.tolist()
    np.testing.assert_allclose(draft.logprobs, alone.logprobs, atol=1e-4)
    assert draft.rows is not None and alone.rows is not None
    np.testing.assert_allclose(draft.rows.image, alone.rows.image, atol=1e-5)
    np.testing.assert_allclose(draft.rows.generated, alone.rows.generated, atol=1e-5)
    series = model.sample(PROMPT, features, max_new_tokens=9, **options)
    assert [one.token_ids.tolist() for one in drawn] == [one.token_ids.tolist() for one in series]
    assert all(one.rows is None for one in drawn)


def test_a_shortlist_of_candidates_draws_what_the_whole_vocabulary_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(64, 300, generator=generator) * torch.linspace(0.1, 4, 64)[:, None]  # flat to peaked
    uniform = torch.rand(64, generator=generator, dtype=torch.float64)
    for top_p in (0.3, 0.9, 1.0):
        whole = draw(logits, uniform, 0.8, top_p)
        monkeypatch.setattr(decode, "SHORTLIST", 20)
        assert torch.equal(draw(logits, uniform, 0.8, top_p), whole)
        peaked = logits[-8:]
        assert torch.equal(draw(peaked, uniform[-8:], 0.2, top_p), draw(logits, uniform, 0.2, top_p)[-8:])
        monkeypatch.undo()


def test_near_zero_temperature_and_a_small_nucleus_are_greedy(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    greedy = model.generate(PROMPT, features, max_new_tokens=10).token_ids.tolist()
    for options in ({"temperature": 1e-4}, {"top_p": 1e-6}):
        for sample in model.sample(PROMPT, features, count=3, max_new_tokens=10, **options):
            assert sample.token_ids.tolist() == greedy


def test_draws_follow_the_nucleus_of_transformers_warper() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 40) * 2
    temperature, top_p = 0.7, 0.8
    expected = TopPLogitsWarper(top_p)(torch.zeros(1, 1, dtype=torch.long), logits / temperature).softmax(-1)[0]
    count = 100_000
    uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = draw(logits.expand(count, -1), uniform, temperature, top_p)
    frequency = torch.bincount(drawn, minlength=40) / count
    assert (frequency[expected == 0] == 0).all()
    assert (frequency - expected).abs().max() < 2e-4
    assert draw(logits, torch.tensor([1 - 1e-16], dtype=torch.float64), temperature, top_p).item() in expected.nonzero()


def test_sampling_frequencies_match_the_model(model: Gemma3Model) -> None:
    """First tokens of 2,000 samples against the model's own distribution: chi-square within five deviations."""
    features = model.encode(picture_study(1))
    prefill = model.prefill(PROMPT, features)
    expected = prefill.logits.softmax(-1).double().numpy()
    samples = model.sample(PROMPT, features, count=2000, temperature=1.0, top_p=1.0, max_new_tokens=1, prefill=prefill)
    observed = np.bincount([sample.token_ids[0] for sample in samples], minlength=len(expected))
    common = expected * 2000 >= 5
    pooled_observed = np.append(observed[common], observed[~common].sum())
    pooled_expected = np.append(expected[common], expected[~common].sum()) * 2000
    statistic = ((pooled_observed - pooled_expected) ** 2 / pooled_expected).sum()
    freedom = len(pooled_observed) - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_a_forked_cache_leaves_the_original_alone(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    prefill = model.prefill(PROMPT, features)
    before = [(layer.keys.clone(), layer.get_seq_length()) for layer in prefill.cache.layers]
    model.generate(PROMPT, features, max_new_tokens=6, prefill=prefill)
    model.sample(PROMPT, features, count=3, max_new_tokens=6, prefill=prefill)
    assert fork_cache(prefill.cache, 3).layers[0].keys.shape[0] == 3
    for layer, (keys, length) in zip(prefill.cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys) and layer.get_seq_length() == length


def test_a_prefill_of_something_else_is_refused(model: Gemma3Model) -> None:
    features, other = (model.encode(picture_study(1, seed=seed)) for seed in (0, 1))
    prefill = model.prefill(PROMPT, features)
    for prompt, shown in ((Prompt("no"), features), (PROMPT, other)):
        with pytest.raises(MalformedInput, match="another prompt or other pictures"):
            model.generate(prompt, shown, prefill=prefill)
        with pytest.raises(MalformedInput, match="another prompt or other pictures"):
            model.sample(prompt, shown, count=2, prefill=prefill)


def test_refusals(model: Gemma3Model, monkeypatch: pytest.MonkeyPatch) -> None:
    features = model.encode(picture_study(1))
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(DegenerateSampling, match="above 0"):
            model.sample(PROMPT, features, count=2, temperature=temperature)
    for options in ({"count": 0}, {"count": 2, "top_p": 0.0}, {"count": 2, "top_p": 1.5}):
        with pytest.raises(MalformedInput):
            model.sample(PROMPT, features, **options)
    with pytest.raises(MalformedInput, match="at least 1"):
        model.generate(PROMPT, features, max_new_tokens=0)
    monkeypatch.setattr("radiolucent.vlm.memory.free_bytes", lambda device: 1000)
    for run in (lambda: model.generate(PROMPT, features), lambda: model.sample(PROMPT, features, count=2)):
        with pytest.raises(InsufficientMemory, match="free on cpu"):
            run()
    with pytest.raises(InsufficientMemory, match="Encoding"):
        model.encode(picture_study(1, seed=77))


def test_soft_tokens_from_outside_are_what_is_explained(model: Gemma3Model) -> None:
    """The adapter's inputs_embeds path gives the logits of the stock call with pixels."""
    features: Features = model.encode(picture_study(2))
    prefill = model.prefill(PROMPT, features)
    inputs = prefill.inputs
    with torch.no_grad():
        stock = model.module(
            input_ids=torch.tensor(inputs.input_ids)[None],
            token_type_ids=torch.tensor(inputs.token_type_ids)[None],
            pixel_values=features.pixels,
        ).logits[0, -1]
    torch.testing.assert_close(prefill.logits, stock, atol=1e-5, rtol=0)
