"""DICOM SEG: what highdicom writes, and reads, is what the cases hold."""

import contextlib
import copy
import warnings

import highdicom
import numpy as np
import pydicom
import pytest
from film_files import SIZE, blob, dicom_film, picture, save_dicom, save_png, segmentation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.faithfulness.annotations import annotated_cases

INSTANCES = ("1.2.826.0.1.1.1", "1.2.826.0.1.1.2")


@pytest.fixture
def films():
    return [
        dicom_film(picture(seed=number), instance, InstanceNumber=number + 1, PixelSpacing=[0.2, 0.2])
        for number, instance in enumerate(INSTANCES)
    ]


@pytest.fixture
def folder(tmp_path, films):
    """Two films; an object that draws a nodule and an effusion on the first, and one that draws a nodule on both."""
    for number, film in enumerate(films):
        save_dicom(tmp_path / f"film {number}.dcm", film)
    save_dicom(tmp_path / "object.dcm", drawn(films[0]))
    save_dicom(tmp_path / "objects" / "of both.dcm", of_both(films))
    return tmp_path


def drawn(film, labels=("Nodule 1", "Effusion")):
    return segmentation(film, [blob(seed=0), blob(seed=2) & ~blob(seed=0)], labels, ("Nodule", "Pleural effusion"))


def of_both(films):
    """highdicom draws on one film at a time: the second frame is handed to the second film."""
    top, bottom = np.zeros(SIZE, dtype=bool), np.zeros(SIZE, dtype=bool)
    top[:2], bottom[-3:] = True, True
    both = segmentation(films[0], [top, bottom], ("Nodule", "Nodule"))
    both.PerFrameFunctionalGroupsSequence[1] = copy.deepcopy(both.PerFrameFunctionalGroupsSequence[1])
    _source(both, 1).ReferencedSOPInstanceUID = INSTANCES[1]
    (listed,) = both.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    other = copy.deepcopy(listed)
    other.ReferencedSOPInstanceUID = INSTANCES[1]
    both.ReferencedSeriesSequence[0].ReferencedInstanceSequence.append(other)
    return both


def changed(folder, change):
    dataset = pydicom.dcmread(folder / "object.dcm")
    change(dataset)
    save_dicom(folder / "object.dcm", dataset)


def test_the_masks_are_those_that_highdicom_wrote_and_reads_back(folder):
    # highdicom 0.28 cannot read its own object of a film with Pixel Spacing: without one here
    film = dicom_film(picture(), INSTANCES[0])
    save_dicom(folder / "film 0.dcm", film)
    save_dicom(folder / "object.dcm", drawn(film))
    (case,) = annotated_cases(folder / "object.dcm")
    theirs = highdicom.seg.segread(folder / "object.dcm")
    read = theirs.get_pixels_by_source_instance([INSTANCES[0]], ignore_spatial_locations=True).astype(bool)
    assert set(case.masks) == {"nodule", "pleural_effusion"}
    np.testing.assert_array_equal(case.masks["nodule"], blob(seed=0))
    np.testing.assert_array_equal(case.masks["nodule"], read[0, ..., 0])
    np.testing.assert_array_equal(case.masks["pleural_effusion"], read[0, ..., 1])


def test_one_object_may_draw_on_several_films_and_several_on_one(folder):
    first, second = annotated_cases(folder)
    expected = blob(seed=0)
    expected[:2] = True
    np.testing.assert_array_equal(first.masks["nodule"], expected)
    assert set(second.masks) == {"nodule"} and second.masks["nodule"].sum() == 3 * SIZE[1]
    assert second.masks["nodule"][-3:].all()


@pytest.mark.parametrize("size", [(3, 3), (3, 5), (7, 9), (8, 8), (33, 31)])
@pytest.mark.parametrize("seed", range(3))
def test_frames_that_share_a_byte_are_told_apart(tmp_path, size, seed):
    draw = np.random.default_rng(seed)
    film = dicom_film(picture(size))
    nodule = draw.random(size) < 0.4
    effusion = ~nodule & (draw.random(size) < 0.6)
    nodule[0, 0], effusion[0, 0], nodule[0, 1], effusion[0, 1] = True, False, False, True
    save_dicom(tmp_path / "film.dcm", film)
    save_dicom(tmp_path / "object.dcm", segmentation(film, [nodule, effusion], ("Nodule", "Effusion")))
    (case,) = annotated_cases(tmp_path)
    np.testing.assert_array_equal(case.masks["nodule"], nodule)
    np.testing.assert_array_equal(case.masks["pleural_effusion"], effusion)


def test_a_film_is_found_by_its_instance_whatever_its_name(folder):
    (folder / "film 0.dcm").rename(folder / "z")
    assert [set(case.masks) for case in annotated_cases(folder)] == [{"nodule"}, {"nodule", "pleural_effusion"}]


def test_a_label_that_says_nothing_gives_way_to_the_code_and_one_that_contradicts_it_is_refused(folder, films):
    save_dicom(folder / "object.dcm", drawn(films[0], ("Segment 1", "Segment 2")))
    assert set(next(iter(annotated_cases(folder))).masks) == {"nodule", "pleural_effusion"}
    save_dicom(folder / "object.dcm", drawn(films[0], ("Pneumothorax", "Effusion")))
    with pytest.raises(MalformedInput, match="categories mapping"):
        annotated_cases(folder / "object.dcm")
    mapped = annotated_cases(folder / "object.dcm", categories={"Pneumothorax": "pneumothorax"})
    assert set(next(iter(mapped)).masks) == {"pneumothorax", "pleural_effusion"}


