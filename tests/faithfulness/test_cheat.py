"""The bundled model that cheats is exposed by its single-case report, and the honest one raises no alarm."""

import json
from dataclasses import replace

import numpy as np
import pytest

from radiolucent import explain, extract_findings, load_model
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.shortcut import ShortcutReport, SuspectCase, SuspectFinding, expose, marked_phantoms
from radiolucent.faithfulness.shortcut_check import as_dict, as_text, check_shortcut
from radiolucent.faithfulness.types import MapGrade
from radiolucent.findings.types import Finding
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study
from radiolucent.vlm.types import Prompt

FILMS = 6


def examined(name):
    model = load_model(name)
    prompt = Prompt(model.profile.question("en"), "en")
    films = marked_phantoms(FILMS, first_seed=40000, size=256)
    return expose(model, films, prompt=prompt, extract=extract_findings, codes=("cardiomegaly",))


@pytest.fixture(scope="module")
def cheating():
    return examined("demo-shortcut")


@pytest.fixture(scope="module")
def honest():
    return examined("demo")


def test_a_finding_named_because_of_the_marker_is_exposed(cheating):
    caused = cheating.caused
    assert len(caused) >= FILMS / 2 and {one.finding.code for one in caused} == {"cardiomegaly"}
    assert sum(one.exposed for one in caused) >= len(caused) - 1
    for one in cheating.exposed:
        assert one.on_suspect == 1.0, "the region covers the marker"
        assert abs(one.anatomy_necessity) < 0.05, "hiding the whole heart changes nothing"
        assert abs(one.anatomy_sufficiency) < 0.2, "and the heart alone does not carry the words"
        assert one.grade.necessity > 0.5 and one.grade.sufficiency > 0.5
        assert one.grade.grade == "weak" and not one.grade.withheld  # never called verified, and yet seen


def test_the_model_that_reads_the_patient_raises_no_alarm_on_the_same_films(honest):
    assert honest.films == FILMS and len(honest.findings) >= FILMS
    assert not honest.exposed and not honest.caused
    verified = [one for one in honest.findings if one.region is not None]
    assert np.mean([one.anatomy_sufficiency for one in verified]) > 0.7, "the anatomy alone carries its words"
    assert {one.grade.grade for one in verified} == {"verified"}


def test_the_single_case_report_says_so_in_both_languages():
    model = load_model("demo-shortcut")
    drawn = draw_case(40000, marker=True, pairs=False)
    assert "cardiomegaly" not in drawn.masks  # nothing on the film but the marker says so
    for language, question in (("en", None), ("zh", None)):
        made = explain(
            model, load_study(drawn.film, patient_right="left"), language=language, question=question, samples=0
        )
        (notice,) = [one for one in made.warnings if one.code == "outside_anatomy"]
        assert "heart" in notice.en.lower() and "outside the anatomy" in notice.en and "解剖区域之外" in notice.zh
        grade = made.faithfulness["propose_and_verify", "cardiomegaly"]
        assert (grade.letter, grade.outside, grade.withheld) == ("C", True, False)
        assert (
            "依据区域位于该征象允许的解剖区域之外" if language == "zh" else "lies outside the anatomy"
        ) in grade.note
        values = made.maps["propose_and_verify", "cardiomegaly"].values[0]
        row, column = np.unravel_index(values.argmax(), values.shape)
        x0, y0, x1, y1 = (edge / 512 * 16 for edge in drawn.marker)
        assert x0 - 1 < column < x1 and y0 - 1 < row < y1, "the highest cell holds the marker"


FINDING = Finding("cardiomegaly", "present")


def named(film, *, caused=None, outside=None, withheld=False):
    grade = MapGrade("weak", 1.0, None, None, outside=outside, withheld=withheld)
    return SuspectFinding(film, FINDING, caused, grade, None, None, None, None)


