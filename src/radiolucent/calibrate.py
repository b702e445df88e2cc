"""Confidence against truth: a model reports on films whose findings are known; each of its findings is right or not.

What is collected serves two ends: :func:`radiolucent.confidence.calibration.fit`, and the comparison of confidence
scores with each other (sampling frequency, sequence probability, P(True)), all measured in the same run.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.targets import finding_target
from radiolucent.confidence.agreement import agreement, sides_meet
from radiolucent.confidence.calibration import Calibration, Labelled, fit, save
from radiolucent.confidence.plots import plot_reliability, plot_risk_coverage
from radiolucent.confidence.probe import NO, YES, probe
from radiolucent.confidence.scores import auroc, interval, risk_coverage
from radiolucent.confidence.sequential import BATCH, LIMIT, decided
from radiolucent.confidence.signals import signals
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.findings import Finding, extract_findings
from radiolucent.findings.names import describe
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.phantom.record import CODES as PHANTOM_CODES
from radiolucent.study import Study, load_study
from radiolucent.vlm.answers import answer_logprobs
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Features, Generation, Language, Prompt

P_TRUE: Mapping[str, str] = {"en": "The report says: {}. Is that right?", "zh": "报告写道：{}。对吗？"}
COLUMNS = ("film", "code", "present")

Side = str | None
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TrueCase:
    """A film whose findings are known.

    Parameters
    ----------
    name
        Of the patient, free of identifiers; folds never split one.
    truth
        Code -> the patient's sides on which it is; empty where it is not. Codes that are missing are not judged.
    """

    name: str
    study: Study
    truth: Mapping[str, frozenset[Side]]


@dataclass(frozen=True)
class Observed:
    """One finding of one draft: its label with its signals, and the scores that it is compared with.

    Parameters
    ----------
    frequency
        Share of all samples that say the same; ``early`` of those drawn until a decision, ``drawn`` of them.
    sequence
        log p of the whole report, nats.
    p_true
        Share of *yes* when asked whether the finding as written is right.
    """

    labelled: Labelled
    frequency: float
    early: float
    drawn: int
    sequence: float
    p_true: float


def phantom_cases(count: int, *, first_seed: int = 0, size: int = 256) -> Iterator[TrueCase]:
    """Synthetic films, with and without lesions, from seeds that no training used."""
    if count < 1 or not 0 <= first_seed <= FIRST_TRAINING_SEED - count:
        raise MalformedInput(f"{count} films from seed {first_seed}: use at least 1, below seed {FIRST_TRAINING_SEED}.")
    for seed in range(first_seed, first_seed + count):
        drawn = draw_case(seed, size=size)
        truth: dict[str, frozenset[Side]] = {code: frozenset() for code in PHANTOM_CODES}
        for lesion in drawn.lesions:
            truth[lesion.code] = truth[lesion.code] | {lesion.side}
        yield TrueCase(f"phantom {seed}", load_study(drawn.film, patient_right="left", view="PA"), truth)


def listed_cases(table: Path) -> Iterator[TrueCase]:
    """Films named in a CSV table: ``film`` (path, relative to the table), ``code``, ``present`` (1 or 0), and
    optionally ``side`` (``left``, ``right``, ``bilateral``) and ``patient`` (any label that tells patients apart).

    Raises
    ------
    MalformedInput
        Where the table lacks a column, names an unknown code or side, or is empty; rows are named by number.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"The table is not UTF-8: {error}. Save it as UTF-8.") from error
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or any(column not in rows[0] for column in COLUMNS):
        raise MalformedInput(f"The table needs the columns {', '.join(COLUMNS)} and at least one row.")
    films: dict[str, dict[str, set[Side]]] = {}
    patients: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        film, code, present = (str(row[column] or "").strip() for column in COLUMNS)
        side = str(row.get("side") or "").strip() or None
        if not film or code not in VOCABULARY or present not in ("0", "1"):
            raise MalformedInput(f"Row {number}: film {film!r}, code {code!r}, present {present!r} cannot be read.")
        if side not in (None, "left", "right", "bilateral", "midline"):
            raise MalformedInput(f"Row {number}: side {side!r} is unknown; use left, right, bilateral or leave it out.")
        sides = films.setdefault(film, {}).setdefault(code, set())
        if present == "1":
            sides.add(side)
        patients[film] = str(row.get("patient") or "").strip() or film
    number_of = {patient: place for place, patient in enumerate(dict.fromkeys(patients.values()), start=1)}
    for film, truth in films.items():
        yield TrueCase(
            f"patient {number_of[patients[film]]}",
            load_study(table.parent / film),
            {code: frozenset(sides) for code, sides in truth.items()},
        )


