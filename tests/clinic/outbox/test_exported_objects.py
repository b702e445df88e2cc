"""What is exported says what was signed, is valid DICOM, and belongs to the patient's own study."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from signed_documents import (
    EFFUSION,
    FINDINGS_TEXT,
    HEART,
    IMPRESSION_TEXT,
    NO_PNEUMOTHORAX,
    NODULE,
    SIGNED_AT,
    VALUES,
    dciodvfy_errors,
    document,
    has,
    items_of,
    named,
    phantom,
)

from radiolucent.clinic.outbox import (
    DEMO_STAMP,
    Box,
    NotExportable,
    Physician,
    Reference,
    SignedDocument,
    Subject,
    as_file,
    build,
    kind_of,
    rejection_note,
)
from radiolucent.clinic.outbox import concepts as vocabulary
from radiolucent.errors import MalformedInput
from radiolucent.findings.coding import PRIVATE_SCHEME, coded
from radiolucent.study import Frame, Study, load_study

EVERYTHING = ("gsps", "seg")
REVIEWER = Physician("李四", SIGNED_AT + timedelta(hours=1))


def study_of(source: Dataset, folder: Path) -> Study:
    path = folder / "source.dcm"
    source.save_as(path, enforce_file_format=True)
    return load_study(path)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, tuple[Frame, ...]]:
    source = phantom(AccessionNumber="ACC7", PatientName="Zhang^San=张^三", StudyDescription="胸部正位")
    return source, study_of(source, tmp_path_factory.mktemp("film")).frames


def made_of(
    film: tuple[Dataset, tuple[Frame, ...]], signed: SignedDocument, options: tuple[str, ...] = ()
) -> dict[str, Dataset]:
    """The objects by kind, read again from the bytes that would be sent."""
    made = build(signed, [film[0]], film[1], options=options)
    return {kind_of(one): dcmread(BytesIO(as_file(one))) for one in made}


@pytest.fixture(scope="module")
def plain(film: tuple[Dataset, tuple[Frame, ...]]) -> dict[str, Dataset]:
    """Every object of the plain document."""
    return made_of(film, document(), EVERYTHING)


@pytest.mark.skipif(not has("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("source", ["phantom", "RG1_UNCR.dcm", "picture", "no orientation"])
def test_no_object_has_an_error_of_dciodvfy(source: str, tmp_path: Path) -> None:
    """Whatever the source lacks: RG1 has zero Pixel Spacing and no Laterality."""
    signed = document(demo=True)
    if source == "picture":
        frames, sources = load_study(phantom().pixel_array).frames, []
    else:
        held = phantom() if source != "RG1_UNCR.dcm" else None
        if held is None:
            path = get_testdata_file(source, download=False)
            if path is None:
                pytest.skip("pydicom-data is not installed")
            held = dcmread(path)
        if source == "no orientation":
            for keyword in ("PatientOrientation", "ImagerPixelSpacing", "BodyPartExamined"):
                del held[keyword]
        frames, sources = study_of(held, tmp_path).frames, [held]
    subject = Subject("P7", "Zhang^San", "张^三", sex="M", birth_date="1980-01-02", age="046Y", accession="ACC7")
    made = build(signed, sources, frames, subject=subject, options=EVERYTHING)
    made.append(rejection_note(signed, [one for one in made if kind_of(one) != "original"], "误发"))
    assert len(made) == (7 if source == "picture" else 6)
    assert {kind_of(one): dciodvfy_errors(one, tmp_path / "made.dcm") for one in made} == {
        kind_of(one): [] for one in made
    }


def test_the_text_report_says_the_signed_text_letter_by_letter(plain: dict[str, Dataset]) -> None:
    text = plain["text_sr"]
    assert text.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    assert text.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert [
        one.ConceptNameCodeSequence[0].CodeValue for one in text.ContentSequence if one.ValueType == "CONTAINER"
    ] == [
        "RL0340",
        "121070",
        "121072",
    ]
    assert [one.TextValue for one in named(text, "121071")] == [FINDINGS_TEXT]
    assert [one.TextValue for one in named(text, "121073")] == [IMPRESSION_TEXT]
    assert named(text, "121049")[0].ConceptCodeSequence[0].CodeValue == "zh"


def test_the_measurement_report_says_each_finding_with_its_codes(plain: dict[str, Dataset]) -> None:
    report = hd.sr.ComprehensiveSR.from_dataset(plain["measurement_sr"]).content
    with_box = report.get_planar_roi_measurement_groups()
    without = report.get_image_measurement_groups()
    assert [group.finding_type.value for group in with_box] == [coded(one.code).value for one in (EFFUSION, NODULE)]
    assert [group.finding_type.value for group in without] == [
        coded(one.code).value for one in (HEART, NO_PNEUMOTHORAX)
    ]
    effusion, nodule = with_box
    assert effusion.finding_sites[0].value == vocabulary.site_of(EFFUSION)[0]
    assert effusion.finding_sites[0].value.meaning == "Pleura"
    assert effusion.finding_sites[0].laterality.meaning == "Right"
    assert nodule.finding_sites[0].value.meaning == "Upper zone of lung"
    presence = {
        group.finding_type.value: group.get_qualitative_evaluations(vocabulary.PRESENCE)[0].value.meaning
        for group in (*with_box, *without)
    }
    assert presence[coded("pneumothorax").value] == "Absent"
    assert presence[coded("nodule").value] == "Possible, not excluded"
    assert presence[coded("pleural_effusion").value] == "Present"
    assert [one.value for one in nodule.get_measurements()] == [8.0]


def test_regions_are_in_source_pixels_and_refer_to_the_film(
    film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]
) -> None:
    report = hd.sr.ComprehensiveSR.from_dataset(plain["measurement_sr"]).content
    group = report.get_planar_roi_measurement_groups()[0]
    box = EFFUSION.boxes[0]
    corners = group.roi.value
    assert (corners.min(axis=0).tolist(), corners.max(axis=0).tolist()) == ([box.x0, box.y0], [box.x1, box.y1])
    assert (corners[0] == corners[-1]).all()
    source = next(one for one in items_of(group[0]) if one.ValueType == "IMAGE").ReferencedSOPSequence[0]
    assert source.ReferencedSOPInstanceUID == film[0].SOPInstanceUID
    assert "ReferencedFrameNumber" not in source


def test_the_algorithm_stands_only_where_it_proposed_the_finding(plain: dict[str, Dataset]) -> None:
    report = plain["measurement_sr"]
    decided = {}
    for group in items_of(report):
        if group.ValueType == "CONTAINER" and named(group, "RL0310"):
            if group.ConceptNameCodeSequence[0].CodeValue != "125007":
                continue
            decision = named(group, "RL0310")[0].ConceptCodeSequence[0].CodeMeaning
            decided[decision] = [one.TextValue for one in named(group, "111001")]
    assert decided == {
        "Accepted as proposed": ["a model"],
        "Changed by the reader": ["a model"],
        "Added by the reader": [],
    }


@pytest.mark.parametrize(
    ("changes", "preliminary", "verification", "signer"),
    [
        ({}, "FINAL", "VERIFIED", "张三^"),
        ({"two_signatures": True}, "PRELIMINARY", "UNVERIFIED", None),
        ({"two_signatures": True, "reviewing": REVIEWER}, "FINAL", "VERIFIED", "李四^"),
    ],
)
def test_flags_follow_the_signatures(
    film: tuple[Dataset, tuple[Frame, ...]],
    changes: dict[str, object],
    preliminary: str,
    verification: str,
    signer: str | None,
) -> None:
    made = made_of(film, document(**changes))
    for kind in ("text_sr", "measurement_sr"):
        one = made[kind]
        assert (one.CompletionFlag, one.PreliminaryFlag, one.VerificationFlag) == (
            "COMPLETE",
            preliminary,
            verification,
        )
        observers = one.get("VerifyingObserverSequence") or []
        assert [str(entry.VerifyingObserverName) for entry in observers] == ([signer] if signer else [])
    observers = [str(one.PersonName) for one in named(made["text_sr"], "121008")]
    assert observers == (["张三^", "李四^"] if "reviewing" in changes else ["张三^"])


def test_verification_and_content_bear_the_time_of_the_signature(film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    source = phantom(TimezoneOffsetFromUTC="+0800")
    text = build(document(), [source], film[1])[0]
    assert text.VerifyingObserverSequence[0].VerificationDateTime == "20261124163000+0800"
    assert (text.ContentDate, text.ContentTime) == ("20261124", "163000")
    assert text.TimezoneOffsetFromUTC == "+0800"


def test_a_later_edition_names_what_it_replaces_and_why(
    film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]
) -> None:
    first = plain
    before = tuple(
        Reference(one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID, one.StudyInstanceUID)
        for one in first.values()
    )
    second = made_of(film, document(edition=2, predecessors=before, reason="漏诊结节"))
    for kind in ("text_sr", "measurement_sr"):
        named_before = second[kind].PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert [one.ReferencedSOPInstanceUID for one in named_before] == [first[kind].SOPInstanceUID]
        assert second[kind].SOPInstanceUID != first[kind].SOPInstanceUID
    assert [one.TextValue for one in named(second["text_sr"], "RL0341")] == ["漏诊结节"]


def test_objects_belong_to_the_patients_study_in_series_of_their_own(
    film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]
) -> None:
    made = plain
    assert set(made) == {"text_sr", "measurement_sr", "picture", "gsps", "seg"}
    for one in made.values():
        assert one.StudyInstanceUID == film[0].StudyInstanceUID
        assert (one.AccessionNumber, one.PatientID) == ("ACC7", film[0].PatientID)
        assert one.ContentQualification == "RESEARCH"
        assert len(one.SeriesDescription) <= 64
    series = {one.SeriesInstanceUID for one in made.values()} | {film[0].SeriesInstanceUID}
    assert len(series) == len(made) + 1


def test_the_same_edition_is_the_same_objects(
    film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]
) -> None:
    """So that a job that was killed between sending and its commit doubles nothing."""
    again = made_of(film, document(), EVERYTHING)
    assert {kind: as_file(one) for kind, one in again.items()} == {kind: as_file(plain[kind]) for kind in again}
    uids = {one.SOPInstanceUID for one in plain.values()}
    changed: tuple[dict[str, object], ...] = ({"edition": 2}, {"two_signatures": True})
    for other in (document(findings=(), overlays=(), **change) for change in changed):
        assert not uids & {one.SOPInstanceUID for one in made_of(film, other).values()}


@pytest.mark.skipif(not has("dsr2html"), reason="dcmtk is not installed")
def test_another_toolkit_shows_the_signed_text(plain: dict[str, Dataset], tmp_path: Path) -> None:
    plain["text_sr"].save_as(tmp_path / "text.dcm", enforce_file_format=True)
    run = subprocess.run(["dsr2html", str(tmp_path / "text.dcm")], capture_output=True, timeout=60, check=True)
    shown = run.stdout.decode("utf-8")
    for line in (*FINDINGS_TEXT.splitlines(), IMPRESSION_TEXT, "Verification Flag", "VERIFIED", "张三"):
        assert line in shown


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("GB18030", "Zhang^San=张^三"),
        ("GBK", "Zhang^San=张^三"),
        (["", "ISO 2022 IR 58"], "Zhang^San=张^三"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_survive_from_every_character_set(
    charset: str | list[str], name: str, film: tuple[Dataset, tuple[Frame, ...]]
) -> None:
    source = phantom(SpecificCharacterSet=charset, PatientName=name)
    stream = BytesIO()
    source.save_as(stream, enforce_file_format=True)
    read = dcmread(BytesIO(stream.getvalue()))
    for made in build(document(), [read], film[1], options=EVERYTHING):
        again = dcmread(BytesIO(as_file(made)))
        assert (again.SpecificCharacterSet, str(again.PatientName)) == ("ISO_IR 192", name)
        assert "?" not in str(again.PatientName)


def test_an_undeclared_chinese_name_is_not_lost(film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    source = phantom(PatientName="Zhang^San=张^三", SpecificCharacterSet="GB18030")
    stream = BytesIO()
    source.save_as(stream, enforce_file_format=True)
    read = dcmread(BytesIO(stream.getvalue()))
    del read["SpecificCharacterSet"]
    assert str(build(document(), [read], film[1])[0].PatientName) == "Zhang^San=张^三"


def test_private_codes_are_declared_and_no_value_is_used_twice(plain: dict[str, Dataset]) -> None:
    meanings: dict[str, set[str]] = {}
    for one in plain.values():
        private = [
            item
            for item in one.iterall()
            if item.keyword == "CodingSchemeDesignator" and item.value == PRIVATE_SCHEME.designator
        ]
        declared = [item.CodingSchemeDesignator for item in one.get("CodingSchemeIdentificationSequence") or []]
        assert (PRIVATE_SCHEME.designator in declared) == bool(private)
    for value in vars(vocabulary).values():
        for code in value.values() if isinstance(value, dict) else [value]:
            if getattr(code, "scheme_designator", "") == PRIVATE_SCHEME.designator:
                meanings.setdefault(code.value, set()).add(code.meaning)
    assert meanings and all(len(one) == 1 for one in meanings.values())


def test_the_picture_says_what_it_was_made_of(
    film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]
) -> None:
    picture = plain["picture"]
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == film[0].SOPInstanceUID
    assert picture.BurnedInAnnotation == "NO"
    assert (picture.PhotometricInterpretation, picture.SamplesPerPixel) == ("RGB", 3)
    assert list(picture.PatientOrientation) == ["L", "F"]
    source = phantom()
    del source["BurnedInAnnotation"]
    assert build(document(), [source], film[1])[2].BurnedInAnnotation == "YES"


def test_boxes_are_drawn_where_they_lie(film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    bare = document(findings=(replace(NODULE, boxes=()),), overlays=())
    boxed = document(findings=(NODULE,), overlays=())
    without, with_box = (made_of(film, one)["picture"].pixel_array.astype(int) for one in (bare, boxed))
    height = min(len(without), len(with_box))
    width = round(with_box.shape[1] - 700)  # the film; the legend stands to its right
    changed = np.abs(without[-height:, :width] - with_box[-height:, :width]).sum(axis=-1) > 60
    rows, columns = np.nonzero(changed)
    scale, top = width / 512, with_box.shape[0] - width
    box = NODULE.boxes[0]
    assert abs(columns.max() - box.x1 * scale) < 8 and abs(rows.max() - (top + box.y1 * scale)) < 8
    assert not changed[:, : int((box.x0 - 25) * scale)].any()


def test_a_demo_models_objects_are_stamped(film: tuple[Dataset, tuple[Frame, ...]], plain: dict[str, Dataset]) -> None:
    demo, real = made_of(film, document(demo=True), EVERYTHING), plain
    for kind, one in demo.items():
        assert one.SeriesDescription.startswith(DEMO_STAMP), kind
        assert DEMO_STAMP not in real[kind].SeriesDescription
    for kind in ("text_sr", "measurement_sr"):
        assert any(DEMO_STAMP in one.get("TextValue", "") for one in items_of(demo[kind]))
        assert not any("DEMO" in one.get("TextValue", "") for one in items_of(real[kind]))
    top = demo["picture"].pixel_array[2:60, 2:].reshape(-1, 3).mean(axis=0)
    assert top[0] > 120 and top[1] < 90, "the red band over the whole width"
    assert real["picture"].Rows < demo["picture"].Rows


def test_presentation_state_and_segmentation_lie_on_the_film(plain: dict[str, Dataset]) -> None:
    made = plain
    outline = made["gsps"].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    assert outline.GraphicData[:2] == [EFFUSION.boxes[0].x0, EFFUSION.boxes[0].y0]
    window = made["gsps"].SoftcopyVOILUTSequence[0]
    assert (window.WindowCenter, window.WindowWidth) == (128, 256)
    mask = made["seg"].pixel_array.astype(bool)
    assert mask.shape == (512, 512)
    edge = 512 / 16
    assert mask[int(12.5 * edge), int(4.5 * edge)], "the strongest cell is in"
    assert not mask[VALUES.repeat(32, 0).repeat(32, 1) == 0].any(), "nothing outside the map's own cells is"


def test_a_withdrawal_rejects_what_was_sent(film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    signed = document()
    sent = build(signed, [film[0]], film[1])
    note = rejection_note(signed, sent, "患者错误")
    assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
    listed = {
        item.ReferencedSOPInstanceUID
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert listed == {one.SOPInstanceUID for one in sent}
    assert "患者错误" in [one.get("TextValue") for one in items_of(note)]


def test_a_picture_without_a_header_gets_one_to_refer_to(tmp_path: Path) -> None:
    frames = load_study(phantom().pixel_array, patient_right="left", view="PA").frames
    subject = Subject("P7", "Zhang^San", "张^三", sex="F", birth_date="1980-01-02", accession="ACC7")
    first, *others = build(document(), [], frames, subject=subject)
    assert kind_of(first) == "original"
    shown = dcmread(BytesIO(as_file(first)))
    assert str(shown.PatientName) == "Zhang^San=张^三"
    assert np.abs(shown.pixel_array / 65535 - frames[0].picture()).max() < 1e-4
    assert {one.StudyInstanceUID for one in others} == {first.StudyInstanceUID}
    evidence = others[0].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert build(document(edition=2), [], frames, subject=subject)[0].SOPInstanceUID == first.SOPInstanceUID


def test_an_unverified_side_is_said_and_not_written_as_orientation() -> None:
    frames = load_study(phantom().pixel_array).frames
    signed = document(side_source="assumed", side_confirmed=False)
    made = build(signed, [], frames, subject=Subject("P7"))
    assert not made[0].PatientOrientation
    said = [one.get("TextValue", "") for one in items_of(made[1])]
    assert any("side assumed, not verified / 左右未核实" in one for one in said)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID"])
def test_a_source_without_a_valid_uid_is_not_exportable(keyword: str, film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    for wrong in ("", "1.2.x", "1." * 40 + "1"):
        source = phantom()
        source[keyword]._value = wrong
        with pytest.raises(NotExportable, match=keyword):
            build(document(), [source], film[1])


@pytest.mark.parametrize("box", [Box(0, -1, 0, 5, 5), Box(0, 0, 0, 513, 5), Box(1, 0, 0, 5, 5), Box(0, 5, 5, 5, 9)])
def test_a_box_outside_its_film_is_refused(box: Box, film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    with pytest.raises(MalformedInput, match="box"):
        build(document(findings=(replace(NODULE, boxes=(box,)),)), [film[0]], film[1])


def test_a_report_without_findings_is_exported_too(film: tuple[Dataset, tuple[Frame, ...]]) -> None:
    made = made_of(film, document(findings=(), overlays=()), EVERYTHING)
    assert set(made) == {"text_sr", "picture"}
