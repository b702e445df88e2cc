"""The model's own boxes: read from messy answers, carried to source pixels, compared with maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.localize import box_iou, compare, parse_boxes
from radiolucent.study.geometry import Geometry

SQUARE = Geometry(1000, 1000)
WIDE = Geometry(500, 1000)


def _answer(*items: object) -> str:
    return "Final Answer: " + json.dumps(list(items))


def test_rows_come_first_and_scale_is_a_thousand() -> None:
    answer = parse_boxes(_answer({"box_2d": [100, 200, 300, 400], "label": "right lung"}), SQUARE)
    (box,) = answer.boxes
    assert box.box == pytest.approx((200.0, 100.0, 400.0, 300.0))
    assert box.label == "right lung"
    assert answer.marked
    assert answer.faults == ()


def test_padding_is_removed() -> None:
    (box,) = parse_boxes(_answer({"box_2d": [250, 0, 750, 1000], "label": "film"}), WIDE).boxes
    assert box.box == pytest.approx((0, 0, 1000, 500))
    assert not box.cut


def test_a_part_in_the_padding_is_cut_and_said_so() -> None:
    answer = parse_boxes(_answer({"box_2d": [200, 100, 500, 300]}, {"box_2d": [0, 0, 200, 200]}), WIDE)
    (box,) = answer.boxes
    assert box.cut
    assert box.box == pytest.approx((100, 0, 300, 250))
    assert [fault.kind for fault in answer.faults] == ["in_padding"]


def test_thinking_and_prose_before_the_answer_are_skipped() -> None:
    text = (
        '<unused94>thought\nFinal Answer: [{"box_2d": [1, 1, 2, 2]}]<unused95>The nodule [see below] is {small}.\n'
        '**Final Answer:**\n```json\n[{"box_2d": [10, 20, 30, 40], "label": "nodule"}]\n```'
    )
    (box,) = parse_boxes(text, SQUARE).boxes
    assert box.box_2d == (10, 20, 30, 40)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("No box.", "no_json"),
        ("", "no_json"),
        ("Final Answer: [{", "malformed_json"),
        ('Final Answer: [{"box_2d": [1, 2, 3]}]', "not_a_box"),
        ('Final Answer: [{"box_2d": "1 2 3 4"}]', "not_a_box"),
        ('Final Answer: [{"box_2d": [1, 2, 3, "4"]}]', "not_a_box"),
        ('Final Answer: [{"box_2d": [true, 2, 3, 4]}]', "not_a_box"),
        ('Final Answer: [{"label": "nodule"}]', "not_a_box"),
        ('Final Answer: [{"box_2d": [-1, 2, 3, 4]}]', "out_of_range"),
        ('Final Answer: [{"box_2d": [0, 0, 1001, 4]}]', "out_of_range"),
        ('Final Answer: [{"box_2d": [0, 0, NaN, 4]}]', "out_of_range"),
        ('Final Answer: [{"box_2d": [0, 0, Infinity, 4]}]', "out_of_range"),
        ('Final Answer: [{"box_2d": [5, 5, 5, 9]}]', "empty_box"),
        ('Final Answer: [{"box_2d": [9, 5, 3, 9]}]', "empty_box"),
    ],
)
def test_each_fault_has_its_kind(text: str, kind: str) -> None:
    answer = parse_boxes(text, SQUARE)
    assert answer.boxes == ()
    assert [fault.kind for fault in answer.faults] == [kind]


def test_an_empty_list_is_an_answer_without_faults() -> None:
    answer = parse_boxes("Final Answer: []", SQUARE)
    assert (answer.boxes, answer.faults) == ((), ())


def test_good_boxes_survive_bad_neighbours_and_a_bare_object_is_a_list_of_one() -> None:
    answer = parse_boxes(_answer({"box_2d": [1, 2, 3]}, {"box_2d": [10, 20, 30, 40]}), SQUARE)
    assert (len(answer.boxes), len(answer.faults)) == (1, 1)
    assert len(parse_boxes('{"box_2d": [10, 20, 30, 40], "label": "x"}', SQUARE).boxes) == 1
    assert not parse_boxes('{"box_2d": [10, 20, 30, 40], "label": "x"}', SQUARE).marked


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from([*'[]{}",:0123456789.-', "box_2d"])).map("".join))
def test_any_answer_is_read_without_error(text: str) -> None:
    parse_boxes("Final Answer: " + text, SQUARE)


def test_deep_nesting_is_a_fault() -> None:
    assert parse_boxes("Final Answer: " + "[" * 100_000, SQUARE).boxes == ()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 900), st.integers(1, 900),
    st.lists(st.integers(0, 1000), min_size=4, max_size=4),
)  # fmt: skip
def test_a_box_round_trips_through_the_padded_square(rows: int, cols: int, numbers: list[int]) -> None:
    geometry = Geometry(rows, cols)
    for box in parse_boxes(_answer({"box_2d": numbers}), geometry).boxes:
        x0, y0, x1, y1 = box.box
        assert 0 <= x0 < x1 <= cols
        assert 0 <= y0 < y1 <= rows
        if not box.cut:
            square = geometry.to_square(np.array([[x0, y0], [x1, y1]])) / geometry.model_size * 1000
            np.testing.assert_allclose([square[0, 1], square[0, 0], square[1, 1], square[1, 0]], numbers, atol=1e-6)


def test_iou_against_counting_pixels() -> None:
    a, b = (10, 10, 60, 50), (30, 20, 90, 70)
    grid = np.zeros((2, 100, 100), dtype=bool)
    for layer, (x0, y0, x1, y1) in zip(grid, (a, b), strict=True):
        layer[y0:y1, x0:x1] = True
    assert box_iou(a, b) == pytest.approx(grid.all(axis=0).sum() / grid.any(axis=0).sum())
    assert box_iou((0, 0, 1, 1), (5, 5, 6, 6)) == 0.0


def test_agreement_with_a_map() -> None:
    geometry = Geometry(160, 160)
    values = np.zeros((16, 16))
    values[4:6, 4:6] = 1.0
    same = compare((40, 40, 60, 60), values, geometry)
    assert same.iou == pytest.approx(1.0)
    assert same.centre_distance == pytest.approx(0.0)
    assert same.mass_inside == pytest.approx(1.0)
    assert same.agrees
    other = compare((100, 100, 140, 140), values, geometry)
    assert (other.iou, other.agrees, other.peak_inside) == (0.0, False, False)
    assert other.centre_distance == pytest.approx(np.hypot(70, 70) / 160)
    half = compare((40, 40, 50, 60), values, geometry)
    assert half.mass_inside == pytest.approx(0.5)
    assert same.notice is not None
    assert other.notice is not None
    assert "disagree" in other.notice.en
    nothing = compare((0, 0, 10, 10), np.zeros((16, 16)), geometry)
    assert nothing.agrees is None
    assert nothing.notice is None


def test_agreement_on_a_padded_film() -> None:
    geometry = Geometry(80, 160)
    values = np.zeros((16, 16))
    values[8, 4] = 1.0
    assert compare((40, 40, 50, 50), values, geometry).iou == pytest.approx(1.0)
