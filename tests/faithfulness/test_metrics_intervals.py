import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import roc_auc_score

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import auroc, auroc_interval, bootstrap, interval, paired_difference

seeds = st.integers(0, 2**16)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("statistic", [None, np.median])
def test_with_a_case_a_row_it_agrees_with_scipy(method, statistic):
    """Both draw at random: with 20,000 resamples the bounds differ by a few hundredths of the interval's width."""
    values = np.random.default_rng(0).lognormal(0, 1, 40)
    expected = scipy_bootstrap(
        (values,),
        np.mean if statistic is None else statistic,
        n_resamples=20_000,
        method="BCa" if method == "bca" else method,
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = bootstrap(values, np.arange(40), statistic=statistic, method=method, resamples=20_000, seed=2)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.06 * width)
    assert high == pytest.approx(expected.high, abs=0.06 * width)


def test_a_statistic_given_as_a_function_equals_the_fast_mean():
    rng = np.random.default_rng(0)
    values, clusters = rng.random(50), rng.integers(0, 12, 50)
    assert bootstrap(values, clusters) == pytest.approx(bootstrap(values, clusters, statistic=np.mean))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_interval_of_clustered_findings_covers_the_truth_as_it_should(method):
    """Oracle: a simulated population with a film effect; drawing findings one by one would cover far too rarely."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 4)
    covered = naive = 0
    for trial in range(150):
        values = 1 + np.repeat(rng.standard_normal(40), 4) + 0.3 * rng.standard_normal(160)
        low, high = bootstrap(values, clusters, method=method, seed=trial)
        covered += low <= 1 <= high
        low, high = bootstrap(values, np.arange(160), method=method, seed=trial)
        naive += low <= 1 <= high
    assert covered / 150 == pytest.approx(0.94, abs=0.05)
    assert naive / 150 < 0.8


@given(seeds)
@settings(deadline=None, max_examples=15)
def test_the_mean_lies_in_its_interval_and_shifts_with_the_values(seed):
    values = np.random.default_rng(seed).random(30)
    found = interval(values, np.arange(30), seed=seed)
    assert found.low <= found.value <= found.high and found.cases == 30
    moved = interval(5 + 2 * values, np.arange(30), seed=seed)
    assert (moved.low, moved.value, moved.high) == pytest.approx(
        (5 + 2 * found.low, 5 + 2 * found.value, 5 + 2 * found.high)
    )


def test_names_of_films_serve_as_clusters():
    values = [1.0, 2.0, 3.0, 4.0]
    assert interval(values, ["a", "a", "b", "c"]) == interval(values, [0, 0, 1, 2])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_values_all_alike_have_an_interval_of_no_width(method):
    found = interval(np.full(10, 0.7), np.arange(10), method=method)
    assert (found.low, found.high) == (pytest.approx(0.7), pytest.approx(0.7))


def test_pairing_takes_out_what_films_share():
    """Methods that differ by 0.1 on films that differ by 1: their own intervals overlap, the difference's is clear."""
    rng = np.random.default_rng(0)
    film = rng.standard_normal(60)
    first, second = film + 0.1, film + 0.05 * rng.standard_normal(60)
    found = paired_difference(first, second, np.arange(60))
    assert found.low > 0 and found.value == pytest.approx(np.mean(first - second))
    assert interval(first, np.arange(60)).low < interval(second, np.arange(60)).high
    back = paired_difference(second, first, np.arange(60))
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=30)
def test_auroc_equals_scikit_learn(seed, tied):
    rng = np.random.default_rng(seed)
    labels = np.arange(25) < 10
    scores = rng.standard_normal(25).round(0 if tied else 9)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert auroc(np.exp(scores), labels) == auroc(scores, labels)
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


def test_auroc_of_a_constant_is_a_half_and_of_the_labels_one():
    labels = np.array([0, 1, 1, 0])
    assert auroc(np.ones(4), labels) == 0.5 and auroc(labels, labels) == 1


def test_the_aurocs_interval_is_that_of_resampled_films():
    """Oracle: scikit-learn's AUROC on films drawn with replacement by the same generator."""
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 2, 60), np.repeat(np.arange(20), 3)
    scores = labels + rng.standard_normal(60)
    found = auroc_interval(scores, labels, clusters, seed=4, resamples=200)
    draws = np.random.default_rng(4).integers(20, size=(200, 20))
    rows = (3 * draws[:, :, None] + np.arange(3)).reshape(200, -1)
    expected = np.quantile([roc_auc_score(labels[row], scores[row]) for row in rows], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.value == pytest.approx(roc_auc_score(labels, scores)) and found.cases == 20


def test_resamples_without_both_labels_are_left_out_until_too_many_are():
    scores, clusters = np.arange(8.0), np.arange(8)
    found = auroc_interval(scores, [0, 0, 0, 1, 0, 1, 1, 1], clusters)
    assert 0 <= found.low <= found.value <= found.high <= 1
    with pytest.raises(MalformedInput, match="more cases"):  # the only positive is drawn in 66 % of resamples
        auroc_interval(scores, [0, 0, 0, 0, 1, 0, 0, 0], clusters)


def test_bad_input_is_refused():
    values = np.arange(4.0)
    with pytest.raises(MalformedInput, match="at least 2"):
        interval(values, np.zeros(4))
    with pytest.raises(MalformedInput, match="finite"):
        bootstrap(np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(MalformedInput, match="cluster for each"):
        bootstrap(values, np.arange(3))
    with pytest.raises(MalformedInput, match="at least one row"):
        bootstrap(np.zeros(0), np.zeros(0))
    with pytest.raises(MalformedInput, match="unknown"):
        bootstrap(values, np.arange(4), method="basic")
    with pytest.raises(MalformedInput, match="Level"):
        bootstrap(values, np.arange(4), level=1.5)
    with pytest.raises(MalformedInput, match="one row each"):
        paired_difference(values, values[:3], np.arange(4))
    with pytest.raises(MalformedInput, match="positives and negatives"):
        auroc(values, np.ones(4))
    with pytest.raises(MalformedInput, match="Labels"):
        auroc(values, [0, 1, 2, 1])
    with pytest.raises(MalformedInput, match="shape"):
        auroc(values, [0, 1])
    with pytest.raises(MalformedInput, match="finite"):
        auroc([np.nan, 1], [0, 1])
    with pytest.raises(MalformedInput, match="without one of the cases"):
        interval(values, np.arange(4), statistic=lambda rows: rows.mean() if len(rows) == 4 else np.nan, method="bca")
