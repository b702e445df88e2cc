"""What comes out of an upload: the study, who it is of, and what the header says; and why others are refused."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radiolucent.clinic.intake import DamagedUpload, Limits, UnfitUpload, parse
from radiolucent.clinic.intake.reasons import REASON_CODES
from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.phantom.dicom import build_dataset
from radiolucent.phantom.film import draw_case
from radiolucent.study import load_study

CASE = draw_case(3)


def written(path: Path, **changes: Any) -> Path:
    header = build_dataset(CASE)
    for keyword, value in changes.items():
        if value is None:
            del header[keyword]
        else:
            setattr(header, keyword, value)
    header.save_as(path, enforce_file_format=True)
    return path


def test_the_study_is_the_one_that_explain_would_open(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", PixelPaddingValue=0, PresentationLUTShape="INVERSE")
    parsed, opened = parse([path]), load_study(path)
    ours, theirs = parsed.study.frames[0], opened.frames[0]
    assert np.array_equal(ours.picture(), theirs.picture())
    assert ours.display.inverted and ours.display.padding is not None
    assert (ours.geometry, ours.view, ours.label) == (theirs.geometry, theirs.view, theirs.label)
    assert parsed.study.source == opened.source
    assert parsed.study.warnings == opened.warnings


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Zhang^San=张^三"),
        ("GB18030", "Zhang^San=张^三"),
        ("ISO_IR 100", "Müller^Jürgen"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_are_read_from_every_character_set(charset: Any, name: str, tmp_path: Path) -> None:
    parsed = parse([written(tmp_path / "a.dcm", SpecificCharacterSet=charset, PatientName=name)])
    held = parsed.identifiers
    groups = [held.name, held.name_ideographic, held.name_phonetic]
    assert groups == [*name.split("="), "", ""][:3]
    assert "charset_assumed" not in [one.code for one in parsed.notices]


def test_the_standards_own_chinese_example_is_read(tmp_path: Path) -> None:
    """PS3.5 annex K.2: GB 2312 by escape sequences, which pydicom leaves in the text."""
    path = written(
        tmp_path / "a.dcm", SpecificCharacterSet=["", "ISO 2022 IR 58"], PatientName="Zhang^XiaoDong=" + 17 * "A"
    )
    name = b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    assert len(name) < 18
    path.write_bytes(path.read_bytes().replace(17 * b"A", name.ljust(17)))
    parsed = parse([path])
    assert (parsed.identifiers.name, parsed.identifiers.name_ideographic) == ("Zhang^XiaoDong", "张^小东")
    assert "charset_assumed" not in [one.code for one in parsed.notices]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_an_undeclared_character_set_is_guessed_and_said(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", SpecificCharacterSet=None, PatientName="Zhang^San=AAAAAAA")
    name = "张^三".encode(encoding)
    path.write_bytes(path.read_bytes().replace(b"=AAAAAAA", b"=" + name.ljust(7)))
    parsed = parse([path])
    assert parsed.identifiers.name_ideographic == "张^三"
    assert "charset_assumed" in [one.code for one in parsed.notices]


def test_the_header_says_who_and_what(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.dcm",
        PatientID=" P7 ",
        PatientSex="F",
        PatientBirthDate="19800229",
        PatientAge=None,
        AccessionNumber="ACC7",
        InstitutionName="某医院",
        AdmittingDiagnosesDescription="咳嗽\r\n发热",
        RequestedProcedureDescription="胸部正位",
        TimezoneOffsetFromUTC="+0800",
        StudyTime="0030",
    )
    parsed = parse([path])
    held, facts = parsed.identifiers, parsed.facts
    assert (held.patient_id, held.sex, held.birth_date) == ("P7", "F", "1980-02-29")
    assert facts.study_at == datetime(2025, 12, 31, 16, 30, tzinfo=UTC)
    assert (facts.study_local, facts.zone) == ("2026-01-01T00:30:00", "header")
    assert (facts.accession, facts.institution, facts.age) == ("ACC7", "某医院", "045Y")
    assert facts.clinical_information == "咳嗽\n发热\n胸部正位"
    assert (facts.modality, facts.view, facts.frame_places) == ("DX", "PA", ((0, 0),))
    assert facts.sop_uids == (str(dcmread(path).SOPInstanceUID),)


def test_a_time_without_a_zone_is_the_sites_and_said(tmp_path: Path) -> None:
    parsed = parse([written(tmp_path / "a.dcm")])
    assert parsed.facts.zone == "site"
    assert parsed.facts.study_at == datetime(2026, 1, 1, 12).astimezone(UTC)
    assert "study_time_site_zone" in [one.code for one in parsed.notices]


@pytest.mark.parametrize("wrong", ["20261301", "monday", "", "00010101"])
def test_a_date_that_is_none_is_not_known(wrong: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", StudyDate="20260101", AcquisitionDate="20260101", ContentDate="20260101")
    path.write_bytes(path.read_bytes().replace(b"20260101", wrong.encode().ljust(8)))
    assert parse([path]).facts.study_at is None


def test_nul_and_control_characters_are_taken_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", PatientID="AXBXC", PatientName="A^BXX")
    content = path.read_bytes().replace(b"AXBXC", b"A\x00B\x07C").replace(b"A^BXX", b"A^B\x00\x1b")
    path.write_bytes(content)
    held = parse([path]).identifiers
    assert (held.patient_id, held.name) == ("ABC", "A^B")


def test_a_stored_original_has_an_empty_preamble_and_the_same_picture(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm")
    path.write_bytes(b"MZ" + b"\x90" * 126 + path.read_bytes()[128:])
    parsed = parse([path])
    assert parsed.originals[0][:132] == bytes(128) + b"DICM"
    assert parsed.originals[0][128:] == path.read_bytes()[128:]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_metadata_of_a_picture_goes_and_its_orientation_stays(form: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8298] = orientation, "Zhang San, born 1980", "somebody"
    path = tmp_path / "a"
    values = CASE.film[:, :300]
    Image.fromarray(values).save(path, form, exif=exif, comment="Zhang San") if form == "JPEG" else Image.fromarray(
        values
    ).save(path, form, exif=exif, pnginfo=_texts())
    path.write_bytes(path.read_bytes() + b"Zhang San behind the end")
    parsed = parse([path])
    kept = parsed.originals[0]
    assert b"Zhang" not in kept and b"somebody" not in kept and b"Zhang" in path.read_bytes()
    (tmp_path / "kept").write_bytes(kept)
    assert np.array_equal(load_study(tmp_path / "kept").frames[0].values, load_study(path).frames[0].values)
    assert parsed.study.frames[0].geometry.side_source == "assumed"
    assert (parsed.identifiers.patient_id, parsed.facts.study_at) == ("", None)


def _texts() -> Any:
    from PIL.PngImagePlugin import PngInfo

    held = PngInfo()
    held.add_text("Author", "Zhang San")
    held.add_itxt("Title", "Zhang San", zip=True)
    return held


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 200)])
def test_a_whole_png_of_every_kind_has_all_its_rows(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    from radiolucent.clinic.intake.png_rows import check_rows

    picture = BytesIO()
    Image.new("L", size, 77).convert("I" if mode == "I;16" else mode).convert(mode).save(picture, "PNG")
    check_rows(picture.getvalue())


def test_a_png_without_its_last_rows_is_refused(tmp_path: Path) -> None:
    """Pillow opens it with the missing rows black."""
    picture = BytesIO()
    Image.fromarray(CASE.film).save(picture, "PNG")
    content = bytearray(picture.getvalue())
    rows = struct.unpack_from(">I", content, 20)[0]
    content[20:24] = struct.pack(">I", rows + 1)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    assert load_study(tmp_path / "a.png").frames[0].values[-1].max() == 0, "what would be shown"
    with pytest.raises(DamagedUpload, match="rows are missing"):
        parse([tmp_path / "a.png"])


def test_several_films_are_one_case_in_their_order(tmp_path: Path) -> None:
    first = written(tmp_path / "a.dcm")
    second = written(tmp_path / "b.dcm", SOPInstanceUID="2.25.5", ViewPosition="LL", ViewCodeSequence=None)
    parsed = parse([first, second])
    assert [frame.view for frame in parsed.study.frames] == ["PA", "LATERAL"]
    assert parsed.facts.frame_places == ((0, 0), (1, 0))
    assert len(parsed.originals) == 2


def _ct(path: Path, number: int) -> Path:
    header: Dataset = build_dataset(CASE)
    header.Modality, header.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
    header.SOPInstanceUID = f"2.25.{number + 1}"
    header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.5 * number]
    header.PixelSpacing = [0.7, 0.7]
    header.save_as(path, enforce_file_format=True)
    return path


def test_the_slices_of_a_volume_say_which_file_each_came_from(tmp_path: Path) -> None:
    paths = [_ct(tmp_path / f"{place}.dcm", number) for place, number in enumerate((2, 0, 1))]
    assert parse(paths).facts.frame_places == ((1, 0), (2, 0), (0, 0))


def _gif(path: Path) -> None:
    Image.fromarray(CASE.film).save(path, "GIF")


def _tiff(path: Path) -> None:
    Image.fromarray(CASE.film).save(path, "TIFF")


def _deflated(path: Path) -> None:
    header = build_dataset(CASE)
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def _cut(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[:-1000])


def _animation(path: Path) -> None:
    Image.fromarray(CASE.film).save(path, "PNG", save_all=True, append_images=[Image.fromarray(CASE.film.T)])


REFUSED = [
    (lambda path: path.write_bytes(b""), "empty", DamagedUpload),
    (lambda path: path.write_bytes(b"hello, this is no picture"), "not_a_picture", DamagedUpload),
    (_gif, "format_not_taken", UnfitUpload),
    (_tiff, "format_not_taken", UnfitUpload),
    (_deflated, "transfer_syntax", UnfitUpload),
    (_cut, "damaged", DamagedUpload),
    (_animation, "animation", UnfitUpload),
    (lambda path: written(path, Modality="MR"), "modality", UnfitUpload),
    (lambda path: written(path, PresentationIntentType="FOR PROCESSING"), "raw_detector", UnfitUpload),
    (
        lambda path: written(path, BodyPartExamined="KNEE", AnatomicRegionSequence=None),
        "body_part",
        UnfitUpload,
    ),
    (lambda path: written(path, AnatomicalOrientationType="QUADRUPED"), "animal", UnfitUpload),
    (lambda path: written(path, PixelData=None), "no_picture", DamagedUpload),
    (lambda path: written(path, Rows=60000, Columns=60000), "too_many_pixels", DamagedUpload),
    (lambda path: written(path, NumberOfFrames="300"), "too_many_pixels", DamagedUpload),
]


@pytest.mark.parametrize(
    ("make", "code", "kind"), REFUSED, ids=[f"{index}-{code}" for index, (_, code, _) in enumerate(REFUSED)]
)
def test_a_refusal_says_why_in_both_languages(make: Any, code: str, kind: type[Exception], tmp_path: Path) -> None:
    path = tmp_path / "a"
    make(path)
    with pytest.raises(kind) as refused:
        parse([path])
    reason = refused.value.reason  # type: ignore[attr-defined]
    assert reason.code == code and code in REASON_CODES
    assert reason.en and any("\u4e00" <= letter <= "\u9fff" for letter in reason.zh)
    assert isinstance(refused.value, UnsupportedInput if kind is UnfitUpload else MalformedInput)
    assert reason.en in str(refused.value) and reason.zh in str(refused.value)


def test_limits_are_held_before_anything_is_opened(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm")
    for files, limits, code in (
        ([], Limits(), "no_files"),
        ([path, path], Limits(files=1), "too_many_files"),
        ([path], Limits(upload_mb=0), "upload_too_large"),
        ([path], Limits(pixels=1000), "too_many_pixels"),
        ([tmp_path / "absent"], Limits(), "not_a_file"),
        ([tmp_path], Limits(), "not_a_file"),
    ):
        with pytest.raises(DamagedUpload) as refused:
            parse(files, limits)
        assert refused.value.reason.code == code


def test_files_of_two_patients_or_two_formats_are_refused(tmp_path: Path) -> None:
    first, other = written(tmp_path / "a.dcm"), written(tmp_path / "b.dcm", PatientID="SOMEBODY")
    with pytest.raises(DamagedUpload) as refused:
        parse([first, other])
    assert refused.value.reason.code == "several_patients"
    picture = BytesIO()
    Image.fromarray(CASE.film).save(picture, "PNG")
    (tmp_path / "c.png").write_bytes(picture.getvalue())
    with pytest.raises(DamagedUpload) as refused:
        parse([first, tmp_path / "c.png"])
    assert refused.value.reason.code == "mixed_formats"
