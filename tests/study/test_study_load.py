"""The front door: content decides, not names; what is no study is refused with the reason."""

import os
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ramp
from PIL import Image

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study import load_study
from radiolucent.study.load import sniff


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def png(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(ramp(dtype="u1") if pixels is None else pixels).save(path, format="PNG")
    return path


def test_a_wrong_extension_does_not_mislead(film, tmp_path: Path) -> None:
    assert load_study(film(name="chest.png")).source.format == "dicom"
    assert load_study(png(tmp_path / "chest.dcm")).source.format == "png"


def test_dicom_wins_over_another_format_s_magic_in_its_preamble(film) -> None:
    path = film()
    content = path.read_bytes()
    path.write_bytes(b"II*\x00" + content[4:])
    assert sniff(path) == "dicom"
    assert load_study(path).source.format == "dicom"


def test_text_and_path_objects_are_the_same(film) -> None:
    path = film()
    assert load_study(str(path)).source == load_study(path).source


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", MalformedInput, "empty"),
        (b"\x00", MalformedInput, "not a picture"),
        (b"hello, this is text", MalformedInput, "not a picture"),
        (b"%PDF-1.7 ...", UnsupportedInput, "PDF"),
        (b"GIF89a......", UnsupportedInput, "GIF"),
        (b"PK\x03\x04....", UnsupportedInput, "ZIP"),
        (b"RIFF0000WEBP", UnsupportedInput, "WebP"),
        (b"\x1f\x8bgarbage", MalformedInput, "gzip"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", MalformedInput, "gzip"),
        (b"\x08\x00\x05\x00CS", MalformedInput, "file header"),
        (b"\x89PNG\r\n\x1a\n", MalformedInput, "truncated"),
        (b"\xff\xd8\xff\xe0", MalformedInput, "truncated"),
        (b"II*\x00\x08\x00\x00\x00", MalformedInput, "truncated"),
        (b"\0" * 128 + b"DICM", MalformedInput, "transfer syntax"),
        (b"\0" * 344 + b"n+1\0" + b"\0" * 4, MalformedInput, "NIfTI"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", MalformedInput, "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, error: type, words: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(error, match=words):
        load_study(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for source in (tmp_path / "absent", "", "a\0b", [tmp_path / "absent"]):
        with pytest.raises(MalformedInput):
            load_study(source)


@pytest.mark.parametrize("source", [None, 5, [], (), [1, 2], {"a": 1}, b"bytes"])
def test_what_is_no_source_is_refused(source: object) -> None:
    with pytest.raises(MalformedInput, match="path"):
        load_study(source)  # type: ignore[arg-type]


def test_special_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MalformedInput, match="regular"):
        load_study(tmp_path / "pipe")


def test_an_empty_folder_and_a_folder_of_folders(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="no files"):
        load_study(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").write_bytes(b"x")
    with pytest.raises(MalformedInput, match="no files"):
        load_study(tmp_path)


def test_a_folder_of_pictures_runs_by_name(tmp_path: Path) -> None:
    for index in (2, 0, 1):
        png(tmp_path / f"{index}", np.full((4, 4), index * 50, np.uint8) + np.eye(4, dtype=np.uint8))
    study = load_study(tmp_path)
    assert [frame.values[0, 1] for frame in study.frames] == [0, 50, 100]
    assert [frame.label for frame in study.frames] == ["film 1", "film 2", "film 3"]


def test_other_files_of_a_folder_are_left_out_and_told(tmp_path: Path) -> None:
    png(tmp_path / "a")
    (tmp_path / "notes.txt").write_text("notes")
    assert "files_ignored" in codes(load_study(tmp_path))
    (tmp_path / "a").unlink()
    with pytest.raises(MalformedInput, match="None of"):
        load_study(tmp_path)


def test_an_empty_file_among_slices_is_not_left_out(tmp_path: Path) -> None:
    png(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(MalformedInput, match=r"2 of 2.*empty"):
        load_study(tmp_path)


def test_a_slice_without_its_file_header_is_not_left_out(film, tmp_path: Path) -> None:
    path = film(name="ct/1")
    content = path.read_bytes()
    start = content.index(b"\x08\x00\x16\x00")
    (path.parent / "2").write_bytes(content[start:])
    with pytest.raises(MalformedInput, match=r"2 of 2.*file header"):
        load_study(path.parent)


def test_a_dicomdir_beside_the_slices_is_refused(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    (tmp_path / "DICOMDIR").write_bytes(Path(get_testdata_file("DICOMDIR", download=False)).read_bytes())
    with pytest.raises(UnsupportedInput, match="DICOMDIR"):
        load_study(tmp_path)


def test_several_formats_are_not_one_study(film, tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="several formats"):
        load_study([film(), png(tmp_path / "p")])


def test_a_file_past_the_ceiling_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as stream:
        stream.truncate((1 << 30) + 1)  # sparse: takes no room
    with pytest.raises(MalformedInput, match="bytes"):
        load_study(path)
