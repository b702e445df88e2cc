import pytest

from radiolucent.confidence.quadrant import RELIANT_NATS, quadrant, with_image_lift
from radiolucent.confidence.types import FindingConfidence


def entry(present, samples=10, low=0.0, high=1.0):
    return FindingConfidence("nodule", None, present, 0, samples - present, 0, samples, low, high)


@pytest.mark.parametrize(
    ("low", "lift", "word"),
    [
        (0.78, 1.0, "grounded"),
        (0.40, 1.0, "unstable"),
        (0.78, 0.0, "not image-based"),
        (0.78, -3.0, "not image-based"),
        (0.40, 0.1, "unreliable"),
        (0.50, RELIANT_NATS, "unstable"),  # the bound must lie above one half
    ],
)
def test_consistent_is_crossed_with_image_reliant(low, lift, word):
    assert with_image_lift(entry(9, low=low), lift).quadrant == word


def test_what_was_not_measured_gets_no_word():
    assert quadrant(entry(9, low=0.6)) is None
