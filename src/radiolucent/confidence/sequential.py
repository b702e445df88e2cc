"""Sampling that stops when every finding is decided: batches of four from one prefill, sixteen at most.

A finding is decided when the Jeffreys posterior of its supporting share puts less than 2.5 % on either side of one
half. Clear reports stop at four to eight samples, ambiguous ones go to the limit. Looking more than once makes the
intervals a little too narrow: a heuristic, said so in the note; a confidence sequence would be rigorous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from scipy.stats import beta

from radiolucent.confidence.agreement import agreement, term_frequencies
from radiolucent.confidence.intervals import Interval
from radiolucent.confidence.sampling import Extract, examine, sampling_note
from radiolucent.confidence.semantic import semantic_entropy
from radiolucent.confidence.types import Confidence, FindingConfidence
from radiolucent.errors import DegenerateSampling, MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.vlm.types import Features, Generation, Prompt

BATCH = 4
LIMIT = 16
UNDECIDED = (0.025, 0.975)  # posterior mass above one half between which a finding is open

EARLY = {
    "en": "Sampling stopped early, at a decision.",
    "zh": "采样在结果明确后提前停止。",
}


class ContinuingSampler(Protocol):
    """A model adapter that can read the prompt once and go on sampling from there."""

    def prefill(self, prompt: Prompt, features: Features) -> Any:
        """The prompt and the pictures, read once."""

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
        first: int,
        prefill: Any,
    ) -> tuple[Generation, ...]:
        """``count`` further samples of the series that ``seed`` names, from number ``first`` on."""


def sample_until_decided(
    model: ContinuingSampler,
    prompt: Prompt,
    features: Features,
    extract: Extract,
    *,
    draft: Sequence[Finding],
    batch: int = BATCH,
    limit: int = LIMIT,
    temperature: float = 0.7,
    top_p: float = 0.9,
    seed: int = 0,
    max_new_tokens: int = 256,
    interval: Interval = "jeffreys",
    level: float = 0.95,
    drawn: Sequence[Generation] = (),
    prefill: Any = None,
) -> tuple[Confidence, tuple[Generation, ...]]:
    """Confidence as :func:`radiolucent.confidence.sampling.sample_confidence` gives it, and the samples drawn.

    Parameters
    ----------
    batch, limit
        Samples drawn together, and in all at most.
    drawn
        Samples of the same series that are there already, such as those written beside the draft.
    prefill
        Of the same prompt and features; read once, and only if more samples are needed, where None.

    Raises
    ------
    DegenerateSampling
        Where the samples cannot carry a confidence.
    """
    if not 1 <= batch <= limit or limit < BATCH:
        raise MalformedInput(f"batch={batch}, limit={limit}: expected 1 <= batch <= limit and limit >= {BATCH}.")
    if not temperature > 0:
        raise DegenerateSampling(
            f"At temperature {temperature} every sample is the same report; sample at 0.7 to 1.0 to see a spread."
        )
    samples = list(drawn[:limit])
    reports = [tuple(extract(report.text)) for report in samples]
    while not _enough(draft, reports, limit, interval, level):
        start = model.prefill(prompt, features) if prefill is None else prefill
        prefill = start
        count = min(batch, limit - len(samples))
        more = model.sample(
            prompt,
            features,
            count=count,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            max_new_tokens=max_new_tokens,
            first=len(samples),
            prefill=start,
        )
        if len(more) < count:
            raise DegenerateSampling(f"{len(more)} of {count} samples came back; no confidence is given.")
        samples += more
        reports += [tuple(extract(report.text)) for report in more]
    examine(samples, samples=len(samples), temperature=temperature, top_p=top_p)
    language = "zh" if prompt.language == "zh" else "en"
    note = sampling_note(samples, language)
    if len(samples) < limit:
        note = EARLY[language] + (" " if language == "en" else "") + note
    entropy, meanings = semantic_entropy(reports)
    confidence = Confidence(
        agreement(draft, reports, rule=interval, level=level),
        len(samples),
        temperature,
        top_p,
        seed,
        note=note,
        terms=term_frequencies(reports),
        entropy=entropy,
        meanings=meanings,
    )
    return confidence, tuple(samples)


def _enough(
    draft: Sequence[Finding], reports: Sequence[Sequence[Finding]], limit: int, interval: Interval, level: float
) -> bool:
    if len(reports) >= limit:
        return True
    if len(reports) < BATCH:
        return False
    return all(decided(entry) for entry in agreement(draft, reports, rule=interval, level=level))


def decided(entry: FindingConfidence) -> bool:
    """Whether the posterior of the supporting share lies on one side of one half."""
    above = float(beta.sf(0.5, entry.support + 0.5, entry.samples - entry.support + 0.5))
    return not UNDECIDED[0] <= above <= UNDECIDED[1]
