"""Reports held against truth."""

import pytest

from radiolucent.faithfulness.limits.drawing import PlantedLesion
from radiolucent.faithfulness.limits.judging import judge
from radiolucent.faithfulness.limits.record import FilmRecord


def planted(code, side=None, zone=None):
    return PlantedLesion(code, side, zone, None, 2.0, 5.0, 3.0)


def read(report, *lesions, language="en"):
    return judge(FilmRecord(1, "sample", 0.0, lesions, (), report), language)


def test_found_is_asserted_on_whatever_side_and_the_side_is_judged_apart():
    film = read("Nodule in the right upper zone.", planted("nodule", "left", "upper"))
    assert film.lesions[0].found and film.lesions[0].wrong_side and film.alarms == frozenset()
    film = read("Nodule in the left upper zone.", planted("nodule", "left", "upper"))
    assert film.lesions[0].wrong_side is False


def test_a_denied_hedged_or_unmentioned_lesion_is_missed():
    for report in ("No nodule.", "Possible nodule in the left upper zone.", "Pleural effusion on the left."):
        assert not read(report, planted("nodule", "left"), planted("pleural_effusion", "left")).lesions[0].found


def test_a_side_that_is_not_stated_is_not_wrong():
    assert read("There is a pleural effusion.", planted("pleural_effusion", "left")).lesions[0].wrong_side is None
    assert read("The heart is enlarged.", planted("cardiomegaly")).lesions[0].wrong_side is None


def test_left_and_right_together_are_both_sides():
    film = read("双侧胸腔积液。", planted("pleural_effusion", "bilateral"), language="zh")
    assert film.lesions[0].found and film.lesions[0].wrong_side is False
    both = "Pleural effusion on the left. Pleural effusion on the right."
    film = read(both, planted("pleural_effusion", "bilateral"))
    assert film.lesions[0].wrong_side is False
    assert read("Pleural effusion on the left.", planted("pleural_effusion", "bilateral")).lesions[0].wrong_side


@pytest.mark.parametrize(
    ("report", "lesion", "found", "alarms"),
    [
        ("Pneumonia in the right lower zone.", planted("consolidation", "right", "lower"), True, set()),
        ("A mass in the left upper zone.", planted("nodule", "left", "upper"), True, set()),
        ("Opacity in the left upper zone.", planted("nodule", "left", "upper"), False, set()),
        ("Pneumonia in the right lower zone.", planted("nodule", "left", "upper"), False, {"consolidation"}),
        ("Rib fracture on the left.", planted("nodule", "left", "upper"), False, {"other"}),
        ("An endotracheal tube is in place.", planted("nodule", "left", "upper"), False, set()),
    ],
)
def test_words_that_name_the_same_shadow_count_and_others_are_alarms(report, lesion, found, alarms):
    film = read(report, lesion)
    assert (film.lesions[0].found, set(film.alarms)) == (found, alarms)
