"""Paired films share everything but the imposed condition."""

import numpy as np
import pytest
from scipy import ndimage

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.limits.drawing import draw
from radiolucent.faithfulness.limits.factors import paired_factors
from radiolucent.faithfulness.limits.plan import SAMPLE, USUAL, PlannedFilm, plan_films
from radiolucent.phantom.anatomy import FIELD_CM
from radiolucent.phantom.conditions import Conditions
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.phantom.record import Lesion

EDGE = 128
FACTORS = paired_factors(EDGE)
SEED = 3  # pneumothorax on the left, nodule in the right upper zone; a letter and a tube


def _draw(name, level=0.0, seed=SEED):
    return draw(PlannedFilm(seed, name, level), FACTORS, EDGE)


def _middle(mask):
    rows, cols = np.nonzero(mask)
    return np.array([cols.mean(), rows.mean()]) / mask.shape[0] * FIELD_CM - FIELD_CM / 2


def test_the_sample_is_the_generators_own_film_and_a_paired_film_only_lacks_its_border():
    bordered = next(seed for seed in range(40) if (draw_case(seed, size=EDGE, pairs=False).film[0] == 0).all())
    for seed in (SEED, bordered):
        own = draw_case(seed, size=EDGE, pairs=False).film
        assert np.array_equal(_draw(SAMPLE, seed=seed).picture, own)
        usual = _draw(USUAL, seed=seed).picture
        inside = slice(8, -8)
        assert np.abs(usual[inside, inside].astype(int) - own[inside, inside]).max() <= (0 if seed == SEED else 40)
    assert (_draw(USUAL, seed=bordered).picture[-1] > 0).any()


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_the_usual_level_is_the_unchanged_film(factor):
    assert np.array_equal(_draw(factor.name, factor.usual).picture, _draw(USUAL).picture)


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_every_level_keeps_the_record_and_changes_the_picture(factor):
    usual = _draw(USUAL)
    said = [(lesion.code, lesion.side, lesion.zone, lesion.severity) for lesion in usual.lesions]
    for level in factor.levels:
        film = _draw(factor.name, level)
        assert [(lesion.code, lesion.side, lesion.zone, lesion.severity) for lesion in film.lesions] == said
        assert film.distractors == usual.distractors
        assert film.picture.shape != usual.picture.shape or not np.array_equal(film.picture, usual.picture)
        if factor.name not in ("lesion_size", "lesion_contrast", "noise"):
            assert [lesion.contrast for lesion in film.lesions] == pytest.approx(
                [lesion.contrast for lesion in usual.lesions], rel=0.25
            )


@pytest.mark.parametrize("name", ["lesion_contrast", "lesion_size"])
def test_outside_the_lesions_a_fainter_or_smaller_one_leaves_the_film_as_it_was(name):
    usual, film = _draw(USUAL), _draw(name, 0.5)
    far = ndimage.distance_transform_edt(~np.any(list(usual.masks.values()), axis=0)) > 5 * EDGE / FIELD_CM
    assert far.any()
    assert np.abs(film.picture[far].astype(int) - usual.picture[far]).max() <= 6


def test_lesion_contrast_and_noise_scale_the_contrast_to_noise_ratio():
    usual = {lesion.code: lesion.contrast for lesion in _draw(USUAL).lesions}
    for name, level, times in (("lesion_contrast", 0.5, 0.5), ("noise", 4.0, 0.25)):
        for lesion in _draw(name, level).lesions:
            assert lesion.contrast == pytest.approx(times * usual[lesion.code], rel=0.02)


def test_a_nodules_diameter_scales_with_its_extent():
    usual = next(lesion for lesion in _draw(USUAL).lesions if lesion.code == "nodule")
    half = next(lesion for lesion in _draw("lesion_size", 0.5).lesions if lesion.code == "nodule")
    assert half.size_cm == pytest.approx(usual.size_cm / 2, rel=0.1)


