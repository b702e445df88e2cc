"""A case as it is handed out: what this person may see of it now."""

from __future__ import annotations

from typing import Any, overload

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import Erased
from radiolucent.clinic.review.blockers import blockers
from radiolucent.clinic.review.critical import CriticalEntry, matching
from radiolucent.clinic.review.states import EDITABLE
from radiolucent.clinic.service.access import may
from radiolucent.clinic.service.loading import (
    as_drafted,
    critical_list,
    current_rulings,
    current_text,
    findings_of,
    latest_run,
    reviewed,
    stated_of,
)
from radiolucent.clinic.service.views import (
    CaseView,
    CriticalView,
    FindingView,
    FrameView,
    PatientBanner,
    PriorView,
    ReasonView,
    RulingView,
    RunView,
    SideView,
    SignatureView,
    StudyFacts,
    Texts,
    TextView,
    Words,
)
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.patients import data_key, identity_of
from radiolucent.clinic.store.sealed import unseal_json
from radiolucent.clinic.store.tables import (
    AiFinding,
    Amendment,
    Case,
    Critical,
    Patient,
    ReportText,
    Ruling,
    Run,
    Signature,
    User,
)
from radiolucent.errors import Notice
from radiolucent.findings.knowable import NOT_KNOWABLE, REASONS
from radiolucent.findings.names import code_name, describe
from radiolucent.findings.vocabulary import VOCABULARY

_HEDGES = {"likely": Words("likely", "考虑"), "possible": Words("possible", "不除外")}
_NOTHING = Words("", "")


def case_view(store: Store, session: Session, actor: Actor, case: Case) -> CaseView:
    """Everything about a case that this person may see now; nothing of the AI before it is revealed."""
    run = latest_run(session, case.id)
    revealed = case.revealed_at is not None
    shown = run if revealed else None
    findings = findings_of(session, shown)
    rulings = current_rulings(session, case.id, findings)
    hidden = case.reader_first and not revealed
    banner, study = _identity(store, session, actor, case)
    prior = session.get(Case, case.prior_case_id) if case.prior_case_id else None
    return CaseView(
        id=case.id,
        number=case.number,
        version=case.version,
        state=case.state,
        mode=case.mode,
        language=case.language,
        question=case.question,
        demo=run.demo if run is not None else store.settings.model == "demo",
        reader_first=case.reader_first,
        revealed=revealed,
        drafted=run is not None,
        claimed_by=user_name(session, case.claimed_by),
        claimed_by_id=case.claimed_by,
        critical=None if hidden else case.critical,
        urgency=None if hidden else case.urgency,
        created_at=case.created_at,
        updated_at=case.updated_at,
        due_at=case.due_at,
        patient=banner,
        study=study,
        side=SideView(
            case.side_source,
            case.patient_right,
            user_name(session, case.side_confirmed_by),
            case.side_confirmed_at,
        ),
        warnings=tuple(Notice(**one) for one in case.warnings),
        frames=tuple(frame_view(one) for one in case.frames),
        prior=None if prior is None else PriorView(prior.id, prior.study_at or prior.created_at),
        run=None if shown is None else _run(shown),
        findings=_findings(session, findings, rulings),
        added=tuple(ruling_view(session, one) for one in rulings if one.finding_id is None and one.decision == "add"),
        texts=Texts(*(_text(session, current_text(session, case.id, kind)) for kind in _TEXTS)),
        signatures=tuple(_signature(one) for one in signatures(session, case)),
        editions=case.edition,
        blockers=tuple(blockers(reviewed(session, case))) if case.state in EDITABLE else (),
        criticals=tuple(critical_view(one) for one in criticals(session, case.id)),
        reasons=_reasons(session, case.id),
    )


_TEXTS = ("own_impression", "working", "signed")


@overload
def user_name(session: Session, user_id: str) -> str: ...


@overload
def user_name(session: Session, user_id: str | None) -> str | None: ...


def user_name(session: Session, user_id: str | None) -> str | None:
    """The name of an account as people read it; the ID itself for programs."""
    if user_id is None:
        return None
    user = session.get(User, user_id)
    return user_id if user is None else user.name


def frame_view(entry: dict[str, Any]) -> FrameView:
    """A frame's facts from the case's row."""
    spacing = entry.get("spacing")
    return FrameView(**{**entry, "spacing": None if spacing is None else tuple(spacing)})


def signatures(session: Session, case: Case) -> list[Signature]:
    """Signatures that stand, on the edition signed last or in the making."""
    stands = (Signature.case_id == case.id, Signature.withdrawn_at.is_(None))
    latest = select(func.max(Signature.edition)).where(*stands).scalar_subquery()
    return list(session.scalars(select(Signature).where(*stands, Signature.edition == latest).order_by(Signature.at)))


def criticals(session: Session, case_id: str) -> list[Critical]:
    """The case's critical value records that stand."""
    found = select(Critical).where(Critical.case_id == case_id, Critical.withdrawn_at.is_(None))
    return list(session.scalars(found.order_by(Critical.opened_at)))


def critical_view(row: Critical) -> CriticalView:
    """A record as it is handed out."""
    return CriticalView(
        id=row.id,
        code=row.code,
        name=Words(code_name(row.code, "en"), code_name(row.code, "zh")),
        side=row.side,
        opened_at=row.opened_at,
        caller=row.caller,
        receiver=row.receiver,
        at=row.at,
        read_back=row.read_back,
        completed_at=row.completed_at,
    )


