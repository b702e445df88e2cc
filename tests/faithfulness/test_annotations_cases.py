"""Films and annotations joined: what fits, what does not and is told, and never a patient's name."""

import json
import os
import re
from functools import partial

import numpy as np
import pytest
from film_files import SIZE, blob, coco, coco_image, dicom_film, picture, save_dicom, save_json, save_png, segmentation
from PIL import Image

from radiolucent import load_model
from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.faithfulness.annotations import annotated_cases
from radiolucent.faithfulness.annotations.notices import CODES, annotation_notice
from radiolucent.faithfulness.evaluate import Case, compare_methods
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.findings import extract_findings
from radiolucent.study.load import load_study
from radiolucent.vlm.types import Prompt

OUTLINE = [4, 5, 20, 6, 22, 30, 9, 33]
NAME = "Zhang_San_19700101"


def annotation(image, category=1):
    return {"image_id": image, "category_id": category, "segmentation": [OUTLINE]}


def write(tmp_path, names, files=None, annotations=None, categories=("nodule",)):
    """Films of these names in ``films`` and a COCO file that calls them ``files``."""
    for number, name in enumerate(names):
        save_png(tmp_path / "films" / name, picture(seed=number))
    images = [coco_image(number, name) for number, name in enumerate(files or names)]
    drawn = [annotation(number) for number in range(len(images))] if annotations is None else annotations
    return save_json(tmp_path / "a.json", coco(images, drawn, categories))


def told(cases):
    return {notice.code: notice.en for notice in cases.notices}


@pytest.mark.parametrize("written", ["a/1.png", "films/a/1.png", "1.png", "./a/1.png", r"a\1.png"])
def test_a_film_is_found_by_any_end_of_its_path(tmp_path, written):
    path = write(tmp_path, ["a/1.png", "a/11.png"], [written])
    (case,) = annotated_cases(path, tmp_path / "films")
    assert case.name.startswith("film 1,")


@pytest.mark.parametrize("written", ["b/1.png", "other/films/a/1.png", "1.jpg", "/1.png/", "..", "A/1.PNG"])
def test_what_is_not_the_end_of_a_films_path_means_no_film(tmp_path, written):
    path = write(tmp_path, ["a/1.png", "2.png"], [written, "2.png"])
    cases = annotated_cases(path, tmp_path / "films")
    found = {"/1.png/": 2}.get(written, 1)  # slashes at the ends say nothing
    assert len(cases) == found and ("annotations_without_film" in told(cases)) == (found == 1)


def test_a_name_that_fits_two_films_is_refused_and_the_path_from_the_folder_decides(tmp_path):
    with pytest.raises(MalformedInput, match="fits 2 films"):
        annotated_cases(write(tmp_path, ["a/1.png", "b/1.png"], ["1.png"]), tmp_path / "films")
    (case,) = annotated_cases(write(tmp_path, ["a/1.png", "1.png"], ["1.png"]), tmp_path / "films")
    assert case.name.startswith("film 1,")  # 1.png itself, before a/1.png


def test_cases_come_in_the_films_order_open_late_and_more_than_once(tmp_path):
    path = write(tmp_path, ["1.png", "2.png", "3.png"], ["3.png", "1.png", "2.png"])
    opened = []

    def load(film):
        opened.append(film.name)
        return load_study(film)

    cases = annotated_cases(path, tmp_path / "films", load=load)
    assert len(cases) == 3 and not opened
    first = [case.name for case in cases]
    assert opened == ["1.png", "2.png", "3.png"] and [case.name for case in cases] == first


def test_a_case_is_named_by_its_number_and_its_pixels_only(tmp_path):
    path = write(tmp_path, [f"{NAME}.png"])
    (case,) = annotated_cases(path, tmp_path / "films")
    assert re.fullmatch(r"film 1, [0-9a-f]{12}", case.name)
    assert case.study.source.sha256.startswith(case.name[-12:])


def test_how_a_film_is_opened_is_the_callers(tmp_path):
    path = write(tmp_path, ["1.png"])
    (case,) = annotated_cases(path, tmp_path / "films", load=partial(load_study, view="PA", patient_right="right"))
    assert case.study.view == "PA" and case.study.frames[0].geometry.patient_right == "right"


