"""What a review needs of an explanation, read off it once when the draft is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from radiolucent.attribution.types import AttributionMap
from radiolucent.clinic.review.critical import CriticalEntry, matching
from radiolucent.clinic.review.rulings import TWINS, WEAK_QUADRANTS, Stated
from radiolucent.confidence.types import QUADRANT_WORDS, FindingConfidence
from radiolucent.faithfulness.types import GRADE_WORDS
from radiolucent.findings.extract import extract_report
from radiolucent.findings.names import describe
from radiolucent.findings.types import Finding
from radiolucent.localize.film_places import FilmPlaces, film_places
from radiolucent.localize.wording import SIDE_ASSUMED
from radiolucent.localize.wording import WITHHELD as NOT_SHOWN
from radiolucent.localize.words import Place
from radiolucent.report.blocks import best_grade, shown_map
from radiolucent.report.explanation import Explanation
from radiolucent.report.overlay import region_boxes, region_of
from radiolucent.report.summary import clinical_summary
from radiolucent.trace.chain import STAGE_WORDS, STRENGTH_WORDS
from radiolucent.trace.types import TraceWord
from radiolucent.vlm.types import share

Pair = dict[str, str]  # {en, zh}

WITHHELD: Pair = {"en": NOT_SHOWN.en, "zh": NOT_SHOWN.zh}
NO_FINDING: Pair = {
    "en": "The draft states no finding, so no region is given. A finding that is not stated is not excluded.",
    "zh": "草稿未描述阳性征象，故无依据区域。未描述不代表排除。",
}
PLEURAL = ("pleural_effusion", "pneumothorax", "pleural_other")
_ZH_SIDE = {"left": "左侧", "right": "右侧"}
_ZH_HEIGHT = {"upper": "上肺野", "middle": "中肺野", "lower": "下肺野"}


@dataclass(frozen=True)
class Draft:
    """Columns of a run and of its findings.

    Parameters
    ----------
    findings
        One dictionary a row of ``findings``, in the order of the report.
    urgency
        Number of uncertain, contradicted or not image-based findings.
    critical
        Whether one is on the site's list.
    """

    run: dict[str, Any]
    findings: tuple[dict[str, Any], ...]
    urgency: int
    critical: bool


def draft_of(explanation: Explanation, critical: Sequence[CriticalEntry]) -> Draft:
    """Everything that a review shows of an explanation."""
    places = _Places(explanation)
    rows = [_finding_row(finding, explanation, places) for finding in _one_row_a_twin(explanation.findings)]
    rows += _sentence_rows(explanation)
    rows.sort(key=lambda row: (row["first"], row["last"]))
    for place, row in enumerate(rows):
        row["place"] = place
    stated = [row for row in rows if row["kind"] == "finding" and row["polarity"] != "absent"]
    urgent = [
        row
        for row in rows
        if row["kind"] == "finding"
        and (row["polarity"] == "uncertain" or row["contradicted"] or row["quadrant"] in WEAK_QUADRANTS)
    ]
    provenance = dict(explanation.provenance)
    run = {
        "model": str(provenance.get("model", "")),
        "weights_hash": str(provenance.get("weights_sha256", "")),
        "prompt": explanation.prompt.question,
        "provenance": provenance,
        "report": explanation.report,
        "summary": summary_of(explanation),
        "confidence": confidence_of(explanation),
        "attention": attention_of(explanation, places),
        "warnings": _notices(explanation),
        "trace": _trace(explanation),
        "chain": _chain(explanation),
        "maps": _maps(explanation),
        "language": explanation.language,
        "demo": explanation.is_demo,
    }
    on_list = any(
        matching(
            Stated(row["code"], row["polarity"], row["side"], row["zone"], row["severity"]), critical, row["words"]
        )
        for row in stated
    )
    return Draft(run, tuple(rows), len(urgent), on_list)


def summary_of(explanation: Explanation) -> Pair:
    """The clinical summary in both languages."""
    return {language: clinical_summary(explanation, language).text for language in ("en", "zh")}


def confidence_of(explanation: Explanation) -> dict[str, Any] | None:
    """``{value, calibrated, finding}`` of the least certain finding that the summary states, denials included; None
    where it states none or none was sampled.

    The value is the calibrated probability that the finding is right where a calibration fits, and otherwise the
    share of samples that say so, drawn towards one half as Jeffreys' prior has it: 10 of 10 is never 1.
    """
    if explanation.confidence is None:
        return None
    known: list[dict[str, Any]] = []
    for finding in explanation.findings:
        entry = explanation.confidence.of(finding.id)
        if entry is None:
            continue
        calibrated = explanation.confidence.calibrated and entry.probability is not None
        known.append({"value": round(_share(entry), 4), "calibrated": calibrated, "finding": finding.id})
    return min(known, key=lambda one: one["value"], default=None)


def attention_of(explanation: Explanation, places: _Places | None = None) -> Pair:
    """Where the evidence of each finding lies, in words with the patient's side, or that no region could be shown."""
    places = places or _Places(explanation)
    asserted = [finding for finding in explanation.findings if finding.polarity != "absent"]
    if not asserted:
        return dict(NO_FINDING)
    found = [(finding, _evidence_place(finding, explanation, places)) for finding in asserted]
    if all(place is None for _, place in found):
        return dict(WITHHELD)
    said: Pair = {}
    for language, colon, stop, nothing in (
        ("en", ": ", "; ", "no region could be shown"),
        ("zh", "：", "；", "未能证实依据区域"),
    ):
        said[language] = stop.join(
            f"{describe(finding, language)}{colon}{nothing if place is None else place[language]}"
            for finding, place in found
        )
    return said