def is_right(finding: Finding, truth: Mapping[str, frozenset[Side]]) -> bool | None:
    """Whether a film holds what a finding says; None where its code is not judged.

    A side counts only where both name one; what is left open (``uncertain``) is right where the film holds it.
    """
    if finding.code not in truth:
        return None
    there = truth[finding.code]
    if finding.polarity == "absent":
        return not there
    return any(sides_meet(side, finding.side) for side in there)  # type: ignore[arg-type]


def observe(
    model: Gemma3Model,
    cases: Iterable[TrueCase],
    prompt: Prompt,
    *,
    samples: int = LIMIT,
    seed: int = 0,
    max_new_tokens: int = 256,
    say: Say | None = None,
) -> list[Observed]:
    """Let the model report on every case and judge every finding of its drafts."""
    seen: list[Observed] = []
    for number, case in enumerate(cases, start=1):
        seen += _observed(model, case, prompt, samples, seed, max_new_tokens)
        if say is not None:
            wrong = sum(not one.labelled.right for one in seen)
            say(f"{number} films, {len(seen)} findings, {wrong} wrong")
    if not seen:
        raise MalformedInput("No finding of any report could be judged; give cases whose codes the model reports.")
    return seen


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration and the comparison of confidence scores that it rests on.

    Parameters
    ----------
    held_out
        float64 (findings,): probability of each finding from the folds that did not hold its case.
    auroc
        Score -> (AUROC for "this finding is right", 95 % interval); ``calibrated`` is the held-out probability.
    risk
        Score -> {"all": share wrong, "70 %": share wrong among the 70 % most confident}.
    drawn
        Samples drawn until a decision, mean over findings.
    """

    calibration: Calibration
    held_out: NDArray[np.float64]
    auroc: Mapping[str, tuple[float, float, float]]
    risk: Mapping[str, Mapping[str, float]]
    drawn: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "calibration": asdict(self.calibration),
            "auroc": {name: list(values) for name, values in self.auroc.items()},
            "risk": {name: dict(values) for name, values in self.risk.items()},
            "samples_until_decided": self.drawn,
        }

    def text(self, language: str) -> str:
        """A few lines for people."""
        made, zh = self.calibration, language == "zh"
        ece, low, high = made.measured["ece"]
        lines = [made.note(language), f"ECE {ece:.3f} ({low:.3f}–{high:.3f})"]
        for name, (value, below, above) in self.auroc.items():
            kept, whole = self.risk[name]["70 %"], self.risk[name]["all"]
            shown = SCORE_WORDS[name][zh]
            lines.append(
                f"{shown:<24} AUROC {value:.3f} ({below:.3f}–{above:.3f})  "
                + (
                    f"错误率 {whole:.1%}，保留最确信的70%时 {kept:.1%}"
                    if zh
                    else f"wrong {whole:.1%}, surest 70 % {kept:.1%}"
                )
            )
        lines.append(
            f"平均采样 {self.drawn:.1f} 份即可判定" if zh else f"{self.drawn:.1f} samples until a decision on average"
        )
        return "\n".join(lines)


SCORE_WORDS: Mapping[str, tuple[str, str]] = {
    "calibrated": ("calibrated", "校准概率"),
    "frequency": ("sampling frequency", "采样频率"),
    "early": ("frequency, stopped early", "提前停止的采样频率"),
    "sequence": ("sequence probability", "序列概率"),
    "p_true": ("P(True)", "P(True)"),
}


def calibrate(
    model: Gemma3Model,
    cases: Iterable[TrueCase],
    prompt: Prompt,
    *,
    source: str,
    risk: float = 0.1,
    seed: int = 0,
    out: Path | None = None,
    say: Say | None = None,
) -> Calibrated:
    """Observe, fit, compare, and write ``calibration.json``, ``reliability.png`` and ``risk_coverage.png``."""
    seen = observe(model, cases, prompt, seed=seed, say=say)
    result = compared(seen, model.weights_hash, prompt, source=source, risk=risk, seed=seed)
    if out is not None:
        right = np.array([one.labelled.right for one in seen])
        save(result.calibration, out / "calibration.json")
        plot_reliability(result.held_out, right, out / "reliability.png")
        scores = {SCORE_WORDS[name][0]: values for name, values in _scores(seen, result.held_out).items()}
        plot_risk_coverage(scores, right, out / "risk_coverage.png")
    return result


def compared(
    seen: Sequence[Observed], weights_sha256: str, prompt: Prompt, *, source: str, risk: float = 0.1, seed: int = 0
) -> Calibrated:
    """Fit a calibration on what was observed, and every score's AUROC and risk on the same findings."""
    calibration, held_out = fit(
        [one.labelled for one in seen],
        weights_sha256=weights_sha256,
        question=prompt.question,
        language=prompt.language,
        source=source,
        risk=risk,
        seed=seed,
    )
    right = np.array([one.labelled.right for one in seen])
    names = [one.labelled.case for one in seen]
    scores = _scores(seen, held_out)
    return Calibrated(
        calibration=calibration,
        held_out=held_out,
        auroc={
            name: (auroc(values, right), *interval(auroc, values, right, names, seed=seed))
            for name, values in scores.items()
        },
        risk={
            name: {"all": risk_coverage(v, right).at(1.0), "70 %": risk_coverage(v, right).at(0.7)}
            for name, v in scores.items()
        },
        drawn=float(np.mean([one.drawn for one in seen])),
    )


