"""What leaves: only what was signed, once an edition, to listed places, and never a demo's draft to another machine."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import pytest
from clinic_site import (
    ADMIN,
    DOCTOR,
    SECOND,
    SERVICE,
    VIEWER,
    drafted_case,
    opened_case,
    sign,
    signed_case,
    write_suggestion,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import update

from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.errors import Erased, Forbidden, NotFound, WrongState
from radiolucent.clinic.jobs.queue import depth
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.outbox.destination import Destination, DestinationRefused, SendFailed
from radiolucent.clinic.service import erasure, exporting, review, signing, switches
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Case, Job
from radiolucent.clinic.store.tables import Destination as DestinationRow


def add_destination(store: Store, name: str, url: str, enabled: bool = True) -> None:
    with store.begin() as session:
        session.add(
            DestinationRow(name=name, kind="stow", url=url, verify_tls=True, enabled=enabled, created_at=store.now())
        )


def told(store: Store, case: CaseView, made: Sequence[exporting.ExportView]) -> dict[str, Dataset]:
    return {one.kind: dcmread(BytesIO(exporting.export_file(store, DOCTOR, case.id, one.id))) for one in made}


def written(report: Dataset) -> list[str]:
    return [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]


def test_nothing_unsigned_leaves(store: Store) -> None:
    for case in (drafted_case(store), opened_case(store)):
        with pytest.raises(WrongState):
            exporting.export(store, DOCTOR, case.id)
    case = opened_case(store)
    signing.reject(store, DOCTOR, case.id, case.version)
    with pytest.raises(WrongState):
        exporting.export(store, DOCTOR, case.id)
    with pytest.raises(Forbidden):
        exporting.export(store, VIEWER, signed_case(store).id)


def test_what_was_signed_leaves_and_what_was_rejected_does_not(store: Store) -> None:
    case = opened_case(store)
    effusion, nodule, _ = case.findings
    case = review.rule(store, DOCTOR, case.id, case.version, effusion.id, "accept")
    case = review.rule(store, DOCTOR, case.id, case.version, nodule.id, "reject")
    case = sign(store, write_suggestion(store, case))
    made = exporting.export(store, DOCTOR, case.id)
    assert {one.kind for one in made} == {"original", "text_sr", "measurement_sr", "picture"}
    objects = told(store, case, made)
    report = objects["text_sr"]
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "VERIFIED", "FINAL")
    assert case.texts.signed is not None and case.texts.signed.findings in written(report)
    text = str(objects["measurement_sr"]).lower()
    assert "effusion" in text and "nodule" not in text
    assert str(report.PatientName.ideographic) == "张^三"
    again = exporting.export(store, DOCTOR, case.id)
    assert [(one.id, one.sop_uid) for one in again] == [(one.id, one.sop_uid) for one in made]
    assert exporting.exports(store, VIEWER, case.id) == list(again)
    with pytest.raises(NotFound):
        exporting.export_file(store, DOCTOR, signed_case(store).id, made[0].id)
    assert verify(store).intact


def test_the_first_of_two_signatures_is_preliminary(store: Store) -> None:
    switches.set_switch(store, ADMIN, "two_signatures", {"value": True})
    case = signed_case(store)
    report = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    first = str(report.SOPInstanceUID)
    case = sign(store, case, SECOND)
    report = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("VERIFIED", "FINAL")
    assert first != str(report.SOPInstanceUID) and first in str(report.PredecessorDocumentsSequence[0])


def test_a_text_that_was_returned_and_signed_anew_is_another_object(store: Store) -> None:
    switches.set_switch(store, ADMIN, "two_signatures", {"value": True})
    case = signed_case(store)
    first = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    case = signing.send_back(store, SECOND, case.id, case.version, "Look again")
    case = sign(store, review.open_case(store, DOCTOR, case.id))
    second = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    assert str(first.SOPInstanceUID) != str(second.SOPInstanceUID)
    case = signing.reject(store, SECOND, case.id, case.version, "Wrong patient")
    (note,) = exporting.export(store, DOCTOR, case.id)
    assert note.kind == "rejection_note"


def test_a_demo_never_leaves_this_machine(store: Store) -> None:
    case = signed_case(store)
    add_destination(store, "far", "https://192.0.2.7/dicom-web")
    add_destination(store, "off", "http://127.0.0.1:1/dicom-web", enabled=False)
    with pytest.raises(DestinationRefused, match="DEMO"):
        exporting.export(store, DOCTOR, case.id, "far")
    for name in ("off", "none"):
        with pytest.raises(NotFound):
            exporting.export(store, DOCTOR, case.id, name)
    assert depth(store)["ready"] == 0


def test_objects_are_sent_once_and_failures_are_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    case = signed_case(store)
    add_destination(store, "near", "http://127.0.0.1:1/dicom-web")
    arrived: list[tuple[str, list[str]]] = []
    refuse = [True]

    def send(made: Sequence[Dataset], to: Destination) -> None:
        if refuse:
            refuse.pop()
            raise SendFailed("not now")
        arrived.append((to.name, sorted(str(one.SOPInstanceUID) for one in made)))

    monkeypatch.setattr(exporting, "send", send)
    made = exporting.export(store, SERVICE, case.id, "near")
    assert {one.state for one in made} == {"queued"}
    hasty = Worker(store, {exporting.KIND: exporting.send_handler()})
    hasty.run(until_idle=True)
    assert arrived == [] and depth(store)["ready"] == 1  # waits before it is tried again
    with store.begin() as session:
        session.execute(update(Job).where(Job.kind == "send").values(not_before=store.now()))
    hasty.run(until_idle=True)
    assert arrived == [("near", sorted(str(one.sop_uid) for one in made))]
    sent = [one for one in exporting.exports(store, DOCTOR, case.id) if one.destination == "near"]
    assert {one.state for one in sent} == {"sent"} and all(one.sent_at for one in sent)
    exporting.export(store, SERVICE, case.id, "near")  # there already: nothing to be sent
    hasty.run(until_idle=True)
    assert len(arrived) == 1
    assert [one.action for one in entries(store)].count("export.sent") == 1


def test_a_refused_object_is_not_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    case = signed_case(store)
    add_destination(store, "near", "http://127.0.0.1:1/dicom-web")

    def send(made: Sequence[Dataset], to: Destination) -> None:
        raise DestinationRefused("no")

    monkeypatch.setattr(exporting, "send", send)
    exporting.export(store, SERVICE, case.id, "near")
    Worker(store, {exporting.KIND: exporting.send_handler()}).run(until_idle=True)
    failed = [one for one in exporting.exports(store, DOCTOR, case.id) if one.destination == "near"]
    assert {(one.state, one.error) for one in failed} == {("failed", "no")}
    assert {one.state for one in exporting.export(store, SERVICE, case.id, "near")} == {"queued"}


def test_a_new_edition_names_the_one_before_and_a_withdrawal_rejects(store: Store) -> None:
    case = signed_case(store)
    first = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    case = signing.amend(store, DOCTOR, case.id, case.version, "Nodule was a nipple shadow")
    nodule = next(one for one in case.findings if one.code == "nodule")
    case = review.rule(store, DOCTOR, case.id, case.version, nodule.id, "reject")
    case = sign(store, write_suggestion(store, case))
    second = told(store, case, exporting.export(store, DOCTOR, case.id))["text_sr"]
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert str(named.ReferencedSOPInstanceUID) == str(first.SOPInstanceUID) != str(second.SOPInstanceUID)
    case = signing.reject(store, DOCTOR, case.id, case.version, "Wrong patient")
    (note,) = exporting.export(store, DOCTOR, case.id)
    assert note.kind == "rejection_note"
    rejected = str(told(store, case, [note])["rejection_note"])
    assert str(second.SOPInstanceUID) in rejected and "Wrong patient" in rejected


def test_an_erased_patients_case_is_not_exported(store: Store) -> None:
    case = signed_case(store)
    made = exporting.export(store, DOCTOR, case.id)
    with store.read() as session:
        patient = session.get_one(Case, case.id).patient_id
    erasure.erase_patient(store, ADMIN, patient, "request")
    for act in (
        lambda: exporting.export(store, DOCTOR, case.id, options=["gsps"]),
        lambda: exporting.export_file(store, DOCTOR, case.id, made[0].id),
    ):
        with pytest.raises(Erased):
            act()
