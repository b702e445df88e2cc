import numpy as np
import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import cascade_verdict, compare_maps, random_pair_bar, repeatability


def maps(count, seed=0, grid=8):
    return list(np.random.default_rng(seed).standard_normal((count, 1, grid, grid)))


def test_the_bar_of_a_few_maps_is_the_mean_over_all_pairs():
    given = maps(4)
    expected = np.mean([compare_maps(given[a], given[b]).ssim for a in range(4) for b in range(a)])
    assert random_pair_bar(given) == pytest.approx(expected)
    assert random_pair_bar(given, seed=9) == pytest.approx(expected)
    one = random_pair_bar(given, measure="rank")
    assert one == pytest.approx(np.mean([compare_maps(given[a], given[b]).rank for a in range(4) for b in range(a)]))


def test_of_many_maps_fifty_different_pairs_are_drawn(monkeypatch):
    given = maps(30)
    seen = []
    real = compare_maps

    def spied(one, two, *, inside=None):
        seen.append((one.tobytes(), two.tobytes()))
        return real(one, two, inside=inside)

    monkeypatch.setattr("radiolucent.faithfulness.metrics.sanity.compare_maps", spied)
    random_pair_bar(given)
    assert len(seen) == len(set(seen)) == 50 and all(one != two for one, two in seen)


def test_a_methods_habit_raises_the_bar():
    """Maps that share a bright middle are alike though each explains another picture."""
    y, x = np.mgrid[:16, :16]
    middle = np.exp(-((y - 7.5) ** 2 + (x - 7.5) ** 2) / 30)
    free = maps(12, grid=16)
    assert random_pair_bar([5 * middle + one for one in free]) > random_pair_bar(free) + 0.2


def test_pictures_of_different_shapes_are_compared_where_both_are():
    given = maps(2)
    wide, tall = np.ones((1, 8, 8), dtype=bool), np.ones((1, 8, 8), dtype=bool)
    wide[:, :1], tall[:, :, 6:] = False, False
    expected = compare_maps(*given, inside=wide & tall).ssim
    assert random_pair_bar(given, inside=[wide, tall]) == pytest.approx(expected)


def test_a_method_passes_that_ends_below_the_bar():
    found = cascade_verdict(["head", "layer 8", "layer 7"], np.array([0.9, 0.3, 0.05]), 0.4)
    assert found.passed and found.first_below == "layer 8" and found.similarities == (0.9, 0.3, 0.05)


def test_a_dip_that_does_not_last_is_not_below():
    found = cascade_verdict(["a", "b", "c", "d"], np.array([0.1, 0.9, 0.2, 0.3]), 0.4)
    assert found.passed and found.first_below == "c"
    ends_above = cascade_verdict(["a", "b"], np.array([0.1, 0.5]), 0.4)
    assert not ends_above.passed and ends_above.first_below is None
    at_the_bar = cascade_verdict(["a"], np.array([0.4]), 0.4)
    assert not at_the_bar.passed
    assert cascade_verdict(["a", "b"], np.array([0.1, 0.2]), 0.4).first_below == "a"


def test_cases_are_averaged():
    found = cascade_verdict(["a", "b"], np.array([[0.8, 0.1], [0.6, 0.5]]), 0.4)
    assert found.similarities == pytest.approx((0.7, 0.3)) and found.passed


def test_a_map_of_the_picture_alone_fails_and_one_of_the_weights_passes():
    """An edge detector never changes; a map that follows the weights becomes unlike itself."""
    trained = maps(12, grid=16)
    bar = random_pair_bar(trained)
    noise = maps(3, seed=7, grid=16)
    steps = [np.sqrt(1 - share**2) * trained[0] + share * one for share, one in zip((0.3, 0.8, 1), noise, strict=True)]
    follows = [compare_maps(trained[0], one).ssim for one in steps]
    deaf = [compare_maps(trained[0], trained[0]).ssim for _ in steps]
    layers = ["head", "middle", "first"]
    assert follows == sorted(follows, reverse=True)
    assert not cascade_verdict(layers, np.array(deaf), bar).passed
    assert cascade_verdict(layers, np.array(follows), max(bar, 0.1)).passed


def test_repeats_are_summed_up_over_all_pairs():
    base = maps(1)[0]
    repeats = [base + 0.05 * one for one in maps(3, seed=1)]
    found = repeatability(repeats, bar=0.5)
    pairs = [compare_maps(repeats[a], repeats[b]).ssim for a, b in ((0, 1), (0, 2), (1, 2))]
    assert (
        found.pairs == 3 and found.mean == pytest.approx(np.mean(pairs)) and found.lowest == pytest.approx(min(pairs))
    )
    assert found.steady is True
    assert repeatability(maps(3), bar=0.5).steady is False
    assert repeatability(repeats, measure="rank").steady is None
    assert repeatability([base, base], bar=0.99).mean == pytest.approx(1)


def test_bad_input_is_refused():
    with pytest.raises(MalformedInput, match="2 maps"):
        random_pair_bar(maps(1))
    with pytest.raises(MalformedInput, match="one each"):
        random_pair_bar(maps(2), inside=[np.ones((1, 8, 8), dtype=bool)])
    with pytest.raises(MalformedInput, match="at least 2"):
        repeatability(maps(1))
    with pytest.raises(MalformedInput, match="finite"):
        repeatability([np.full((8, 8), np.nan)] * 2)
    with pytest.raises(MalformedInput, match="layers"):
        cascade_verdict(["a"], np.array([0.1, 0.2]), 0.4)
    with pytest.raises(MalformedInput, match="layers"):
        cascade_verdict([], np.array([]), 0.4)
    with pytest.raises(MalformedInput, match="finite"):
        cascade_verdict(["a"], np.array([np.nan]), 0.4)
    with pytest.raises(MalformedInput, match="unknown"):
        random_pair_bar(maps(2), measure="pearson")
