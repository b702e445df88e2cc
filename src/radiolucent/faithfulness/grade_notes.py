"""A grade with the sentence that says how it was reached, in the prompt's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from radiolucent.attribution.types import RegionTest
from radiolucent.attribution.verification import neutral
from radiolucent.faithfulness.grade_rule import SHOWN, Rule, Signals, letter, score
from radiolucent.faithfulness.types import MapGrade
from radiolucent.localize.wording import OTHER_SIDE, OUTSIDE_ANATOMY

NOTES: Mapping[str, tuple[str, str]] = {
    "tested": (
        "Hiding the region costs {hidden:.2f} of {everything:.2f} nats{controls}; shown alone it keeps {kept:.0%}.",
        "隐藏该区域损失 {hidden:.2f}（全部 {everything:.2f}）nats{controls}；单独显示保留 {kept:.0%}。",
    ),
    "control": (", the control {low:.2f}", "，对照区域损失 {low:.2f}"),
    "many controls": (", {n} controls {low:.2f} to {high:.2f}", "，{n} 个对照区域损失 {low:.2f} 至 {high:.2f}"),
    "unmoved": (
        "Hiding the whole picture costs these words only {everything:.2f} nats: they hardly depend on it.",
        "隐藏整幅图像仅损失 {everything:.2f} nats：该文字几乎不依赖图像。",
    ),
    "agrees": (
        "Its own region was not hidden; {overlap:.0%} of it is shared with the region that was verified by hiding.",
        "未单独遮挡检验；其区域与经遮挡验证的区域重合 {overlap:.0%}。",
    ),
    "elsewhere": (
        "Too little of its region ({overlap:.0%}) is shared with the region that was verified by hiding.",
        "其区域与经遮挡验证的区域重合过少（{overlap:.0%}）。",
    ),
    "nothing": ("No region could be verified for these words.", "该文字没有可验证的图像区域。"),
    "few controls": (
        "Only {n} control regions of the region's shape fit in the picture; {needed} are needed.",
        "图像内仅可放置 {n} 个同形对照区域，检验需要 {needed} 个。",
    ),
    "no region": (
        "No cell of the map supports the words, so there was no region to test.",
        "图中无支持该描述的区域，无法检验。",
    ),
}


def graded(test: RegionTest, signals: Signals, language: str, *, rule: Rule | None = None) -> MapGrade:
    """The grade of a map from the test of its own region, or of the one that it is held against."""
    given = letter(signals, rule)
    grade = MapGrade(
        grade=SHOWN[given],
        effect=0.0,
        control_low=None,
        control_high=None,
        note=_note(test, signals, given != "withheld", language == "zh"),
        withheld=given == "withheld",
        score=score(signals, rule),
        letter=given,
        lift=test.everything,
        agreement=signals.agreement,
        overlap=signals.overlap,
        outside=signals.outside,
        other_side=signals.other_side,
    )
    if not signals.own:
        return grade
    beside = neutral(test)
    interval = test.specificity_interval
    return replace(
        grade,
        effect=test.hidden,
        control_low=min(test.controls_hidden, default=None),
        control_high=max(test.controls_hidden, default=None),
        necessity=test.necessity,
        sufficiency=test.sufficiency,
        gap=test.hidden - sum(beside) / len(beside) if beside else None,
        gap_interval=None if interval is None else (interval[0] * test.hidden, interval[1] * test.hidden),
        specificity=test.specificity,
    )


def untested(reason: str, language: str, **values: int) -> MapGrade:
    """The grade of a map that nothing could be held against: withheld, with the reason's sentence."""
    note = NOTES[reason][language == "zh"].format(**values)
    return MapGrade("not shown", 0.0, None, None, note=note, withheld=True, score=0.0, letter="withheld")


def _note(test: RegionTest, signals: Signals, shown: bool, zh: bool) -> str:
    outside = ""
    if signals.outside and shown:
        said = OTHER_SIDE if signals.other_side else OUTSIDE_ANATOMY
        outside = said.zh if zh else f"{said.en} "
    if not signals.own:
        return outside + NOTES["agrees" if shown else "elsewhere"][zh].format(overlap=signals.overlap)
    if test.necessity is None:
        return NOTES["unmoved"][zh].format(everything=_plain(test.everything))
    beside, controls = test.controls_hidden, ""
    if beside:
        named = NOTES["control" if len(beside) == 1 else "many controls"][zh]
        controls = named.format(n=len(beside), low=_plain(min(beside)), high=_plain(max(beside)))
    kept = 0.0 if test.sufficiency is None else min(max(test.sufficiency, 0.0), 1.0)
    return outside + NOTES["tested"][zh].format(
        hidden=_plain(test.hidden), everything=_plain(test.everything), controls=controls, kept=kept
    )


def _plain(nats: float) -> float:
    """Two digits, without a minus before a zero."""
    return round(nats, 2) + 0.0
