"""report.html in a real browser: pixels and words are checked against the geometry and the data, not against itself."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import synthetic
import viewer_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from playwright.sync_api import Browser, Page

from radiolucent.errors import MalformedInput
from radiolucent.report import viewer_bridge
from radiolucent.report.html import (
    LEVELS,
    Bilingual,
    ContrastView,
    FindingMapView,
    FindingRow,
    FrameView,
    LayerView,
    LinkView,
    StepView,
    ViewerData,
    WordMaps,
    WordView,
    bundle,
    characters,
    film_png,
    payload,
    quantise,
    render_html,
)
from radiolucent.study.geometry import Geometry
from radiolucent.trace.chain import STAGE_WORDS, STRENGTH_WORDS
from radiolucent.trace.marks import MARK_MEANINGS, MARK_WORDS

ROOT = Path(__file__).resolve().parents[2]
GRID = viewer_data.GRID
OPACITY = 0.7  # the page's opening opacity
TINY = Geometry(rows=240, cols=320)
WITHHELD_EN = "No region could be shown to support this sentence; this does not mean that the finding is absent."
WITHHELD_ZH = "未能证实该描述依据的图像区域，不代表无此病变。"
RECORD_TEXT = """
window.written = [];
const original = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  window.written.push([text, x]);
  return original.call(this, text, x, y);
};
"""


@dataclass
class Opened:
    """A page with what it asked the network for and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def complaints_of_the_page(self) -> list[str]:
        """Console messages and errors, less Chromium's advice about this test's own reading of the canvases."""
        return [message for message in self.complaints if "willReadFrequently" not in message]

    def layer(self, name: str) -> np.ndarray:
        """RGBA of one stacked canvas, uint8 (rows, cols, 4), at one device pixel per CSS pixel."""
        self.settle()
        width, height, values = self.page.evaluate(
            """name => {
                const canvas = document.querySelector(`canvas.layer.${name}`);
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let text = "";
                for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
                return [canvas.width, canvas.height, btoa(text)];
            }""",
            name,
        )
        return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width, 4)

    def shot(self) -> np.ndarray:
        """RGB of the viewport as a person sees it, all canvases together, int (rows, cols, 3)."""
        self.settle()
        return np.asarray(Image.open(io.BytesIO(self.page.locator(".viewport").screenshot())).convert("RGB"), int)

    def settle(self) -> None:
        """Three animation frames: what was asked for is on the canvas."""
        self.page.evaluate(
            "async () => { for (let i = 0; i < 3; i++) await new Promise(done => requestAnimationFrame(done)); }"
        )

    def word(self, index: int) -> Any:
        return self.page.locator(f"[data-word='{index}']")

    def finding(self, name: str) -> Any:
        return self.page.locator(f"[data-finding='{name}'] .name")

    def view(self, geometry: Geometry) -> tuple[float, float, float]:
        """(scale, left, top) of a fitted film inside the viewport, in CSS pixels."""
        box = self.page.locator(".viewport").bounding_box()
        assert box is not None
        scale = min(box["width"] / geometry.cols, box["height"] / geometry.rows)
        return scale, (box["width"] - geometry.cols * scale) / 2, (box["height"] - geometry.rows * scale) / 2

    def on_canvas(self, geometry: Geometry, column: float, row: float) -> tuple[int, int]:
        """(x, y) on a canvas of a source point."""
        scale, left, top = self.view(geometry)
        return int(left + column * scale), int(top + row * scale)

    def click_source(self, geometry: Geometry, column: float, row: float) -> None:
        box = self.page.locator(".viewport").bounding_box()
        assert box is not None
        x, y = self.on_canvas(geometry, column, row)
        self.page.mouse.click(box["x"] + x, box["y"] + y)


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    contexts = []

    def start(data: ViewerData, width: int = 1400, height: int = 900, script: str = "", **options: Any) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(render_html(data), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        result = Opened(page)
        page.on("request", lambda request: result.requests.append(request.url))
        page.on("console", lambda message: result.complaints.append(message.text))
        page.on("pageerror", lambda error: result.complaints.append(str(error)))
        page.goto(path.as_uri())
        page.locator(".viewport").wait_for()
        page.locator(".viewport .badge").wait_for(state="detached")
        result.settle()
        return result

    yield start
    for context in contexts:
        context.close()


def coloured(canvas: np.ndarray) -> np.ndarray:
    return canvas[..., 3] > 8


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of what is set, ends exclusive."""
    rows, cols = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1


def assert_covers(opened: Opened, geometry: Geometry, mask: np.ndarray, row: int, col: int) -> None:
    """The set pixels are exactly the cell's source box, to a pixel."""
    scale, left, top = opened.view(geometry)
    x0, y0, x1, y1 = geometry.cell_box(row, col)
    expected = (left + x0 * scale, top + y0 * scale, left + x1 * scale, top + y1 * scale)
    assert extent(mask) == pytest.approx(expected, abs=1.6)


# The file


def test_opens_from_a_file_without_network_or_complaint(opened: Open) -> None:
    report = opened(viewer_data.full())
    report.word(6).hover()
    report.finding("pleural_effusion.right").click()
    report.page.keyboard.press("c")
    report.settle()
    assert report.complaints_of_the_page() == []
    assert [url for url in report.requests if not url.startswith(("data:", "blob:"))] == [report.page.url]
    assert report.page.url.startswith("file://")


def test_policy_allows_only_the_inlined_script_and_style() -> None:
    page = render_html(viewer_data.tiny())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]