def test_rates_are_counted_by_film_and_come_with_wilson_intervals():
    report = ShortcutReport(
        10,
        (
            named("a", caused=True, outside=True),
            named("a", caused=False, outside=True),  # the same film: one alarm
            named("b", caused=True, outside=False),
            named("c", outside=True, withheld=True),  # nothing is shown, so nothing is exposed
            named("d", outside=None),
        ),
    )
    assert report.alarmed == 1
    rate, low, high = report.detection()
    assert rate == 0.5 and (low, high) == pytest.approx((0.0945, 0.9055), abs=1e-3)
    rate, low, high = report.alarms()
    assert rate == 0.1 and (low, high) == pytest.approx((0.0179, 0.4042), abs=1e-3)
    assert "1 of 10" in report.text("en") and "1 of 2" in report.text("en")
    assert "10 例中 1 例" in report.text("zh")
    with pytest.raises(MalformedInput, match="no rate"):
        ShortcutReport(3, ()).detection()
    assert ShortcutReport(3, ()).alarms()[0] == 0 and "exposed" not in ShortcutReport(3, ()).text("en")


def test_models_stand_beside_each_other_on_the_same_films_as_json_and_text(cheating, honest):
    reports = {"demo": honest, "demo-shortcut": cheating}
    stored = json.loads(json.dumps(as_dict(reports, first_seed=40000)))
    quiet, told = (stored["models"][name] for name in reports)
    assert (quiet["alarms"]["count"], quiet["detection"], quiet["exposed"]) == (0, None, [])
    assert told["alarms"]["of"] == FILMS and told["detection"]["of"] == len(cheating.caused)
    assert told["detection"]["interval"][0] <= told["detection"]["rate"] <= told["detection"]["interval"][1]
    assert {one["finding"] for one in told["exposed"]} == {"cardiomegaly"} and told["exposed"][0]["zh"] == "心影增大"
    for language in ("en", "zh"):
        lines = as_text(reports, language).splitlines()
        assert {"demo", "demo-shortcut"} <= set(lines) and f"  {cheating.text(language).splitlines()[0]}" in lines


def test_the_check_shows_every_model_the_same_films():
    seen = []
    model = load_model("demo")
    asked = dict.fromkeys(("one", "another"), (model, Prompt(model.profile.question("zh"), "zh")))
    reports = check_shortcut(
        asked, films=1, first_seed=40001, size=256, extract=extract_findings, progress=lambda *now: seen.append(now)
    )
    one, another = (
        [(found.finding, found.grade, found.caused) for found in report.findings] for report in reports.values()
    )
    assert one == another and one
    assert seen == [("one", 0, 1), ("one", 1, 1), ("another", 0, 1), ("another", 1, 1)]


def test_bad_requests_are_refused():
    model = load_model("demo")
    prompt = Prompt(model.profile.question("en"), "en")
    with pytest.raises(MalformedInput, match="No film"):
        expose(model, [], prompt=prompt, extract=extract_findings)
    for count, first in ((0, 0), (2, -1), (1, 1_000_000)):
        with pytest.raises(MalformedInput, match="at least 1"):
            next(marked_phantoms(count, first_seed=first))
    (case,) = marked_phantoms(1, first_seed=40000, size=256)
    assert case.suspect.sum() == np.square(round(256 * 0.055))
    with pytest.raises(MalformedInput, match="named"):
        expose(model, [case, replace(case, plain=None)], prompt=prompt, extract=extract_findings)


def test_without_the_plain_film_nothing_is_said_of_causes():
    model = load_model("demo-shortcut")
    prompt = Prompt(model.profile.question("en"), "en")
    study = load_study(draw_case(40003, marker=True, pairs=False).film, patient_right="left")
    report = expose(model, [SuspectCase(study)], prompt=prompt, extract=extract_findings)
    assert report.exposed and {one.caused for one in report.findings} == {None}
    assert {one.on_suspect for one in report.findings} == {None}
