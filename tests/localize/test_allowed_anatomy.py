"""Where a finding may lie, cell by cell, and when evidence lies outside it."""

import numpy as np
import pytest

from radiolucent.attribution.cells import coverage
from radiolucent.errors import MalformedInput
from radiolucent.localize.anatomy import LEAST_INSIDE, allowed_mask, mostly_outside
from radiolucent.localize.film_places import ALLOWED_EDGE, film_places
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study


@pytest.mark.parametrize("code", ["cardiomegaly", "nodule", "pleural_effusion", "raised_diaphragm"])
def test_cells_of_the_reduced_fields_are_those_of_the_full_ones(code):
    places = film_places(load_study(draw_case(7, size=2 * ALLOWED_EDGE, pairs=False).film).frames[0])
    exact = coverage(allowed_mask(code, places.fields), places.frame.geometry, 16)
    found = places.allowed(code, 16).cells
    assert 0.02 < exact.mean() < 0.8
    assert np.abs(found - exact).max() < 0.15 and np.abs(found - exact).mean() < 0.01


def test_anywhere_is_everywhere_and_a_slice_has_no_film_outline():
    frame = load_study(draw_case(7, size=256, pairs=False).film).frames[0]
    assert film_places(frame).allowed("support_devices", 16).cells.min() == 1.0
    assert film_places(frame, volume=True).allowed("nodule", 16) is None


def test_less_than_the_least_share_of_the_mass_inside_is_outside():
    allowed = np.array([[1.0, 0.6], [0.0, 0.0]])
    rest = 1 - LEAST_INSIDE
    assert mostly_outside(np.array([[LEAST_INSIDE + 0.01, 0.0], [rest - 0.01, 0.0]]), allowed) is False
    assert mostly_outside(np.array([[LEAST_INSIDE - 0.01, 0.0], [rest + 0.01, 0.0]]), allowed) is True
    assert mostly_outside(np.array([[0.0, 2.0], [0.0, -9.0]]), allowed) is False  # what speaks against has no place
    assert mostly_outside(np.zeros((2, 2)), allowed) is None
    assert mostly_outside(np.ones((2, 2)), None) is None
    with pytest.raises(MalformedInput, match="shape"):
        mostly_outside(np.ones((3, 3)), allowed)
