"""What a model says of films whose findings are known: one line of numbers a film, kept as it goes.

Each finding of a draft is right or not, and has its signals and the scores that these are compared with. Films that are
done are kept in a file: an interrupted run goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from radiolucent.attribution.targets import finding_target
from radiolucent.calibrate.cases import TrueCase, is_right
from radiolucent.calibrate.kept import Kept
from radiolucent.confidence.agreement import agreement
from radiolucent.confidence.calibration import PACKAGED_OTHER, Labelled
from radiolucent.confidence.probe import NO, YES, ProbeAnswer, probe
from radiolucent.confidence.sampling import examine
from radiolucent.confidence.semantic import semantic_entropy
from radiolucent.confidence.sequential import BATCH, LIMIT, decided
from radiolucent.confidence.signals import Signals, signals
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import DegenerateSampling, MalformedInput, TargetNotFound
from radiolucent.findings import Finding, extract_findings
from radiolucent.findings.names import describe
from radiolucent.trace.reliance import drawn_film
from radiolucent.vlm.answers import answer_logprobs
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Features, Generation, Language, Prompt

P_TRUE: Mapping[str, str] = {"en": "The report says: {}. Is that right?", "zh": "报告写道：{}。对吗？"}
TEMPERATURE, TOP_P = 0.7, 0.9
FORMAT = "radiolucent.observed 1"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Observed:
    """One finding of one draft: its label with its signals, and the scores that it is compared with.

    Parameters
    ----------
    labelled
        With the signals that :func:`radiolucent.explain` has: of the samples drawn until a decision.
    full_support
        The signal ``support`` over all samples.
    frequency
        Share of all samples that say the same; ``early`` of those drawn until a decision, ``drawn`` of them.
    sequence
        log p of the whole report, nats.
    p_true
        Share of *yes* when asked whether the finding as written is right.
    entropy
        Semantic entropy of all samples of the film, nats.
    """

    labelled: Labelled
    full_support: float
    frequency: float
    early: float
    drawn: int
    sequence: float
    p_true: float
    entropy: float

    @property
    def full(self) -> Signals:
        """The signals over all samples."""
        return replace(self.labelled.signals, support=self.full_support)


@dataclass(frozen=True)
class Observations:
    """Everything that was observed.

    Parameters
    ----------
    films
        That were shown.
    unfit
        Film -> why its samples could not carry a confidence; it has no findings here.
    """

    findings: tuple[Observed, ...]
    films: int
    unfit: Mapping[str, str]


def observe(
    model: Gemma3Model,
    cases: Iterable[TrueCase],
    prompt: Prompt,
    *,
    samples: int = LIMIT,
    seed: int = 0,
    max_new_tokens: int = 256,
    kept: Path | None = None,
    say: Say | None = None,
) -> Observations:
    """Let the model report on every case and judge every finding of its drafts.

    Parameters
    ----------
    samples, seed
        Reports drawn of each film, and of the drawing.
    kept
        File of finished films, one JSON line each; those that it holds already are not run again.

    Raises
    ------
    MalformedInput
        Where no finding could be judged, or ``kept`` was written with other settings.
    """
    settings = {
        "format": FORMAT,
        "weights_sha256": model.weights_hash,
        "question": prompt.question,
        "language": prompt.language,
        "samples": samples,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "other": PACKAGED_OTHER,
    }
    done = Kept(kept, settings)
    seen: list[Observed] = []
    unfit: dict[str, str] = {}
    films = 0
    for films, case in enumerate(cases, start=1):
        if case.name not in done.films:
            found, fault = _observed(model, case, prompt, samples, seed, max_new_tokens)
            done.add(case.name, {"fault": fault, "findings": [asdict(one) for one in found]})
        row = done.films[case.name]
        seen += [_read(one) for one in row["findings"]]
        if row["fault"] is not None:
            unfit[case.name] = row["fault"]
        if say is not None:
            wrong = sum(not one.labelled.right for one in seen)
            say(f"{films} films, {len(seen)} findings, {wrong} wrong, {len(unfit)} films without a confidence")
    if not seen:
        raise MalformedInput("No finding of any report could be judged; give cases whose codes the model reports.")
    return Observations(tuple(seen), films, unfit)


def _observed(
    model: Gemma3Model, case: TrueCase, prompt: Prompt, samples: int, seed: int, max_new_tokens: int
) -> tuple[list[Observed], str | None]:
    """A film's findings; none, and why, where its samples cannot carry a confidence."""
    features = model.encode(case.study)
    draft, drawn = model.generate_and_sample(
        prompt,
        features,
        count=samples,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        seed=seed,
        max_new_tokens=max_new_tokens,
        capture=False,
    )
    try:
        examine(drawn, samples=samples, temperature=TEMPERATURE, top_p=TOP_P)
    except DegenerateSampling as error:
        return [], str(error)
    findings = tuple(extract_findings(draft.text, prompt.language))
    judged = [(finding, is_right(finding, case.truth)) for finding in findings]
    if all(right is None for _, right in judged):
        return [], None
    reports = [tuple(extract_findings(one.text, prompt.language)) for one in drawn]
    entries = agreement(findings, reports)
    early = _until_decided(findings, reports)
    entropy, _ = semantic_entropy(reports)
    codes = list(dict.fromkeys(finding.code for finding in findings))
    asked = dict(zip(codes, _asked(model, features, codes, prompt.language), strict=True))
    true = _p_true(model, features, findings, prompt.language)
    made = []
    for place, (finding, right) in enumerate(judged):
        tokens = _tokens(draft, finding, findings)
        if right is None or tokens is None:
            continue
        entry, soon, answer = entries[place], early[place], asked[finding.code]
        known = signals(soon, answer, draft, tokens)
        made.append(
            Observed(
                labelled=Labelled(case.name, finding.code, finding.polarity, known, right),
                full_support=signals(entry, answer, draft, tokens).support,
                frequency=entry.support / entry.samples,
                early=soon.support / soon.samples,
                drawn=soon.samples,
                sequence=float(draft.logprobs.sum(dtype=np.float64)),
                p_true=true[place],
                entropy=entropy,
            )
        )
    return made, None


