"""From an explanation to the interactive page's data: nothing withheld leaks, places and counts are kept."""

from __future__ import annotations

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image
from synthetic import EN_REPORT, build, explain_en, explain_zh, film

from radiolucent.report import html, viewer_bridge
from radiolucent.report.embed import embed_font
from radiolucent.report.html import payload
from radiolucent.report.overlay import region_of
from radiolucent.report.viewer_bridge import chosen_layers, render_viewer, viewer_data
from radiolucent.trace.types import Trace


@pytest.fixture(autouse=True)
def _light_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "bundle", lambda: ("/* script 图 */", "/* style */"))


@pytest.mark.parametrize("make", [explain_en, explain_zh])
def test_the_page_accepts_the_data_and_keeps_its_places(make) -> None:  # type: ignore[no-untyped-def]
    explanation = make(thinking="think first")
    data = viewer_data(explanation)
    payload(data)  # the contract's own checks
    assert data.report == explanation.report and data.question == explanation.prompt.question
    for word in data.words:
        whole = data.report if word.part == "answer" else data.thinking
        assert whole[word.start : word.end] == word.text
    for row, finding in zip(data.findings, explanation.findings, strict=True):
        assert data.report[row.start : row.end] == finding.words
        assert row.id == finding.id and row.counts is not None and row.counts.n == 16
    assert data.domain == "phantom" and len(data.warnings) == 1


def test_withheld_values_and_absent_findings_never_reach_the_page() -> None:
    explanation = explain_en(withheld=("pleural_effusion.right",))
    absent = explanation.findings[2]
    stray = next(iter(explanation.maps.values()))
    maps = dict(explanation.maps) | {("token_ablation", absent.id): stray}
    data = viewer_data(dataclasses.replace(explanation, maps=maps))
    assert all(view.finding != absent.id for view in data.maps)
    hidden = [view for view in data.maps if view.finding == "pleural_effusion.right"]
    assert len(hidden) == 3
    assert all(view.values is None and view.withheld and not view.boxes and not view.contours for view in hidden)


def test_a_map_of_evidence_in_the_wrong_place_says_so_in_both_languages() -> None:
    base = explain_en()
    wrong = {key: dataclasses.replace(grade, grade="weak", outside=True) for key, grade in base.faithfulness.items()}
    views = viewer_data(dataclasses.replace(base, faithfulness=wrong)).maps
    for view in views:
        assert (view.caption is not None) == (view.claim == "relied_on")
        if view.caption is not None:
            assert "outside the anatomy" in view.caption.en and "解剖区域之外" in view.caption.zh
    assert all(view.caption is None for view in viewer_data(base).maps if view.grade == "verified")


def test_only_relied_on_maps_have_boxes_and_they_hold_the_region() -> None:
    explanation = explain_en()
    for view in viewer_data(explanation).maps:
        assert bool(view.boxes) == (view.claim == "relied_on")
        assert view.contours
        attribution = explanation.maps[view.method, view.finding]
        geometry = attribution.geometry[0]
        points = np.array([point for line in view.contours for point in line.points])
        rows, columns = np.nonzero(region_of(attribution)[0])
        low = geometry.from_grid(np.array([columns.min(), rows.min()], dtype=float))
        high = geometry.from_grid(np.array([columns.max() + 1, rows.max() + 1], dtype=float))
        assert np.allclose(points.min(axis=0), low) and np.allclose(points.max(axis=0), high)


def test_the_mean_stop_is_the_mean_over_every_layer() -> None:
    explanation = explain_en(layers=34)
    data = viewer_data(explanation)
    assert data.word_maps is not None and explanation.trace is not None
    assert data.word_maps.layers[0].type == "mean"
    expected = np.mean(explanation.trace.words[3].attended, axis=0)
    place = next(word.map for word in data.words if word.text == explanation.trace.words[3].text)
    assert place is not None and np.allclose(data.word_maps.values[3, 0], expected)
    for stop, values in zip(data.word_maps.layers[1:], data.word_maps.values[3, 1:], strict=True):
        assert stop.index is not None
        assert np.array_equal(values, explanation.trace.words[3].attended[stop.index])


