import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from radiolucent.confidence.sequential import BATCH, EARLY, LIMIT, decided, sample_until_decided
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import DegenerateSampling, MalformedInput
from radiolucent.findings.types import Finding

sys.path.insert(0, str(Path(__file__).parent))
from test_sampling import PROMPT, extract, report

DRAFT = [Finding("pleural_effusion")]


class Series:
    """Numbered samples: effusion with probability ``p``, drawn once for the whole series."""

    def __init__(self, p, seed=0, length=64):
        said = np.random.default_rng(seed).random(length) < p
        self.reports = [report("effusion" if yes else "clear", ids=(1, i)) for i, yes in enumerate(said)]
        self.prefills, self.calls = 0, []

    def prefill(self, prompt, features):
        self.prefills += 1
        return "read"

    def sample(self, prompt, features, *, count, first, prefill, **options):
        assert prefill == "read"
        self.calls.append((first, count))
        return tuple(self.reports[first : first + count])


def run(series, **options):
    return sample_until_decided(series, PROMPT, None, extract, draft=DRAFT, **options)


def test_a_clear_finding_stops_at_the_first_batch_and_reads_the_prompt_once():
    series = Series(1.0)
    confidence, drawn = run(series)
    assert series.calls == [(0, 4)] and series.prefills == 1
    assert confidence.samples == len(drawn) == 4
    assert confidence.findings[0].present == 4 and confidence.findings[0].low < 0.6
    assert EARLY["en"] in confidence.note


def test_an_open_finding_goes_on_to_the_limit_and_batches_continue_the_series():
    series = Series(0.5, seed=3)
    confidence, drawn = run(series)
    assert series.calls == [(0, 4), (4, 4), (8, 4), (12, 4)] and series.prefills == 1
    assert [int(entry.token_ids[1]) for entry in drawn] == list(range(16))
    assert confidence.samples == LIMIT and EARLY["en"] not in confidence.note


def test_one_open_finding_keeps_all_going():
    series = Series(1.0)
    draft = [*DRAFT, Finding("nodule")]
    read = []

    def every_other_mentions_a_nodule(text):
        read.append(text)
        return [*extract(text), *([Finding("nodule")] if len(read) % 2 else [])]

    confidence, _ = sample_until_decided(series, PROMPT, None, every_other_mentions_a_nodule, draft=draft)
    assert confidence.samples == LIMIT


@pytest.mark.parametrize(("support", "samples"), [(k, n) for n in (4, 8, 16) for k in range(n + 1)])
def test_decided_means_the_posterior_lies_on_one_side_of_one_half(support, samples):
    entry = FindingConfidence("nodule", None, support, 0, samples - support, 0, samples, 0, 1)
    draws = beta.rvs(support + 0.5, samples - support + 0.5, size=200_000, random_state=0)
    above = (draws > 0.5).mean()
    if abs(above - 0.975) > 0.003 and abs(above - 0.025) > 0.003:
        assert decided(entry) == (above > 0.975 or above < 0.025)


def test_clear_findings_take_few_samples_and_are_decided_rightly():
    counts, wrong = [], 0
    for seed in range(200):
        confidence, _ = run(Series(0.95, seed=seed))
        counts.append(confidence.samples)
        wrong += confidence.findings[0].present < confidence.samples / 2
    assert np.mean(counts) < 8 and wrong <= 2


def test_degenerate_sampling_fails_closed():
    with pytest.raises(DegenerateSampling):
        run(Series(1.0), temperature=0)
    short = Series(0.5, seed=3, length=6)
    with pytest.raises(DegenerateSampling, match="2 of 4"):
        run(short)
    stuck = Series(1.0)
    stuck.reports = [report("effusion", probability=0.05)] * 16
    with pytest.raises(DegenerateSampling, match="does not sample"):
        run(stuck, top_p=1.0)


@pytest.mark.parametrize(("batch", "limit"), [(0, 16), (8, 4), (1, 3)])
def test_limits_that_make_no_sense_are_refused(batch, limit):
    with pytest.raises(MalformedInput):
        run(Series(1.0), batch=batch, limit=limit)
    assert BATCH == 4
