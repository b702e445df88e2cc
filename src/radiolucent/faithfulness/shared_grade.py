"""Grades from what the verification has measured already: no pass of their own.

A map whose own region was hidden is graded by that test. Any other map of the finding is a hypothesis about the same
words: it is *weak* where its highest cell lies in the region that was verified, and *not shown* where it lies
elsewhere, or where no region could be verified at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from radiolucent.attribution.cells import in_picture
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.faithfulness.grade import on_token_grid
from radiolucent.faithfulness.types import Grade, MapGrade, MapKey

NOTES: Mapping[str, tuple[str, str]] = {
    "necessary": (
        "Hiding the region costs {hidden:.2f} of {everything:.2f} nats{controls}; shown alone it keeps {kept:.0%}.",
        "隐藏该区域损失 {hidden:.2f}（全部 {everything:.2f}）nats{controls}；单独显示保留 {kept:.0%}。",
    ),
    "controls": (", the control {low:.2f}", "，对照区域损失 {low:.2f}"),
    "many controls": (", {n} controls {low:.2f} to {high:.2f}", "，{n} 个对照区域损失 {low:.2f} 至 {high:.2f}"),
    "agrees": (
        "Its own region was not hidden; its highest cell lies in the region that was verified by hiding.",
        "未单独遮挡检验；其最高处位于经遮挡验证的区域内。",
    ),
    "elsewhere": (
        "Its highest cell lies outside the region that was verified by hiding.",
        "其最高处不在经遮挡验证的区域内。",
    ),
    "nothing": ("No region could be verified for these words.", "该文字没有可验证的图像区域。"),
}


def shared_grades(maps: Mapping[MapKey, AttributionMap], language: str) -> dict[MapKey, MapGrade]:
    """A grade for every map, from the region tests that the maps of the same finding carry."""
    tests: dict[str, list[RegionTest]] = {}
    for (_, finding), made in maps.items():
        tests.setdefault(finding, []).extend(made.tests)
    return {key: _graded(made, tests[key[1]], language == "zh") for key, made in maps.items()}


def grade_of_test(test: RegionTest, language: str) -> MapGrade:
    """What one region's interventions say of a map that points at it.

    *Verified* where the region was shown necessary or sufficient against its controls; *not shown* otherwise.
    """
    zh = language == "zh"
    controls = test.controls_hidden
    named = ""
    if controls:
        which = "controls" if len(controls) == 1 else "many controls"
        named = NOTES[which][zh].format(n=len(controls), low=_shown(min(controls)), high=_shown(max(controls)))
    kept = 0.0 if test.sufficiency is None else test.sufficiency
    note = NOTES["necessary"][zh].format(
        hidden=_shown(test.hidden), everything=_shown(test.everything), controls=named, kept=min(max(kept, 0.0), 1.0)
    )
    grade: Grade = "verified" if test.verified else "not shown"
    return MapGrade(
        grade=grade,
        effect=test.hidden,
        control_low=min(controls, default=None),
        control_high=max(controls, default=None),
        necessity=test.necessity,
        sufficiency=test.sufficiency,
        note=note,
        withheld=not test.verified,
    )


def _shown(nats: float) -> float:
    """Two digits, without a minus before a zero."""
    return round(nats, 2) + 0.0


def _graded(made: AttributionMap, tests: Iterable[RegionTest], zh: bool) -> MapGrade:
    language = "zh" if zh else "en"
    if made.tests:
        return grade_of_test(made.tests[0], language)
    tests = list(tests)
    own = next((test for test in tests if test.proposer == made.method), None)
    if own is not None:
        return grade_of_test(own, language)
    verified = next((test for test in tests if test.verified), None)
    if verified is None:
        return _untested("not shown", "nothing", zh)
    if _peak_inside(made, verified):
        return _untested("weak", "agrees", zh)
    return _untested("not shown", "elsewhere", zh)


def _untested(grade: Grade, note: str, zh: bool) -> MapGrade:
    withheld = grade == "not shown"
    return MapGrade(grade, 0.0, control_low=None, control_high=None, note=NOTES[note][zh], withheld=withheld)


def _peak_inside(made: AttributionMap, test: RegionTest) -> bool:
    values = on_token_grid(made.values, test.region.shape[1])
    inside = np.stack([in_picture(geometry, values.shape[1]) for geometry in made.geometry])
    return bool(test.region.flat[int(np.where(inside, values, -np.inf).argmax())])