def test_noise_adds_to_the_same_noise_field():
    """Twice the noise moves every pixel further the same way: what noise 2 adds, noise 4 adds threefold."""
    usual, two, four = (_draw(*of).picture.astype(float) for of in ((USUAL,), ("noise", 2.0), ("noise", 4.0)))
    middle = slice(EDGE // 4, EDGE // 2)
    first, further = (two - usual)[middle, middle], (four - usual)[middle, middle]
    assert np.corrcoef(first.ravel(), further.ravel())[0, 1] > 0.95
    assert further.std() / first.std() == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("turn", [-20.0, 10.0])
def test_a_turned_patients_lesion_lies_where_the_rotation_takes_it(turn):
    lesion = (Lesion("nodule", "left", "lower"),)
    upright, turned = (
        draw_case(5, size=256, lesions=lesion, conditions=Conditions(turn=t), pairs=False) for t in (0.0, turn)
    )
    angle = np.deg2rad(turn)
    clockwise = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # x right, y down
    expected = clockwise @ _middle(upright.masks["nodule"])
    assert _middle(turned.masks["nodule"]) == pytest.approx(expected, abs=0.2)
    assert turned.masks["nodule"].sum() == pytest.approx(upright.masks["nodule"].sum(), rel=0.1)


def test_a_shifted_patient_is_the_same_patient_further_along():
    """Path, lungs, vessels and lesion move together; noise and letters stay on the plate."""
    pixels = 16
    cases = [
        draw_case(5, size=256, distractors=False, conditions=Conditions(offset=cm, noise=0.01), pairs=False)
        for cm in (0.0, pixels * FIELD_CM / 256)
    ]
    for name in ("lungs", "heart"):
        assert np.array_equal(cases[0].structures[name][:, :-pixels], cases[1].structures[name][:, pixels:])
    inside = np.s_[40:200, 40:200]
    before, after = cases[0].film[:, :-pixels][inside].astype(float), cases[1].film[:, pixels:][inside].astype(float)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999


def test_brightness_moves_grey_levels_one_way_only():
    films = _draw(USUAL), _draw("exposure", 0.15), _draw("exposure", -0.15)
    usual, brighter, darker = (film.picture.astype(int) for film in films)
    assert (brighter >= usual).all() and (darker <= usual).all()


def test_borders_and_crops_take_away_what_they_cover():
    usual, framed, cropped = _draw(USUAL), _draw("border", 0.15), _draw("crop", 0.15)
    margin = round(0.15 * EDGE)
    inside = slice(margin, EDGE - margin)
    assert np.array_equal(cropped.picture, usual.picture[inside, inside])
    assert np.array_equal(framed.picture[inside, inside], usual.picture[inside, inside])
    assert framed.picture.sum() == framed.picture[inside, inside].astype(int).sum()
    for code, mask in usual.masks.items():
        assert np.array_equal(cropped.masks[code], mask[inside, inside])
        seen = next(lesion.seen_cm2 for lesion in framed.lesions if lesion.code == code)
        assert seen == pytest.approx(mask[inside, inside].sum() * (FIELD_CM / EDGE) ** 2)


def test_films_of_other_sizes_show_the_same_picture():
    usual = _draw(USUAL)
    half = _draw("pixels", EDGE / 2)
    assert half.picture.shape == (EDGE // 2, EDGE // 2) == half.masks["nodule"].shape
    blocks = usual.picture.reshape(EDGE // 2, 2, EDGE // 2, 2).mean(axis=(1, 3))
    assert np.corrcoef(half.picture.ravel(), blocks.ravel())[0, 1] > 0.99
    assert half.lesions == usual.lesions


def test_the_marker_is_printed_in_its_corner_alone():
    usual, marked = _draw(USUAL).picture.astype(int), _draw("marker", 1.0).picture.astype(int)
    changed = np.abs(marked - usual)
    assert changed[-12:, -12:].max() > 60
    assert changed[: EDGE // 2, : EDGE // 2].max() <= 2


def test_the_plan_has_every_case_at_every_level_once_and_names_no_film_twice():
    planned = plan_films(5, 3, 10, FACTORS)
    levels = sum(len(factor.levels) for factor in FACTORS)
    assert len(planned) == 5 + 3 * (1 + levels)
    assert len({film.name for film in planned}) == len(planned)
    assert {film.seed for film in planned if film.set == SAMPLE} == set(range(10, 15))
    assert {film.seed for film in planned if film.set != SAMPLE} == set(range(10, 13))


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 2, 0), (2, -1, 0), (2, 2, -1)])
def test_nothing_to_read_or_negative_counts_are_refused(counts):
    with pytest.raises(MalformedInput, match="at least one film"):
        plan_films(*counts, FACTORS)


def test_seeds_that_were_trained_on_are_refused():
    with pytest.raises(MalformedInput, match="trained on"):
        plan_films(2, 0, FIRST_TRAINING_SEED - 1, FACTORS)


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(MalformedInput, match="rotation"):
        draw(PlannedFilm(1, "weather", 1.0), FACTORS, EDGE)


@pytest.mark.parametrize(
    "wrong", [{"turn": 400.0}, {"noise": -1.0}, {"extent": 0.0}, {"brightness": float("nan")}, {"strength": 11.0}]
)
def test_conditions_that_cannot_be_drawn_are_refused(wrong):
    with pytest.raises(MalformedInput, match=next(iter(wrong))):
        Conditions(**wrong)
