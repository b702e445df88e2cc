"""A real Orthanc takes the objects by STOW-RS and by C-STORE, gives them back equal, and is pulled from."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from orthanc_server import Orthanc
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.acse import ACSE
from signed_documents import document, phantom

from radiolucent.clinic.intake import parse
from radiolucent.clinic.outbox import Destination, PullFailed, SendFailed, as_file, build, find, kind_of, pull, send
from radiolucent.study import load_study


def made(tmp_path: Path, case: str) -> list[Dataset]:
    """A film and every object made of it."""
    uids = {word: f"2.25.{case}{place}" for place, word in enumerate(("Study", "Series", "SOP"))}
    source = phantom(4, PatientName="Zhang^San=张^三", **{f"{word}InstanceUID": uid for word, uid in uids.items()})
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    source.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    frames = load_study(tmp_path / "source.dcm").frames
    return [source, *build(document(case_id=case * 32, demo=True), [source], frames, options=("gsps", "seg"))]


def differing(ours: Dataset, theirs: Dataset) -> list[str]:
    """Attributes that are not equal; group 2 is the archive's own business."""
    tags = {element.tag for element in (*ours, *theirs)}
    return [str(tag) for tag in sorted(tags) if tag not in ours or tag not in theirs or ours[tag] != theirs[tag]]


def test_objects_stored_by_stow_read_back_equal(orthanc: Orthanc, tmp_path: Path) -> None:
    from dicomweb_client.api import DICOMwebClient

    objects = made(tmp_path, "1")
    destination = Destination("archive", "stow", url=orthanc.web)
    sent = send(objects, destination)
    assert sent.sop_uids == tuple(one.SOPInstanceUID for one in objects)
    client = DICOMwebClient(url=orthanc.web)  # an independent reader
    for one in objects:
        again = client.retrieve_instance(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        assert differing(dcmread(BytesIO(as_file(one))), again) == [], kind_of(one)
        assert str(again.PatientName) == "Zhang^San=张^三"
    listed = client.search_for_series(objects[0].StudyInstanceUID)
    assert sorted(entry["00080060"]["Value"][0] for entry in listed) == ["DX", "OT", "PR", "SEG", "SR", "SR"]


def test_sending_again_doubles_nothing(orthanc: Orthanc, tmp_path: Path) -> None:
    objects = made(tmp_path, "2")
    destination = Destination("archive", "stow", url=orthanc.web)
    for _ in range(2):
        assert len(send(objects, destination).sop_uids) == len(objects)
    for one in objects:
        orthanc.file_of(one.SOPInstanceUID)  # exactly one


def test_objects_stored_by_c_store_read_back_equal(orthanc: Orthanc, tmp_path: Path) -> None:
    objects = made(tmp_path, "3")
    sent = send(objects, Destination("node", "cstore", host="127.0.0.1", port=orthanc.dicom, aet="ORTHANC"))
    assert len(sent.sop_uids) == len(objects)
    for one in objects:
        again = dcmread(BytesIO(orthanc.file_of(one.SOPInstanceUID)))
        assert differing(dcmread(BytesIO(as_file(one))), again) == [], kind_of(one)


def test_a_wrong_ae_title_is_said(orthanc: Orthanc, tmp_path: Path) -> None:
    wrong = Destination("node", "cstore", host="127.0.0.1", port=orthanc.dicom, aet="SOMEBODY")
    with pytest.raises(SendFailed, match="AE titles"):
        send(made(tmp_path, "4")[:1], wrong)


def test_a_refusal_that_comes_before_the_caller_looks_is_said(
    orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ACSE.send_request

    def slow(self: ACSE) -> None:
        asked(self)
        time.sleep(1.0)  # on a busy machine the peer has answered and closed by now

    monkeypatch.setattr(ACSE, "send_request", slow)
    wrong = Destination("node", "cstore", host="127.0.0.1", port=orthanc.dicom, aet="SOMEBODY")
    with pytest.raises(SendFailed, match="AE titles"):
        send(made(tmp_path, "7")[:1], wrong)


def test_a_study_is_found_pulled_and_opened(orthanc: Orthanc, tmp_path: Path) -> None:
    objects = made(tmp_path, "5")
    archive = Destination("archive", "stow", url=orthanc.web)
    send(objects, archive)
    uid = str(objects[0].StudyInstanceUID)
    found = find(archive, study_uid=uid)
    assert [one.study_uid for one in found] == [uid]
    assert uid in [one.study_uid for one in find(archive, date="20260101")]
    assert find(archive, date="19990101") == []
    folder = tmp_path / "pulled"
    folder.mkdir()
    paths = pull(archive, uid, folder)
    assert len(paths) == 1, "the film alone; reports and pictures stay there"
    parsed = parse(paths)
    assert (parsed.identifiers.name, parsed.identifiers.name_ideographic) == ("Zhang^San", "张^三")
    assert np.array_equal(parsed.study.frames[0].values, objects[0].pixel_array)


def test_pulled_files_have_names_that_say_nothing(orthanc: Orthanc, tmp_path: Path) -> None:
    objects = made(tmp_path, "6")
    archive = Destination("archive", "stow", url=orthanc.web)
    send(objects, archive)
    folder = tmp_path / "pulled"
    folder.mkdir()
    pull(archive, str(objects[0].StudyInstanceUID), folder)
    assert [path.name for path in folder.iterdir()] == ["00000.dcm"]


def test_a_study_that_is_not_there_is_said(orthanc: Orthanc, tmp_path: Path) -> None:
    archive = Destination("archive", "stow", url=orthanc.web)
    assert find(archive, study_uid="2.25.404") == []
    with pytest.raises(PullFailed):
        pull(archive, "2.25.404", tmp_path)
