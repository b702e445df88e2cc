"""How good probabilities are, against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from radiolucent.confidence.scores import (
    auroc,
    brier,
    calibration_error,
    interval,
    reliability,
    risk_coverage,
)
from radiolucent.errors import MalformedInput


def drawn(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    stated = rng.uniform(size=n)
    return stated, rng.uniform(size=n) < stated


def test_true_probabilities_have_almost_no_calibration_error_and_shifted_ones_their_shift() -> None:
    stated, right = drawn()
    assert calibration_error(stated, right) < 0.03
    assert calibration_error(np.full(100, 0.9), np.arange(100) < 60) == pytest.approx(0.3)
    assert calibration_error(np.ones(50), np.ones(50, dtype=bool)) == 0.0


def test_brier_and_auroc_are_those_of_scikit_learn() -> None:
    stated, right = drawn(300)
    assert brier(stated, right) == pytest.approx(brier_score_loss(right, stated))
    assert auroc(stated, right) == pytest.approx(roc_auc_score(right, stated))
    assert np.isnan(auroc(stated, np.ones(300, dtype=bool)))


def test_keeping_the_surer_half_of_a_perfect_ranking_leaves_no_error() -> None:
    right = np.array([True] * 7 + [False] * 3)
    curve = risk_coverage(np.arange(10)[::-1], right)
    assert curve.at(0.7) == 0.0 and curve.at(1.0) == pytest.approx(0.3) and curve.at(0.8) == pytest.approx(1 / 8)
    constant = risk_coverage(np.ones(10), right)
    assert np.allclose(constant.risk, 0.3) and constant.area == pytest.approx(0.3)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40))
def test_risk_at_full_coverage_is_the_error_rate_whatever_the_ranking(pairs: list[tuple[float, bool]]) -> None:
    stated, right = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs])
    assert risk_coverage(stated, right).at(1.0) == pytest.approx((~right).mean())
    assert 0 <= calibration_error(stated, right) <= 1
    assert sum(count for *_, count in reliability(stated, right)) == len(right)


def test_the_interval_holds_the_value_and_is_wider_where_cases_hold_many_findings() -> None:
    stated, right = drawn(400)
    alone = interval(brier, stated, right, [str(i) for i in range(400)], resamples=300)
    assert alone[0] < brier(stated, right) < alone[1]
    stated, right = np.repeat(stated[:40], 10), np.repeat(right[:40], 10)
    together = interval(brier, stated, right, [str(i // 10) for i in range(400)], resamples=300)
    apart = interval(brier, stated, right, [str(i) for i in range(400)], resamples=300)
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


@pytest.mark.parametrize(
    ("stated", "right"), [([], []), ([0.5], [True, False]), ([1.5], [True]), ([float("nan")], [True])]
)
def test_numbers_that_are_no_probabilities_are_refused(stated: list[float], right: list[bool]) -> None:
    for metric in (calibration_error, brier):
        with pytest.raises(MalformedInput):
            metric(stated, right)
