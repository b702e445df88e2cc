"""Regions of a map: boxes, centroids and contours on source pixels, against scipy and by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.filters import threshold_otsu

from radiolucent.errors import MalformedInput
from radiolucent.localize import find_regions, peak_point
from radiolucent.study.geometry import Geometry

SQUARE = Geometry(160, 160)
WIDE = Geometry(80, 160)
TALL = Geometry(200, 100)


def _blobs() -> np.ndarray:
    values = np.zeros((16, 16))
    values[2:4, 2:5] = 1.0
    values[10:13, 9:11] = 0.8
    values[11, 9] = 2.0
    return values


def test_boxes_are_whole_cells_on_the_source() -> None:
    found = find_regions(_blobs(), SQUARE, fraction=0.4)
    boxes = {region.box for region in found.regions}
    assert boxes == {(20.0, 20.0, 50.0, 40.0), (90.0, 100.0, 110.0, 130.0)}


def test_padding_is_undone_on_a_film_that_is_not_square() -> None:
    values = np.zeros((16, 16))
    values[8, 4] = 1.0  # padded square of 160: rows 40..120 are film, row 8 covers 80..90
    (region,) = find_regions(values, WIDE).regions
    assert region.box == (40.0, 40.0, 50.0, 50.0)
    assert region.peak == (45.0, 45.0)
    assert region.peak_cell == (8, 4)


def test_cells_in_the_padding_are_ignored_and_boxes_cut_to_the_film() -> None:
    values = np.zeros((16, 16))
    values[0, 8] = 9.0  # wholly in the padding
    values[3:5, 8] = 1.0  # row 3 covers -10..0 of the film
    (region,) = find_regions(values, WIDE).regions
    assert region.box == (80.0, 0.0, 90.0, 10.0)
    assert find_regions(np.where(np.arange(16)[:, None] < 3, 1.0, 0.0) * np.ones((16, 16)), WIDE).regions == ()


def test_nothing_positive_gives_no_region() -> None:
    assert find_regions(-np.ones((16, 16)), SQUARE).regions == ()
    assert peak_point(-np.ones((16, 16)), SQUARE) is None


@pytest.mark.parametrize("geometry", [SQUARE, WIDE, TALL], ids=["square", "wide", "tall"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([8, 16, 40]))
def test_regions_agree_with_scipy(geometry: Geometry, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(n, n)), 1.0)
    found = find_regions(values, geometry, least_mass=0.0)
    labels, count = ndimage.label(found.cells, structure=np.ones((3, 3)))
    assert len(found.regions) == count
    masses = [region.mass for region in found.regions]
    assert masses == sorted(masses, reverse=True)
    by_peak = {tuple(labels[region.peak_cell] for _ in (0,)): region for region in found.regions}
    left, top = geometry.offset
    cell = geometry.edge / n
    for number in range(1, count + 1):
        region = by_peak[(number,)]
        row, column = ndimage.center_of_mass(np.where(labels == number, values, 0.0))
        expected = ((column + 0.5) * cell - left, (row + 0.5) * cell - top)
        clipped = np.clip(expected, 0, (geometry.cols, geometry.rows))
        np.testing.assert_allclose(region.centroid, clipped, atol=1e-6)
        peak = ndimage.maximum_position(values, labels, number)
        assert region.peak_cell == peak
        assert region.cells == (labels == number).sum()
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 <= region.centroid[0] <= x1 <= geometry.cols
        assert 0 <= y0 <= region.centroid[1] <= y1 <= geometry.rows


def test_contours_enclose_the_centre_of_every_cell_above_the_threshold() -> None:
    values = ndimage.gaussian_filter(_blobs(), 0.8)
    for geometry in (SQUARE, WIDE, TALL):
        on_film = np.zeros((16, 16), dtype=bool)
        rows = (np.arange(16) + 0.5) * geometry.edge / 16 - geometry.offset[1]
        cols = (np.arange(16) + 0.5) * geometry.edge / 16 - geometry.offset[0]
        on_film[np.ix_((rows > 0) & (rows < geometry.rows), (cols > 0) & (cols < geometry.cols))] = True
        found = find_regions(np.where(on_film, values, 0), geometry, least_mass=0.0)
        drawn = np.zeros((geometry.rows, geometry.cols), dtype=bool)
        for region in found.regions:
            assert region.contours
            for line in region.contours:
                np.testing.assert_allclose(line[0], line[-1])
                drawn |= polygon2mask(drawn.shape, line[:, ::-1] - 0.5)
        for row, column in np.argwhere(found.cells):
            assert drawn[int(rows[row]), int(cols[column])]


def test_small_regions_are_dropped_but_never_the_peak() -> None:
    values = np.zeros((16, 16))
    values[0, 0] = 1.0
    values[5:15, 5:15] = 0.9
    kept = find_regions(values, SQUARE, least_mass=0.5)
    assert {region.peak_cell for region in kept.regions} == {(5, 5), (0, 0)}
    values[0, 0] = 0.8
    assert len(find_regions(values, SQUARE, least_mass=0.5).regions) == 1


def test_otsu_rule_is_skimages_and_is_stated() -> None:
    values = np.abs(np.random.default_rng(3).normal(size=(16, 16)))
    found = find_regions(values, SQUARE, rule="otsu")
    assert found.threshold == pytest.approx(threshold_otsu(values))
    assert "Otsu" in found.rule_text("en")
    assert "50%" in find_regions(values, SQUARE).rule_text("zh").replace(" ", "")


def test_bad_maps_are_refused() -> None:
    with pytest.raises(MalformedInput, match="shape"):
        find_regions(np.zeros((3, 4)), SQUARE)
    with pytest.raises(MalformedInput, match="finite"):
        find_regions(np.full((4, 4), np.nan), SQUARE)
    with pytest.raises(MalformedInput, match="fraction"):
        find_regions(np.ones((4, 4)), SQUARE, fraction=0.0)
    with pytest.raises(MalformedInput, match="rule"):
        find_regions(np.ones((4, 4)), SQUARE, rule="median")  # type: ignore[arg-type]
