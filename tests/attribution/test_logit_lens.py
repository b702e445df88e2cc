"""The logit lens against hidden states of the stock call, all logits at once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from eager_oracle import cells, grids, read
from tiny_gemma import sampled

from radiolucent.attribution import logit_lens as lens
from radiolucent.attribution.logit_lens import content_tokens, logit_lens, logit_lenses
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target, Word

TARGETS = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301))]


def with_words(generation, *texts):
    """The generation with one word a token, as given."""
    words = tuple(Word(text, (place, place + 1), (place, place + 1)) for place, text in enumerate(texts))
    return replace(generation, words=words)


def oracle(case, index, token_lists):
    """Mean log p of tokens at every image position, after decoder layer ``index``."""
    _, _, hidden, module = read(case, case[2].token_ids)
    decoder = module.model.language_model
    last = index == len(decoder.layers) - 1
    states = hidden[index + 1][0, cells(case[2])]  # transformers gives the last one normed
    logits = module.lm_head(states if last else decoder.norm(states))
    logprobs = logits.log_softmax(dim=-1).detach().numpy()
    return [logprobs[:, tokens].mean(axis=1) for tokens in token_lists]


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize(("layer", "index"), [("middle", 1), ("last", 2), (0, 0), (-3, 0)])
def test_values_are_log_probabilities_at_the_image_positions(images, target, layer, index):
    model, features, generation = sampled(images)
    generation = with_words(generation, *"abcdef")
    made = logit_lens(model, features, generation, target, layer=layer)
    span = generation.token_ids[slice(*target.tokens)].tolist()
    own, foil = oracle((model, features, generation), index, [span, list(target.foil or span)])
    expected = own - foil if target.foil else own
    np.testing.assert_allclose(made.values, grids(expected - expected.mean(), images), atol=2e-4)
    assert (made.method, made.claim, made.units) == ("logit_lens", "plausible", "nats")
    assert (made.forwards, made.backwards) == (1, 0)


def test_only_words_count_and_the_first_one_alone_where_asked_for():
    model, features, generation = sampled(1)
    generation = with_words(generation, ".", "no", ",", "effusion", "seen", ".")
    ids = generation.token_ids.tolist()
    assert content_tokens(generation, (0, 6)) == [ids[1], ids[3], ids[4]]
    assert content_tokens(generation, (2, 3)) == [ids[2]]
    target = Target((0, 5), foil=(300, 301))
    first = logit_lens(model, features, generation, target, words="first").values
    own, foil = oracle((model, features, generation), 1, [[ids[1]], [300]])
    np.testing.assert_allclose(first.ravel(), own - foil - (own - foil).mean(), atol=2e-4)


def test_several_targets_come_from_one_pass_and_do_not_depend_on_the_answer(monkeypatch):
    model, features, generation = sampled(2)
    calls = []
    stock = lens.forced_logits
    monkeypatch.setattr(lens, "forced_logits", lambda *args, **options: calls.append(1) or stock(*args, **options))
    made = logit_lenses(model, features, generation, TARGETS)
    assert len(calls) == 1 and all(one.forwards == 1 for one in made)
    other = replace(generation, token_ids=generation.token_ids[[2, 0, 1, 3, 4, 5]], words=())
    alone = logit_lens(model, features, other, Target((1, 2)))
    np.testing.assert_allclose(made[0].values, alone.values, atol=1e-6)


def test_cells_are_read_some_at_a_time(monkeypatch):
    model, features, generation = sampled(2)
    whole = logit_lens(model, features, generation, TARGETS[1]).values
    largest = []
    head = model.module.lm_head
    handle = head.register_forward_hook(lambda module, given, output: largest.append(len(output)))
    monkeypatch.setattr(lens, "LOGITS_BYTES", 4 * 5 * model.module.config.text_config.vocab_size)
    parts = logit_lens(model, features, generation, TARGETS[1]).values
    handle.remove()
    assert max(largest) == 5
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_bad_choices_are_refused():
    model, features, generation = sampled(1)
    for options in ({"layer": "first"}, {"layer": 3}, {"layer": -4}, {"words": "all"}):
        with pytest.raises(MalformedInput):
            logit_lens(model, features, generation, TARGETS[0], **options)
    assert not torch.is_grad_enabled() or not model.module.lm_head._forward_hooks
