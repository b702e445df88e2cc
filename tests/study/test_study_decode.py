"""Transfer syntaxes, and compressed frames that are not what the header declares."""

import struct
from pathlib import Path

import numpy as np
import pytest
from dicom_files import chest_film, ramp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.study import load_study


def as_chest(name: str, path: Path, **attributes) -> Path:
    """One of pydicom's test files, made to say that it is a chest film."""
    dataset = dcmread(get_testdata_file(name, download=False))
    stated = {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA", "PatientAge": "050Y"}
    for keyword, value in {**stated, **attributes}.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(
    ("compressed", "plain"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm"),  # JPEG lossless
    ],
)
def test_lossless_syntaxes_give_the_plain_file_s_pixels(tmp_path: Path, compressed: str, plain: str) -> None:
    found, expected = (load_study(as_chest(name, tmp_path / side)) for name, side in ((compressed, "a"), (plain, "b")))
    assert len(found.frames) == len(expected.frames)
    for one, other in zip(found.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "JPGExtended.dcm", "JPEG2000.dcm", "SC_rgb_gdcm_KY.dcm"],
)
def test_lossy_syntaxes_give_pydicom_s_pixels(tmp_path: Path, name: str) -> None:
    path = as_chest(name, tmp_path / "x")
    expected = dcmread(path).pixel_array.astype(float)
    # Decoders of different origin may differ by rounding.
    np.testing.assert_allclose(load_study(path).frames[0].values, expected, atol=3)


def test_deflated_files_are_refused_before_they_are_unpacked() -> None:
    with pytest.raises(UnsupportedInput, match="Deflated"):
        load_study(get_testdata_file("image_dfl.dcm", download=False))


def test_other_syntaxes_are_refused(film) -> None:
    path = film()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.9\x00"))
    with pytest.raises(UnsupportedInput, match="transfer syntax"):
        load_study(path)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-nopatient", "DICOMDIR-bigEnd"])
def test_dicomdir_is_never_opened(name: str) -> None:
    with pytest.raises(UnsupportedInput, match="DICOMDIR"):
        load_study(get_testdata_file(name, download=False))


def relabelled(name: str, path: Path, change) -> Path:
    """A compressed test file whose first frame was changed."""
    dataset = dcmread(as_chest(name, path))
    frames = [bytes(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=1)]
    dataset.PixelData = encapsulate([change(frames[0])])
    dataset.save_as(path)
    return path


def test_a_jpeg_2000_stream_larger_than_its_header_is_refused(tmp_path: Path) -> None:
    def enlarge(frame: bytes) -> bytes:
        return frame[:8] + struct.pack(">II", 30000, 30000) + frame[16:]

    with pytest.raises(MalformedInput, match="30000"):
        load_study(relabelled("MR_small_jp2klossless.dcm", tmp_path / "x", enlarge))


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_jpeg_stream_larger_than_its_header_is_refused(tmp_path: Path, name: str) -> None:
    def enlarge(frame: bytes) -> bytes:
        at = next(frame.index(marker) for marker in (b"\xff\xc1", b"\xff\xf7") if marker in frame)
        return frame[: at + 5] + struct.pack(">HH", 30000, 30000) + frame[at + 9 :]

    with pytest.raises(MalformedInput, match="30000"):
        load_study(relabelled(name, tmp_path / "x", enlarge))


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0",
        bytes(64),
        struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 50,  # one segment where two are due
        struct.pack("<16L", 2, 64, 60, *[0] * 13) + b"\x81\x00" * 50,  # offsets going back
        struct.pack("<16L", 2, 64, 80, *[0] * 13) + b"\x81\x00" * 8 + b"\x81\x00" * 50_000,  # a bomb
        struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\x81\x00" * 2,  # too little
    ],
)
def test_rle_frames_that_unpack_to_another_size_are_refused(tmp_path: Path, frame: bytes) -> None:
    with pytest.raises(MalformedInput):
        load_study(relabelled("MR_small_RLE.dcm", tmp_path / "x", lambda _: frame))


def test_a_large_rle_lie_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="30000"):
        load_study(as_chest("MR_small_RLE.dcm", tmp_path / "x", Rows=30000, Columns=30000))


def test_fewer_frames_than_declared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput):
        load_study(as_chest("emri_small_RLE.dcm", tmp_path / "x", NumberOfFrames=11))


def test_frames_of_another_coding_than_the_syntax_says_are_refused(tmp_path: Path) -> None:
    dataset = dcmread(as_chest("MR_small_jp2klossless.dcm", tmp_path / "x"))
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLossless
    dataset.save_as(tmp_path / "x")
    with pytest.raises(MalformedInput, match="not JPEG"):
        load_study(tmp_path / "x")


def test_sequences_nested_without_end_are_refused(film) -> None:
    path = film()
    opening = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with path.open("ab") as stream:
        stream.write(opening * 3000)
    with pytest.raises(RadiolucentError):
        load_study(path)


BASES = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", None)


@given(st.sampled_from(BASES), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_open_or_raise_a_typed_error(tmp_path: Path, base: str | None, data: st.DataObject) -> None:
    path = tmp_path / "x"
    if base is None:
        chest_film(ramp()).save_as(path, enforce_file_format=True)
    else:
        as_chest(base, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(content)
    try:
        study = load_study(path)
    except RadiolucentError:
        return
    for frame in study.frames:
        picture = frame.picture()
        assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
