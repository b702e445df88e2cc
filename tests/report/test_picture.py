"""report.png: maps on the right pixels, text complete and legible on a bare machine, safety words always there."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from synthetic import EN_REPORT, ZH_REPORT, build, explain_en, explain_zh, film, found

from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import Notice
from radiolucent.faithfulness.types import MapGrade
from radiolucent.report import sheet as sheet_module
from radiolucent.report import typeface, wording
from radiolucent.report.blocks import report_runs, shown_map, side_sentence
from radiolucent.report.explanation import Explanation
from radiolucent.report.overlay import (
    Placement,
    Range,
    colour_bar,
    place,
    region_boxes,
    region_contours,
    sampled,
    side_markers,
    tint,
)
from radiolucent.report.page_one import film_spot, layout, page_one
from radiolucent.report.page_two import layer_stack, page_two
from radiolucent.report.picture import render_png
from radiolucent.report.sheet import RED, WIDTH
from radiolucent.report.typeface import NO_LINE_END, NO_LINE_START, Run, Style, covered, measure, missing, wrap
from radiolucent.study.geometry import Geometry
from radiolucent.trace.chain import CHAIN_NOTE, STRENGTH_WORDS
from radiolucent.vlm.types import Target

BODY = Style(25)
LONG_ZH = ZH_REPORT * 14
LONG_EN = " ".join([EN_REPORT] * 9)


def squeezed(text: str) -> str:
    """Without spaces, line breaks and the forms of quotation marks: a wrapped sentence is found again."""
    return re.sub(r"[\s“”\"]", "", text)


class Recorder:
    """Keeps every line that is drawn: its text without private forms, its place and its width."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, float, float, int]] = []

    def text(self) -> str:
        return "\n".join(line[0] for line in self.lines)