def test_everything_left_out_is_told_with_its_count(tmp_path):
    names = [f"{number}.png" for number in range(5)]
    path = write(
        tmp_path,
        names,
        [*names[:4], "gone.png"],
        [annotation(0), annotation(0, 2), annotation(0, 2), annotation(1, 2), annotation(2, 3), annotation(4)],
        ("nodule", "rib 3", "Heart"),
    )
    (tmp_path / "films" / "notes.txt").write_text("of no interest")
    (tmp_path / "films" / "empty").touch()
    (tmp_path / "films" / ".hidden.png").touch()
    cases = annotated_cases(path, tmp_path / "films", categories={"Heart": None})
    assert told(cases) == {
        "films_without_annotation": "1 of 5 films have no annotation; they are left out.",
        "annotations_without_film": "1 of 5 annotated images are not among the films; they are left out.",
        "films_without_lesion": "1 films are annotated as without a lesion; they are left out, as there is nothing to "
        "point at.",
        "films_without_known_category": "2 films have areas only of categories that are left out; they are left out "
        "too.",
        "categories_unknown": "Categories that are no finding, with the areas left out: rib 3 (3). A categories "
        "mapping can name their codes.",
        "categories_left_out": "Categories that the mapping leaves out, with their areas: Heart (1).",
        "files_ignored": "2 files in the folder of films are not films; they are left out.",
    }
    assert len(cases) == 1 and cases.left_out == {"rib 3": 3, "Heart": 1}
    assert [one.name for one in cases.films_without_annotation] == ["4.png"]
    assert cases.annotations_without_film == ("gone.png",)


def test_every_notice_is_said_in_both_languages_with_the_same_numbers():
    for code in CODES:
        notice = annotation_notice(code, count=17, total=93, names="rib (4)")
        assert re.search("[一-鿿]", notice.zh) and not re.search("[一-鿿]", notice.en)
        assert sorted(re.findall(r"\d+", notice.en)) == sorted(re.findall(r"\d+", notice.zh))


def test_nothing_that_fits_is_an_error_that_says_why(tmp_path):
    path = write(tmp_path, ["1.png"], ["2.png"])
    with pytest.raises(MalformedInput, match=r"1 films and 1 annotated images give no case.*1 of 1 films have no"):
        annotated_cases(path, tmp_path / "films")


def test_no_message_names_a_file_or_a_patient(tmp_path):
    folder = tmp_path / "films"
    path = write(tmp_path, [f"{NAME}.png", "2.png"], [f"{NAME}_b.png", "2.png"])
    cases = annotated_cases(path, folder)
    said = [repr(cases), *(notice.en + notice.zh for notice in cases.notices), *(case.name for case in cases)]
    for name, broken in (("wrong size", picture((9, 9))), ("damaged", None)):
        write(tmp_path, [f"{NAME}.png"])
        if broken is None:
            (folder / f"{NAME}.png").write_bytes((folder / f"{NAME}.png").read_bytes()[:70])
        else:
            save_png(folder / f"{NAME}.png", broken)
        with pytest.raises(MalformedInput) as caught:
            list(annotated_cases(path, folder))
        assert re.match(r"Film 2 of 2 ", str(caught.value)), name
        said.append(str(caught.value))
    assert not any("Zhang" in one or "19700101" in one or str(tmp_path) in one for one in said)


def test_a_dicom_films_identifiers_stay_out(tmp_path):
    film = dicom_film(picture(), PatientName="Zhang^San", PatientID="19700101")
    save_dicom(tmp_path / "1.dcm", film)
    save_dicom(tmp_path / "2.dcm", segmentation(film, [blob()], ["nodule"]))
    cases = annotated_cases(tmp_path)
    (case,) = cases
    for one in (repr(cases), repr(case.study.source), case.name):
        assert "Zhang" not in one and "19700101" not in one and film.SOPInstanceUID not in one


def test_volumes_are_no_films(tmp_path):
    axial = {
        "Modality": "CT",
        "ViewPosition": None,
        "PatientOrientation": None,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 0],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    }
    save_dicom(tmp_path / "films" / "1.dcm", dicom_film(picture().astype("u2"), **axial))
    path = save_json(tmp_path / "a.json", coco([coco_image(0, "1.dcm")], [annotation(0)], ["nodule"]))
    with pytest.raises(UnsupportedInput, match=r"Film 1 of 1 .* is CT"):
        list(annotated_cases(path, tmp_path / "films"))


def test_a_picture_turned_by_its_tag_is_refused(tmp_path):
    path = write(tmp_path, ["1.png"])
    tags = Image.Exif()
    tags[0x0112] = 3  # upside down: the size would not tell
    Image.fromarray(picture()).save(tmp_path / "films" / "1.png", exif=tags)
    with pytest.raises(UnsupportedInput, match="EXIF"):
        list(annotated_cases(path, tmp_path / "films"))


