"""COCO files: what pycocotools reads from them is what the cases hold; damage is a typed error."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from film_files import SIZE, blob, coco, coco_image, picture, save_json, save_png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as cocoapi
from pycocotools.coco import COCO
from scipy import ndimage

from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.faithfulness.annotations import annotated_cases

ROWS, COLS = SIZE
POLYGON = [4.25, 5.5, 20.75, 6.25, 22.5, 30.75, 9.0, 33.25]


def run_lengths(mask):
    encoded = cocoapi.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


@pytest.fixture
def folder(tmp_path):
    """Three films, and one document with every kind of area."""
    for number in range(3):
        save_png(tmp_path / "films" / f"{number}.png", picture(seed=number))
    counted = run_lengths(blob(seed=2))
    counted["counts"] = np.diff(np.flatnonzero(np.diff(np.r_[2, blob(seed=2).ravel(order="F"), 2]))).tolist()
    document = coco(
        [coco_image(10 + number, f"{number}.png") for number in range(3)],
        [
            {"image_id": 10, "category_id": 1, "segmentation": [POLYGON], "iscrowd": 0, "area": 1.0},
            {"image_id": 10, "category_id": 2, "bbox": [3, 4, 10, 12], "iscrowd": 0, "area": 1.0},
            {"image_id": 11, "category_id": 1, "segmentation": run_lengths(blob(seed=1)), "iscrowd": 0, "area": 1.0},
            {"image_id": 11, "category_id": 1, "segmentation": [], "bbox": [0, 0, 2, 2], "iscrowd": 0, "area": 1.0},
            {"image_id": 12, "category_id": 2, "segmentation": counted, "iscrowd": 1, "area": 1.0},
        ],
        ["Nodule", "Pleural Effusion"],
    )
    save_json(tmp_path / "instances.json", document)
    return tmp_path


def test_every_kind_of_area_is_what_pycocotools_reads(folder):
    cases = list(annotated_cases(folder / "instances.json", folder / "films"))
    assert [sorted(case.masks) for case in cases] == [["nodule", "pleural_effusion"], ["nodule"], ["pleural_effusion"]]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(folder / "instances.json")
    np.testing.assert_array_equal(cases[2].masks["pleural_effusion"], theirs.annToMask(theirs.anns[5]).astype(bool))
    box = np.zeros(SIZE, dtype=bool)
    box[:2, :2] = True
    expected = theirs.annToMask(theirs.anns[3]).astype(bool) | box
    np.testing.assert_array_equal(cases[1].masks["nodule"], expected)
    polygon, reference = cases[0].masks["nodule"], theirs.annToMask(theirs.anns[1]).astype(bool)
    edge = ndimage.binary_dilation(reference) & ~ndimage.binary_erosion(reference)
    assert not ((polygon != reference) & ~edge).any() and polygon.sum() == pytest.approx(reference.sum(), rel=0.1)
    assert cases[0].masks["pleural_effusion"][4:16, 3:13].all() and cases[0].masks["pleural_effusion"].sum() == 120


def test_boxes_among_the_areas_are_told(folder):
    notices = {notice.code: notice for notice in annotated_cases(folder / "instances.json", folder / "films").notices}
    assert notices["boxes_filled"].en.startswith("2 of 5 areas are boxes")
    assert "5 个区域中有 2 个" in notices["boxes_filled"].zh


def _changed(change):
    document = coco(
        [coco_image(1, "0.png")], [{"image_id": 1, "category_id": 1, "segmentation": [POLYGON]}], ["Nodule"]
    )
    change(document)
    return document


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda d: d["images"][0].pop("width"), "width"),
        (lambda d: d["images"][0].update(width=0), "no picture"),
        (lambda d: d["images"][0].update(width=10**9, height=10**9), "at most"),
        (lambda d: d["images"][0].update(file_name=None), "file_name"),
        (lambda d: d["images"].append(coco_image(1, "1.png")), "used twice"),
        (lambda d: d["images"].append(coco_image(2, "films/0.png")), "same film"),
        (lambda d: d["categories"].append({"id": 1, "name": "Mass"}), "used twice"),
        (lambda d: d.pop("categories"), "categories"),
        (lambda d: d["annotations"][0].update(image_id=99), "image_id"),
        (lambda d: d["annotations"][0].update(category_id=99), "category_id"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3]]), "x and y"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3, 4]]), "at least 3"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 300, 4, 5, 6]]), "another picture"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, "3", 4, 5, 6]]), "expected a number"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, True, 4, 5, 6]]), "expected a number"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 10**400, 4, 5, 6]]), "too large"),
        (lambda d: d["annotations"][0].update(segmentation="x"), "expected a list"),
        (lambda d: d["annotations"][0].pop("segmentation"), "neither"),
        (lambda d: d["annotations"][0].update(segmentation=None, bbox=[1, 2, 3]), "width, height"),
        (lambda d: d["annotations"][0].update(segmentation=None, bbox=[1, 2, 3, 0]), "holds nothing"),
        (lambda d: d["annotations"][0].update(segmentation={"size": [4, 4], "counts": [8, 8]}), "on an image of"),
        (lambda d: d["annotations"][0].update(segmentation={"size": list(SIZE), "counts": [1200]}), "empty"),
    ],
)
def test_damage_is_a_typed_error_that_says_where(tmp_path, change, said):
    save_png(tmp_path / "films" / "0.png", picture())
    save_json(tmp_path / "a.json", _changed(change))
    with pytest.raises(MalformedInput, match=said) as caught:
        annotated_cases(tmp_path / "a.json", tmp_path / "films")
    assert "COCO file" in str(caught.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "empty"),
        ("{", "not valid JSON"),
        ('{"images": [], "annotations": [], "categories": []', "not valid JSON"),
        ('{"images": [NaN], "annotations": []}', "NaN"),
        ('{"images": [Infinity], "annotations": []}', "Infinity"),
        ('{"images": [], "images": [], "annotations": []}', "same key twice"),
        ("[" * 100_000, "not readable JSON"),
        ('{"images": [' + "9" * 5000 + '], "annotations": []}', "not readable JSON"),
        ("[]", "neither COCO"),
        ("{}", "neither COCO"),
        ('{"shapes": []}', "neither COCO"),
    ],
)
def test_json_that_is_no_annotation_is_refused(tmp_path, text, said):
    save_png(tmp_path / "films" / "0.png", picture())
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedInput, match=said):
        annotated_cases(tmp_path / "a.json", tmp_path / "films")


def test_text_that_is_not_utf8_is_refused_and_a_byte_order_mark_is_read(folder):
    written = (folder / "instances.json").read_bytes()
    (folder / "instances.json").write_bytes(b"\xef\xbb\xbf" + written)
    assert len(annotated_cases(folder / "instances.json", folder / "films")) == 3
    (folder / "instances.json").write_bytes(written.replace(b"Nodule", b"\xb7\xce"))
    with pytest.raises(MalformedInput, match="UTF-8"):
        annotated_cases(folder / "instances.json", folder / "films")


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _places(value[index], (*path, index))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_at_any_place_gives_cases_or_a_typed_error(folder, data):
    document = json.loads((folder / "instances.json").read_text())
    path = data.draw(st.sampled_from(list(_places(document))))
    changed = copy.deepcopy({"whole": document})
    holder, last = changed, "whole"
    for step in path:
        holder, last = holder[last], step
    holder[last] = data.draw(anything)
    written = folder / "changed.json"
    written.write_text(json.dumps(changed["whole"]).replace("Infinity", "1e999"), encoding="utf-8")
    try:
        cases = list(annotated_cases(written, folder / "films"))
    except RadiolucentError:
        return
    assert all(mask.shape == SIZE and mask.any() for case in cases for mask in case.masks.values())