@pytest.fixture()
def drawn(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    real = typeface.draw_line

    def record(draw, line, x, baseline, background=(0, 0, 0)):  # type: ignore[no-untyped-def]
        text = "".join(typeface._USUAL.get(c, c) for run in line.runs for c in run.text)
        size = max((run.style.size for run in line.runs), default=0)
        recorder.lines.append((text, x, baseline, line.width, size))
        assert x >= 0 and x + line.width <= WIDTH, f"clipped: {text!r}"
        real(draw, line, x, baseline, background)

    monkeypatch.setattr(sheet_module, "draw_line", record)
    return recorder


def one_hot(explanation: Explanation, row: int, column: int, claim: str, frame: int = 0) -> Explanation:
    """The explanation with a single map whose single hot cell is known."""
    finding = explanation.findings[0]
    values = np.zeros((len(explanation.frames), 16, 16), dtype=np.float32)
    values[frame, row, column] = 1.0
    method = {"relied_on": "token_ablation", "attended": "attention", "sensitive": "saliency"}[claim]
    attribution = AttributionMap(
        values, claim, method, Target((0, 1)), "nats", tuple(f.geometry for f in explanation.frames)
    )
    grade = MapGrade("verified", 1.0, 0.0, 0.1)
    key = (method, finding.id)
    return dataclasses.replace(explanation, maps={key: attribution}, faithfulness={key: grade})


def flat_film(rows: int, cols: int) -> Explanation:
    frame = film(np.random.default_rng(0), rows, cols)
    frame = dataclasses.replace(frame, values=np.full((rows, cols), 1800, dtype=np.float32))
    return explain_en(frames=(frame,))


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (300, 220), (200, 330)])
@pytest.mark.parametrize(("row", "column"), [(5, 6), (9, 11)])
def test_a_hot_cell_is_outlined_at_its_own_place_on_the_film(rows: int, cols: int, row: int, column: int) -> None:
    """The place follows from the padded square by hand: centre the film on its square, cut it in 16.

    The outline is the region that the grade hides: the hot cell with one cell around it.
    """
    plain = flat_film(rows, cols)
    marked = one_hot(plain, row, column, "relied_on")
    _, spot, _ = film_spot(marked)
    picture = np.asarray(render_png(marked), dtype=int)
    edge = max(rows, cols)
    scale = spot.width / cols
    left = spot.x + (column * edge / 16 - (edge - cols) // 2) * scale
    top = spot.y + (row * edge / 16 - (edge - rows) // 2) * scale
    side = edge / 16 * scale
    stage = picture[: spot.y + spot.height, : spot.x + spot.width]
    amber = (np.abs(stage - (255, 180, 84)) < 12).all(axis=-1)
    ys, xs = np.nonzero(amber)
    assert abs(xs.min() - (left - side)) <= 4 and abs(xs.max() - (left + 2 * side)) <= 4
    assert abs(ys.min() - (top - side)) <= 4 and abs(ys.max() - (top + 2 * side)) <= 4


@pytest.mark.parametrize(("rows", "cols"), [(256, 256), (256, 160), (150, 250)])
def test_colours_change_only_in_the_hot_cell(rows: int, cols: int) -> None:
    geometry = Geometry(rows, cols, 896, 16)
    values = np.zeros((16, 16))
    values[8, 7] = 1.0
    spot = place(geometry, 0, 0, 480, 480)
    grey = Image.new("RGB", (spot.width, spot.height), (90, 90, 90))
    for smooth in (False, True):
        painted = tint(
            grey, sampled(values, geometry, spot.width, spot.height, smooth), "relied_on", Range(0, 1, False)
        )
        changed = np.asarray(painted).astype(int).sum(axis=-1) != 270
        ys, xs = np.nonzero(changed)
        x0, y0, x1, y1 = geometry.cell_box(8, 7)
        scale = spot.width / cols
        reach = (x1 - x0) * scale if smooth else 0  # bilinear colour ends at the neighbours' centres
        assert abs((xs.min() + xs.max() + 1) / 2 - (x0 + x1) / 2 * scale) <= 1.5
        assert abs((ys.min() + ys.max() + 1) / 2 - (y0 + y1) / 2 * scale) <= 1.5
        assert xs.max() - xs.min() <= (x1 - x0) * scale + reach + 1
    flat = sampled(values, geometry, cols, rows, smooth=False)
    assert np.array_equal(flat.astype(np.float32), geometry.on_source(values))  # the geometry's own carrier


@given(st.integers(1, 400), st.integers(1, 400), st.integers(40, 900), st.integers(40, 900))
def test_a_film_is_never_stretched(rows: int, cols: int, width: int, height: int) -> None:
    spot = place(Geometry(rows, cols), 10, 20, width, height)
    assert spot.x >= 10 and spot.x + spot.width <= 10 + width
    assert spot.y >= 20 and spot.y + spot.height <= 20 + height
    scale = min(width / cols, height / rows)
    assert abs(spot.width - max(1, cols * scale)) <= 0.5 and abs(spot.height - max(1, rows * scale)) <= 0.5


@pytest.mark.parametrize("ratio", [0.75, 0.82, 0.9, 1.0, 1.1, 1.22])
def test_the_film_takes_at_least_half_of_page_one(ratio: float) -> None:
    rows, cols = 2000, round(2000 * ratio)
    plan = layout(rows, cols)
    spot = place(Geometry(rows, cols), 0, 0, *plan.film)
    assert spot.width * spot.height >= 0.5 * WIDTH * plan.height
    assert plan.column >= 740  # and the text keeps a readable column


@pytest.mark.parametrize("ratio", [0.02, 0.4, 2.5, 30.0])
def test_extreme_films_stay_on_their_stage(ratio: float) -> None:
    explanation = explain_en(frames=(film(np.random.default_rng(0), 300, max(6, round(300 * ratio))),), layers=1)
    _, spot, plan = film_spot(explanation)
    assert spot.x >= 0 and spot.x + spot.width <= plan.stage and spot.y + spot.height <= plan.height - 200
    render_png(explanation)


def test_outlines_close_around_the_cells_and_boxes_hold_them() -> None:
    geometry = Geometry(160, 160, 896, 16)
    region = np.zeros((16, 16), dtype=bool)
    region[4:7, 4:7] = True
    region[5, 5] = False  # a hole
    region[10, 12] = True
    lines = region_contours(region, geometry)
    assert len(lines) == 3 and all(line[0] == line[-1] for line in lines)

    def area(line: list[tuple[float, float]]) -> float:  # shoelace
        return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(line)) / 2

    assert sum(area(line) for line in lines) == pytest.approx(region.sum() * 100)
    assert sorted(region_boxes(region, geometry)) == [(40, 40, 70, 70), (120, 100, 130, 110)]


def test_cells_that_touch_at_a_corner_have_closed_outlines() -> None:
    region = np.zeros((4, 4), dtype=bool)
    region[1, 1] = region[2, 2] = True
    lines = region_contours(region, Geometry(40, 40, 896, 4))
    assert all(line[0] == line[-1] for line in lines)
    assert sum(len(line) - 1 for line in lines) == 8


def test_a_box_is_cut_to_the_film() -> None:
    region = np.ones((16, 16), dtype=bool)
    assert region_boxes(region, Geometry(100, 60)) == [(0.0, 0.0, 60.0, 100.0)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_safety_words_stand_on_both_pages(language: str, drawn: Recorder) -> None:
    explanation = explain_zh() if language == "zh" else explain_en()
    render_png(explanation)
    text = drawn.text()
    assert text.count("AI-generated, not reviewed by a physician / AI生成，未经医师审核") == 2
    assert text.count("Not a medical device / 非医疗器械") == 2
    assert "side assumed, not verified / 左右未核实" in text
    assert (
        "Area the model relied on, not the lesion's outline; not for measurement / 模型依赖区域，非病灶轮廓，不可测量"
        in text
    )
    assert ("未校准" if language == "zh" else "Uncalibrated") in text
    assert ("演示模型" if language == "zh" else "DEMO MODEL") in text
    assert not re.search("danger|危险|危急|no image evidence", text, re.IGNORECASE)


def test_a_clinical_models_page_has_no_demo_banner(drawn: Recorder) -> None:
    render_png(explain_en(demo=False))
    assert "DEMO" not in drawn.text() and "Not a medical device" in drawn.text()


def test_a_calibrated_confidence_says_on_what(drawn: Recorder) -> None:
    base = explain_en()
    assert base.confidence is not None
    confidence = dataclasses.replace(base.confidence, calibrated=True, note="Fitted on 400 labelled phantoms.")
    render_png(dataclasses.replace(base, confidence=confidence))
    assert "Fitted on 400 labelled phantoms." in drawn.text() and "Uncalibrated" not in drawn.text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_withheld_map_has_no_colour_and_says_so(language: str, drawn: Recorder) -> None:
    make = explain_zh if language == "zh" else explain_en
    explanation = make(withheld=("pleural_effusion.right", "consolidation.left"))
    bare = dataclasses.replace(explanation, trace=None, provenance={})
    picture = np.asarray(render_png(bare), dtype=int)
    sentence = wording.say("withheld", language)
    joined = re.sub(r"\s", "", drawn.text())
    assert joined.count(re.sub(r"\s", "", sentence)) >= 7  # the film's caption, and three maps for each finding
    _, spot, _ = film_spot(bare)
    stage = picture[spot.y : spot.y + spot.height, spot.x : spot.x + spot.width]
    assert (stage.max(axis=-1) - stage.min(axis=-1)).max() <= 20  # grey only (the side marker's plate is bluish)


def test_a_weak_map_does_not_say_that_hiding_the_area_changes_the_answer(drawn: Recorder) -> None:
    base = explain_en()
    weak = {key: dataclasses.replace(grade, grade="weak") for key, grade in base.faithfulness.items()}
    page_one(dataclasses.replace(base, faithfulness=weak))
    text = drawn.text().replace("\n", " ")
    assert "Better than chance" in text and "Hiding this area changes" not in text
    drawn.lines.clear()
    page_one(dataclasses.replace(base, faithfulness={}))
    assert "not graded" in drawn.text()


@pytest.mark.parametrize(("other_side", "said"), [(None, "outside the anatomy"), (True, "the patient's other side")])
def test_a_map_of_evidence_in_the_wrong_place_says_where_it_lies(
    other_side: bool | None, said: str, drawn: Recorder
) -> None:
    base = explain_en()
    wrong = {
        key: dataclasses.replace(grade, grade="weak", outside=True, other_side=other_side)
        for key, grade in base.faithfulness.items()
    }
    page_one(dataclasses.replace(base, faithfulness=wrong))
    text = drawn.text().replace("\n", " ")
    assert said in text and "Better than chance" not in text and "Hiding this area changes" not in text


def test_values_of_a_withheld_map_never_reach_the_picture() -> None:
    explanation = explain_en(withheld=("pleural_effusion.right", "consolidation.left"))
    turned = {
        key: dataclasses.replace(attribution, values=attribution.values[:, ::-1, ::-1].copy())
        for key, attribution in explanation.maps.items()
    }
    assert render_png(explanation).tobytes() == render_png(dataclasses.replace(explanation, maps=turned)).tobytes()


def test_an_absent_finding_gets_no_map_even_where_one_exists() -> None:
    base = explain_en()
    absent = next(finding for finding in base.findings if finding.polarity == "absent")
    attribution = next(iter(base.maps.values()))
    maps = dict(base.maps) | {("token_ablation", absent.id): dataclasses.replace(attribution, claim="relied_on")}
    with_map = dataclasses.replace(base, maps=maps)
    assert shown_map(with_map, absent, "relied_on") is None
    assert render_png(with_map).tobytes() == render_png(base).tobytes()


def test_a_verified_map_is_shown_before_a_weak_one() -> None:
    base = explain_en()
    finding = base.findings[0]
    first = base.maps["hierarchical_occlusion", finding.id]
    key = ("occlusion", finding.id)
    grades = {
        ("hierarchical_occlusion", finding.id): MapGrade("weak", 0.3, 0.1, 0.4),
        key: MapGrade("verified", 2.0, 0.0, 0.2),
    }
    both = dataclasses.replace(base, maps=dict(base.maps) | {key: first}, faithfulness=grades)
    shown = shown_map(both, finding, "relied_on")
    assert shown is not None and shown.method == "occlusion"


def test_without_an_intervention_the_page_claims_none(drawn: Recorder) -> None:
    render_png(explain_en(claims=("attended",)))
    assert wording.say("no_intervention", "en") in drawn.text()
    assert "not for measurement" not in drawn.text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_without_a_present_finding_is_never_called_normal(language: str, drawn: Recorder) -> None:
    text = "未见气胸。" if language == "zh" else "No pneumothorax."
    absent = found(text, text[:-1], "pneumothorax", polarity="absent")
    render_png(build(text, (absent,), "?", language))
    assert wording.say("no_finding_map", language) in drawn.text()
    drawn.lines.clear()
    render_png(build("…", (), "?", language))
    assert wording.say("no_findings", language) in re.sub(r"\n", "", drawn.text())


def test_side_markers_follow_the_patient() -> None:
    assert side_markers(Geometry(9, 9)) == ("R?", "L?")
    assert side_markers(Geometry(9, 9, patient_right="right", side_source="orientation")) == ("L", "R")
    assert side_markers(Geometry(9, 9, patient_right=None, side_source="none")) is None
    assert "左右未核实" in side_sentence(Placement(0, 0, 9, 9, Geometry(9, 9)), "en")
    lateral = Placement(0, 0, 9, 9, Geometry(9, 9, patient_right=None, side_source="none"))
    assert side_sentence(lateral, "zh") == "该投照体位不给出左右"


def test_mirrored_films_swap_their_letters_not_their_pixels() -> None:
    draw = np.random.default_rng(1)
    frame = film(draw, 300, 300, patient_right="left", side_source="orientation")
    mirrored = dataclasses.replace(frame, geometry=dataclasses.replace(frame.geometry, patient_right="right"))
    one, two = (render_png(explain_en(frames=(entry,))) for entry in (frame, mirrored))
    _, spot, _ = film_spot(explain_en(frames=(frame,)))
    middle = (spot.x, spot.y + 120, spot.x + spot.width, spot.y + spot.height)
    assert one.crop(middle).tobytes() == two.crop(middle).tobytes()
    corner = (spot.x, spot.y, spot.x + 120, spot.y + 100)
    assert one.crop(corner).tobytes() != two.crop(corner).tobytes()


@pytest.mark.parametrize(
    ("text", "language"),
    [(LONG_EN, "en"), (LONG_ZH, "zh"), ("右侧" * 700 + "A" * 300, "zh"), ("word\n\n" * 40, "en"), ("，。" * 200, "zh")],
)
def test_no_character_of_a_long_report_is_lost(text: str, language: str, drawn: Recorder) -> None:
    question = "请分析" * 100 if language == "zh" else "Describe it. " * 60
    warnings = tuple(Notice(f"w{i}", f"Warning {i} " * 9, f"警告{i}" * 20) for i in range(9))
    explanation = build(text, (), question, language, layers=34, warnings=warnings)
    picture = render_png(dataclasses.replace(explanation, trace=None))
    everything = re.sub(r"\s", "", drawn.text())
    assert re.sub(r"\s", "", text) in everything
    assert re.sub(r"\s", "", question) in everything
    for notice in warnings:
        assert re.sub(r"\s", "", notice.text(language)) in everything
    assert max(line[2] for line in drawn.lines) < picture.height


def test_every_finding_is_listed_however_many(drawn: Recorder) -> None:
    base = explain_en().findings[0]
    codes = ("nodule", "mass", "edema", "fracture", "tuberculosis", "fibrosis", "atelectasis", "cavity")
    many = tuple(dataclasses.replace(base, code=c, side=s) for c in codes for s in ("left", "right", "bilateral"))
    explanation = dataclasses.replace(build(EN_REPORT, many, "?", "en", claims=()), trace=None)
    render_png(explanation)
    joined = drawn.text().replace("\n", " ")
    for finding in many:
        assert wording.finding_name(finding, "en") in joined


def crowded(language: str) -> Explanation:
    base = (explain_zh() if language == "zh" else explain_en()).findings
    codes = ("nodule", "subdiaphragmatic_gas", "enlarged_cardiomediastinum", "tuberculosis", "fibrosis")
    more = tuple(dataclasses.replace(base[0], code=c, side=s, zone="lower") for c in codes for s in ("left", "right"))
    text = LONG_ZH if language == "zh" else LONG_EN
    question = "请分析" * 100 if language == "zh" else "Describe it. " * 60
    warnings = tuple(Notice(f"w{i}", f"Warning {i} " * 30, f"警告{i}" * 60) for i in range(9))
    frames = tuple(film(np.random.default_rng(4), 200, 150, label=f"slice {i}") for i in range(11))
    return build(text, base + more, question, language, layers=34, warnings=warnings, frames=frames)


@pytest.mark.parametrize("make", ["en", "zh", "crowded en", "crowded zh"])
def test_lines_of_text_do_not_overlap(make: str, drawn: Recorder) -> None:
    """Every line's box, from the middle of its letters to the baseline, is clear of every other's on its page."""
    if "crowded" in make:
        explanation = crowded(make[-2:])
    else:
        explanation = (explain_zh if make == "zh" else explain_en)(withheld=("consolidation.left",))
    _, remainder = page_one(explanation)
    first = list(drawn.lines)
    drawn.lines.clear()
    paper = page_two(explanation, remainder)
    assert max(line[2] for line in drawn.lines) < paper.image.height
    title = wording.say("page_two", explanation.language)
    starts = [place for place, line in enumerate(drawn.lines) if line[0] == title]
    second = drawn.lines[starts[-1] :]  # a page that outgrew its paper was drawn again
    for page in (first, second):
        boxes = [(x, y - 0.5 * size, x + width, y, text) for text, x, y, width, size in page if text.strip()]
        assert len(boxes) > 30
        boxes.sort(key=lambda box: box[1])
        for number, a in enumerate(boxes):
            for b in itertools.takewhile(lambda box: box[1] < a[3], boxes[number + 1 :]):  # noqa: B023
                assert a[2] <= b[0] + 1 or b[2] <= a[0] + 1, f"{a[4]!r} over {b[4]!r}"


@pytest.mark.parametrize("make", [explain_en, explain_zh])
@pytest.mark.parametrize("ratio", [0.75, 1.0, 1.25])
def test_no_word_of_the_interface_is_cut_short(make, ratio: float, drawn: Recorder) -> None:  # type: ignore[no-untyped-def]
    """At 1.25 the text column is at its narrowest."""
    frames = (film(np.random.default_rng(0), 200, round(200 * ratio)),)
    page_one(make(frames=frames, withheld=("consolidation.left",)))
    assert [line[0] for line in drawn.lines if line[0].endswith("…")] == []


@pytest.mark.parametrize("polarity", ["present", "uncertain", "absent"])
def test_each_polarity_is_marked_in_its_own_way(polarity: str) -> None:
    runs = report_runs(dataclasses.replace(explain_en(), trace=None))
    finding = next(entry for entry in explain_en().findings if entry.polarity == polarity)
    run = next(entry for entry in runs if entry.text == finding.words)
    assert run.style.mark == {"present": "solid", "uncertain": "dashed", "absent": "dotted"}[polarity]
    assert "".join(entry.text for entry in runs) == EN_REPORT


def test_guessed_words_and_only_they_are_red_and_keep_the_mark_of_their_finding() -> None:
    explanation = explain_en()
    words = tuple(
        dataclasses.replace(word, mark="guessed" if word.text == "right" else None) for word in explanation.trace.words
    )
    trace = dataclasses.replace(explanation.trace, words=words)
    guessed = report_runs(dataclasses.replace(explanation, trace=trace))
    assert [run.text for run in guessed if run.style.colour == RED] == ["right"]
    plain = report_runs(dataclasses.replace(explanation, trace=None))
    around = next(run for run in plain if "right" in run.text)
    assert next(run for run in guessed if run.style.colour == RED).style.mark == around.style.mark


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_chain_and_the_contrasts_stand_on_page_two_with_their_strengths(language: str, drawn: Recorder) -> None:
    explanation = explain_en() if language == "en" else explain_zh()
    render_png(explanation)
    text = drawn.text()
    for step in explanation.trace.chain:
        said = step.zh if language == "zh" else step.en
        assert squeezed(said) in squeezed(text)
    for contrast in explanation.trace.contrasts:
        assert squeezed(contrast.ask(language)) in squeezed(text)
    assert squeezed(CHAIN_NOTE[language == "zh"]) in squeezed(text)
    for strength in {step.strength for step in explanation.trace.chain if step.stage != "question"}:
        assert STRENGTH_WORDS[strength][language == "zh"] in text


def test_spans_outside_the_text_do_not_break_the_page() -> None:
    finding = dataclasses.replace(explain_en().findings[0], chars=(400, 900))
    assert "".join(run.text for run in report_runs(build("Short.", (finding,), "?", "en"))) == "Short."


# Text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=300), st.integers(60, 900))
@settings(max_examples=80, deadline=None)
def test_wrapping_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrap([Run(text, BODY)], width)
    kept = "".join(typeface._USUAL.get(c, c) for line in lines for run in line.runs for c in run.text)
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)
    for line in lines:
        characters = sum(len(run.text) for run in line.runs)
        assert line.width <= width + 0.01 or characters == 1


@given(st.text("右侧胸腔积液（心影）：，。、；？“”《》", max_size=200))
@settings(max_examples=80, deadline=None)
def test_no_chinese_line_begins_or_ends_with_forbidden_punctuation(text: str) -> None:
    calm = re.sub(
        r"([，。、；：？”》）“《（])[，。、；：？”》）“《（]+", r"\1", text
    )  # runs of marks have no good break
    lines = ["".join(run.text for run in line.runs) for line in wrap([Run(calm, BODY)], 260)]
    for line in lines[1:]:
        assert not line or line[0] not in NO_LINE_START
    for line in lines[:-1]:
        assert not line or line[-1] not in NO_LINE_END


def test_english_breaks_between_words() -> None:
    lines = ["".join(run.text for run in line.runs) for line in wrap([Run(EN_REPORT, BODY)], 400)]
    assert " ".join(lines).split() == EN_REPORT.split() and len(lines) > 3


def test_styles_survive_wrapping() -> None:
    strong = Style(25, "Bold")
    runs = wrap([Run("a bold ", strong), Run("and a plain end", BODY)], 90)
    assert {run.style for line in runs for run in line.runs} == {strong, BODY}


# Font: fontTools reads the packaged file independently of Pillow


@pytest.fixture(scope="module")
def glyphs() -> dict[str, set[int]]:
    from importlib.resources import files

    folder = files("radiolucent.report") / "fonts"
    found = {}
    for weight in ("Regular", "Bold"):
        with (folder / f"NotoSansCJKsc-{weight}-subset.otf").open("rb") as stream:
            font = TTFont(stream)
            found[weight] = set(font.getBestCmap())
            assert "Open Font License" in font["name"].getDebugName(13)
            assert "Adobe" in font["name"].getDebugName(0)
    return found


def test_the_font_is_free_small_and_travels_with_its_licence(glyphs: dict[str, set[int]]) -> None:
    from importlib.resources import files

    folder = files("radiolucent.report") / "fonts"
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text("utf-8")
    size = sum(len(entry.read_bytes()) for entry in folder.iterdir() if entry.name.endswith(".otf"))
    assert size <= 4e6
    assert glyphs["Regular"] == glyphs["Bold"]


def test_every_common_chinese_character_can_be_drawn(glyphs: dict[str, set[int]]) -> None:
    common = []
    for lead in range(0xB0, 0xF8):
        for trail in range(0xA1, 0xFF):
            try:
                common.append(bytes((lead, trail)).decode("gb2312"))
            except UnicodeDecodeError:
                continue
    assert len(common) == 6763
    assert not [character for character in common if ord(character) not in glyphs["Regular"]]


def test_every_word_of_the_interface_can_be_drawn(glyphs: dict[str, set[int]]) -> None:
    tables = [value for name, value in vars(wording).items() if name.isupper() and isinstance(value, dict)]
    texts = [text for table in tables for pair in table.values() if isinstance(pair, tuple) for text in pair]
    from radiolucent.findings.vocabulary import VOCABULARY

    texts += [name for code in VOCABULARY.values() for name in (code.en, code.zh)] + ["●◐○▲…–␣¶≤→"]
    assert len(texts) > 150
    lacking = {character for text in texts for character in text if ord(character) not in glyphs["Regular"]}
    assert lacking == set() and missing(texts) == ""


def test_coverage_agrees_with_the_fonts_own_table(glyphs: dict[str, set[int]]) -> None:
    for code in (*range(0x20, 0x250), *range(0x4E00, 0x4E80), *range(0x2000, 0x2100), 0x1F600, 0xFDFA, 0x202E):
        character = chr(code)
        if not character.isprintable() and character not in "\xa0":
            continue
        assert covered(character) == (code in glyphs["Regular"]), hex(code)


def test_a_character_without_a_glyph_is_drawn_as_its_code_point_and_reported(drawn: Recorder) -> None:
    text = "Odd 😀 and \u202e here."
    render_png(build(text, (), "?", "en"))
    joined = drawn.text().replace("\n", " ")
    assert "U+202E" in joined and "U+1F600" in joined
    style = Style(40, colour=(255, 255, 255))
    one, two = (np.asarray(typeface.text_image(character, style)) for character in ("😀", "😁"))
    assert one.shape == two.shape and (one != two).any()  # two boxes with different digits, not one tofu


def test_text_cannot_reach_the_fonts_private_forms() -> None:
    assert not covered("\ue018") and missing(["\ue018"]) == "\ue018"


def test_quotation_marks_are_narrow_in_english_and_wide_in_chinese() -> None:
    assert measure(typeface.typeset("“a” b"), BODY) < measure("“a” b", BODY)
    assert typeface.typeset("右“侧”") == "右“侧”"


# Technical page


def test_the_layer_panel_is_the_mean_over_the_findings_words() -> None:
    explanation = explain_en(layers=6)
    assert explanation.trace is not None
    stack, words = layer_stack(explanation, explanation.trace)
    first, last = explanation.findings[0].chars
    expected = np.mean(
        [word.attended for word in explanation.trace.words if word.chars[0] < last and word.chars[1] > first], axis=0
    )
    assert words == explanation.findings[0].words
    assert stack is not None and np.allclose(stack, expected)


def test_every_layer_is_named_global_or_sliding(drawn: Recorder) -> None:
    render_png(explain_en(layers=34))
    labels = [line[0] for line in drawn.lines if re.fullmatch(r"\d+ (global|sliding)", line[0])]
    assert labels == [f"{i} {'global' if i % 6 == 5 else 'sliding'}" for i in range(34)]


def test_every_word_of_the_answer_and_the_thinking_is_in_the_table(drawn: Recorder) -> None:
    explanation = explain_zh(thinking="先看肋膈角")
    assert explanation.trace is not None
    render_png(explanation)
    shown = [line[0] for line in drawn.lines]
    for word in explanation.trace.words:
        assert word.text in shown


def test_a_share_is_never_rounded_up_to_certainty() -> None:
    from radiolucent.report.page_two import _percent

    assert _percent(0.9999) == ">99%" and _percent(0.0001) == "<1%" and _percent(0.42) == "42%"


def test_pages_of_many_frames_show_the_frame_that_was_relied_on(drawn: Recorder) -> None:
    draw = np.random.default_rng(2)
    frames = tuple(film(draw, 64, 64, label=f"slice {i}") for i in range(40))
    explanation = one_hot(explain_en(frames=frames, layers=1), 8, 8, "relied_on", frame=33)
    index, _, _ = film_spot(explanation)
    assert index == 33
    render_png(explanation)
    assert drawn.text().count("slice 33, picture 34 of 40") == 2  # on the film, and among the pictures


def test_signed_maps_have_a_symmetric_bar_and_opposite_colours() -> None:
    bar = np.asarray(colour_bar("relied_on", True, 201, 4), dtype=int)[0]
    assert (np.abs(bar[100] - bar[100].mean()) < 12).all()  # nothing in the middle: the film's grey
    assert bar[0, 2] > bar[0, 0] and bar[-1, 0] > bar[-1, 2]  # blue against, orange for


def test_an_empty_map_draws_no_region(drawn: Recorder) -> None:
    explanation = one_hot(explain_en(), 3, 3, "relied_on")
    key, attribution = next(iter(explanation.maps.items()))
    empty = dataclasses.replace(attribution, values=-np.ones_like(attribution.values))
    render_png(dataclasses.replace(explanation, maps={key: empty}))
    assert wording.say("no_region", "en") in drawn.text()


def test_raw_cells_differ_from_smooth_colour_only_inside_maps() -> None:
    explanation = dataclasses.replace(explain_en(), trace=None)
    smooth, cells = render_png(explanation), render_png(explanation, cells=True)
    assert smooth.size == cells.size and smooth.tobytes() != cells.tobytes()
    _, _, plan = film_spot(explanation)
    stage = (0, 0, plan.stage, plan.height)
    assert smooth.crop(stage).tobytes() == cells.crop(stage).tobytes()  # the main film is bare either way
