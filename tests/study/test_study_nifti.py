"""NIfTI: a bright corner ends where the affine puts it, whatever the order of the file's axes."""

import gzip
import itertools
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study import load_study

SHAPE = (5, 6, 4)  # towards right, front, head


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def volume() -> np.ndarray:
    """Air with the patient's front right head corner at 900 and the back left foot corner at 400."""
    values = np.full(SHAPE, -1000, np.float32)
    values[-1, -1, -1] = 900
    values[0, 0, 0] = 400
    return values


def image(order: tuple[int, int, int], signs: tuple[int, int, int], **options) -> nibabel.Nifti1Image:
    """``volume`` stored with its axes in any order and direction, and the affine that says so."""
    stored = volume().transpose(order)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * (world + 1) * 0.5
    stored = stored[tuple(slice(None, None, sign) for sign in signs)]
    made = options.pop("kind", nibabel.Nifti1Image)(stored, affine, **options)
    made.header.set_xyzt_units("mm")
    return made


def saved(tmp_path: Path, made: nibabel.Nifti1Image, name: str = "x.nii") -> Path:
    nibabel.save(made, tmp_path / name)
    return (tmp_path / name).rename(tmp_path / "x")


ALL = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


@pytest.mark.parametrize(("order", "signs"), ALL[::5])
def test_the_bright_corner_is_top_left_in_the_last_slice(tmp_path: Path, order, signs) -> None:
    study = load_study(saved(tmp_path, image(order, signs)), modality="CT")
    assert len(study.frames) == SHAPE[2]
    assert [frame.label for frame in study.frames] == ["slice 1", "slice 2", "slice 3", "slice 4"]
    for number, frame in enumerate(study.frames):
        assert frame.values.shape == (SHAPE[1], SHAPE[0])
        expected = np.full((SHAPE[1], SHAPE[0]), -1000.0)
        if number == 3:
            expected[0, 0] = 900  # front at the top, the patient's right on the picture's left
        if number == 0:
            expected[-1, -1] = 400
        np.testing.assert_array_equal(frame.values, expected)
        geometry = frame.geometry
        assert (geometry.patient_right, geometry.side_source) == ("left", "orientation")
        assert (geometry.spacing, geometry.spacing_kind) == ((1.0, 0.5), "patient")


def test_what_a_nifti_file_does_not_say_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, image((0, 1, 2), (1, 1, 1)))
    assert codes(load_study(path)) == {"modality_unknown", "window_from_data"}
    assert load_study(path).modality == "OT"
    assert load_study(path, modality="CT", window=(-1000, 1000)).warnings == ()


def test_an_affine_that_says_nothing_of_the_patient_is_an_assumption(tmp_path: Path) -> None:
    made = image((0, 1, 2), (1, 1, 1))
    made.header["qform_code"] = made.header["sform_code"] = 0
    made = nibabel.Nifti1Image(volume(), None, made.header)
    study = load_study(saved(tmp_path, made))
    assert "side_assumed" in codes(study) and study.frames[0].geometry.side_source == "assumed"


def test_a_spacing_without_a_unit_is_none(tmp_path: Path) -> None:
    made = image((0, 1, 2), (1, 1, 1))
    made.header.set_xyzt_units("unknown")
    assert load_study(saved(tmp_path, made)).frames[0].geometry.spacing is None


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_both_versions_zipped_or_not(tmp_path: Path, kind: type, name: str) -> None:
    study = load_study(saved(tmp_path, image((0, 1, 2), (1, 1, 1), kind=kind), name))
    assert study.source.format == "nifti" and study.frames[-1].values[0, 0] == 900


def test_scaled_integers_are_given_in_their_units(tmp_path: Path) -> None:
    made = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), np.eye(4))
    made.header.set_slope_inter(2, -1000)
    path = saved(tmp_path, made)
    expected = nibabel.Nifti1Image.from_bytes(path.read_bytes()).get_fdata()
    assert expected.min() < 0
    found = np.stack([frame.values for frame in load_study(path).frames], axis=2)
    np.testing.assert_allclose(found, expected[::-1, ::-1].transpose(1, 0, 2))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.zeros((4, 4, 4, 2), np.float32), UnsupportedInput),
        (np.zeros((4, 4), np.float32), UnsupportedInput),
        (np.full((4, 4, 4), np.nan, np.float32), MalformedInput),
        (np.zeros((4, 4, 4), np.complex64), UnsupportedInput),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, values: np.ndarray, error: type) -> None:
    with pytest.raises(error):
        load_study(saved(tmp_path, nibabel.Nifti1Image(values, np.eye(4))))


def test_declared_sizes_past_the_ceiling_are_refused_before_reading(tmp_path: Path) -> None:
    path = saved(tmp_path, image((0, 1, 2), (1, 1, 1)))
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1..3]
    for packed in (bytes(content), gzip.compress(content)):
        path.write_bytes(packed)
        with pytest.raises(MalformedInput, match="30000"):
            load_study(path)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_truncated_files_are_refused(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, image((0, 1, 2), (1, 1, 1)), name)
    content = path.read_bytes()
    for keep in (len(content) - 4, len(content) - 20, len(content) // 2, len(content) // 4):
        path.write_bytes(content[:keep])
        with pytest.raises(MalformedInput):
            load_study(path)


def test_a_gzip_bomb_behind_a_small_volume_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, image((0, 1, 2), (1, 1, 1)))
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(1 << 22)))
    with pytest.raises(MalformedInput, match="unpacks"):
        load_study(path)


def test_an_affine_without_inverse_is_refused(tmp_path: Path) -> None:
    made = image((0, 1, 2), (1, 1, 1))
    made.header["qform_code"] = 0
    made.header["srow_x"] = 0
    path = saved(tmp_path, made)
    content = bytearray(path.read_bytes())
    content[252:256] = b"\0\0\1\0"  # qform_code 0, sform_code 1
    content[280:296] = bytes(16)  # srow_x
    path.write_bytes(content)
    with pytest.raises(MalformedInput, match="affine"):
        load_study(path)


def test_without_nibabel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, image((0, 1, 2), (1, 1, 1)))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UnsupportedInput, match=r"radiolucent\[volumes\]"):
        load_study(path)


def test_sides_cannot_be_stated_over_the_affine(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="patient_right"):
        load_study(saved(tmp_path, image((0, 1, 2), (1, 1, 1))), patient_right="left")
