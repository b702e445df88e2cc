import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from radiolucent.confidence.intervals import interval, jeffreys, wilson
from radiolucent.errors import MalformedInput

shares = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(shares, st.floats(0.5, 0.999))
def test_wilson_equals_scipys_own(share, level):
    successes, samples = share
    expected = binomtest(successes, samples).proportion_ci(level, method="wilson")
    assert wilson(successes, samples, level=level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(shares)
def test_jeffreys_bounds_leave_half_the_tail_on_each_side(share):
    """Checked by integrating the posterior density numerically, not by scipy's beta."""
    successes, samples = share
    low, high = jeffreys(successes, samples)
    t = (np.arange(200_000) + 0.5) / 200_000
    # p = sin(u)^2 removes the endpoint singularities of p^(k-1/2) (1-p)^(n-k-1/2)
    angle = t * math.pi / 2
    log_density = 2 * successes * np.log(np.sin(angle)) + 2 * (samples - successes) * np.log(np.cos(angle))
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    p = np.sin(angle) ** 2
    if successes > 0:
        assert weight[p < low].sum() == pytest.approx(0.025, abs=2e-4)
    if successes < samples:
        assert weight[p > high].sum() == pytest.approx(0.025, abs=2e-4)


@given(shares)
def test_bounds_hold_the_share_and_mirror(share):
    successes, samples = share
    for rule in ("jeffreys", "wilson"):
        low, high = interval(successes, samples, rule=rule)
        assert 0 <= low <= successes / samples <= high <= 1
        mirrored = interval(samples - successes, samples, rule=rule)
        assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(
    ("samples", "wilson_low", "jeffreys_low"),
    [(5, 0.57, 0.62), (8, 0.68, 0.74), (10, 0.72, 0.78), (16, 0.81, 0.86), (20, 0.84, 0.88)],
)
def test_all_agree_is_never_certain(samples, wilson_low, jeffreys_low):
    assert wilson(samples, samples)[0] == pytest.approx(wilson_low, abs=0.006)
    assert jeffreys(samples, samples)[0] == pytest.approx(jeffreys_low, abs=0.006)


def test_coverage_at_ten_samples_is_near_nominal_where_wald_fails():
    p = np.linspace(0.005, 0.995, 199)
    counts = np.arange(11)
    mass = binom.pmf(counts[:, None], 10, p[None, :])

    def covered(bounds):
        low, high = np.array(bounds).T
        return float((mass * ((low[:, None] <= p) & (p <= high[:, None]))).sum(axis=0).mean())

    z = norm.ppf(0.975)
    half = z * np.sqrt(counts / 10 * (1 - counts / 10) / 10)
    assert covered([wilson(int(k), 10) for k in counts]) == pytest.approx(0.954, abs=0.01)
    assert covered([jeffreys(int(k), 10) for k in counts]) == pytest.approx(0.953, abs=0.01)
    assert covered(np.stack([counts / 10 - half, counts / 10 + half], axis=1)) < 0.82


@pytest.mark.parametrize(("successes", "samples", "level"), [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_nonsense_is_refused(successes, samples, level):
    for rule in ("jeffreys", "wilson"):
        with pytest.raises(MalformedInput):
            interval(successes, samples, rule=rule, level=level)
    with pytest.raises(MalformedInput, match="unknown"):
        interval(1, 2, rule="wald")
