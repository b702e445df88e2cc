import numpy as np
import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import necessity_and_sufficiency

REGION = np.zeros((1, 3, 3), dtype=bool)
REGION[0, 1, 1] = REGION[0, 1, 2] = True


def scored(function):
    """Score from the number of visible region cells and of visible other cells."""
    return lambda hidden: np.array(
        [float(function((~one & REGION).sum(), (~one & ~REGION).sum())) for one in hidden], dtype=float
    )


def test_on_an_additive_model_both_are_the_regions_share():
    found = necessity_and_sufficiency(REGION, scored(lambda region, other: 3 * region + other), least=0.2)
    assert (found.effect, found.kept, found.total) == (6, 7, 13)
    assert found.necessity == pytest.approx(6 / 13)
    assert found.sufficiency == pytest.approx(6 / 13)


def test_redundant_evidence_is_enough_and_not_needed():
    found = necessity_and_sufficiency(REGION, scored(lambda region, other: 5 * max(region == 2, other >= 3)), least=0.2)
    assert (found.necessity, found.sufficiency) == (0, 1)


def test_joint_evidence_is_needed_and_not_enough():
    found = necessity_and_sufficiency(REGION, scored(lambda region, other: 5 * (region == 2) * (other == 7)), least=0.2)
    assert (found.necessity, found.sufficiency) == (1, 0)


def test_shares_of_a_loss_near_zero_are_not_given():
    for function in (lambda region, other: 0.01 * region, lambda region, other: -region):
        found = necessity_and_sufficiency(REGION, scored(function), least=0.2)
        assert found.necessity is None and found.sufficiency is None
    assert found.effect == -2


def test_padding_is_never_hidden():
    inside = np.ones((1, 3, 3), dtype=bool)
    inside[0, :, 0] = False
    seen = []

    def score(hidden):
        seen.append(hidden)
        return (~hidden).sum(axis=(1, 2, 3)).astype(float)

    found = necessity_and_sufficiency(REGION, score, inside=inside, least=0.2)
    assert not seen[0][..., 0].any()
    assert found.total == 6 and found.necessity == pytest.approx(2 / 6)


def test_bad_input_is_refused():
    score = scored(lambda region, other: region)
    with pytest.raises(MalformedInput, match="empty"):
        necessity_and_sufficiency(np.zeros((1, 3, 3), dtype=bool), score, least=0.2)
    with pytest.raises(MalformedInput, match="outside"):
        necessity_and_sufficiency(REGION, score, inside=~REGION, least=0.2)
    with pytest.raises(MalformedInput, match="shape"):
        necessity_and_sufficiency(REGION[0], score, least=0.2)
    with pytest.raises(MalformedInput, match="finite"):
        necessity_and_sufficiency(REGION, lambda hidden: np.full(len(hidden), -np.inf), least=0.2)
