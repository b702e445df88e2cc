"""Semantic entropy over finding-sets: closed forms, and what is one meaning."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from radiolucent.confidence.semantic import semantic_entropy
from radiolucent.errors import MalformedInput
from radiolucent.findings import extract_findings
from radiolucent.findings.types import Finding

A, B = [Finding("nodule", side="left")], [Finding("nodule", side="right")]


def test_one_meaning_is_zero_and_all_different_is_log_k():
    assert semantic_entropy([A] * 7) == (0.0, 1)
    different = [[Finding(code)] for code in ("nodule", "mass", "edema", "fracture", "pneumonia")]
    assert semantic_entropy(different) == (pytest.approx(math.log(5)), 5)
    assert semantic_entropy([A, A, A, B]) == (pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))), 2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=24))
def test_it_is_scipys_entropy_of_the_vote_counts(said):
    reports = [[Finding("nodule")] * (number > 0) + [Finding(f"code {number}")] for number in said]
    value, meanings = semantic_entropy(reports)
    counts = [said.count(number) for number in set(said)]
    assert value == pytest.approx(entropy(counts), abs=1e-12) and meanings == len(counts)
    assert 0 <= value <= math.log(len(said)) + 1e-12
    assert semantic_entropy(reports[::-1]) == (pytest.approx(value), meanings)


def test_wording_order_and_denials_do_not_count_side_and_doubt_do():
    same = [
        "Small left pleural effusion. A nodule on the right.",
        "There is a nodule on the right. Left pleural effusion, small. No pneumothorax.",
        "左侧少量胸腔积液，右肺结节。未见实变。",
    ]
    assert semantic_entropy([extract_findings(text) for text in same]) == (0.0, 1)
    other_side = "Right pleural effusion. Nodule on the right."
    doubted = "Left pleural effusion. Possible right nodule."
    for text in (other_side, doubted):
        assert semantic_entropy([extract_findings(same[0]), extract_findings(text)])[1] == 2


def test_nothing_has_no_entropy():
    with pytest.raises(MalformedInput):
        semantic_entropy([])
    assert semantic_entropy([[], [Finding("nodule", "absent")]]) == (0.0, 1)