def _share(entry: FindingConfidence) -> float:
    if entry.probability is not None:
        return entry.probability
    return (entry.support + 0.5) / (entry.samples + 1)


class _Places:
    """Lung fields of the frames, estimated once and only where asked for."""

    def __init__(self, explanation: Explanation) -> None:
        self._explanation = explanation
        self._known: dict[int, FilmPlaces] = {}

    def of(self, made: AttributionMap, *, pleural: bool) -> Pair | None:
        """The place in words; of effusion and pneumothorax the pleural side, at the height of a lung zone."""
        peak, frames = made.peak_frame, self._explanation.frames
        if peak not in self._known:
            self._known[peak] = film_places(frames[peak], volume=self._explanation.study.modality == "CT")
        place = self._known[peak].of_map(made.values[peak])
        if place is None or not (place.en or place.zh):
            return None
        if pleural and place.structure == "lung" and place.side in _ZH_SIDE:
            return _pleural(place)
        return {"en": place.text("en"), "zh": place.text("zh")}


def _pleural(place: Place) -> Pair:
    en, zh = f"{place.side} pleural side", f"{_ZH_SIDE[place.side or '']}胸膜腔"
    if place.zone in _ZH_HEIGHT:
        en, zh = f"{en}, level of the {place.zone} zone", f"{zh}（{_ZH_HEIGHT[place.zone]}水平）"
    if SIDE_ASSUMED in place.notices:
        en, zh = f"{en} ({SIDE_ASSUMED.en})", f"{zh}（{SIDE_ASSUMED.zh}）"
    return {"en": en, "zh": zh}


def _evidence_place(finding: Finding, explanation: Explanation, places: _Places) -> Pair | None:
    shown = shown_map(explanation, finding, "relied_on")
    if shown is None or shown.withheld or shown.grade is None:
        return None
    return places.of(shown.attribution, pleural=finding.code in PLEURAL)


def _one_row_a_twin(findings: Sequence[Finding]) -> list[Finding]:
    """肺炎 and 炎症 on one side, said the same way, are one row: decided once."""
    kept: dict[tuple[str, str | None, str], Finding] = {}
    for finding in findings:
        key = (TWINS.get(finding.code, finding.code), finding.side, finding.polarity)
        if key in kept:
            first = kept[key]
            kept[key] = replace(first, words=f"{first.words} / {finding.words}")
        else:
            kept[key] = finding
    return list(kept.values())


def _finding_row(finding: Finding, explanation: Explanation, places: _Places) -> dict[str, Any]:
    confidence = None if explanation.confidence is None else explanation.confidence.of(finding.id)
    return {
        "kind": "finding",
        "key": finding.id,
        "code": finding.code,
        "polarity": finding.polarity,
        "side": finding.side,
        "zone": finding.zone,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "size_mm": list(finding.size_mm),
        "words": finding.words,
        "first": finding.chars[0],
        "last": finding.chars[1],
        "quadrant": None if confidence is None else confidence.quadrant,
        "confidence": None if confidence is None else _confidence(confidence, explanation),
        "grade": _grade(finding, explanation, places),
        "alternatives": _alternatives(finding, explanation),
        "maps": [one for one in _maps(explanation) if one["finding"] == finding.id],
        "boxes": _boxes(finding, explanation),
        "not_knowable": list(finding.not_knowable),
        "contradicted": finding.contradicted,
    }


def _sentence_rows(explanation: Explanation) -> list[dict[str, Any]]:
    """Sentences of the draft in which nothing was recognised: kept or dropped one by one."""
    rows = []
    for first, last in extract_report(explanation.report, explanation.language).unmatched:
        rows.append(
            {
                "kind": "sentence",
                "words": explanation.report[first:last].strip(),
                "first": first,
                "last": last,
                "key": None,
                "code": None,
                "polarity": None,
                "quadrant": None,
                "contradicted": False,
            }
        )
    return rows