def _scores(seen: Sequence[Observed], held_out: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    plain = ("frequency", "early", "sequence", "p_true")
    return {"calibrated": held_out} | {name: np.array([getattr(one, name) for one in seen]) for name in plain}


def _observed(
    model: Gemma3Model, case: TrueCase, prompt: Prompt, samples: int, seed: int, max_new_tokens: int
) -> list[Observed]:
    features = model.encode(case.study)
    draft, drawn = model.generate_and_sample(
        prompt, features, count=samples, seed=seed, max_new_tokens=max_new_tokens, capture=False
    )
    findings = tuple(extract_findings(draft.text, prompt.language))
    judged = [(finding, is_right(finding, case.truth)) for finding in findings]
    if all(right is None for _, right in judged):
        return []
    reports = [tuple(extract_findings(one.text, prompt.language)) for one in drawn]
    entries = agreement(findings, reports)
    early = _until_decided(findings, reports)
    codes = list(dict.fromkeys(finding.code for finding in findings))
    answers = probe(model, features, codes, language=prompt.language, without=blank_features(model, features))
    asked = dict(zip(codes, answers, strict=True))
    true = _p_true(model, features, findings, prompt.language)
    made = []
    for place, (finding, right) in enumerate(judged):
        tokens = _tokens(draft, finding, findings)
        if right is None or tokens is None:
            continue
        entry, soon = entries[place], early[place]
        made.append(
            Observed(
                labelled=Labelled(
                    case.name, finding.code, finding.polarity, signals(entry, asked[finding.code], draft, tokens), right
                ),
                frequency=entry.support / entry.samples,
                early=soon.support / soon.samples,
                drawn=soon.samples,
                sequence=float(draft.logprobs.sum(dtype=np.float64)),
                p_true=true[place],
            )
        )
    return made


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