def _asked(model: Gemma3Model, features: Features, codes: Sequence[str], language: Language) -> tuple[ProbeAnswer, ...]:
    blank, other = blank_features(model, features), drawn_film(model, features)
    return probe(model, features, codes, language=language, without=blank, other=other)


def _until_decided(findings: Sequence[Finding], reports: Sequence[Sequence[Finding]]) -> tuple[FindingConfidence, ...]:
    for count in range(BATCH, len(reports) + 1, BATCH):
        entries = agreement(findings, reports[:count])
        if all(decided(entry) for entry in entries):
            return entries
    return agreement(findings, reports)


def _tokens(draft: Generation, finding: Finding, findings: Sequence[Finding]) -> tuple[int, int] | None:
    try:
        return finding_target(draft, finding, findings).tokens
    except TargetNotFound:
        return None


def _p_true(model: Gemma3Model, features: Features, findings: Sequence[Finding], language: Language) -> list[float]:
    """P(True) of Kadavath et al. 2022 (arXiv 2207.05221), asked of each finding as people would read it."""
    prompts = [Prompt(P_TRUE[language].format(describe(finding, language)), language) for finding in findings]
    answers = answer_logprobs(model, prompts, features, [YES[language][0], NO[language][0]]).astype(np.float64)
    return [1 / (1 + math.exp(min(float(no - yes), 700.0))) for yes, no in answers]


def _read(row: Mapping[str, Any]) -> Observed:
    label = {**row["labelled"], "signals": Signals(**row["labelled"]["signals"])}
    return Observed(**{**row, "labelled": Labelled(**label)})
