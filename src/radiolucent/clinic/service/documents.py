"""A signed case as the outbox takes it: what was signed, by whom, and what an algorithm had to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import WrongState
from radiolucent.clinic.outbox.document import (
    Algorithm,
    Box,
    Overlay,
    Physician,
    Reference,
    SignedDocument,
    SignedFinding,
    Subject,
)
from radiolucent.clinic.review.rulings import ASSERTING
from radiolucent.clinic.service.evidence import explanation_of
from radiolucent.clinic.service.loading import current_rulings, findings_of, latest_run, stated_of
from radiolucent.clinic.service.presenting import signatures
from radiolucent.clinic.service.switches import two_signatures
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.patients import case_key, identity_of
from radiolucent.clinic.store.sealed import unseal_json
from radiolucent.clinic.store.tables import (
    AiFinding,
    Amendment,
    Case,
    Export,
    Patient,
    ReportText,
    Ruling,
    Run,
    Signature,
)
from radiolucent.report.explanation import Explanation

_DECISIONS = {"accept": "accepted", "change": "changed", "add": "added"}


def document_of(store: Store, session: Session, case: Case) -> SignedDocument:
    """The edition that is signed, or that the reporting physician has signed.

    Raises
    ------
    WrongState
        Where nobody has signed.
    """
    text, signed = signed_text(session, case)
    run = latest_run(session, case.id)
    findings = findings_of(session, run)
    rulings = [row for row in current_rulings(session, case.id, findings) if row.decision in ASSERTING]
    sealed = sealed_study(store, session, case)
    explanation = None if run is None or run.bundle_id is None else explanation_of(store, case.id)
    preliminary = two_signatures(store, session) and "reviewing" not in signed
    return SignedDocument(
        case_id=case.id,
        edition=text.version,
        language=case.language,
        findings_text=text.findings_text,
        impression_text=text.impression_text,
        reporting=_physician(signed["reporting"]),
        reviewing=_physician(signed["reviewing"]) if "reviewing" in signed else None,
        two_signatures=preliminary or "reviewing" in signed,
        findings=tuple(_finding(row, findings) for row in rulings),
        algorithm=None if run is None else Algorithm(run.model, _version(run), run.weights_hash),
        demo=store.settings.model == "demo" if run is None else run.demo,
        mode=case.mode,  # type: ignore[arg-type]
        organisation=str(sealed.get("institution") or ""),
        clinical_information=str(sealed.get("clinical_information") or ""),
        side_source=case.side_source,
        side_confirmed=case.side_source != "assumed" or case.side_confirmed_at is not None,
        predecessors=_predecessors(session, case, sealed, text.version, preliminary),
        reason=latest_reason(session, case, "amendment", "return") if text.version > 1 else "",
        overlays=() if explanation is None else _overlays(explanation, rulings, findings),
    )


def signed_text(session: Session, case: Case) -> tuple[ReportText, dict[str, Signature]]:
    """The text that was signed last, and its signatures by step; of a withdrawn case the one withdrawn.

    Raises
    ------
    WrongState
        Where nothing is signed.
    """
    signed = {row.step: row for row in signatures(session, case)}
    if case.state not in ("signed", "reported", "rejected") or "reporting" not in signed:
        raise WrongState("Only what was signed leaves; sign the case first. / 请先签名再导出。", version=case.version)
    return session.get_one(ReportText, signed["reporting"].text_id), signed


def subject_of(store: Store, session: Session, case: Case) -> Subject:
    """Whom the pictures are of."""
    who = identity_of(store, session.get_one(Patient, case.patient_id))
    sealed = sealed_study(store, session, case)
    return Subject(
        who.id,
        who.name,
        who.name_ideographic,
        who.name_phonetic,
        who.sex,
        who.birth_date,
        case.age or "",
        str(sealed.get("accession") or ""),
        case.study_at or case.created_at,
        str(sealed.get("institution") or ""),
    )


def latest_reason(session: Session, case: Case, *kinds: str) -> str:
    """The reason given last for one of these: ``amendment``, ``return``, ``rejection`` or ``withdrawal``."""
    found = session.scalars(
        select(Amendment).where(Amendment.case_id == case.id, Amendment.kind.in_(kinds)).order_by(Amendment.at.desc())
    ).first()
    return "" if found is None else found.reason


def sealed_study(store: Store, session: Session, case: Case) -> dict[str, Any]:
    """What the case keeps under the patient's key."""
    if case.sealed_study is None:
        return {}
    held: dict[str, Any] = unseal_json(case_key(store, session, case), case.sealed_study, f"study {case.id}")
    return held


def _physician(row: Signature) -> Physician:
    return Physician(row.user_name, row.at)


def _version(run: Run) -> str:
    return str(run.provenance.get("versions", {}).get("radiolucent", ""))


def _finding(row: Ruling, findings: Sequence[AiFinding]) -> SignedFinding:
    """A person's box stands in the place of the model's."""
    drafted = next((one for one in findings if one.id == row.finding_id), None)
    stated = stated_of(row)
    assert stated is not None  # asserting decisions state something
    boxes: tuple[Box, ...] = ()
    if row.box is not None:
        boxes = (Box(**row.box, origin="reader"),)
    elif drafted is not None and row.side == drafted.side and row.code == drafted.code:
        boxes = tuple(Box(**box, origin="model") for box in drafted.boxes)
    return SignedFinding(
        id=row.id,
        decision=_DECISIONS[row.decision],  # type: ignore[arg-type]
        code=stated.code,
        polarity=stated.polarity,
        side=stated.side,
        zone=stated.zone,
        severity=stated.severity,
        certainty=stated.certainty,
        size_mm=stated.size_mm,
        boxes=boxes,
    )


def _overlays(
    explanation: Explanation, rulings: Sequence[Ruling], findings: Sequence[AiFinding]
) -> tuple[Overlay, ...]:
    """What the model relied on for accepted findings, where it may be shown."""
    keys = {one.id: one.key for one in findings}
    frames = explanation.frame_numbers
    found = []
    for row in rulings:
        key = keys.get(row.finding_id or "")
        if row.decision != "accept" or key is None:
            continue
        for (method, finding), made in explanation.maps.items():
            grade = explanation.faithfulness.get((method, finding))
            if (
                finding != key
                or made.claim != "relied_on"
                or grade is None
                or grade.withheld
                or grade.grade == "not shown"
            ):
                continue
            peak = made.peak_frame
            found.append(Overlay(frames[peak], made.values[peak], made.claim, row.id))
            break
    return tuple(found)


def _predecessors(
    session: Session, case: Case, sealed: dict[str, Any], edition: int, preliminary: bool
) -> tuple[Reference, ...]:
    """The reports that went before, so that a reader of the new one finds them: of the edition before, or the
    preliminary ones of this."""
    before = Export.edition < edition
    if not preliminary:
        before = or_(before, and_(Export.edition == edition, Export.preliminary))
    rows = session.scalars(
        select(Export).where(
            Export.case_id == case.id,
            before,
            Export.destination.is_(None),
            Export.kind.in_(("text_sr", "measurement_sr")),
        )
    ).all()
    last = max(((row.edition, not row.preliminary) for row in rows), default=None)
    return tuple(
        Reference(
            row.sop_class or "",
            row.sop_uid or "",
            row.series_uid or "",
            row.study_uid or str(sealed.get("study_uid") or ""),
        )
        for row in rows
        if (row.edition, not row.preliminary) == last
    )