def test_words_of_the_model_cannot_become_markup(opened: Open) -> None:
    evil = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'> <!-- &amp;"
    words = (WordView("evil", 0, len(evil), map=0),)
    data = viewer_data.tiny(report=evil, question=evil, thinking=evil, words=words, findings=(), maps=())
    report = opened(data)
    assert report.page.evaluate("window.owned") is None
    assert report.page.locator(".text.answer").inner_text() == evil
    assert report.complaints_of_the_page() == []


def test_text_outside_the_basic_plane_keeps_its_spans(opened: Open) -> None:
    text = "𠮷 alpha"  # one code point, two UTF-16 units
    report = opened(viewer_data.tiny(report=text, words=(WordView("alpha", 2, 7, map=0),), findings=(), maps=()))
    assert report.word(0).inner_text() == "alpha"


def test_300_words_at_34_layers_stay_under_3_megabytes() -> None:
    rng = np.random.default_rng(0)
    text = " ".join(["opacity"] * 300)
    words = [
        WordView("opacity", 8 * i, 8 * i + 7, p=0.5, entropy=1.0, alternatives=(("a", 0.1),) * 5, map=i)
        for i in range(300)
    ]
    layers = (LayerView(None, "mean"), *(LayerView(index, "global") for index in (5, 11, 17, 23, 29)))
    film = np.clip(viewer_data.drawn_film(1841, 1955) + rng.normal(0, 0.004, (1841, 1955)), 0, 1)  # noise as of a film
    page = render_html(
        viewer_data.tiny(
            report=text,
            words=tuple(words),
            frames=(FrameView(film_png(film), 1841, 1955),),
            word_maps=WordMaps(rng.gamma(0.5, 0.002, (300, 6, 1, GRID, GRID)), layers),
            findings=(),
            maps=(),
        )
    )
    assert len(page.encode()) < 3_000_000


def test_bundle_is_small_and_built_from_the_sources_in_the_repository() -> None:
    script, style = bundle()
    assert len(script.encode()) + len(style.encode()) < 150_000
    digest = hashlib.sha256()
    for path in sorted((ROOT / "web" / "src").iterdir()):
        if path.is_file() and ".test." not in path.name:
            digest.update(path.name.encode() + path.read_bytes())
    assert f"sha256 {digest.hexdigest()}" in script, "run: cd web && npm ci && npm run build"


def test_lock_file_names_no_registry() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all("integrity" in entry for name, entry in packages.items() if name)


# Maps on the film


