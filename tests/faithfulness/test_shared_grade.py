"""Grades read from what the verification measured: no pass, no claim beyond the test."""

from __future__ import annotations

import numpy as np
import pytest

from radiolucent.attribution.types import AttributionMap, RegionTest, Verdict
from radiolucent.faithfulness.shared_grade import shared_grades
from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Target

FILM = Geometry(rows=64, cols=64, model_size=64, grid=4)


def peaked(method: str, row: int, column: int, tests: tuple[RegionTest, ...] = (), cells: int = 4) -> AttributionMap:
    values = np.zeros((1, cells, cells), dtype=np.float32)
    values[0, row, column] = 1.0
    claim = "relied_on" if tests else "attended"
    return AttributionMap(values, claim, method, Target((0, 1)), "x", (FILM,), tests=tests)


def a_test(verdict: Verdict = "necessary and sufficient", proposer: str = "look", hidden: float = 2.0) -> RegionTest:
    region = np.zeros((1, 4, 4), dtype=bool)
    region[0, 1:3, 0:2] = True
    return RegionTest(
        region, proposer, hidden, 0.2, 2.5, np.roll(region, 2, axis=2)[None], ("mirrored",), (-0.001,),
        necessity=hidden / 2.5, sufficiency=0.92, verdict=verdict,
    )  # fmt: skip


def grades(*maps: AttributionMap, language: str = "en") -> dict[str, str]:
    named = {(made.method, "nodule"): made for made in maps}
    return {method: grade.grade for (method, _), grade in shared_grades(named, language).items()}


def test_a_verified_region_verifies_its_own_map_and_its_proposer() -> None:
    test = a_test()
    found = grades(peaked("verified", 1, 1, (test,)), peaked("look", 3, 3))
    assert found == {"verified": "verified", "look": "verified"}


def test_other_maps_are_hints_where_they_point_into_the_region_and_withheld_where_they_do_not() -> None:
    test = a_test()
    found = grades(peaked("verified", 1, 1, (test,)), peaked("inside", 2, 0), peaked("outside", 0, 3))
    assert (found["inside"], found["outside"]) == ("weak", "not shown")
    fine = grades(peaked("verified", 1, 1, (test,)), peaked("pixels", 40, 5, cells=64))
    assert fine["pixels"] == "weak"


def test_nothing_is_shown_where_nothing_was_verified() -> None:
    failed = a_test("not verified", hidden=0.05)
    maps = {("look", "nodule"): peaked("look", 1, 1), ("tried", "nodule"): peaked("tried", 1, 1, (failed,))}
    found = shared_grades(maps, "en")
    assert all(grade.withheld and grade.grade == "not shown" for grade in found.values())
    alone = shared_grades({("look", "mass"): peaked("look", 1, 1)}, "zh")
    assert alone["look", "mass"].withheld and "没有可验证" in alone["look", "mass"].note


def test_tests_of_one_finding_say_nothing_of_another() -> None:
    maps = {("verified", "nodule"): peaked("verified", 1, 1, (a_test(),)), ("look", "mass"): peaked("look", 1, 1)}
    assert shared_grades(maps, "en")["look", "mass"].withheld


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_note_gives_what_was_measured_without_a_minus_before_a_zero(language: str) -> None:
    maps = {("verified", "nodule"): peaked("verified", 1, 1, (a_test(),))}
    grade = shared_grades(maps, language)["verified", "nodule"]
    assert "2.00" in grade.note and "2.50" in grade.note and "92%" in grade.note and "-0.00" not in grade.note
    assert (grade.effect, grade.control_low, grade.control_high) == (2.0, -0.001, -0.001)
    assert grade.necessity == 0.8 and grade.sufficiency == 0.92
