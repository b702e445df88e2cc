"""Probes and samples on a stock Gemma 3 of random weights, the probe against the bare module."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.confidence.probe import ANSWERS, probe, question
from radiolucent.confidence.sampling import sample_confidence
from radiolucent.errors import DegenerateSampling
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from tiny_gemma import PROMPT, study, tiny_model


@pytest.mark.parametrize("language", ["en", "zh"])
def test_probe_equals_the_bare_modules_softmax_over_whole_answers(language):
    model = tiny_model()
    features = model.encode(study())
    blank = blank_features(model, features)
    (answer,) = probe(model, features, ["pleural_effusion"], language=language, without=blank)

    module = copy.deepcopy(model.module)
    module.set_attn_implementation("eager")
    inputs = model.prompt_inputs(Prompt(question("pleural_effusion", language), language), features)

    def log_p(text, pixels):
        said = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*inputs.input_ids, *said]])
        types = torch.tensor([[*inputs.token_type_ids, *[0] * len(said)]])
        with torch.no_grad():
            rows = module(input_ids=ids, pixel_values=pixels, token_type_ids=types).logits[0].log_softmax(dim=-1)
        return sum(float(rows[len(inputs.input_ids) - 1 + i, token]) for i, token in enumerate(said))

    yes, no = (np.exp(log_p(text, features.pixels)) for text in ANSWERS[language])
    assert answer.yes == pytest.approx(yes / (yes + no), abs=1e-5)
    assert answer.answered == pytest.approx(yes + no, rel=1e-3)
    yes, no = (np.exp(log_p(text, blank.pixels)) for text in ANSWERS[language])
    assert answer.yes_without == pytest.approx(yes / (yes + no), abs=1e-5)


def test_samples_that_ramble_to_the_limit_fail_closed_and_encode_nothing():
    model = tiny_model()
    features = model.encode(study())
    before = model.encodes
    with pytest.raises(DegenerateSampling, match="cut off"):
        sample_confidence(model, PROMPT, features, lambda text: [], samples=4, max_new_tokens=3)
    assert model.encodes == before