def test_layers_that_do_not_fit_are_left_out_aloud_and_the_global_ones_last(monkeypatch: pytest.MonkeyPatch) -> None:
    explanation = explain_en(layers=34)
    assert explanation.trace is not None
    monkeypatch.setattr(viewer_bridge, "WORD_MAP_CELLS", len(explanation.trace.words) * 256 * 9)
    data = viewer_data(explanation)
    assert data.word_maps is not None and len(data.word_maps.layers) == 9
    kept = {stop.index for stop in data.word_maps.layers}
    assert {5, 11, 17, 23, 29} <= kept
    assert any("every layer is in maps.npz" in entry.en for entry in data.warnings)
    monkeypatch.setattr(viewer_bridge, "WORD_MAP_CELLS", 10)
    data = viewer_data(explanation)
    assert data.word_maps is None and all(word.map is None for word in data.words)
    assert any("too many for this page" in entry.en for entry in data.warnings)


@pytest.mark.parametrize("most", [0, 1, 3, 7, 50])
def test_chosen_layers_are_distinct_and_within_the_limit(most: int) -> None:
    kinds = tuple("global" if i % 6 == 5 else "sliding" for i in range(34))
    chosen = chosen_layers(Trace((), tuple(range(34)), kinds), most)
    assert len(chosen) == min(most, 34) == len(set(chosen)) and chosen == sorted(chosen)


def test_several_frames_share_the_room_of_one() -> None:
    draw = np.random.default_rng(0)
    frames = tuple(film(draw, 900, 900, label=f"slice {i}") for i in range(9))
    data = viewer_data(explain_en(frames=frames))
    assert all(max(Image.open(io.BytesIO(view.png)).size) <= 470 for view in data.frames)
    assert all((view.rows, view.cols) == (900, 900) for view in data.frames)


def test_a_page_of_300_words_stays_below_three_megabytes() -> None:
    text = " ".join([EN_REPORT] * 9)
    frames = (film(np.random.default_rng(0), 1200, 1200),)  # noise: the worst film for a PNG
    page = render_viewer(build(text, explain_en().findings, "?", "en", layers=34, frames=frames))
    assert len(text.split()) > 280 and len(page.encode()) < 2.9e6


def test_the_embedded_font_holds_the_pages_characters_and_little_else() -> None:
    page = render_viewer(explain_zh())
    blob = page.split('id="data">', 1)[1].split("</script>", 1)[0]
    raw = base64.b64decode(json.loads(blob)["font"])
    glyphs = TTFont(io.BytesIO(raw)).getBestCmap()
    assert {ord(character) for character in "右侧少量胸腔积液图"} <= set(glyphs)
    assert len(glyphs) < 400 and len(raw) < 100_000
    assert embed_font("胸腔") == embed_font("腔胸")
    assert 0x1F600 not in TTFont(io.BytesIO(embed_font("a😀"))).getBestCmap()


def test_a_map_finer_than_the_grid_is_averaged_in_place() -> None:
    explanation = explain_en()
    key = ("input_x_gradient", "pleural_effusion.right")
    fine = np.zeros((1, 448, 448), dtype=np.float32)
    fine[0, 100:107, 200:207] = 1.0
    maps = {key: dataclasses.replace(explanation.maps[key], values=fine)}
    data = viewer_data(dataclasses.replace(explanation, maps=maps, faithfulness={}))
    values = data.maps[0].values
    assert values is not None and values.shape == (1, 64, 64)
    assert np.isclose(values.sum() * 49, fine.sum())
    row, column = np.unravel_index(values[0].argmax(), (64, 64))
    assert row in (14, 15) and column in (28, 29)