def test_an_area_that_is_the_whole_film_points_at_nothing(tmp_path):
    save_png(tmp_path / "films" / "1.png", picture())
    drawn = {"image_id": 0, "category_id": 1, "bbox": [0, 0, SIZE[1], SIZE[0]]}
    path = save_json(tmp_path / "a.json", coco([coco_image(0, "1.png")], [drawn], ["nodule"]))
    with pytest.raises(MalformedInput, match="whole film"):
        list(annotated_cases(path, tmp_path / "films"))


def test_annotations_are_found_beside_the_films(tmp_path):
    write(tmp_path, ["1.png"])
    os.rename(tmp_path / "a.json", tmp_path / "films" / "a.json")
    mapping = save_json(tmp_path / "films" / "categories.json", {"nodule": "mass"})
    for cases in (
        annotated_cases(tmp_path / "films", categories=mapping),
        annotated_cases(tmp_path / "films" / "a.json", categories=mapping),
    ):
        assert [set(case.masks) for case in cases] == [{"mass"}] and not cases.notices


def test_two_kinds_of_annotations_in_one_folder_have_to_be_told_apart(tmp_path):
    path = write(tmp_path, ["1.png"])
    save_json(tmp_path / "b.json", json.loads(path.read_text()))
    with pytest.raises(MalformedInput, match="2 JSON files"):
        annotated_cases(tmp_path)
    (tmp_path / "b.json").unlink()
    save_png(tmp_path / "masks" / "nodule" / "films" / "1.png", blob())
    with pytest.raises(MalformedInput, match="JSON files and a folder of masks"):
        annotated_cases(tmp_path)


@pytest.mark.parametrize("missing", ["annotations", "films"])
def test_paths_that_do_not_exist_are_told(tmp_path, missing):
    path = write(tmp_path, ["1.png"])
    wrong = tmp_path / "nowhere"
    with pytest.raises(MalformedInput, match=r"does not exist|do not exist") as caught:
        annotated_cases(*((wrong, tmp_path / "films") if missing == "annotations" else (path, wrong)))
    assert "nowhere" not in str(caught.value)


def test_a_folder_without_annotations_says_what_is_read(tmp_path):
    save_png(tmp_path / "1.png", picture())
    with pytest.raises(MalformedInput, match=r"COCO or CheXlocalize.*DICOM SEG.*<category>"):
        annotated_cases(tmp_path)


def test_a_file_with_a_pictures_ending_that_is_none_is_damage_not_ignored(tmp_path):
    path = write(tmp_path, ["1.png"])
    (tmp_path / "films" / "2.png").write_bytes(b"not a picture")
    with pytest.raises(MalformedInput, match="File 2 of 2 in the folder of films"):
        annotated_cases(path, tmp_path / "films")


def test_phantoms_on_disk_compare_as_phantoms_in_memory(tmp_path):
    drawn = list(phantom_cases(2, size=256))
    images, annotations, codes = [], [], sorted({code for case in drawn for code in case.masks})
    for number, case in enumerate(drawn):
        save_png(tmp_path / "films" / f"{number}.png", case.study.frames[0].values.astype(np.uint8))
        images.append(coco_image(number, f"{number}.png", (256, 256)))
        for code, mask in case.masks.items():
            if mask.any():
                runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.ravel(order="F"), 2])))
                counts = [0, *runs] if mask[0, 0] else runs
                area = {"size": [256, 256], "counts": [int(run) for run in counts]}
                annotations.append({"image_id": number, "category_id": codes.index(code) + 1, "segmentation": area})
    path = save_json(tmp_path / "a.json", coco(images, annotations, codes))
    read = annotated_cases(path, tmp_path / "films", load=partial(load_study, patient_right="left"))
    model = load_model("demo")
    tables = [
        compare_methods(
            model,
            cases,
            ["saliency"],
            prompt=Prompt(model.profile.question("en"), "en"),
            extract=extract_findings,
        )
        for cases in (read, [Case(case.study, case.masks) for case in drawn])
    ]
    assert tables[0].explained == tables[1].explained > 0
    for ours, theirs in zip(tables[0].rows, tables[1].rows, strict=True):
        assert (ours.method, ours.hit, ours.energy, ours.auc) == (theirs.method, theirs.hit, theirs.energy, theirs.auc)
