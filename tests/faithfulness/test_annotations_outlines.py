"""Filled outlines against brute force, scikit-image, and COCO's own code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as cocoapi
from scipy import ndimage
from skimage.draw import polygon2mask

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations import outlines
from radiolucent.faithfulness.annotations.outlines import check_box, check_outline, fill_box, fill_outlines

ROWS, COLS = 23, 31
# Thirds never fall on a pixel's centre, where two rules may rightly differ.
thirds = st.integers(0, 3 * COLS).map(lambda n: n / 3 + 1e-3)
triangles_and_stars = st.lists(st.tuples(thirds, st.integers(0, 3 * ROWS).map(lambda n: n / 3 + 1e-3)), min_size=3)


def brute_force(points, size):
    """Even-odd rule, one pixel's centre at a time: how many edges lie to its right?"""
    mask = np.zeros(size, dtype=bool)
    for row, col in np.ndindex(*size):
        x, y = col + 0.5, row + 0.5
        crossings = 0
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                crossings += 1
        mask[row, col] = crossings % 2 == 1
    return mask


@given(triangles_and_stars)
@settings(deadline=None, max_examples=40)
def test_an_outline_is_filled_by_the_even_odd_rule_at_pixel_centres(points):
    points = np.array(points)
    np.testing.assert_array_equal(fill_outlines([points], (ROWS, COLS)), brute_force(points, (ROWS, COLS)))


@given(st.integers(0, 2**16))
@settings(deadline=None)
def test_a_drawn_outline_equals_scikit_images_with_its_half_pixel_taken_off(seed):
    draw = np.random.default_rng(seed)
    angles = np.sort(draw.uniform(0, 2 * np.pi, 40))
    radius = draw.uniform(2, 11, 40)
    points = np.stack([COLS / 2 + radius * np.cos(angles), ROWS / 2 + radius * np.sin(angles)], axis=1)
    # scikit-image counts (row, column) from the first pixel's centre
    expected = polygon2mask((ROWS, COLS), points[:, ::-1] - 0.5)
    np.testing.assert_array_equal(fill_outlines([points], (ROWS, COLS)), expected)


@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=30)
def test_cocos_own_fill_differs_only_along_the_outline(seed):
    draw = np.random.default_rng(seed)
    angles = np.sort(draw.uniform(0, 2 * np.pi, 30))
    points = np.stack([60 + 40 * np.cos(angles), 50 + 30 * np.sin(angles)], axis=1)
    ours = fill_outlines([points], (100, 120))
    theirs = cocoapi.decode(cocoapi.frPyObjects([points.ravel().tolist()], 100, 120))[..., 0].astype(bool)
    edge = ndimage.binary_dilation(ours) & ~ndimage.binary_erosion(ours)
    assert not ((ours != theirs) & ~edge).any()
    assert abs(int(ours.sum()) - int(theirs.sum())) <= edge.sum() / 2


@given(st.integers(0, 20), st.integers(0, 15), st.integers(1, 10), st.integers(1, 7))
def test_a_box_of_whole_pixels_is_those_pixels_as_in_coco(x, y, width, height):
    expected = np.zeros((ROWS, COLS), dtype=bool)
    expected[y : y + height, x : x + width] = True
    ours = fill_box((x, y, width, height), (ROWS, COLS))
    np.testing.assert_array_equal(ours, expected)
    theirs = cocoapi.decode(cocoapi.frPyObjects(np.array([[x, y, width, height]], dtype=float), ROWS, COLS))
    np.testing.assert_array_equal(ours, theirs[..., 0].astype(bool))


def test_the_area_of_a_large_circle_is_that_of_a_circle():
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    points = np.stack([300.3 + 200 * np.cos(angles), 250.7 + 200 * np.sin(angles)], axis=1)
    mask = fill_outlines([points], (512, 640))
    assert mask.sum() == pytest.approx(np.pi * 200**2, rel=2e-3)
    assert ndimage.center_of_mass(mask) == pytest.approx((250.2, 299.8), abs=0.05)  # indices: half a pixel off points


def test_outlines_are_joined_and_an_outline_may_touch_the_films_edges():
    whole = np.array([[0, 0], [COLS, 0], [COLS, ROWS], [0, ROWS]], dtype=float)
    assert fill_outlines([whole], (ROWS, COLS)).all()
    two = [np.array([[1, 1], [4, 1], [4, 4], [1, 4]], float), np.array([[2, 2], [6, 2], [6, 6], [2, 6]], float)]
    joined = fill_outlines(two, (ROWS, COLS))
    assert joined.sum() == 9 + 16 - 4 and joined[2, 2]


def test_neighbouring_outlines_share_no_pixel_and_leave_none_between():
    left = np.array([[0, 0], [10.5, 0], [14.5, ROWS], [0, ROWS]])
    right = np.array([[10.5, 0], [COLS, 0], [COLS, ROWS], [14.5, ROWS]])
    masks = [fill_outlines([one], (ROWS, COLS)) for one in (left, right)]
    assert (masks[0] ^ masks[1]).all()


@pytest.mark.parametrize(
    "points, said",
    [
        ([[1, 1], [5, 5]], "at least 3"),
        ([[1, 1], [5, 1], [5, COLS + 9]], "another picture"),
        ([[-3, 1], [5, 1], [5, 5]], "another picture"),
        ([[1, 1], [1e300, 1], [5, 5]], "another picture"),
        ([[1.6, 1.6], [1.9, 1.6], [1.9, 1.9]], "no pixel"),
        ([[1, 1], [5, 5], [9, 9]], "no pixel"),
    ],
)
def test_what_is_no_area_of_the_film_is_refused(points, said):
    with pytest.raises(MalformedInput, match=said) as caught:
        check_outline(np.array(points, dtype=float), (ROWS, COLS), "annotation 7 of 9")
    assert "annotation 7 of 9" in str(caught.value)


def test_a_pixel_past_the_edge_is_cut_not_refused():
    points = np.array([[-1.0, 3], [COLS + 1.0, 3], [COLS + 1.0, 6], [-1.0, 6]])
    check_outline(points, (ROWS, COLS), "")
    mask = fill_outlines([points], (ROWS, COLS))
    assert mask[3:6].all() and mask.sum() == 3 * COLS


def test_an_outline_of_absurdly_many_points_is_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(outlines, "MAX_CROSSINGS", 1000)
    zigzag = np.array([[n % COLS, (n % 2) * ROWS] for n in range(200)], dtype=float)
    with pytest.raises(MalformedInput, match="too long"):
        check_outline(zigzag, (ROWS, COLS), "annotation 1")


@pytest.mark.parametrize("box", [(1, 1, 0, 4), (1, 1, 4, -2), (40, 1, 4, 4), (1.6, 1.6, 0.2, 0.2)])
def test_boxes_without_area_or_off_the_film_are_refused(box):
    with pytest.raises(MalformedInput):
        check_box(box, (ROWS, COLS), "annotation 1")
