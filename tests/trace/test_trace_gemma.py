"""Trace, grade and sampling on a stock Gemma 3, the trace against the bare module."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.trace.build import build_trace
from radiolucent.vlm.perturb import blank_features

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from tiny_gemma import sampled


def bare_logprobs(model, generation, pixels):
    module = copy.deepcopy(model.module)
    module.set_attn_implementation("eager")
    prompt = generation.prompt_inputs
    ids = torch.from_numpy(np.concatenate([prompt.input_ids, generation.token_ids]))[None]
    types = torch.from_numpy(np.concatenate([prompt.token_type_ids, np.zeros_like(generation.token_ids)]))[None]
    with torch.no_grad():
        logits = module(input_ids=ids, pixel_values=pixels, token_type_ids=types).logits[0]
    before = len(prompt.input_ids) - 1
    rows = logits[before : before + len(generation.token_ids)].log_softmax(dim=-1)
    return rows.gather(1, torch.from_numpy(generation.token_ids)[:, None])[:, 0].numpy(), rows


@pytest.mark.parametrize("images", [1, 2])
def test_probabilities_and_image_reliance_equal_the_bare_modules(images):
    model, features, generation = sampled(images)
    trace = build_trace(model, features, generation)
    assert len(trace.words) == len(generation.words) > 0
    with_picture, rows = bare_logprobs(model, generation, features.pixels)
    without, _ = bare_logprobs(model, generation, blank_features(model, features).pixels)
    entropy = -(rows.exp() * rows).sum(dim=1).numpy()
    for word in trace.words:
        first, last = word.tokens
        assert word.logprob == pytest.approx(with_picture[first:last].sum(), abs=1e-4)
        assert word.probability == pytest.approx(np.exp(with_picture[first:last].sum()), rel=1e-3)
        assert word.image_reliance == pytest.approx((with_picture - without)[first:last].sum(), abs=1e-4)
        assert word.entropy == pytest.approx(entropy[first], abs=1e-4)
        assert len(word.alternatives) == 5
        assert word.attended.shape == (3, images, 4, 4)
    assert trace.layer_types == ("sliding", "global", "sliding")