def test_a_segment_of_films_that_are_not_there_is_told(folder):
    (folder / "film 1.dcm").unlink()
    save_dicom(folder / "other.dcm", dicom_film(picture(seed=5), "1.2.3"))
    cases = annotated_cases(folder / "objects", folder)
    assert len(cases) == 1 and {notice.code for notice in cases.notices} == {
        "annotations_without_film",
        "films_without_annotation",
    }


def test_two_files_of_one_instance_are_refused(folder, films):
    save_dicom(folder / "copy.dcm", films[0])
    with pytest.raises(MalformedInput, match="fits 2 films"):
        annotated_cases(folder)


def _frame(dataset, number=0):
    return dataset.PerFrameFunctionalGroupsSequence[number]


def _source(dataset, number=0):
    return _frame(dataset, number).DerivationImageSequence[0].SourceImageSequence[0]


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda d: setattr(d, "SegmentationType", "FRACTIONAL"), "binary ones"),
        (lambda d: setattr(d, "SegmentationType", None), "no stated type"),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.7"), "Label maps"),
        (lambda d: setattr(d, "BitsAllocated", 8), "1 bit"),
        (lambda d: setattr(d, "Rows", 400), "truncated"),
        (lambda d: setattr(d, "Rows", 65535), "bytes|pixels"),
        (lambda d: setattr(d, "Rows", None), "no picture"),
        (lambda d: setattr(d, "NumberOfFrames", 4000000), "at most"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:100]), "truncated"),
        (lambda d: delattr(d, "PixelData"), "0 bytes"),
        (lambda d: delattr(d, "SegmentSequence"), "does not describe"),
        (lambda d: setattr(d.SegmentSequence[1], "SegmentNumber", 1), "twice"),
        (lambda d: setattr(_source(d), "SpatialLocationsPreserved", "NO"), "not preserved"),
        (lambda d: setattr(_source(d), "ReferencedFrameNumber", 2), "later frame"),
        (lambda d: delattr(_source(d), "ReferencedSOPInstanceUID"), "which image"),
        (lambda d: setattr(_frame(d).DerivationImageSequence[0], "SourceImageSequence", [_source(d)] * 2), "2 images"),
        (lambda d: delattr(_frame(d), "SegmentIdentificationSequence"), "segment 0"),
        (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), "segment 0"),
    ],
)
def test_objects_that_cannot_be_relied_on_are_refused(folder, change, said):
    changed(folder, change)
    with pytest.raises((MalformedInput, UnsupportedInput), match=said) as caught:
        annotated_cases(folder / "object.dcm")
    assert str(caught.value).startswith("The DICOM segmentation")


def test_a_frame_that_does_not_name_its_film_belongs_to_the_only_one_listed(folder):
    changed(folder, lambda d: delattr(_frame(d), "DerivationImageSequence"))
    (case,) = annotated_cases(folder / "object.dcm")
    np.testing.assert_array_equal(case.masks["nodule"], blob(seed=0))
    both = pydicom.dcmread(folder / "objects" / "of both.dcm")
    del _frame(both).DerivationImageSequence
    save_dicom(folder / "object.dcm", both)
    with pytest.raises(MalformedInput, match="which of 2 images"):
        annotated_cases(folder / "object.dcm")


def test_a_spacing_that_is_not_the_films_is_refused(folder):
    changed(folder, lambda d: setattr(_measures(d), "PixelSpacing", [0.4, 0.4]))
    with pytest.raises(MalformedInput, match="pixel spacing"):
        annotated_cases(folder)


def _measures(dataset):
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "PixelMeasuresSequence" not in shared:
        shared.PixelMeasuresSequence = [pydicom.Dataset()]
    return shared.PixelMeasuresSequence[0]


def test_a_film_of_another_size_is_refused(folder, films):
    save_dicom(folder / "film 0.dcm", dicom_film(picture((30, 40)), INSTANCES[0]))
    with pytest.raises(MalformedInput, match="Film 1 of 2"):
        list(annotated_cases(folder))


def test_compressed_pixels_are_refused(folder):
    dataset = pydicom.dcmread(folder / "object.dcm")
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.PixelData = encapsulate([b"\0" * 64] * int(dataset.NumberOfFrames))
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(folder / "object.dcm", little_endian=True, implicit_vr=False)
    with pytest.raises(UnsupportedInput, match="compressed"):
        annotated_cases(folder / "object.dcm")


def test_a_film_is_no_segmentation(folder):
    with pytest.raises(UnsupportedInput, match="Modality DX"):
        annotated_cases(folder / "film 0.dcm")


def test_a_png_film_cannot_be_found_by_a_segmentation(folder):
    for path in folder.glob("film*"):
        path.unlink()
    save_png(folder / "1.png", picture())
    with pytest.raises(MalformedInput, match="no case with a lesion"):
        annotated_cases(folder)


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damaged_byte_gives_cases_or_a_typed_error_and_no_word_of_the_patient(folder, data):
    whole = (folder / "object.dcm").read_bytes()
    place = data.draw(st.integers(132, len(whole) - 1))
    damaged = whole[:place] + bytes([data.draw(st.integers(0, 255))])
    damaged += whole[place + 1 :] if data.draw(st.booleans()) else b""
    (folder.parent / "damaged").write_bytes(damaged)
    with warnings.catch_warnings(record=True) as told, contextlib.suppress(RadiolucentError):
        warnings.simplefilter("always")
        list(annotated_cases(folder.parent / "damaged", folder))
    assert not told  # pydicom's warnings quote what they found, the patient's name too
