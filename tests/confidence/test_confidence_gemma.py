"""Probes and samples on a stock Gemma 3 of random weights, the probe against the bare module."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.confidence.probe import NO, YES, probe, questions
from radiolucent.confidence.sampling import sample_confidence
from radiolucent.errors import DegenerateSampling
from radiolucent.trace.reliance import drawn_film
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from tiny_gemma import PROMPT, study, tiny_model


@pytest.mark.parametrize("language", ["en", "zh"])
def test_probe_equals_the_bare_modules_softmax_averaged_over_wordings(language):
    model = tiny_model()
    features = model.encode(study())
    blank = blank_features(model, features)
    (answer,) = probe(model, features, ["pleural_effusion"], language=language, without=blank)

    module = copy.deepcopy(model.module)
    module.set_attn_implementation("eager")

    def log_p(question, text, pixels):
        inputs = model.prompt_inputs(Prompt(question, language), features)
        said = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*inputs.input_ids, *said]])
        types = torch.tensor([[*inputs.token_type_ids, *[0] * len(said)]])
        with torch.no_grad():
            rows = module(input_ids=ids, pixel_values=pixels, token_type_ids=types).logits[0].log_softmax(dim=-1)
        return sum(float(rows[len(inputs.input_ids) - 1 + i, token]) for i, token in enumerate(said))

    def written(texts):
        unknown = model.tokenizer.unk_token_id
        return [t for t in texts if unknown not in model.tokenizer(t, add_special_tokens=False)["input_ids"]]

    def margins(pixels):
        pooled = []
        for question in questions("pleural_effusion", language):
            yes, no = (sum(np.exp(log_p(question, t, pixels)) for t in written(s[language])) for s in (YES, NO))
            pooled.append((np.log(yes / no), yes + no))
        return np.array(pooled)

    shown = margins(features.pixels)
    assert answer.margin == pytest.approx(shown[:, 0].mean(), abs=1e-4)
    assert answer.spread == pytest.approx(shown[:, 0].std(), abs=1e-4)
    assert answer.answered == pytest.approx(shown[:, 1].mean(), rel=1e-3)
    assert answer.lift == pytest.approx(shown[:, 0].mean() - margins(blank.pixels)[:, 0].mean(), abs=2e-4)


def test_samples_that_ramble_to_the_limit_fail_closed_and_encode_nothing():
    model = tiny_model()
    features = model.encode(study())
    before = model.encodes
    with pytest.raises(DegenerateSampling, match="cut off"):
        sample_confidence(model, PROMPT, features, lambda text: [], samples=4, max_new_tokens=3)
    assert model.encodes == before


def test_replacing_pictures_are_asked_about_once_and_again_when_the_weights_change(monkeypatch):
    model = tiny_model()
    features = model.encode(study())
    replaced = {"without": blank_features(model, features), "other": drawn_film(model, features)}
    read = []
    prefill = type(model).prefill_inputs

    def counted(self, *given, **named):
        read.append(1)
        return prefill(self, *given, **named)

    monkeypatch.setattr(type(model), "prefill_inputs", counted)
    first = probe(model, features, ["nodule", "mass"], **replaced)
    assert len(read) == 3
    again = probe(model, features, ["mass"], **replaced)
    assert len(read) == 4  # the picture itself
    assert (again[0].yes_without, again[0].yes_other) == (first[1].yes_without, first[1].yes_other)
    probe(model, features, ["mass"], language="zh", **replaced)
    assert len(read) == 7
    with torch.no_grad():
        next(model.module.parameters()).add_(0.0)  # changed in place, as randomisation checks do
    probe(model, features, ["mass"], **replaced)
    assert len(read) == 10
