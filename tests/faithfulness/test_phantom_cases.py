import numpy as np
import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.phantom.film import FIRST_TRAINING_SEED


def test_cases_hold_a_lesion_each_and_the_same_film_without_it():
    cases = list(phantom_cases(3, size=96))
    assert len(cases) == 3 and len({case.name for case in cases}) == 3
    for case in cases:
        (frame,) = case.study.frames
        assert any(mask.any() for mask in case.masks.values())
        assert frame.geometry.patient_right == "left"
        for code, mask in case.masks.items():
            assert mask.shape == frame.values.shape == (96, 96) and mask.dtype == bool
            change = np.abs(frame.picture() - case.without[code].frames[0].picture())
            if mask.any():
                assert change[mask].mean() > 3 * change[~mask].mean()


def test_seeds_that_were_trained_on_are_refused():
    with pytest.raises(MalformedInput, match="trained on"):
        list(phantom_cases(1, first_seed=FIRST_TRAINING_SEED, size=64))
    with pytest.raises(MalformedInput):
        list(phantom_cases(0))
