"""Intervals and tests against closed forms and enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.limits.proportions import (
    Z95,
    design_effect,
    difference_interval,
    fisher,
    holm,
    sign_test,
    wilson,
)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_bounds_are_where_the_score_statistic_is_the_normal_quantile(counts):
    hits, count = counts
    low, high = wilson(hits, count)
    share = hits / count
    assert 0 <= low <= share <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            assert abs(share - bound) / math.sqrt(bound * (1 - bound) / count) == pytest.approx(norm.ppf(0.975))


def test_wilson_at_the_ends_is_the_closed_form_and_never_of_no_width():
    n = 17
    assert wilson(0, n) == (0.0, pytest.approx(Z95**2 / (n + Z95**2)))
    assert wilson(n, n) == (pytest.approx(n / (n + Z95**2)), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_design_effect_is_a_smaller_count_at_the_same_share():
    assert wilson(20, 40, design=2.0) == pytest.approx(wilson(10, 20))
    assert wilson(20, 40, design=0.5) == wilson(20, 40)


def test_wilson_refuses_more_hits_than_cases():
    with pytest.raises(MalformedInput, match="part of the whole"):
        wilson(5, 4)


def test_films_of_one_lesion_have_no_design_effect_and_films_all_alike_have_their_size():
    assert design_effect([(hit, 1) for hit in (0, 1, 1, 0, 1, 1)]) == pytest.approx(6 / 5)  # n / (n - 1), as variance
    alike = [(3, 3) if film % 2 else (0, 3) for film in range(200)]
    assert design_effect(alike) == pytest.approx(3.0, rel=0.01)
    assert design_effect([(2, 2), (3, 3)]) == 1.0 and design_effect([]) == 1.0


def test_fishers_p_is_the_sum_over_tables_no_likelier_than_the_one_seen():
    hits, count, other_hits, other_count = 7, 17, 50, 54
    total = hits + other_hits

    def likely(k):
        ways = math.comb(count, k) * math.comb(other_count, total - k)
        return ways / math.comb(count + other_count, total)

    seen = likely(hits)
    possible = range(max(0, total - other_count), min(count, total) + 1)
    assert fisher(hits, count, other_hits, other_count) == pytest.approx(
        sum(likely(k) for k in possible if likely(k) <= seen * (1 + 1e-7))
    )


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (5, 0), (0, 5), (7, 2), (3, 3)])
def test_the_sign_test_counts_the_coin_tosses_that_are_as_one_sided(worse, better):
    tosses = worse + better
    as_extreme = [
        heads
        for heads in (sum(toss) for toss in itertools.product((0, 1), repeat=tosses))
        if abs(heads - tosses / 2) >= abs(worse - tosses / 2)
    ]
    assert sign_test(worse, better) == pytest.approx(len(as_extreme) / 2**tosses)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_exactly_what_its_step_down_rule_rejects(p_values):
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[index] * (len(p_values) - rank) > level:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_the_interval_of_a_paired_difference_covers_the_truth_as_often_as_it_says():
    """Cases drawn with known chances: the interval misses the true difference at most about once in twenty."""
    draws = np.random.default_rng(3)
    for chances in ((0.6, 0.05, 0.15, 0.2), (0.9, 0.01, 0.05, 0.04), (0.3, 0.2, 0.2, 0.3)):
        truth = chances[1] - chances[2]
        inside = 0
        for table in draws.multinomial(45, chances, size=2000).tolist():
            both, one, other, _ = table
            value, low, high = difference_interval(tuple(table), wilson(both + one, 45), wilson(both + other, 45))
            assert low <= value <= high
            inside += low <= truth <= high
        assert inside / 2000 >= 0.93


def test_no_case_that_differs_still_leaves_doubt_and_a_swap_turns_the_sign():
    value, low, high = difference_interval((45, 0, 0, 0), wilson(45, 45), wilson(45, 45))
    assert value == 0 and low == pytest.approx(-high) and high == pytest.approx(1 - wilson(45, 45)[0])
    there = difference_interval((20, 9, 2, 5), wilson(29, 36), wilson(22, 36))
    back = difference_interval((20, 2, 9, 5), wilson(22, 36), wilson(29, 36))
    assert there == pytest.approx((-back[0], -back[2], -back[1]))
    with pytest.raises(MalformedInput, match="judged twice"):
        difference_interval((0, 0, 0, 0), (0.0, 1.0), (0.0, 1.0))
