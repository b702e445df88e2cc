"""Explanations made up for the tests of the report layer: no model, everything random but the structure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import numpy as np

from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.confidence.types import Confidence, FindingConfidence
from radiolucent.errors import Notice
from radiolucent.faithfulness.types import MapGrade
from radiolucent.findings.types import Finding
from radiolucent.report.explanation import Explanation
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Display, Frame, Source, Study
from radiolucent.trace.chain import decision_chain
from radiolucent.trace.kinds import word_kinds
from radiolucent.trace.marks import marked
from radiolucent.trace.summaries import summaries
from radiolucent.trace.types import Contrast, Trace, TraceWord
from radiolucent.vlm.types import Alternative, Generation, Prompt, PromptInputs, Target, Word

EN_REPORT = (
    "There is a small right pleural effusion with blunting of the costophrenic angle. A patchy opacity in the left "
    "upper zone may represent consolidation. The heart is not enlarged. No pneumothorax is seen."
)
ZH_REPORT = "右侧少量胸腔积液，肋膈角变钝。左上肺野斑片状密度增高影，不除外实变。心影不大。未见气胸。"


def explain_en(**changes: object) -> Explanation:
    findings = (
        found(EN_REPORT, "small right pleural effusion", "pleural_effusion", side="right", severity="mild"),
        found(
            EN_REPORT, "may represent consolidation", "consolidation", polarity="uncertain", side="left", zone="upper",
            certainty="possible",
        ),
        found(EN_REPORT, "heart is not enlarged", "cardiomegaly", polarity="absent"),
        found(EN_REPORT, "No pneumothorax", "pneumothorax", polarity="absent"),
    )  # fmt: skip
    return build(EN_REPORT, findings, "Describe the main findings of this chest film.", "en", **changes)


def explain_zh(**changes: object) -> Explanation:
    findings = (
        found(ZH_REPORT, "右侧少量胸腔积液", "pleural_effusion", side="right", severity="mild"),
        found(
            ZH_REPORT, "不除外实变", "consolidation", polarity="uncertain", side="left", zone="upper",
            certainty="possible",
        ),
        found(ZH_REPORT, "心影不大", "cardiomegaly", polarity="absent"),
        found(ZH_REPORT, "未见气胸", "pneumothorax", polarity="absent"),
    )  # fmt: skip
    return build(ZH_REPORT, findings, "请分析这张胸部X光片，描述主要发现", "zh", **changes)


def region_test(values: np.ndarray) -> RegionTest:
    region = values > 0.5 * values.max()
    return RegionTest(
        region, "attention", 2.3, 0.4, 3.1, np.stack([np.roll(region, 3, axis=2)]), ("mirrored",), (0.1,), (2.9,),
        necessity=0.74, sufficiency=0.87, specificity=0.96, necessity_interval=(0.6, 0.8),
        verdict="necessary and sufficient", order=region.astype(np.int64),
    )  # fmt: skip


def found(report: str, words: str, code: str, **rest: object) -> Finding:
    start = report.index(words)
    return Finding(
        code=code, words=words, chars=(start, start + len(words)), sentence=(start, start + len(words)), **rest
    )


def build(
    report: str,
    findings: tuple[Finding, ...],
    question: str,
    language: str,
    *,
    frames: tuple[Frame, ...] | None = None,
    layers: int = 8,
    grid: int = 16,
    seed: int = 0,
    demo: bool = True,
    withheld: tuple[str, ...] = (),
    claims: tuple[str, ...] = ("attended", "sensitive", "relied_on"),
    warnings: tuple[Notice, ...] = (),
    thinking: str = "",
) -> Explanation:
    draw = np.random.default_rng(seed)
    frames = frames or (film(draw, 360, 300, grid),)
    study = Study(
        frames=frames,
        modality="DX",
        source=Source("array", hashlib.sha256(frames[0].values.tobytes()).hexdigest(), {"bits": "12"}),
        warnings=(Notice("side_assumed", "Side assumed, not verified.", "左右未核实。"),),
        view="PA",
    )
    prompt = Prompt(question, language)  # type: ignore[arg-type]
    words = split(report, "answer", 0) + split(thinking, "thinking", len(split(report, "answer", 0)))
    tokens = len(words) + 1
    logprobs = -draw.exponential(0.3, tokens).astype(np.float32)
    generation = Generation(
        text=report,
        thinking=thinking,
        words=words,
        token_ids=draw.integers(5, 900, tokens),
        logprobs=logprobs,
        entropy=draw.random(tokens).astype(np.float32),
        alternatives=tuple(
            tuple(Alternative(int(i), text, float(-i)) for i, text in enumerate(("small", "large", "右侧", " ", "no")))
            for _ in range(tokens)
        ),
        image_spans=((4, 4 + grid * grid),),
        prompt=prompt,
        prompt_inputs=PromptInputs(np.arange(300), np.zeros(300, dtype=np.int64), ((4, 4 + grid * grid),)),
    )
    geometry = tuple(frame.geometry for frame in frames)
    method = {"attended": "attention", "sensitive": "input_x_gradient", "relied_on": "hierarchical_occlusion"}
    units = {"attended": "attention", "sensitive": "nats", "relied_on": "nats"}
    maps, grades = {}, {}
    for finding in findings:
        for claim in claims if finding.polarity != "absent" else ():
            values = blob(draw, len(frames), grid, finding.side)
            if claim == "attended":
                values = np.abs(values) / np.abs(values).sum()
            key = (method[claim], finding.id)
            maps[key] = AttributionMap(
                values.astype(np.float32), claim, method[claim], Target((3, 6), (7, 8), finding.words), units[claim],
                geometry, forwards=48, note="The values add up.\n各值相加一致。",
                tests=(region_test(values),) if claim == "relied_on" else (),
                panel=np.stack([values, -values]).astype(np.float32) if claim == "attended" else None,
            )  # fmt: skip
            hidden = finding.id in withheld
            grades[key] = MapGrade(
                "not shown" if hidden else "verified" if finding.polarity == "present" else "weak",
                effect=2.31, control_low=0.02, control_high=0.31, necessity=0.71, sufficiency=0.64,
                note=(
                    "隐藏该区域损失 2.31 nats；20 个同形区域损失 0.02 至 0.31。"
                    if language == "zh"
                    else "Hiding the region costs 2.31 nats; 20 regions of the same shape cost 0.02 to 0.31."
                ),
                withheld=hidden,
            )  # fmt: skip
    trace = Trace(
        words=tuple(
            TraceWord(
                word.text, word.part, word.chars, word.tokens, float(np.exp(logprobs[i])), float(logprobs[i]),
                float(generation.entropy[i]), generation.alternatives[i], float(draw.normal(0.8, 0.9)),
                "right lower zone",
                (draw.random((layers, len(frames), grid, grid)) ** 6 / 90).astype(np.float32),
            )
            for i, word in enumerate(words)
        ),
        layers=tuple(range(layers)),
        layer_types=tuple("global" if i % 6 == 5 else "sliding" for i in range(layers)),
    )  # fmt: skip
    trace = told(trace, generation, findings, maps, grades, grid, len(frames))
    quadrants = ("grounded", "unstable", "not image-based", "evidence elsewhere", "unreliable")
    confidence = Confidence(
        findings=tuple(
            FindingConfidence(
                finding.code, finding.side,
                present=12 if finding.polarity == "present" else 3,
                uncertain=9 if finding.polarity == "uncertain" else 1,
                absent=11 if finding.polarity == "absent" else 0,
                silent={"present": 3, "uncertain": 4, "absent": 1}[finding.polarity],
                samples=16, low=0.48 + 0.05 * (i % 3), high=0.88 + 0.02 * (i % 3), polarity=finding.polarity,
                yes_probability=0.91, image_lift=1.2, quadrant=quadrants[i % 5],
            )
            for i, finding in enumerate(findings)
        ),
        samples=16, temperature=0.8, top_p=1.0, seed=0,
    )  # fmt: skip
    return Explanation(
        study=study,
        prompt=prompt,
        generation=generation,
        findings=findings,
        maps=maps,
        trace=trace,
        confidence=confidence,
        faithfulness=grades,
        provenance={
            "model": "radiolucent demo" if demo else "google/medgemma-1.5-4b-it",
            "demo_model": demo,
            "weights_sha256": "9f" * 32,
            "versions": {"radiolucent": "0.1.0", "torch": "2.13", "transformers": "5.23"},
            "seed": 0,
            "level": "standard",
            "dtype": "float32",
            "attention_mask": "bidirectional within an image, causal elsewhere",
            "timings": {"generate_s": 1.25, "maps_s": 3.5},
            "parity_max_abs_nats": 3.1e-6,
        },
        warnings=warnings,
    )


def told(trace, generation, findings, maps, grades, grid, frames):  # type: ignore[no-untyped-def]
    """The trace with kinds, marks, summaries, contrasts and the decision chain of its findings."""
    language = generation.prompt.language
    answer = [word for word in trace.words if word.part == "answer"]
    kinds = word_kinds(generation.text, [word.chars for word in answer], language)
    typed = [
        replace(word, kind=kind, reliance_blank=word.image_reliance, reliance_other=-0.5)
        for word, kind in zip(answer, kinds, strict=True)
    ]
    typed += [word for word in trace.words if word.part == "thinking"]
    words = marked(typed, findings, generation.text, 0.2)
    sentences, of_findings = summaries(words, generation, findings)
    region = np.zeros((frames, grid, grid), dtype=bool)
    region[0, 2:4, 2:5] = True
    contrasts = tuple(
        Contrast(
            finding.id, "presence", finding.words, "No such thing", 1, (7,), finding.chars, 3.25, -0.5, float("nan"),
            0.5, 3.0, region, "right lower zone", "verified", "Answer.", "答案。",
        )
        for finding in findings[:1]
    )  # fmt: skip
    full = replace(
        trace, words=words, replaced_by="drawn", threshold=0.2, sentences=sentences, findings=of_findings,
        contrasts=contrasts,
    )  # fmt: skip
    named = {key: grade.grade for key, grade in grades.items()}
    chain = decision_chain(full, generation.prompt.question, findings, maps, named, contrasts)
    return replace(full, chain=chain)


def film(draw: np.random.Generator, rows: int, cols: int, grid: int = 16, label: str = "film", **side: object) -> Frame:
    """A grey picture with two dark lungs, so that a reader of the test output sees a chest."""
    y, x = np.mgrid[0:rows, 0:cols]
    u, v = (x + 0.5) / cols, (y + 0.5) / rows
    values = 2600.0 - 900 * (np.abs(u - 0.5) > 0.44)
    for centre in (0.3, 0.7):
        values -= 1900 * np.exp(-(((u - centre) / 0.15) ** 4) - ((v - 0.45) / 0.33) ** 4)
    values += 700 * np.exp(-(((u - 0.56) / 0.14) ** 4) - ((v - 0.62) / 0.16) ** 4)
    values = np.clip(values + draw.normal(0, 60, (rows, cols)), 0, 4095).round().astype(np.float32)
    geometry = Geometry(rows, cols, 896, grid, **side)  # type: ignore[arg-type]
    return Frame(values, Display(0.0, 3600.0), geometry, label)


def blob(draw: np.random.Generator, frames: int, grid: int, side: str | None) -> np.ndarray:
    """Noise with one bump in the lower zone of the patient's side (picture left is the patient's right)."""
    r, c = np.mgrid[0:grid, 0:grid] / grid
    centre = {"right": 0.32, "left": 0.68}.get(side or "", 0.5)
    row = 0.72 if side == "right" else 0.3
    bump = np.exp(-(((r - row) / 0.09) ** 2) - ((c - centre) / 0.1) ** 2)
    weight = np.zeros((frames, 1, 1))
    weight[frames // 2] = 1
    return draw.normal(0, 0.04, (frames, grid, grid)) + 0.9 * bump * weight


def split(text: str, part: str, first_token: int) -> tuple[Word, ...]:
    found = re.finditer(r"[一-鿿]|[^\s一-鿿]+", text)
    return tuple(
        Word(match.group(), match.span(), (first_token + i, first_token + i + 1), part)  # type: ignore[arg-type]
        for i, match in enumerate(found)
    )
