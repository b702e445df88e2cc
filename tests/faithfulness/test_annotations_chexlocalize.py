"""CheXlocalize's two files, written here as its own scripts write them: pycocotools run lengths, outlines of [x, y]."""

import json

import numpy as np
import pytest
from film_files import SIZE, blob, picture, save_json, save_png
from pycocotools import mask as cocoapi

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations import annotated_cases

FINDINGS = {
    "Enlarged Cardiomediastinum": {"enlarged_cardiomediastinum"},
    "Cardiomegaly": {"cardiomegaly"},
    "Lung Lesion": {"nodule", "mass"},
    "Airspace Opacity": {"lung_opacity"},
    "Edema": {"edema"},
    "Consolidation": {"consolidation"},
    "Atelectasis": {"atelectasis"},
    "Pneumothorax": {"pneumothorax"},
    "Pleural Effusion": {"pleural_effusion"},
    "Support Devices": {"support_devices"},
}
FIRST, SECOND = "patient64541_study1_view1_frontal", "patient64542_study1_view1_frontal"
OUTLINE = [[5.5, 6.25], [21.75, 7.5], [20.25, 30.5], [7.0, 33.75]]


def encoded(mask):
    found = cocoapi.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}


@pytest.fixture
def films(tmp_path):
    """Two films as CheXpert lays them out."""
    for number, name in enumerate(("patient64541", "patient64542")):
        save_png(tmp_path / "valid" / name / "study1" / "view1_frontal.jpg", picture(seed=number))
    return tmp_path / "valid"


def masks(**drawn):
    return {finding: encoded(drawn.get(finding.replace(" ", "_"), np.zeros(SIZE, bool))) for finding in FINDINGS}


@pytest.mark.parametrize("finding", FINDINGS)
def test_each_of_the_ten_findings_is_its_code_with_its_mask(films, tmp_path, finding):
    drawn = {finding.replace(" ", "_"): blob(seed=3)}
    cases = annotated_cases(save_json(tmp_path / "gt.json", {FIRST: masks(**drawn), SECOND: masks()}), films)
    (case,) = cases
    assert set(case.masks) == FINDINGS[finding]
    for mask in case.masks.values():
        np.testing.assert_array_equal(mask, blob(seed=3))
    assert {notice.code for notice in cases.notices} == {"films_without_lesion"}  # the second film's masks are empty


def test_outlines_are_filled_and_joined(films, tmp_path):
    second = [[1, 1], [4, 1], [4, 3], [1, 3]]
    document = {FIRST: {"img_size": list(SIZE), "Support Devices": [OUTLINE, second]}}
    (case,) = annotated_cases(save_json(tmp_path / "gt.json", document), films)
    mask = case.masks["support_devices"]
    area = 0.5 * abs(
        sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(OUTLINE, OUTLINE[1:] + OUTLINE[:1], strict=True))
    )
    assert mask[:5].sum() == 6 and mask[5:].sum() == pytest.approx(area, rel=0.03)


@pytest.mark.parametrize("layout", ["patient64541/study1/view1_frontal.png", "a/patient64541_study1_view1_frontal.png"])
def test_a_film_is_found_in_chexperts_folders_and_under_the_images_own_name(tmp_path, layout):
    save_png(tmp_path / "films" / layout, picture())
    document = {FIRST: masks(Edema=blob())}
    assert len(annotated_cases(save_json(tmp_path / "gt.json", document), tmp_path / "films")) == 1


def test_folders_of_another_patient_or_view_are_not_taken_for_it(films, tmp_path):
    document = {FIRST.replace("view1_frontal", "view2_lateral"): masks(Edema=blob()), FIRST: masks(Edema=blob())}
    cases = annotated_cases(save_json(tmp_path / "gt.json", document), films)
    assert len(cases) == 1 and len(cases.annotations_without_film) == 1 and len(cases.films_without_annotation) == 1


@pytest.mark.parametrize(
    "image, said",
    [
        ({"Edema": {"size": [4, 4], "counts": "1"}}, "add up to"),
        ({"Edema": encoded(blob()), "Atelectasis": encoded(np.zeros((4, 4), bool))}, "one size"),
        ({"img_size": [40], "Edema": []}, "img_size"),
        ({"img_size": [10**6, 10**6], "Edema": []}, "at most"),
        ({"img_size": list(SIZE), "Edema": [[[1, 1], [2, 2]]]}, "at least 3"),
        ({"img_size": list(SIZE), "Edema": [[[1, 1, 1], [2, 2], [3, 1]]]}, r"\[x, y\]"),
        ({"img_size": list(SIZE), "Edema": [[[1, 1], [200, 2], [3, 1]]]}, "another picture"),
        ({"img_size": list(SIZE), "Edema": "x"}, "expected a list"),
        ({"img_size": list(SIZE), "Edema": [[]]}, "0 points"),
    ],
)
def test_damage_is_a_typed_error_that_names_no_patient(films, tmp_path, image, said):
    with pytest.raises(MalformedInput, match=said) as caught:
        annotated_cases(save_json(tmp_path / "gt.json", {FIRST: image}), films)
    assert "image 1 of 1" in str(caught.value) and "patient64541" not in str(caught.value)


def test_a_film_of_another_size_than_its_masks_is_refused_by_its_number(films, tmp_path):
    save_png(films / "patient64542" / "study1" / "view1_frontal.jpg", picture((30, 40)))
    document = {FIRST: masks(Edema=blob()), SECOND: masks(Edema=blob())}
    cases = iter(annotated_cases(save_json(tmp_path / "gt.json", document), films))
    next(cases)
    with pytest.raises(MalformedInput, match=r"Film 2 of 2 .* 30 rows and 40 columns.* 40 rows and 30 columns"):
        next(cases)


def test_an_image_named_twice_is_not_silently_the_last(films, tmp_path):
    once = json.dumps({FIRST: masks(Edema=blob())})
    (tmp_path / "gt.json").write_text(once[:-1] + ", " + once[1:], encoding="utf-8")
    with pytest.raises(MalformedInput, match="same key twice"):
        annotated_cases(tmp_path / "gt.json", films)