def ruling_view(session: Session, row: Ruling) -> RulingView:
    """A decision as it is handed out."""
    stated = stated_of(row)
    name = None
    if stated is not None:
        name = Words(describe(stated.as_finding(), "en"), describe(stated.as_finding(), "zh"))
    return RulingView(
        id=row.id,
        finding_id=row.finding_id,
        decision=row.decision,
        code=row.code,
        polarity=row.polarity,
        side=row.side,
        zone=row.zone,
        severity=row.severity,
        certainty=row.certainty,
        size_mm=tuple(row.size_mm or ()),
        box=row.box,
        note=row.note,
        author=user_name(session, row.author),
        at=row.at,
        name=name,
        replaced_by=row.replaced_by,
    )


def _identity(store: Store, session: Session, actor: Actor, case: Case) -> tuple[PatientBanner | None, StudyFacts]:
    """The banner and the study's facts; without identifying ones for roles that may not see them or once erased."""
    bare = StudyFacts(case.study_at, None, case.modality, case.view, None, None)
    patient = session.get(Patient, case.patient_id)
    if patient is None or not may(actor, "see identity"):
        return None, bare
    try:
        key, who = data_key(store, patient), identity_of(store, patient)
    except Erased:
        return None, bare
    banner = PatientBanner(
        name=who.name.replace("^", " ").strip(),
        name_ideographic=who.name_ideographic.replace("^", "").strip(),
        name_phonetic=who.name_phonetic.replace("^", " ").strip(),
        id=who.id,
        sex=who.sex or case.sex,
        age=case.age,
        birth_date=who.birth_date or None,
    )
    sealed = {} if case.sealed_study is None else unseal_json(key, case.sealed_study, f"study {case.id}")
    return banner, StudyFacts(
        case.study_at,
        sealed.get("accession") or None,
        case.modality,
        case.view,
        sealed.get("clinical_information") or None,
        sealed.get("institution") or None,
        sealed.get("study_uid") or None,
    )


def _run(row: Run) -> RunView:
    return RunView(
        id=row.id,
        number=row.number,
        model=row.model,
        weights_hash=row.weights_hash,
        report=row.report,
        summary=Words(**row.summary),
        attention=Words(**row.attention),
        confidence=row.confidence,
        created_at=row.created_at,
        prompt=row.prompt,
        language=row.language,
        provenance=row.provenance,
        demo=row.demo,
        warnings=tuple(Notice(**one) for one in row.warnings),
        trace=tuple(row.trace),
        chain=tuple(row.chain),
        maps=tuple(row.maps),
    )


def _findings(session: Session, findings: list[AiFinding], rulings: list[Ruling]) -> tuple[FindingView, ...]:
    by_finding = {row.finding_id: row for row in rulings}
    entries = critical_list(session) if findings else ()
    return tuple(_finding(session, row, by_finding.get(row.id), entries) for row in findings)


def _finding(
    session: Session, row: AiFinding, ruling: Ruling | None, entries: tuple[CriticalEntry, ...]
) -> FindingView:
    drafted = as_drafted(row)
    confidence: dict[str, Any] = row.confidence or {}
    grade: dict[str, Any] = row.grade or {}
    stated = drafted.stated
    phrase, name = Words(row.words, row.words), None
    if stated is not None:
        phrase = Words(describe(stated.as_finding(), "en"), describe(stated.as_finding(), "zh"))
        name = Words(VOCABULARY[stated.code].en, VOCABULARY[stated.code].zh)
    return FindingView(
        id=row.id,
        kind=row.kind,
        code=row.code,
        name=name,
        phrase=phrase,
        hedge=_HEDGES.get(row.certainty or "", _NOTHING) if row.polarity == "uncertain" else _NOTHING,
        polarity=row.polarity,
        side=row.side,
        zone=row.zone,
        severity=row.severity,
        certainty=row.certainty,
        size_mm=tuple(row.size_mm or ()),
        words=row.words,
        chars=(row.first, row.last),
        count=confidence.get("count"),
        interval=None if "interval" not in confidence else tuple(confidence["interval"]),
        probability=confidence.get("probability"),
        calibrated=bool(confidence.get("calibrated", False)),
        quadrant=confidence.get("quadrant"),
        grade=None if "key" not in grade else {name: grade[name] for name in ("key", "en", "zh")},
        evidence=Words(**grade["evidence"]) if "evidence" in grade else _NOTHING,
        alternatives=tuple(row.alternatives),
        boxes=tuple(row.boxes),
        maps=tuple(row.maps),
        not_knowable=tuple(_unknowable(kind) for kind in row.not_knowable),
        contradicted=row.contradicted,
        critical=stated is not None and matching(stated, entries, row.words) is not None,
        must_rule=drafted.must_rule,
        ruling=None if ruling is None else ruling_view(session, ruling),
    )


def _unknowable(kind: str) -> Notice:
    en, zh = REASONS[kind]  # type: ignore[index]
    return Notice(f"not_knowable_{kind}", f"{NOT_KNOWABLE['en']}: {en}", f"{NOT_KNOWABLE['zh']}：{zh}")


def _text(session: Session, row: ReportText | None) -> TextView | None:
    if row is None:
        return None
    return TextView(row.findings_text, row.impression_text, user_name(session, row.author), row.at, row.edition)


def _signature(row: Signature) -> SignatureView:
    return SignatureView(row.step, row.user_name, row.user_id, row.at, row.edition)


def _reasons(session: Session, case_id: str) -> tuple[ReasonView, ...]:
    rows = session.scalars(select(Amendment).where(Amendment.case_id == case_id).order_by(Amendment.at))
    return tuple(
        ReasonView(row.kind, row.reason, user_name(session, row.author), row.at, row.previous_edition) for row in rows
    )
