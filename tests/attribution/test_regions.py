import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from radiolucent.attribution.control_regions import control_regions
from radiolucent.attribution.regions import LARGEST_SHARE, centre_region, top_region
from radiolucent.errors import MalformedInput

INSIDE = np.ones((1, 16, 16), dtype=bool)


def block(row, column, height, width):
    region = np.zeros((1, 16, 16), dtype=bool)
    region[0, row : row + height, column : column + width] = True
    return region


def test_the_region_is_the_cells_at_least_half_as_high_as_the_peak():
    values = np.zeros((1, 16, 16))
    values[0, 3, 3], values[0, 3, 4], values[0, 9, 9], values[0, 0, 0] = 1.0, 0.5, 0.49, -5
    region = top_region(values, INSIDE, buffer=0)
    assert set(map(tuple, np.argwhere(region[0]))) == {(3, 3), (3, 4)}


def test_each_chosen_cell_takes_its_neighbours_with_it():
    values = np.zeros((2, 16, 16))
    values[1, 3, 3], values[1, 3, 4], values[1, 0, 15] = 1.0, 0.6, 0.6
    region = top_region(values, np.repeat(INSIDE, 2, axis=0))
    expected = np.zeros_like(region)
    expected[1, 2:5, 2:6] = True
    expected[1, :2, 14:] = True  # cut at the picture's corner
    np.testing.assert_array_equal(region, expected)


def test_the_region_with_its_buffer_stays_within_the_cap_and_takes_the_highest_cells_first():
    values = np.random.default_rng(0).uniform(0.6, 1, (1, 16, 16))
    region = top_region(values, INSIDE)
    most = int(LARGEST_SHARE * 256)
    assert most - 9 < region.sum() <= most
    assert region[0][np.unravel_index(values[0].argmax(), (16, 16))]


def test_a_grid_too_coarse_for_a_buffer_goes_without():
    values = np.zeros((1, 4, 4))
    values[0, 1, 1] = 1
    assert top_region(values, np.ones((1, 4, 4), dtype=bool)).sum() == 1


def test_a_flat_map_is_capped_and_the_highest_cells_stay():
    values = 1 + np.arange(256).reshape(1, 16, 16) / 1000
    region = top_region(values, INSIDE, buffer=0)
    assert region.sum() == int(LARGEST_SHARE * 256)
    assert values[region].min() > values[~region].max()


def test_padding_and_negative_cells_never_enter():
    inside = INSIDE.copy()
    inside[0, :, :8] = False
    values = np.zeros((1, 16, 16))
    values[0, 2, 2], values[0, 2, 12] = 9, 1
    assert np.argwhere(top_region(values, inside, buffer=0)).tolist() == [[0, 2, 12]]
    assert not (top_region(values, inside) & ~inside).any()
    assert not top_region(-np.ones((1, 16, 16)), INSIDE).any()


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_controls_are_translated_copies_that_do_not_touch_the_region(row, column, height, width, seed):
    region = block(row, column, height, width)
    controls = control_regions(region, INSIDE, count=20, seed=seed)
    assert len(controls) == 20
    assert len({control.tobytes() for control in controls}) == 20
    for control in controls:
        assert control.sum() == region.sum()
        assert not (control & region).any()
        cells = np.argwhere(control[0])
        assert (cells.max(axis=0) - cells.min(axis=0) + 1).tolist() == [
            min(height, 16 - row),
            min(width, 16 - column),
        ]


def test_each_part_of_a_scattered_region_keeps_its_shape():
    region = block(2, 2, 3, 1) | block(9, 9, 1, 2)
    for control in control_regions(region, INSIDE, count=20):
        assert control.sum() == 5
        assert not (control & region).any()
        sizes = np.bincount(ndimage.label(control[0], structure=np.ones((3, 3)))[0].reshape(-1))[1:]
        assert sorted(sizes) in ([2, 3], [5])  # parts may end up side by side


def test_controls_stay_in_the_picture_and_use_every_frame():
    inside = np.ones((3, 16, 16), dtype=bool)
    inside[:, :, :4] = False
    region = np.zeros_like(inside)
    region[0, 5:7, 5:7] = True
    controls = control_regions(region, inside, count=40)
    assert all(not (control & ~inside).any() for control in controls)
    assert {int(np.argwhere(control)[0, 0]) for control in controls} == {0, 1, 2}


def test_fewer_controls_come_back_where_they_do_not_fit():
    assert control_regions(block(0, 0, 16, 9), INSIDE, count=20) == []
    tight = np.zeros((1, 16, 16), dtype=bool)
    tight[0, 0, :5] = True
    assert len(control_regions(block(0, 0, 1, 1), tight, count=20)) == 4


def test_the_centre_region_holds_as_many_cells_around_the_middle():
    y, x = np.mgrid[:16, :16]
    prior = -((y - 7.5) ** 2 + (x - 7.5) ** 2)[None].astype(float)
    assert np.argwhere(centre_region(prior, INSIDE, 4)[0]).tolist() == [[7, 7], [7, 8], [8, 7], [8, 8]]


def test_bad_input_is_refused():
    with pytest.raises(MalformedInput):
        control_regions(np.zeros((1, 16, 16), dtype=bool), INSIDE, count=20)
    with pytest.raises(MalformedInput):
        top_region(np.ones((1, 8, 8)), INSIDE)
