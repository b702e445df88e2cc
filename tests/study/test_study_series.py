"""Volumes: order, Hounsfield units, and files that do not belong together."""

import random
from pathlib import Path

import numpy as np
import pytest
from dicom_files import chest_slice, ramp
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study import load_study


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def plane(number: int) -> np.ndarray:
    return np.full((6, 5), 1024 + number, "u2") + np.eye(6, 5, dtype="u2") * 500


def folder_of(ct_slice, heights: list[float], **attributes) -> Path:
    """A folder whose file names and instance numbers run against the heights."""
    names = list(range(len(heights)))
    random.Random(3).shuffle(names)
    for index, height in enumerate(heights):
        path = ct_slice(height, plane(index), name=f"ct/{names[index]}", InstanceNumber=100 - index, **attributes)
    return path.parent


def test_a_folder_of_slices_runs_from_the_feet_up_in_hounsfield_units(ct_slice) -> None:
    study = load_study(folder_of(ct_slice, [-12.5, -10, -7.5, -5, -2.5, 0, 2.5]))
    assert study.modality == "CT" and study.view is None and study.warnings == ()
    assert [frame.label for frame in study.frames] == [f"slice {n}" for n in range(1, 8)]
    for index, frame in enumerate(study.frames):
        np.testing.assert_array_equal(frame.values, plane(index).astype(np.float32) - 1024)
        assert frame.values.dtype == np.float32
        assert (frame.geometry.patient_right, frame.geometry.side_source) == ("left", "orientation")
        assert frame.geometry.spacing_kind == "patient"


def test_a_list_of_slices_is_ordered_the_same_way(ct_slice) -> None:
    folder = folder_of(ct_slice, [0, 2, 4])
    listed = load_study(sorted(folder.iterdir(), reverse=True))
    assert listed.source.sha256 == load_study(folder).source.sha256


def test_tilted_slices_are_ordered_along_their_normal(ct_slice) -> None:
    tilt = np.deg2rad(20)
    cosines = [1, 0, 0, 0, np.cos(tilt), np.sin(tilt)]
    normal = np.array([0, -np.sin(tilt), np.cos(tilt)])
    for index in (2, 0, 1):
        position = (normal * 3 * index + [-100, -100, 0]).round(6).tolist()
        path = ct_slice(
            0,
            plane(index),
            name=f"ct/{index}",
            ImagePositionPatient=position,
            ImageOrientationPatient=np.round(cosines, 6).tolist(),
        )
    study = load_study(path.parent)
    assert [frame.values[0, 1] for frame in study.frames] == [0, 1, 2] and study.warnings == ()


def test_without_positions_the_instance_number_orders(ct_slice) -> None:
    for index in (2, 0, 1):
        path = ct_slice(0, plane(index), name=f"ct/{9 - index}", InstanceNumber=index, ImagePositionPatient=None)
    assert [frame.values[0, 1] for frame in load_study(path.parent).frames] == [0, 1, 2]


def test_slices_without_any_order_are_refused(ct_slice) -> None:
    for index in range(2):
        path = ct_slice(0, name=f"ct/{index}", InstanceNumber=1, ImagePositionPatient=None)
    with pytest.raises(MalformedInput, match="order"):
        load_study(path.parent)


def test_a_missing_slice_is_told(ct_slice) -> None:
    assert "slices_uneven" in codes(load_study(folder_of(ct_slice, [0, 2, 4, 8, 10])))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"SeriesInstanceUID": generate_uid()}, "several series"),
        ({"PatientID": "P2"}, "different patients"),
        ({"Modality": "DX"}, "mix"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "directions"),
        ({"height": 0}, "same place"),
        ({"pixels": ramp(5, 5)}, "size"),
    ],
)
def test_slices_that_do_not_belong_together_are_refused(ct_slice, second: dict, words: str) -> None:
    path = ct_slice(0, name="ct/1")
    ct_slice(**{"height": 5, **second}, name="ct/2")
    with pytest.raises(MalformedInput, match=words):
        load_study(path.parent)


def test_slices_without_rescale_are_not_hounsfield(ct_slice) -> None:
    with pytest.raises(MalformedInput, match="Hounsfield"):
        load_study(ct_slice(0, RescaleSlope=None, RescaleIntercept=None))


def test_a_volume_without_a_window_has_one_for_all_its_slices(ct_slice) -> None:
    study = load_study(folder_of(ct_slice, [0, 1, 2], WindowCenter=None, WindowWidth=None))
    assert "window_from_data" in codes(study)
    assert len({(frame.display.low, frame.display.high) for frame in study.frames}) == 1


def test_an_enhanced_multi_frame_object_is_read_by_its_frames_groups(save) -> None:
    stack = np.stack([plane(index) for index in (2, 0, 1)])
    keys = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
    dataset = chest_slice(stack, 0, **dict.fromkeys(keys), WindowCenter=None, WindowWidth=None)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [0.6, 0.6]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for index in (2, 0, 1):
        group, position, values, voi = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 10 * index]
        values.RescaleSlope, values.RescaleIntercept = 1 + index, -1024
        voi.WindowCenter, voi.WindowWidth = 10 * index, 100
        group.PlanePositionSequence = Sequence([position])
        group.PixelValueTransformationSequence = Sequence([values])
        group.FrameVOILUTSequence = Sequence([voi])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    study = load_study(save(dataset))
    assert study.warnings == ()
    for index, frame in enumerate(study.frames):
        np.testing.assert_array_equal(frame.values, plane(index).astype(np.float32) * (1 + index) - 1024)
        assert frame.display.low == 10 * index - 0.5 - 99 / 2
        assert frame.geometry.spacing == (0.6, 0.6)


def test_films_listed_together_keep_their_order_and_views(film) -> None:
    frontal = film(name="b", SeriesInstanceUID=generate_uid())
    lateral = film(ramp()[::-1].copy(), name="a", ViewPosition="LL", PatientOrientation=["A", "F"])
    study = load_study([frontal, lateral])
    assert [frame.view for frame in study.frames] == ["PA", "LATERAL"] and study.view == "PA"
    assert [frame.geometry.patient_right for frame in study.frames] == ["left", None]
    assert [frame.label for frame in study.frames] == ["film 1", "film 2"]


def test_films_of_two_patients_are_never_one_study(film) -> None:
    with pytest.raises(MalformedInput, match="patient"):
        load_study([film(name="a"), film(name="b", PatientID="P2")])
    with pytest.raises(MalformedInput, match="patient"):
        load_study([film(name="a", PatientID=None), film(name="b", PatientID=None, StudyInstanceUID=generate_uid())])


def test_a_folder_of_films_of_several_series_is_refused(film) -> None:
    path = film(name="films/a")
    film(name="films/b", SeriesInstanceUID=generate_uid())
    with pytest.raises(MalformedInput, match="list the films"):
        load_study(path.parent)


def test_a_scout_among_slices_is_refused(ct_slice) -> None:
    path = ct_slice(0, name="ct/1")
    ct_slice(5, name="ct/2", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(UnsupportedInput, match=r"2 of 2.*scout"):
        load_study(path.parent)


def test_the_pixels_of_all_files_together_have_a_ceiling(ct_slice, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(ct_slice, [0, 1, 2])
    monkeypatch.setattr("radiolucent.study.dicom.MAX_STUDY_BYTES", 2 * 6 * 5 * 2)
    with pytest.raises(MalformedInput, match="together"):
        load_study(folder)
