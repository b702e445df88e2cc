import numpy as np
import pytest
from scipy.stats import spearmanr

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import method_agreement


def peaked(*cells, grid=8):
    values = 0.01 * np.random.default_rng(0).random((1, grid, grid))
    for row, column in cells:
        values[0, row, column] = 1
    return values


def test_ranks_and_regions_of_every_pair():
    rng = np.random.default_rng(0)
    given = {"a": peaked((1, 1), (1, 2)), "b": peaked((1, 2), (1, 3)), "c": rng.standard_normal((1, 8, 8))}
    found = method_agreement(given)
    assert found.methods == ("a", "b", "c")
    np.testing.assert_allclose(found.overlap[0, 1], 1 / 3)
    np.testing.assert_allclose(found.rank, spearmanr(np.stack([m.ravel() for m in given.values()], axis=1)).statistic)
    np.testing.assert_array_equal(found.rank, found.rank.T)
    np.testing.assert_array_equal(found.overlap, found.overlap.T)
    np.testing.assert_array_equal(np.diag(found.overlap), 1)
    assert found.mean_rank == pytest.approx((found.rank[0, 1] + found.rank[0, 2] + found.rank[1, 2]) / 3)
    assert found.mean_overlap == pytest.approx(found.overlap[np.triu_indices(3, 1)].mean())


def test_a_map_agrees_with_itself_in_another_unit_and_with_no_region_shares_nothing():
    one = peaked((2, 3))
    found = method_agreement({"a": one, "b": 40 * one, "none": -one})
    assert found.rank[0, 1] == pytest.approx(1) and found.overlap[0, 1] == 1
    assert found.rank[0, 2] == pytest.approx(-1)
    np.testing.assert_array_equal(found.overlap[2], 0)


def test_padding_never_counts():
    one, two = peaked((2, 3)), peaked((2, 3))
    inside = np.ones((1, 8, 8), dtype=bool)
    inside[:, :, 7] = False
    two[..., 7] = 50
    assert method_agreement({"a": one, "b": two}, inside=inside).overlap[0, 1] == 1


def test_bad_input_is_refused():
    with pytest.raises(MalformedInput, match="at least 2"):
        method_agreement({"a": peaked()})
    with pytest.raises(MalformedInput, match="same"):
        method_agreement({"a": peaked(), "b": peaked(grid=4)})
    with pytest.raises(MalformedInput, match="finite"):
        method_agreement({"a": peaked(), "b": np.full((8, 8), np.nan)})
