"""Confidence from sampled reports: one image encode, one prefill, K continuations, counted with negation understood.

What makes samples unfit to carry a confidence is refused (:class:`DegenerateSampling`): a temperature of 0, fewer
samples than asked for, samples cut off by the length limit, and identical samples that the model's own probabilities
make all but impossible (a sampler that does not sample). Identical samples of a model that is certain are real; they
are counted, the interval stands, and the note says that no spread was observed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from radiolucent.confidence.agreement import agreement, mentioned, term_frequencies
from radiolucent.confidence.intervals import Interval
from radiolucent.confidence.semantic import semantic_entropy
from radiolucent.confidence.types import Confidence
from radiolucent.errors import DegenerateSampling, MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.vlm.types import Features, Generation, Prompt

LEAST_SAMPLES = 4  # all-agree lower bound (Jeffreys) 0.55; below it no share can be told from a coin
IMPOSSIBLE = 1e-3  # identical samples less likely than this by the model's own probabilities: the sampler is broken

UNCALIBRATED = {
    "en": "Share of sampled reports that agree, not a probability: uncalibrated.",
    "zh": "为采样报告的一致比例，并非概率：未经校准。",
}
IDENTICAL = {
    "en": "All samples are identical, no spread was observed: the interval rests on the model's own certainty.",
    "zh": "所有采样完全相同，未观察到差异：该区间仅反映模型自身的确定程度。",
}

Extract = Callable[[str], Sequence[Finding]]


class Sampler(Protocol):
    """The part of a model adapter that sampling needs."""

    def sample(
        self,
        prompt: Prompt,
        features: Features,
        *,
        count: int,
        temperature: float,
        top_p: float,
        seed: int,
        max_new_tokens: int,
    ) -> tuple[Generation, ...]: ...


def sample_confidence(
    model: Sampler,
    prompt: Prompt,
    features: Features,
    extract: Extract,
    *,
    draft: Sequence[Finding] | None = None,
    samples: int = 10,
    temperature: float = 0.7,
    top_p: float = 0.9,
    seed: int = 0,
    max_new_tokens: int = 256,
    interval: Interval = "jeffreys",
    level: float = 0.95,
) -> Confidence:
    """Draw reports and count how far they agree with each finding of the draft.

    Parameters
    ----------
    extract
        Report text -> findings, such as :func:`radiolucent.findings.extract_findings`.
    draft
        Findings of the report shown to people; each gets an entry. None: every code that a sample mentions gets one,
        asked as "present" without a side.
    samples
        Reports drawn, at least ``LEAST_SAMPLES``.
    temperature, top_p, seed
        Of the sampling; the temperature must be above 0.
    interval, level
        Rule and coverage of each interval.

    Raises
    ------
    DegenerateSampling
        Where the samples cannot carry a confidence; see the module's text.
    """
    drawn = draw_reports(
        model,
        prompt,
        features,
        samples=samples,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_new_tokens=max_new_tokens,
    )
    reports = [tuple(extract(report.text)) for report in drawn]
    entropy, meanings = semantic_entropy(reports)
    return Confidence(
        findings=agreement(mentioned(reports) if draft is None else draft, reports, rule=interval, level=level),
        samples=len(drawn),
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        note=sampling_note(drawn, prompt.language),
        terms=term_frequencies(reports),
        entropy=entropy,
        meanings=meanings,
    )


def draw_reports(
    model: Sampler,
    prompt: Prompt,
    features: Features,
    *,
    samples: int = 10,
    temperature: float = 0.7,
    top_p: float = 0.9,
    seed: int = 0,
    max_new_tokens: int = 256,
) -> tuple[Generation, ...]:
    """Sampled reports that passed the checks; arguments and errors as in :func:`sample_confidence`."""
    if samples < LEAST_SAMPLES:
        raise MalformedInput(f"{samples} samples are too few to tell anything; draw at least {LEAST_SAMPLES}.")
    if not 0 < top_p <= 1:
        raise MalformedInput(f"top_p = {top_p} is not inside (0, 1].")
    if not temperature > 0:
        raise DegenerateSampling(
            f"At temperature {temperature} every sample is the same report; sample at 0.7 to 1.0 to see a spread."
        )
    drawn = model.sample(
        prompt,
        features,
        count=samples,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_new_tokens=max_new_tokens,
    )
    examine(drawn, samples=samples, temperature=temperature, top_p=top_p)
    return drawn


def examine(drawn: Sequence[Generation], *, samples: int, temperature: float, top_p: float) -> None:
    """Refuse samples that cannot carry a confidence.

    Raises
    ------
    DegenerateSampling
        Where samples are missing, empty, cut off, or identical against the model's own probabilities.
    """
    if len(drawn) < samples:
        raise DegenerateSampling(f"{len(drawn)} of {samples} samples came back; no confidence is given.")
    cut = sum(report.finish == "length" for report in drawn)
    if cut:
        raise DegenerateSampling(
            f"{cut} of {len(drawn)} samples were cut off by the length limit, so that findings may be missing from "
            "them; raise max_new_tokens."
        )
    if any(not report.text.strip() for report in drawn):
        raise DegenerateSampling("At least one sample holds no text; no confidence is given.")
    if identical(drawn):
        likely = (len(drawn) - 1) * log_probability_bound(drawn[0], temperature=temperature, top_p=top_p)
        if likely < math.log(IMPOSSIBLE):
            raise DegenerateSampling(
                f"All {len(drawn)} samples are identical, though the model's own probabilities make that less likely "
                f"than 1 in {1 / IMPOSSIBLE:.0f}: the sampler does not sample. Check its seed and temperature."
            )


def identical(drawn: Sequence[Generation]) -> bool:
    """True where every sample holds the same tokens."""
    return all(np.array_equal(report.token_ids, drawn[0].token_ids) for report in drawn[1:])


def sampling_note(drawn: Sequence[Generation], language: str) -> str:
    """The sentence shown beside the numbers."""
    spoken = "zh" if language == "zh" else "en"
    if not identical(drawn):
        return UNCALIBRATED[spoken]
    return IDENTICAL[spoken] + (" " if spoken == "en" else "") + UNCALIBRATED[spoken]


def log_probability_bound(report: Generation, *, temperature: float, top_p: float) -> float:
    """Upper bound of the log-probability (nats) of drawing this very report at ``temperature`` and ``top_p``.

    Each token's tempered probability is normalised over its five known candidates and itself only, which can but
    overstate it; the nucleus is cut there too.
    """
    total = 0.0
    for token, logprob, candidates in zip(report.token_ids, report.logprobs, report.alternatives, strict=True):
        known = {entry.token_id: entry.logprob for entry in candidates}
        known[int(token)] = float(logprob)
        own = float(np.exp(known[int(token)] / temperature))
        weights = np.sort(np.exp(np.array(list(known.values())) / temperature))[::-1]
        cumulative = np.cumsum(weights)
        nucleus = int(np.searchsorted(cumulative, top_p * cumulative[-1]))
        last = max(nucleus, int(np.sum(weights > own * (1 + 1e-9))))  # the token was drawn, so the nucleus reaches it
        total += math.log(own / cumulative[min(last, len(weights) - 1)])
    return total