def test_film_starts_bare(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    assert not coloured(report.layer("colour")).any()
    assert coloured(report.layer("film")).any()


def test_hovered_word_colours_its_cell_on_the_padded_film(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.page.keyboard.press("g")
    report.word(0).hover()
    assert_covers(report, TINY, coloured(report.layer("colour")), 5, 3)
    report.word(1).hover()
    assert_covers(report, TINY, coloured(report.layer("colour")), 10, 12)
    report.page.mouse.move(3, 3)
    assert not coloured(report.layer("colour")).any()


@pytest.mark.parametrize(("rows", "cols"), [(240, 320), (320, 240)])
@pytest.mark.parametrize(("row", "col"), [(5, 5), (10, 11)])
def test_hovering_changes_what_is_seen_at_the_cell_and_nowhere_far(
    opened: Open, rows: int, cols: int, row: int, col: int
) -> None:
    frame = FrameView(film_png(np.full((rows, cols), 0.5)), rows, cols)
    report = opened(viewer_data.tiny({0: (row, col), 1: (8, 8), 2: (8, 8)}, frames=(frame,)))
    report.page.mouse.move(3, 3)
    bare = report.shot()
    report.word(0).hover()
    change = np.abs(report.shot() - bare).max(axis=2)
    assert change.max() > 40
    # Computed here from the padding rule alone: the film sits in the middle of a square of its longer edge.
    edge = max(rows, cols)
    pitch = edge / GRID
    scale, left, top = report.view(Geometry(rows=rows, cols=cols))
    x = left + ((col + 0.5) * pitch - (edge - cols) / 2) * scale
    y = top + ((row + 0.5) * pitch - (edge - rows) / 2) * scale
    ys, xs = np.indices(change.shape) + 0.5
    centre = (np.average(xs, weights=change), np.average(ys, weights=change))
    assert centre == pytest.approx((x, y), abs=pitch * scale / 2)
    changed = change > 6
    far = np.maximum(np.abs(xs - x), np.abs(ys - y)) > 1.5 * pitch * scale
    assert not (changed & far).any()
    report.page.mouse.move(3, 3)
    assert np.array_equal(report.shot(), bare)


@pytest.mark.parametrize(("rows", "cols"), [(320, 240), (241, 320), (300, 300)])
def test_cell_lies_where_the_geometry_says_for_every_shape(opened: Open, rows: int, cols: int) -> None:
    frame = FrameView(film_png(np.full((rows, cols), 0.5)), rows, cols)
    report = opened(viewer_data.tiny({0: (7, 6), 1: (8, 9), 2: (0, 0)}, frames=(frame,)))
    report.page.keyboard.press("g")
    geometry = Geometry(rows=rows, cols=cols)
    for index, (row, col) in enumerate([(7, 6), (8, 9)]):
        report.word(index).hover()
        assert_covers(report, geometry, coloured(report.layer("colour")), row, col)


def test_film_shown_from_fewer_pixels_keeps_source_coordinates(opened: Open) -> None:
    frame = FrameView(film_png(np.full((2400, 3200), 0.5), longest_edge=400), 2400, 3200)
    report = opened(viewer_data.tiny(frames=(frame,)))
    report.page.keyboard.press("g")
    report.word(0).hover()
    assert_covers(report, Geometry(rows=2400, cols=3200), coloured(report.layer("colour")), 5, 3)


def test_weight_on_the_padding_is_never_drawn(opened: Open) -> None:
    report = opened(viewer_data.tiny({0: (0, 4), 1: (15, 4), 2: (5, 3)}))
    report.page.keyboard.press("g")
    for index in (0, 1):
        report.word(index).hover()
        assert not coloured(report.layer("colour")).any()


def test_raw_grid_is_flat_and_smooth_is_not(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.word(0).hover()
    smooth = report.layer("colour")
    report.page.keyboard.press("g")
    raw = report.layer("colour")
    cell = raw[coloured(raw)]
    assert (np.ptp(cell[len(cell) // 4 : -len(cell) // 4].astype(int), axis=0) <= 1).all()
    assert coloured(smooth).sum() > 1.5 * coloured(raw).sum()
    assert len(np.unique(smooth[coloured(smooth)], axis=0)) > 50


def test_smooth_colours_equal_the_geometry_and_the_published_colour_map(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.word(0).hover()
    canvas = report.layer("colour")
    expected = TINY.on_source(viewer_data.single_cell(5, 3), smooth=True)
    viridis = matplotlib.colormaps["viridis"]
    for column, row in [(70, 70), (65, 70), (75, 66), (70, 62), (62, 72)]:
        x, y = report.on_canvas(TINY, column + 0.5, row + 0.5)
        unit = float(expected[row, column])
        if unit > 0.46:  # fully opaque from there on
            assert canvas[y, x, 3] / 255 == pytest.approx(OPACITY, abs=0.02)
            assert canvas[y, x, :3] / 255 == pytest.approx(viridis(unit)[:3], abs=0.09)


def test_signed_map_shows_support_and_opposition_in_opposite_colours(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.finding("nodule.left").click()
    report.page.keyboard.press("g")
    canvas = report.layer("colour")
    managua = matplotlib.colormaps["managua_r"]
    for (row, col), unit in [((8, 2), 1.0), ((8, 13), 0.25)]:  # +2 and -1 on a range of -2 to 2
        x0, y0, x1, y1 = TINY.cell_box(row, col)
        x, y = report.on_canvas(TINY, (x0 + x1) / 2, (y0 + y1) / 2)
        assert canvas[y, x, :3] / 255 == pytest.approx(managua(unit)[:3], abs=0.05)
    x, y = report.on_canvas(TINY, 160, 120)
    assert canvas[y, x, 3] == 0, "zero is transparent"
    assert report.page.locator(".colour-bar").inner_text().split() == [
        "−2.0",
        "opposes",
        "0",
        "supports",
        "2.0",
        "nats",
    ]


def test_overlay_follows_zoom_and_film_follows_window_and_inversion(opened: Open) -> None:
    picture = np.linspace(0.2, 0.8, 320)[None, :] * np.ones((240, 1))
    report = opened(viewer_data.tiny(frames=(FrameView(film_png(picture), 240, 320),)))
    report.word(0).click()
    report.page.keyboard.press("g")
    before = report.layer("film")
    report.page.keyboard.press("i")
    inverted = report.layer("film")
    shown = before[..., 3] == 255
    assert np.abs(before[shown][:, :3].astype(int) + inverted[shown][:, :3] - 255).max() <= 2
    report.page.keyboard.press("r")
    assert np.array_equal(report.layer("film"), before)

    box = report.page.locator(".viewport").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    report.page.mouse.move(*middle)
    report.page.mouse.down()
    report.page.mouse.move(middle[0] - 120, middle[1], steps=4)
    report.page.mouse.up()
    narrow = report.layer("film")
    assert np.ptp(narrow[shown][:, 0].astype(int)) > np.ptp(before[shown][:, 0].astype(int))
    assert report.page.locator(".place").count() == 0, "a drag is not a click"
    report.page.keyboard.press("r")

    size = coloured(report.layer("colour")).sum()
    scale, left, top = report.view(TINY)
    x, y = left + 70 * scale, top + 70 * scale
    report.page.mouse.move(box["x"] + x, box["y"] + y)
    report.page.mouse.wheel(0, -int(np.log(2) / 0.0015))
    zoomed = coloured(report.layer("colour"))
    assert zoomed.sum() == pytest.approx(4 * size, rel=0.06)
    assert zoomed[int(y), int(x)]
    report.page.keyboard.press("0")
    assert coloured(report.layer("colour")).sum() == size


@pytest.mark.parametrize(
    ("right", "source", "expected"),
    [
        ("left", "orientation", ["R", "L"]),
        ("right", "orientation", ["L", "R"]),
        ("left", "assumed", ["R?", "L?"]),
        (None, "none", []),
        ("left", "none", []),
    ],
)
def test_side_markers_are_the_patients(opened: Open, right: Any, source: Any, expected: list[str]) -> None:
    frame = FrameView(film_png(np.full((240, 320), 0.5)), 240, 320, patient_right=right, side_source=source)
    report = opened(viewer_data.tiny(frames=(frame,)), script=RECORD_TEXT)
    report.settle()
    written = report.page.evaluate("window.written")[-2:]
    assert [text for text, x in sorted(written, key=lambda entry: entry[1])] == expected
    assert report.page.get_by_text("Side assumed, not verified").count() == (source == "assumed")


# Words, places, layers, methods


def test_clicked_place_ranks_the_words_that_attended_there(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    x0, y0, x1, y1 = TINY.cell_box(5, 3)
    report.click_source(TINY, (x0 + x1) / 2, (y0 + y1) / 2)
    listed = report.page.locator(".place li")
    assert [line.split("\n") for line in listed.all_inner_texts()] == [["gamma", "0.030"], ["alpha", "0.010"]]
    classes = [report.word(i).get_attribute("class") or "" for i in range(3)]
    assert ["hot" in name for name in classes] == [True, False, True]
    report.click_source(TINY, 160, 150)
    assert listed.count() == 0
    assert report.page.get_by_text("No word has weight on this place at this layer.").is_visible()
    report.page.keyboard.press("Escape")
    assert report.page.locator(".place").count() == 0


def test_layer_slider_shows_the_layers_own_map_and_its_kind(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.page.keyboard.press("g")
    name = report.page.locator(".layer-name")
    assert name.inner_text() == "mean of all layers"
    for step, kind in [(1, "0 · sliding"), (2, "1 · global"), (2, "1 · global")]:
        report.page.keyboard.press("]")
        assert name.inner_text() == kind
        report.word(0).hover()
        assert_covers(report, TINY, coloured(report.layer("colour")), 5, 3 + step)
    report.page.keyboard.press("[")
    assert report.page.locator(".layers input").input_value() == "1"
    report.page.locator(".layers input").fill("0")
    assert name.inner_text() == "mean of all layers"


def test_method_switch_is_grouped_by_claim_strongest_first(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.finding("nodule.left").click()
    assert report.page.locator(".methods .claim-name").all_inner_texts() == ["Relied on", "Sensitive to", "Attended"]
    claim = report.page.locator(".heading .claim")
    assert claim.inner_text() == "Relied on"
    report.page.keyboard.press("g")
    report.page.keyboard.press("m")
    assert claim.inner_text() == "Sensitive to"
    assert_covers(report, TINY, coloured(report.layer("colour")), 9, 7)
    report.page.locator(".methods button", has_text="attention").click()
    assert claim.inner_text() == "Attended"
    assert_covers(report, TINY, coloured(report.layer("colour")), 4, 4)
    report.page.get_by_role("button", name="中文").click()
    assert report.page.locator(".methods .claim-name").all_inner_texts() == ["依赖", "敏感", "关注"]


def test_withheld_map_shows_its_sentence_and_no_colour(opened: Open) -> None:
    secret = np.full((1, GRID, GRID), 0.123)
    withheld = FindingMapView("mass", "occlusion", "relied_on", secret, "nats", grade="not shown", withheld=True)
    data = viewer_data.tiny(maps=(withheld,))
    assert payload(data)["maps"][0]["codes"] == "", "withheld values never reach the file"  # type: ignore[index]
    report = opened(data)
    report.finding("mass").click()
    assert report.page.get_by_text(WITHHELD_EN).is_visible()
    for key in ("o", "c", "g"):
        report.page.keyboard.press(key)
        assert not coloured(report.layer("colour")).any()
    report.page.get_by_role("button", name="中文").click()
    assert report.page.get_by_text(WITHHELD_ZH).is_visible()


def test_absent_finding_gets_no_map(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.finding("edema").click()
    assert report.page.locator(".map-bar .caption").inner_text() == "Absent findings get no map."
    assert not coloured(report.layer("colour")).any()
    with pytest.raises(MalformedInput, match="absent findings get no map"):
        payload(
            viewer_data.tiny(
                maps=(FindingMapView("edema", "attention", "attended", np.zeros((1, GRID, GRID)), "attention"),)
            )
        )


def test_outline_comes_before_colour_and_carries_its_warning(opened: Open) -> None:
    report = opened(viewer_data.full())
    marks = report.layer("marks")
    report.finding("pleural_effusion.right").click()
    assert not coloured(report.layer("colour")).any()
    assert (report.layer("marks") != marks).any()
    note = "Area the model relied on, not the lesion's outline; not for measurement."
    assert note in report.page.locator(".map-bar .caption").inner_text()
    report.page.keyboard.press("c")
    assert coloured(report.layer("colour")).any()
    report.page.keyboard.press("o")
    assert not coloured(report.layer("colour")).any()
    assert np.array_equal(report.layer("marks"), marks)
    report.page.keyboard.down("v")
    assert coloured(report.layer("colour")).any()
    report.page.keyboard.up("v")
    assert not coloured(report.layer("colour")).any()


def test_outline_of_a_weaker_claim_never_says_relied_on(opened: Open) -> None:
    ring = viewer_data.ContourView(((60.0, 60.0), (90.0, 60.0), (90.0, 90.0)))
    attended = FindingMapView(
        "nodule.left", "attention", "attended", viewer_data.single_cell(5, 3)[None], "attention", contours=(ring,)
    )
    report = opened(viewer_data.tiny(maps=(attended,)))
    report.finding("nodule.left").click()
    caption = report.page.locator(".map-bar .caption").inner_text()
    assert "relied" not in caption
    assert "not of a lesion; not for measurement" in caption


def test_opacity_slider_scales_the_colour(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    report.word(0).click()
    report.page.locator(".opacity input").fill("0.3")
    assert report.layer("colour")[..., 3].max() == pytest.approx(0.3 * 255, abs=2)


def test_frame_slider_shows_each_frames_own_map(opened: Open) -> None:
    values = np.zeros((1, 1, 2, GRID, GRID))
    values[0, 0, 0, 5, 3] = values[0, 0, 1, 8, 10] = 0.5
    png = film_png(np.full((240, 320), 0.5))
    report = opened(
        viewer_data.tiny(
            frames=(FrameView(png, 240, 320, "frontal"), FrameView(png, 240, 320, "slice 2")),
            words=(WordView("alpha", 0, 5, map=0),),
            word_maps=WordMaps(values, (LayerView(None, "mean"),)),
            findings=(),
            maps=(),
        )
    )
    report.page.keyboard.press("g")
    for row, col in [(5, 3), (8, 10)]:
        report.word(0).hover()
        assert_covers(report, TINY, coloured(report.layer("colour")), row, col)
        report.page.keyboard.press(".")
    assert "slice 2" in report.page.locator(".frames output").inner_text()


def test_thinking_is_apart_and_closed(opened: Open) -> None:
    report = opened(viewer_data.full())
    assert not report.page.locator(".text.thinking").is_visible()
    report.page.locator("details.thinking summary").click()
    assert report.page.locator(".text.thinking").is_visible()
    assert "lung fields" not in report.page.locator(".text.answer").inner_text()


# People


QUALIFIERS = {
    "en": ("right", "left", "upper", "lower", "zone", "small", "mild"),
    "zh": ("右", "左", "上", "下", "少量", "轻度"),
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_finding_says_its_side_zone_and_severity_once(opened: Open, language: str) -> None:
    explanation = synthetic.explain_zh() if language == "zh" else synthetic.explain_en()
    report = opened(viewer_bridge.viewer_data(explanation))
    lines = report.page.locator("[data-finding] .name").all_inner_texts()
    assert len(lines) == len(explanation.findings)
    for line in lines:
        for qualifier in QUALIFIERS[language]:
            assert line.lower().count(qualifier) <= 1, line
    consolidation = next(line for line in lines if ("实变" if language == "zh" else "onsolidation") in line)
    assert ("左" if language == "zh" else "left") in consolidation
    assert ("上" if language == "zh" else "upper") in consolidation
    assert ("不除外" if language == "zh" else "possible") in consolidation


@pytest.mark.parametrize(("language", "tag"), [("en", "en"), ("zh", "zh-CN")])
def test_page_opens_in_its_language_and_both_switches_turn_it(opened: Open, language: str, tag: str) -> None:
    report = opened(viewer_data.full(language))
    notices = {"en": "Not a medical device", "zh-CN": "非医疗器械"}
    other = "en" if tag == "zh-CN" else "zh-CN"

    def shows(expected: str) -> None:
        report.page.locator(f"html[lang='{expected}']").wait_for(state="attached", timeout=5000)  # set after paint
        footer = report.page.locator("footer").inner_text()
        assert [lang for lang, words in notices.items() if words in footer] == [expected]
        title = {"en": "Explained report", "zh-CN": "报告与解释"}[expected]
        assert report.page.title() == f"{title} · radiolucent"

    shows(tag)
    report.page.locator(f"button[lang='{other}']").click()
    shows(other)
    report.page.keyboard.press("l")
    shows(tag)
    assert report.page.locator(".text.answer").inner_text() == viewer_data.full(language).report


def test_findings_table_says_counts_interval_evidence_and_grade(opened: Open) -> None:
    report = opened(viewer_data.full())
    row = report.page.locator("tr[data-finding='pleural_effusion.right']")
    assert re.sub(r"\s+", " ", row.inner_text()) == "present: Right pleural effusion, moderate 14/16 grounded verified"
    assert row.locator("svg").get_attribute("aria-label") == "95 % interval 66–97 %"
    report.finding("pleural_effusion.right").click()
    detail = report.page.locator("tr.details").inner_text()
    assert re.search(r"present\s*14.*uncertain\s*1.*absent\s*0.*not mentioned\s*1.*66–97 %", detail, re.DOTALL)
    assert "Uncalibrated" in report.page.locator(".note").inner_text()


@pytest.mark.parametrize("size", [(1400, 900), (1280, 720), (390, 844)])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_notices_are_always_in_sight_and_nothing_overflows(opened: Open, size: tuple[int, int], language: str) -> None:
    report = opened(viewer_data.full(language), *size)
    words = ("Not a medical device", "AI-generated, not reviewed by a physician")
    if language == "zh":
        words = ("非医疗器械", "AI生成，未经医师审核")
    for name in ("pleural_effusion.right", "cardiomegaly"):
        report.finding(name).click()
        for word in words:
            box = report.page.locator("footer").get_by_text(word).bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= size[1]
        assert report.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        clipped = report.page.evaluate(
            """() => [".said", ".set", ".right > section", ".findings", ".top"].flatMap(name =>
                [...document.querySelectorAll(name)].filter(e => e.scrollWidth > e.clientWidth + 1 ||
                    e.scrollHeight > e.clientHeight + 1).map(() => name))"""
        )
        assert clipped == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_controls_of_the_film_do_not_overlap_and_the_eye_keeps_their_line(
    opened: Open, language: str, width: int
) -> None:
    report = opened(viewer_data.full(language), width, 800)
    boxes = [part.bounding_box() for part in report.page.locator(".toolbar button, .toolbar .doubt").all()]
    shown = [box for box in boxes if box is not None]
    assert len(shown) == 9  # two tools, three of zoom, two of the film, the doubt, the eye
    for i, a in enumerate(shown):
        for b in shown[i + 1 :]:
            beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            above = a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
            assert beside or above
    middles = [box["y"] + box["height"] / 2 for box in (shown[0], shown[-1])]
    assert middles[0] == pytest.approx(middles[1], abs=2)


def test_phantom_banner_only_for_the_demo_model(opened: Open) -> None:
    assert opened(viewer_data.full()).page.locator(".banner").is_visible()
    assert opened(viewer_data.full(domain="")).page.locator(".banner").count() == 0


def test_every_word_of_the_page_follows_the_language(opened: Open) -> None:
    report = opened(viewer_data.full("zh", domain="phantom"))
    page = report.page
    page.locator("details").evaluate_all("all => all.forEach(each => (each.open = true))")
    page.locator(".word").nth(12).hover()
    report.finding("pleural_effusion.right").click()
    # What the page shows as it is: names, versions, and the film's own label.
    given = {"radiolucent", "demo", "parameters", "film", "torch", "transformers", "SHA", "Esc", "Enter", "Language"}
    for _ in range(2):
        text = page.evaluate(
            """() => document.body.innerText + [...document.querySelectorAll("[title],[aria-label]")]
                .map(e => ` ${e.title ?? ""} ${e.ariaLabel ?? ""}`).join(" ")"""
        )
        foreign = {word for word in re.findall(r"[A-Za-z]{3,}", text) if word not in given}
        assert not {word for word in foreign if not re.fullmatch("[0-9a-f]+", word)}
        page.keyboard.press("h")  # and once more with the help open
        page.locator("dialog").wait_for(state="visible")

    english = opened(viewer_data.full("en"))
    english.page.keyboard.press("h")
    english.page.locator("dialog").wait_for(state="visible")
    seen = english.page.evaluate("document.body.innerText").replace("中文", "")
    assert not re.findall(r"[一-鿿]", seen)
    assert english.page.evaluate("document.documentElement.lang") == "en"


def luminance(report: Opened) -> float:
    report.settle()
    colour = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return float(np.mean([int(part) for part in re.findall(r"\d+", colour)[:3]])) / 255


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_dark_by_default_light_by_choice_and_system_follows_the_system(opened: Open, scheme: Any) -> None:
    report = opened(viewer_data.tiny(), color_scheme=scheme)
    assert luminance(report) < 0.1
    report.page.get_by_role("button", name="Light").click()
    assert luminance(report) > 0.8
    report.page.get_by_role("button", name="System").click()
    assert (luminance(report) > 0.5) == (scheme == "light")
    view = report.page.evaluate("getComputedStyle(document.querySelector('.viewport')).backgroundColor")
    assert view == "rgb(0, 0, 0)", "the film stays on black in every theme"


def test_keyboard_alone_reaches_everything(opened: Open) -> None:
    report = opened(viewer_data.tiny())
    page = report.page

    def focus() -> Any:
        return page.evaluate("document.activeElement.dataset.word ?? document.activeElement.className")

    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    assert focus() == "0"
    assert_covers(report, TINY, coloured(report.layer("colour")), 5, 3)
    page.keyboard.press("ArrowRight")
    assert focus() == "1"
    assert_covers(report, TINY, coloured(report.layer("colour")), 10, 12)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "focus is visible"
    page.keyboard.press("Enter")
    assert report.word(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert not coloured(report.layer("colour")).any()
    page.keyboard.press("j")
    assert page.locator("tr.chosen").get_attribute("data-finding") == "nodule.left"
    page.keyboard.press("j")
    assert page.locator("tr.chosen").get_attribute("data-finding") == "mass"
    page.keyboard.press("l")
    assert page.locator("footer").inner_text().startswith("非医疗器械")
    page.keyboard.press("h")
    page.locator("dialog").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="hidden")
    page.keyboard.press("Escape")

    for _ in range(40):  # Tab to the film, ask about its middle, walk to (5, 3)
        page.keyboard.press("Tab")
        if "viewport" in focus():
            break
    page.keyboard.press("Enter")
    for key, times in (("ArrowUp", 3), ("ArrowLeft", 5)):
        for _ in range(times):
            page.keyboard.press(key)
    assert page.locator(".place .hit-word").all_inner_texts() == ["gamma", "alpha"]
    for _ in range(30):  # the place never leaves the film for the padding
        page.keyboard.press("ArrowUp")
    _, top, _, bottom = extent(coloured(report.layer("marks"))[:, 60:-60])
    scale, _, _ = report.view(TINY)
    assert bottom - top == pytest.approx(20 * scale, abs=3)
    assert report.complaints_of_the_page() == []


# The decision chain and the marks


def chained() -> ViewerData:
    """Two steps about words and one about a finding, a link to a method, a contrast, and one word of each mark."""
    both = Bilingual("English sentence.", "中文句子。")
    base = viewer_data.tiny()
    marks = ("seen", "guessed", "unknown")
    return replace(
        base,
        words=tuple(replace(word, mark=mark, kind=both) for word, mark in zip(base.words, marks, strict=True)),
        chain=(
            StepView("question", both, "not shown"),
            StepView("looked", both, "weak", words=(1,)),
            StepView(
                "weighed", both, "verified", words=(0, 2), finding="nodule.left",
                links=(LinkView("verified", both), LinkView("weak", both, "attention", "nodule.left")),
            ),
        ),
        contrasts=(ContrastView(Bilingual("Why?", "为何？"), both, "verified", (0,), "nodule.left"),),
    )  # fmt: skip


def lit(opened: Opened) -> list[str]:
    return opened.page.locator(".word.lit").all_inner_texts()


def test_pointing_at_a_step_lights_its_words_and_shows_its_map(opened: Open) -> None:
    page = opened(chained())
    page.page.locator("[data-step='2']").hover()
    assert lit(page) == ["alpha", "gamma"]
    assert coloured(page.layer("colour")).any()
    assert page.page.locator(".by-claim").count() > 0 and "Left nodule" in page.page.locator(".left").inner_text()
    page.page.locator("[data-step='1']").hover()
    assert lit(page) == ["beta"]
    assert coloured(page.layer("colour")).any()  # where the word attended
    page.page.locator("[data-step='0']").hover()
    assert lit(page) == [] and not coloured(page.layer("colour")).any()
    page.page.mouse.move(5, 5)
    assert lit(page) == [] and not coloured(page.layer("colour")).any()


def test_a_link_shows_the_map_of_its_own_method(opened: Open) -> None:
    page = opened(chained())
    page.page.locator("[data-step='2']").hover()
    relied_on = page.layer("colour").copy()
    page.page.locator("[data-link='2-1']").hover()
    attended = page.layer("colour")
    assert not np.array_equal(relied_on, attended) and coloured(attended).any()
    page.page.locator("[data-link='2-1']").click()
    page.page.mouse.move(5, 5)
    pressed = page.page.locator(".methods [aria-pressed='true']").inner_text()
    assert "attention" in pressed


def test_the_chain_is_walked_by_keyboard_and_a_step_can_be_kept(opened: Open) -> None:
    page = opened(chained())
    page.page.keyboard.press("d")
    assert page.page.evaluate("document.activeElement.dataset.step") == "0"
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("ArrowDown")
    assert lit(page) == ["alpha", "gamma"]
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Escape")
    assert lit(page) == []
    page.page.locator("[data-step='2']").click()
    page.page.mouse.move(5, 5)
    assert page.page.locator("[data-finding='nodule.left'].chosen").count() == 1
    page.page.locator("[data-contrast='0']").hover()
    assert lit(page) == ["alpha"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_marks_have_lines_of_their_own_and_a_legend_that_says_what_they_mean(opened: Open, language: Any) -> None:
    page = opened(replace(chained(), language=language))
    styles = [page.word(index).evaluate("each => getComputedStyle(each).textDecorationStyle") for index in range(3)]
    assert styles == ["solid", "wavy", "dotted"]
    legend = page.page.locator(".mark-legend").inner_text()
    for words in MARK_WORDS.values():
        assert words[language == "zh"] in legend
    page.word(1).hover()
    assert MARK_WORDS["guessed"][language == "zh"] in page.page.locator(".word-card").inner_text()
    text = page.page.locator(".chain").inner_text()
    assert ("中文句子。" in text) is (language == "zh") and ("English sentence." in text) is (language == "en")


def test_a_page_without_a_chain_has_no_panel_for_one(opened: Open) -> None:
    page = opened(viewer_data.tiny())
    assert page.page.locator(".chain").count() == 0 and page.page.locator(".mark-legend").count() == 0


def test_the_page_and_the_package_use_the_same_words_for_marks_stages_and_strengths() -> None:
    source = (ROOT / "web" / "src" / "strings.ts").read_text(encoding="utf-8")
    for table in (MARK_WORDS, MARK_MEANINGS, STAGE_WORDS, STRENGTH_WORDS):
        for pair in table.values():
            assert all(f'"{words}"' in source for words in pair), pair


def test_tap_shows_and_releases_a_words_map(opened: Open) -> None:
    report = opened(viewer_data.tiny(), 390, 844, has_touch=True)
    report.word(0).tap()
    assert coloured(report.layer("colour")).any()
    report.word(0).tap()
    assert not coloured(report.layer("colour")).any()


def test_report_without_maps_samples_or_findings_still_reads(opened: Open) -> None:
    frame = FrameView(film_png(np.full((240, 320), 0.5)), 240, 320)
    report = opened(ViewerData("Plain words.", (frame,)))
    assert report.page.locator(".text.answer").inner_text() == "Plain words."
    assert "does not mean that the film is normal" in report.page.locator(".right").inner_text()
    assert report.complaints_of_the_page() == []


def test_every_control_has_a_name_and_roles_are_set(opened: Open) -> None:
    report = opened(viewer_data.full())
    report.finding("pleural_effusion.right").click()
    nameless = report.page.evaluate(
        """() => [...document.querySelectorAll("button, input, [role=button]")].filter(e =>
            !(e.ariaLabel || e.textContent.trim() || e.closest("label")?.textContent.trim())).length"""
    )
    assert nameless == 0
    for role, count in (("main", 1), ("banner", 1), ("contentinfo", 1), ("application", 1), ("table", 1)):
        assert report.page.get_by_role(role).count() == count  # type: ignore[arg-type]


# Data


@given(
    arrays.arrays(np.float64, (2, 3, 3), elements=st.floats(-1e6, 1e6, allow_nan=False)),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_quantisation_errs_by_at_most_half_a_step_and_keeps_zero(values: np.ndarray, signed: bool) -> None:
    codes, low, high = quantise(values, axes=(1, 2), signed=signed)
    span = (high - low)[:, None, None]
    restored = low[:, None, None] + codes / LEVELS * span
    assert (np.abs(restored - values) <= span / LEVELS / 2 * (1 + 1e-9)).all()
    if signed:
        assert (codes[(values == 0) & (span > 0)] == LEVELS // 2).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(MalformedInput, match="NaN or infinity"):
        quantise(np.array([[1.0, bad]]), axes=(0, 1), signed=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": ()}, "no frame"),
        ({"words": (WordView("x", 0, 99),)}, "outside the"),
        ({"words": (WordView("x", 0, 1, map=7),)}, "points at map 7"),
        ({"findings": ()}, "not in the table"),
        ({"word_maps": WordMaps(np.zeros((3, 2, 1, 16, 16)), (LayerView(None, "mean"),))}, "Word maps are"),
        ({"maps": (FindingMapView("mass", "occlusion", "relied_on", np.zeros((1, 4, 5))),)}, "over the padded square"),
        ({"maps": (FindingMapView("mass", "occlusion", "relied_on", None),)}, "not withheld"),
    ],
)
def test_data_that_does_not_fit_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedInput, match=message):
        render_html(viewer_data.tiny(**change))


def test_pictures_are_reduced_but_never_enlarged() -> None:
    assert Image.open(io.BytesIO(film_png(np.zeros((100, 3000)), 1400))).size == (1400, 47)
    assert Image.open(io.BytesIO(film_png(np.zeros((100, 200)), 1400))).size == (200, 100)
    with pytest.raises(MalformedInput, match="finite"):
        film_png(np.full((2, 2), np.nan))


def test_font_must_cover_both_languages_of_the_page() -> None:
    data = replace(viewer_data.tiny(), title=Bilingual("Title", "龘"))
    needed = characters(data)
    assert set("龘未能证实该描述依据的图像区域") <= set(needed)
    assert set(viewer_data.full("zh").report) <= set(characters(viewer_data.full("zh")))


def test_embedded_font_is_used_under_the_policy(opened: Open) -> None:
    font = next(path for path in (files("radiolucent.report") / "fonts").iterdir() if path.name.endswith(".otf"))
    encoded = base64.b64encode(font.read_bytes()).decode()
    report = opened(viewer_data.tiny(font_base64=encoded))
    loaded = "async () => { await document.fonts.ready; return [...document.fonts].map(f => [f.family, f.status]); }"
    assert report.page.evaluate(loaded) == [["radiolucent-cjk", "loaded"]]
    assert report.complaints_of_the_page() == []


def test_finding_rows_need_no_samples() -> None:
    rows = payload(viewer_data.tiny(findings=(FindingRow("a", Bilingual("A", "甲"), "present"),), maps=()))["findings"]
    assert rows[0]["counts"] is None  # type: ignore[index]
