"""Agreement, overlap and gap against brute force and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade_signals import agreement, main_part, overlap, placed, pointed_at, signals_of
from radiolucent.localize.anatomy import Anatomy
from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Target

GRID = 4
SQUARE = (Geometry(rows=16, cols=16, model_size=16, grid=GRID),)
WIDE = (Geometry(rows=8, cols=16, model_size=16, grid=GRID),)  # the first and last row of cells are padding
TARGET = Target((0, 2))


def of(values, geometry=SQUARE, claim="attended", method="one", tests=()):
    return AttributionMap(
        np.asarray(values, dtype=np.float32).reshape(-1, GRID, GRID), claim, method, TARGET, "", geometry, tests=tests
    )


def at(*cells):
    region = np.zeros((1, GRID, GRID), dtype=bool)
    for row, column in cells:
        region[0, row, column] = True
    return region


@given(
    arrays(np.float32, (1, GRID, GRID), elements=st.integers(0, 5).map(float)),
    arrays(bool, (1, GRID, GRID)),
    st.sampled_from([SQUARE, WIDE]),
)
def test_agreement_is_the_share_of_pairs_in_order_beyond_chance(values, region, geometry):
    made = of(values, geometry)
    inside = np.ones((1, GRID, GRID), dtype=bool)
    if geometry is WIDE:
        inside[0, [0, 3]] = False
    found = agreement(region, [made])
    hits, others = values[region & inside], values[~region & inside]
    if not len(hits) or not len(others) or values[inside].max() <= 0:
        assert found is None
        return
    pairs = (hits[:, None] > others).mean() + 0.5 * (hits[:, None] == others).mean()
    assert found == pytest.approx(max(0.0, 2 * pairs - 1), abs=1e-9)


def test_agreement_is_averaged_over_maps_that_come_from_the_model():
    region = at((1, 1), (1, 2))
    same, none = of(region), of(~region)
    assert agreement(region, [same]) == 1.0
    assert agreement(region, [same, none]) == 0.5
    assert agreement(region, [same, replace(none, claim="plausible")]) == 1.0
    assert agreement(region, [replace(same, values=-same.values)]) is None
    assert agreement(region, []) is None


def test_overlap_is_counted_against_the_smaller_region():
    assert overlap(at((0, 0), (0, 1)), at((0, 1))) == 1.0
    assert overlap(at((0, 0), (0, 1)), at((0, 1), (2, 2), (3, 3))) == 0.5
    assert overlap(at(), at((0, 0))) == 0.0


def test_a_map_points_first_at_the_part_with_its_highest_cell():
    values = np.zeros((GRID, GRID))
    values[0, 0], values[3, 3], values[3, 2] = 3.0, 5.0, 1.0
    made, region = of(values), at((0, 0), (0, 1), (3, 3), (3, 2))
    assert set(map(tuple, np.argwhere(main_part(made, region)[0]))) == {(3, 3), (3, 2)}
    assert not main_part(made, at()).any()
    # 15 % of 16 cells are two: the highest, without a buffer
    assert set(map(tuple, np.argwhere(pointed_at(made, GRID)[0]))) == {(3, 3), (0, 0)}


def test_evidence_is_outside_where_too_little_of_it_is_allowed():
    cells = np.zeros((GRID, GRID))
    cells[1] = 1.0
    cells[2] = 0.6
    allowed = Anatomy(cells)
    assert placed(at((1, 0), (1, 1), (0, 0)), [allowed]) == (False, None)
    assert placed(at((1, 0), (0, 0), (0, 1)), [allowed]) == (True, None)
    assert placed(at((2, 0)), [allowed]) == (False, None)
    assert placed(at((1, 0)), [None]) == placed(at((1, 0)), ()) == placed(at(), [allowed]) == (None, None)
    with pytest.raises(MalformedInput, match="frames"):
        placed(at((1, 0)), [allowed, allowed])
    with pytest.raises(MalformedInput, match="shape"):
        placed(at((1, 0)), [Anatomy(np.ones((2, 2)))])


def test_evidence_on_the_other_side_is_outside_for_its_side_alone():
    left, lungs = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    lungs[1:3] = 1.0
    left[1:3, :2] = 1.0
    allowed = [Anatomy(left, lungs)]
    assert placed(at((1, 0)), allowed) == (False, False)
    assert placed(at((1, 3)), allowed) == (True, True)
    assert placed(at((0, 3)), allowed) == (True, False)  # in no lung at all


def measured(hidden=3.0, only=1.0, everything=4.0, beside=(), alone=(), kinds=None):
    count = len(beside) or len(alone)
    test = RegionTest(
        at((1, 1)),
        "one",
        hidden,
        only,
        everything,
        np.zeros((count, 1, GRID, GRID), dtype=bool),
        kinds or ("random",) * count,
        tuple(beside),
        tuple(alone),
        verdict="necessary",
    )
    return signals_of(test, [])


def test_the_gap_is_the_effect_above_the_highest_of_few_controls():
    assert measured(beside=(1.0,)).gap == pytest.approx(0.5)
    assert measured(beside=(1.0, 2.0)).gap == pytest.approx(0.25)
    assert measured(beside=(0.0,) * 39 + (3.5,)).gap == pytest.approx(0.75)  # beyond the 95th percentile of many
    assert measured(beside=(1.0, 3.0), kinds=("random", "other finding")).gap == pytest.approx(0.5)
    assert measured(alone=(3.0,)).gap == pytest.approx((3 - 1) / 4)  # kept 3 of 4, the control keeps 1
    assert measured().gap == 0.0
    found = measured(beside=(1.0,))
    assert (found.necessity, found.sufficiency) == (0.75, 0.75) and found.own and found.verified


def test_shares_of_a_loss_near_nothing_mean_nothing():
    found = measured(hidden=0.1, only=0.0, everything=0.1, beside=(0.0,))
    assert (found.necessity, found.sufficiency, found.gap) == (0.0, 0.0, 0.0)
