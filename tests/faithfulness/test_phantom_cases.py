import math

import numpy as np
import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.phantoms import Difficulty, phantom_cases
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case


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


def test_films_are_those_whose_drawing_holds_a_lesion():
    """Oracle: the films themselves, drawn."""
    seeds = phantom_cases(8, first_seed=100).seeds
    films = {seed: draw_case(seed, size=96) for seed in range(100, seeds[-1] + 1)}
    drawn = {seed for seed, film in films.items() if any(mask.any() for mask in film.masks.values())}
    assert set(seeds) == drawn


def test_a_case_can_be_drawn_again_by_its_place():
    cases = phantom_cases(3, size=64)
    assert len(cases) == 3
    assert np.array_equal(cases[2].study.frames[0].values, list(cases)[2].study.frames[0].values)


def test_only_the_findings_asked_for_count():
    cases = phantom_cases(4, size=64, codes=["nodule"])
    assert all(set(case.masks) == set(case.without) == {"nodule"} for case in cases)
    with pytest.raises(MalformedInput, match="fracture"):
        phantom_cases(1, codes=["fracture"])
    with pytest.raises(MalformedInput, match="none was named"):
        phantom_cases(1, codes=[])


def test_lesions_outside_the_difficulty_are_not_in_the_truth():
    every = phantom_cases(6, size=96)
    small = phantom_cases(6, size=96, difficulty=Difficulty(area=(0, 3)))
    clear = phantom_cases(6, size=96, difficulty=Difficulty(contrast=(5, math.inf)))
    areas = {(case.name, code): 100 * mask.mean() for case in every for code, mask in case.masks.items()}
    kept = {(case.name, code) for case in small for code in case.masks}
    assert kept == {key for key, area in areas.items() if area <= 3} and 0 < len(kept) < len(areas)
    contrast = {f"phantom {seed}": draw_case(seed, size=96).contrast for seed in every.seeds}
    assert {(case.name, code) for case in clear for code in case.masks} == {
        (name, code) for name, codes in contrast.items() for code, one in codes.items() if one >= 5
    }


@pytest.mark.parametrize("text", ["contrast", "size=1..2", "area=2..1", "area=a..b", "contrast=-1..2"])
def test_difficulties_that_mean_nothing_are_refused(text):
    with pytest.raises(MalformedInput):
        Difficulty.read(text)


def test_a_difficulty_is_read_as_written():
    assert Difficulty.read("") == Difficulty()
    assert Difficulty.read(" contrast=2..8 , area=.5.. ") == Difficulty((2, 8), (0.5, 100))


def test_distractors_can_be_left_out():
    with_them, without = (phantom_cases(4, size=96, distractors=on)[3].study.frames[0].values for on in (True, False))
    assert with_them.shape == without.shape and not np.array_equal(with_them, without)


def test_seeds_that_were_trained_on_are_refused():
    with pytest.raises(MalformedInput, match="trained on"):
        list(phantom_cases(1, first_seed=FIRST_TRAINING_SEED, size=64))
    with pytest.raises(MalformedInput):
        list(phantom_cases(0))
