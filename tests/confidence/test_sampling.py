"""Sampling with a sampler whose reports are known, so that every refusal can be provoked."""

import math
from dataclasses import replace

import numpy as np
import pytest

from radiolucent.confidence.sampling import IDENTICAL, examine, log_probability_bound, sample_confidence
from radiolucent.errors import DegenerateSampling, MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.vlm.types import Alternative, Generation, Prompt, PromptInputs

PROMPT = Prompt("Describe the film.")


def report(text, ids=(1, 2, 3), probability=0.99, finish="stop"):
    ids = np.array(ids)
    logprob = math.log(probability)
    other = math.log((1 - probability) / 4)
    candidates = tuple(
        (
            *(Alternative(int(token), "t", logprob) for token in [token]),
            *(Alternative(100 + index, "o", other) for index in range(4)),
        )
        for token in ids
    )
    return Generation(
        text=text,
        thinking="",
        words=(),
        token_ids=ids,
        logprobs=np.full(len(ids), logprob, dtype=np.float32),
        entropy=np.zeros(len(ids), dtype=np.float32),
        alternatives=candidates,
        image_spans=(),
        prompt=PROMPT,
        prompt_inputs=PromptInputs(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), ()),
        finish=finish,
    )


class Sampler:
    def __init__(self, reports):
        self.reports, self.asked = reports, []

    def sample(self, prompt, features, **options):
        self.asked.append(options)
        return tuple(self.reports)


def extract(text):
    return [Finding("pleural_effusion", "absent" if "no " in text else "present")] if "effusion" in text else []


MIXED = [report(f"effusion {i}", ids=(1, i)) for i in range(7)] + [
    report("no effusion", ids=(1, 20)),
    report("clear", ids=(1, 21)),
    report("effusion, large", ids=(1, 22)),
]


def confidence(reports, **options):
    sampler = Sampler(reports)
    options = {"draft": [Finding("pleural_effusion")], "samples": len(reports), **options}
    return sample_confidence(sampler, PROMPT, None, extract, **options), sampler


def test_one_call_draws_all_samples_so_that_they_share_one_prefill():
    result, sampler = confidence(MIXED, seed=5)
    assert len(sampler.asked) == 1
    assert sampler.asked[0]["count"] == 10 and sampler.asked[0]["seed"] == 5
    (entry,) = result.findings
    assert (entry.present, entry.absent, entry.silent) == (8, 1, 1)
    assert (result.samples, result.temperature, result.seed, result.calibrated) == (10, 0.7, 5, False)
    assert "uncalibrated" in result.note


def test_without_a_draft_every_mentioned_code_gets_an_entry():
    result, _ = confidence(MIXED, draft=None)
    assert [entry.code for entry in result.findings] == ["pleural_effusion"]


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_temperature_zero_fails_closed(temperature):
    with pytest.raises(DegenerateSampling, match="temperature"):
        confidence(MIXED, temperature=temperature)


def test_a_short_return_fails_closed():
    with pytest.raises(DegenerateSampling, match="9 of 10"):
        confidence(MIXED[:9], samples=10)


def test_a_cut_or_empty_sample_fails_closed():
    with pytest.raises(DegenerateSampling, match="cut off"):
        confidence([*MIXED[:9], replace(MIXED[9], finish="length")])
    with pytest.raises(DegenerateSampling, match="no text"):
        confidence([*MIXED[:9], replace(MIXED[9], text=" ")])


def test_too_few_samples_are_refused():
    with pytest.raises(MalformedInput, match="too few"):
        confidence(MIXED[:3])


def test_identical_samples_of_a_certain_model_are_counted_and_said_to_be_identical():
    result, _ = confidence([report("effusion", probability=0.999)] * 10)
    (entry,) = result.findings
    assert entry.present == 10
    assert (round(entry.low, 2), entry.high) == (0.78, 1.0)
    assert IDENTICAL["en"] in result.note
    assert "100" not in result.note


def test_identical_samples_against_the_models_own_probabilities_fail_closed():
    with pytest.raises(DegenerateSampling, match="does not sample"):
        confidence([report("effusion", probability=0.4)] * 10, top_p=1.0)


def test_the_nucleus_can_make_identical_samples_honest():
    """At top_p 0.3 a token of p = 0.4 is the whole nucleus: a correct sampler always draws it."""
    result, _ = confidence([report("effusion", probability=0.4)] * 10, top_p=0.3)
    assert IDENTICAL["en"] in result.note


@pytest.mark.parametrize("temperature", [0.5, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("top_p", [0.5, 0.9, 1.0])
def test_the_bound_is_never_below_the_true_log_probability(temperature, top_p):
    """Oracle: the exact tempered nucleus over a full vocabulary, of which only five entries are told."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        logits = rng.normal(0, 2, 40)
        logp = logits - np.log(np.exp(logits).sum())
        order = np.argsort(-logp)
        token = int(rng.choice(40, p=np.exp(logp)))
        tempered = np.exp(logp / temperature)
        tempered /= tempered.sum()
        before = np.concatenate([[0], np.cumsum(tempered[order])[:-1]])
        nucleus = order[before < top_p]
        if token not in nucleus:
            continue
        exact = math.log(tempered[token] / tempered[nucleus].sum())
        drawn = replace(
            report("x", ids=(token,)),
            logprobs=np.array([logp[token]], dtype=np.float32),
            alternatives=(tuple(Alternative(int(i), "", float(logp[i])) for i in order[:5]),),
        )
        assert log_probability_bound(drawn, temperature=temperature, top_p=top_p) >= exact - 1e-5


def test_notes_speak_the_prompts_language():
    chinese = [replace(entry, prompt=Prompt("描述", language="zh")) for entry in MIXED]
    result = sample_confidence(
        Sampler(chinese), Prompt("描述", language="zh"), None, extract, draft=[Finding("pleural_effusion")]
    )
    assert "未经校准" in result.note


def test_examine_accepts_samples_that_differ():
    examine(MIXED, samples=10, temperature=0.7, top_p=0.9)