def _confidence(entry: FindingConfidence, explanation: Explanation) -> dict[str, Any]:
    quadrant = None
    if entry.quadrant is not None:
        quadrant = {"key": entry.quadrant, **_pair(QUADRANT_WORDS[entry.quadrant])}
    assert explanation.confidence is not None
    return {
        "count": {"n": entry.support, "of": entry.samples},
        "interval": [entry.low, entry.high],
        "probability": entry.probability,
        "calibrated": explanation.confidence.calibrated and entry.probability is not None,
        "quadrant": quadrant,
        "lift": None if entry.image_lift is None or not np.isfinite(entry.image_lift) else entry.image_lift,
    }


def _grade(finding: Finding, explanation: Explanation, places: _Places) -> dict[str, Any] | None:
    """The grade of the strongest claim that was tested, and the evidence in words; an absent finding has none."""
    if finding.polarity == "absent":
        return None
    grade = best_grade(explanation, finding)
    place = _evidence_place(finding, explanation, places)
    evidence = dict(WITHHELD)
    if place is not None:
        evidence = {"en": f"relied on: {place['en']}", "zh": f"模型依赖区域：{place['zh']}"}
    if grade is None:
        return {"evidence": evidence}
    return {"key": grade, **_pair(GRADE_WORDS[grade]), "evidence": evidence}


def _boxes(finding: Finding, explanation: Explanation) -> list[dict[str, Any]]:
    """Of the region that the model relied on, where it may be shown; frames as the study counts them."""
    shown = shown_map(explanation, finding, "relied_on")
    if shown is None or shown.withheld:
        return []
    frames = explanation.frame_numbers
    made = shown.attribution
    return [
        {"frame": frames[index], "x0": x0, "y0": y0, "x1": x1, "y1": y1}
        for index, (region, geometry) in enumerate(zip(region_of(made), made.geometry, strict=True))
        for x0, y0, x1, y1 in region_boxes(region, geometry)
    ]


def map_key(method: str, finding: str) -> str:
    """Under which a map is asked for."""
    return f"{method}:{finding}"


def _maps(explanation: Explanation) -> list[dict[str, Any]]:
    absent = {finding.id for finding in explanation.findings if finding.polarity == "absent"}
    listed = []
    for (method, finding), made in explanation.maps.items():
        if finding in absent:
            continue
        grade = explanation.faithfulness.get((method, finding))
        listed.append(
            {
                "key": map_key(method, finding),
                "finding": finding,
                "claim": made.claim,
                "method": method,
                "grade": None if grade is None else grade.grade,
                "withheld": grade is not None and grade.withheld,
            }
        )
    return listed


def _words(explanation: Explanation) -> list[TraceWord]:
    return [] if explanation.trace is None else [word for word in explanation.trace.words if word.part == "answer"]


def _trace(explanation: Explanation) -> list[dict[str, Any]]:
    words = () if explanation.trace is None else explanation.trace.words
    return [
        {
            "text": word.text,
            "start": word.chars[0],
            "end": word.chars[1],
            "probability": _finite(word.probability),
            "reliance": _finite(word.image_reliance),
            "place": word.anatomy,
            "map": None if word.attended is None else f"word:{number}",
        }
        for number, word in enumerate(words)
        if word.part == "answer"
    ]


def _alternatives(finding: Finding, explanation: Explanation) -> list[dict[str, Any]]:
    """What else could have stood where the finding's words were least decided."""
    said = [word for word in _words(explanation) if share(word.chars, finding.chars)]
    if not said:
        return []
    word = max(said, key=lambda one: one.entropy)
    return [
        {"text": entry.text, "probability": round(float(np.exp(entry.logprob)), 4)}
        for entry in word.alternatives
        if np.isfinite(entry.logprob)
    ]


def _chain(explanation: Explanation) -> list[dict[str, Any]]:
    """The decision chain, from the question to the conclusion in the order of the words."""
    if explanation.trace is None:
        return []
    return [
        {
            "stage": {"key": step.stage, **_pair(STAGE_WORDS[step.stage])},
            "en": step.en,
            "zh": step.zh,
            "chars": [list(span) for span in step.chars],
            "words": list(step.words),
            "finding": step.finding or None,
            "strength": {"key": step.strength, **_pair(STRENGTH_WORDS[step.strength])},
        }
        for step in explanation.trace.chain
    ]


def _notices(explanation: Explanation) -> list[dict[str, str]]:
    seen = {notice.en: notice for notice in (*explanation.study.warnings, *explanation.warnings)}
    return [{"code": one.code, "en": one.en, "zh": one.zh} for one in seen.values()]


def _pair(words: tuple[str, str]) -> Pair:
    return {"en": words[0], "zh": words[1]}


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
