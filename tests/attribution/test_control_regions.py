import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.attribution.cells import in_picture
from radiolucent.attribution.control_regions import (
    cell_look,
    control_of,
    control_regions,
    matched_control,
    mirrored_control,
)
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Features

WIDE, TALL = Geometry(rows=600, cols=800), Geometry(rows=800, cols=600)


def inside_of(*geometries):
    return np.stack([in_picture(geometry) for geometry in geometries])


def block(shape, frame, row, column, height, width):
    region = np.zeros(shape, dtype=bool)
    region[frame, row : row + height, column : column + width] = True
    return region


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 4), st.integers(1, 4), st.sampled_from([WIDE, TALL]))
@settings(deadline=None, max_examples=40)
def test_a_mirrored_region_is_the_mirror_inside_the_picture_and_clear_of_the_region(row, column, high, wide, geometry):
    inside = inside_of(geometry)
    region = block(inside.shape, 0, row, column, high, wide) & inside
    mirrored = mirrored_control(region, inside, [geometry])
    mirror_image = region[:, :, ::-1]
    if (mirror_image & region).any():
        assert mirrored is None
    else:
        np.testing.assert_array_equal(mirrored, mirror_image)
        assert not (mirrored & ~inside).any()
        if region.any():
            np.testing.assert_array_equal(mirrored_control(mirrored, inside, [geometry]), region)


def test_a_midline_off_the_middle_moves_the_mirror_and_may_push_it_out():
    inside = inside_of(WIDE)
    region = block(inside.shape, 0, 6, 10, 2, 2)  # columns 10 and 11; a cell is 50 source pixels
    mirrored = mirrored_control(region, inside, [WIDE], midline=350.0)  # between columns 6 and 7
    assert np.argwhere(mirrored[0]).tolist() == [[6, 2], [6, 3], [7, 2], [7, 3]]
    assert mirrored_control(region, inside, [WIDE], midline=200.0) is None
    padded = inside_of(TALL)  # columns 0, 1, 14 and 15 are padding
    left = block(padded.shape, 0, 6, 2, 2, 2)
    assert np.argwhere(mirrored_control(left, padded, [TALL])[0])[:, 1].tolist() == [12, 13, 12, 13]
    assert mirrored_control(left, padded, [TALL], midline=350.0) is None  # its mirror reaches into the padding


def test_each_frame_is_mirrored_at_its_own_middle():
    inside = inside_of(WIDE, TALL)
    region = block(inside.shape, 1, 6, 3, 2, 1)
    mirrored = mirrored_control(region, inside, [WIDE, TALL])
    assert not mirrored[0].any() and np.argwhere(mirrored[1])[:, 1].tolist() == [12, 12]


@given(st.integers(0, 10), st.integers(0, 10), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_cut_controls_keep_the_area_and_touch_neither_region_nor_padding(row, column, high, wide, seed):
    inside = inside_of(TALL)
    region = block(inside.shape, 0, row, column, high, wide) & inside
    if not region.any():
        return
    for control in control_regions(region, inside, count=5, seed=seed, cuts=2):
        assert control.sum() == region.sum()
        assert not (control & (region | ~inside)).any()


def test_a_region_as_wide_as_the_heart_has_a_control_only_in_pieces():
    inside = inside_of(Geometry(rows=800, cols=800))
    region = block(inside.shape, 0, 5, 4, 8, 9)
    assert control_regions(region, inside, count=3) == []
    pieces = control_regions(region, inside, count=3, cuts=2)
    assert len(pieces) == 3 and all(one.sum() == region.sum() for one in pieces)
    assert control_regions(block(inside.shape, 0, 0, 0, 16, 9), inside, count=3, cuts=2) == []


def test_the_matched_control_lies_where_the_film_looks_alike():
    size, geometry = 64, Geometry(rows=64, cols=64, model_size=64, grid=16)
    pixels = np.zeros((1, 3, size, size), dtype=np.float32)
    pixels[:, :, 32:] = 1.0  # dark above, bright below
    pixels[:, :, :, 48:] += np.random.default_rng(0).normal(0, 0.5, (size, 16))  # restless on the right
    features = Features(torch.zeros(1, 256, 2), torch.from_numpy(pixels), (geometry,), "")
    inside, look = inside_of(geometry), cell_look(features)
    region = block(inside.shape, 0, 10, 2, 2, 2)
    rows, columns = np.nonzero(matched_control(region, inside, look)[0])
    assert rows.min() >= 8 and columns.max() < 12
    region = block(inside.shape, 0, 2, 13, 2, 2)
    rows, columns = np.nonzero(matched_control(region, inside, look)[0])
    assert columns.max() >= 12
    assert matched_control(np.ones_like(inside), inside, look) is None


@pytest.mark.parametrize(
    ("finding", "control"),
    [
        (Finding("pleural_effusion", side="right"), "mirrored"),
        (Finding("nodule", side="left", zone="upper"), "mirrored"),
        (Finding("pneumothorax", side="left"), "mirrored"),
        (Finding("pleural_effusion", side="bilateral"), "matched"),
        (Finding("consolidation"), "matched"),
        (Finding("lung_opacity", side="left", zone="diffuse"), "matched"),
        (Finding("cardiomegaly"), "matched"),
        (Finding("cardiomegaly", side="left"), "matched"),
        (Finding("fracture", side="left"), "matched"),
        (Finding("support_devices", side="right"), "matched"),
    ],
)
def test_only_one_lung_or_its_pleura_has_a_healthy_mirror_image(finding, control):
    assert control_of(finding) == control


def test_an_empty_region_has_no_shape_to_copy():
    with pytest.raises(MalformedInput):
        control_regions(np.zeros((1, 16, 16), dtype=bool), np.ones((1, 16, 16), dtype=bool), count=1)
