"""A review in progress: claim, look, rule, write. Every function returns the case as it stands afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note as tell
from radiolucent.clinic.errors import Blocked, Conflict, NotFound, WrongState
from radiolucent.clinic.review.blockers import OWN_IMPRESSION
from radiolucent.clinic.review.composing import compose
from radiolucent.clinic.review.critical import matching, opens_record
from radiolucent.clinic.review.rulings import Stated, check_box, check_stated, decide, kept_sentences, standing
from radiolucent.clinic.review.states import EDITABLE, after
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.loading import (
    as_drafted,
    critical_list,
    current_rulings,
    current_text,
    findings_of,
    latest_run,
    locked,
    reviewed,
    seen,
    stated_of,
    touch,
)
from radiolucent.clinic.service.presenting import case_view, user_name
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import new_id, refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AiFinding, Case, Critical, ReportText, Ruling
from radiolucent.errors import MalformedInput

LONGEST_TEXT = 20_000  # characters of one part of a report
LONGEST_NOTE = 2_000
STALE_CLAIM = timedelta(hours=1)  # an untouched claim may be taken over without asking


def open_case(store: Store, actor: Actor, case_id: str, *, take_over: bool = False) -> CaseView:
    """Claim a case and look at it.

    Opening a case that waits (drafted, failed, or still queued: the film can be read before the draft is there) puts
    it in review. One that is finished is only read; one that waits for the reviewing physician stays so.

    Parameters
    ----------
    take_over
        Take it from the person who has it; the audit trail says so.

    Raises
    ------
    Conflict
        Where somebody else has it, naming them.
    """
    permit(actor, "review")
    with store.begin() as session:
        case = locked(session, case_id)
        if case.state in ("signed", "rejected"):
            tell(store, session, actor, "case.read", "case", case.id)
            return case_view(store, session, actor, case)
        holder = case.claimed_by
        if holder not in (None, actor.user_id):
            stale = case.claimed_at is None or store.now() - max(case.claimed_at, case.updated_at) > STALE_CLAIM
            if not (take_over or stale):
                raise Conflict(
                    f"{user_name(session, holder)} has this case open. Ask, or take it over. / "
                    f"该病例正由 {user_name(session, holder)} 处理。",
                    version=case.version,
                )
        now = store.now()
        case.state = after("open", case.state)
        case.opened_at = case.opened_at or now
        if holder != actor.user_id:
            case.claimed_by, case.claimed_at = actor.user_id, now
            touch(store, case)
        tell(
            store,
            session,
            actor,
            "case.opened",
            "case",
            case.id,
            taken_from=None if holder == actor.user_id else holder,
        )
        return case_view(store, session, actor, case)


def release(store: Store, actor: Actor, case_id: str) -> CaseView:
    """Give a claim back; what was written stays."""
    permit(actor, "review")
    with store.begin() as session:
        case = locked(session, case_id)
        if case.claimed_by not in (None, actor.user_id):
            raise Conflict("Somebody else has this case; it is theirs to release.", version=case.version)
        if case.claimed_by is not None:
            case.claimed_by = case.claimed_at = None
            touch(store, case)
            tell(store, session, actor, "case.released", "case", case.id)
        return case_view(store, session, actor, case)


def reveal_ai(store: Store, actor: Actor, case_id: str) -> CaseView:
    """Show the AI's draft. In reader-first mode only after the reader's own impression is saved.

    Raises
    ------
    Blocked
        Where the own impression is missing.
    WrongState
        Where there is no draft yet.
    """
    permit(actor, "review")
    with store.begin() as session:
        case = _mine(session, actor, case_id)
        if latest_run(session, case.id) is None:
            raise WrongState("There is no draft to show yet. / 尚无草稿可显示。", version=case.version)
        if case.revealed_at is None:
            if case.reader_first and current_text(session, case.id, "own_impression") is None:
                raise Blocked([OWN_IMPRESSION])
            case.revealed_at, case.revealed_by = store.now(), actor.user_id
            touch(store, case)
            tell(store, session, actor, "case.ai_shown", "case", case.id)
        return case_view(store, session, actor, case)


def save_text(
    store: Store, actor: Actor, case_id: str, version: int, findings_text: str, impression_text: str
) -> CaseView:
    """Keep the report as it stands (autosave); the text of another author becomes history, not lost.

    Raises
    ------
    Conflict
        Where the case was changed since ``version``.
    """
    permit(actor, "review")
    findings_text = _checked(findings_text, "The findings", LONGEST_TEXT)
    impression_text = _checked(impression_text, "The impression", LONGEST_TEXT)
    with store.begin() as session:
        case = _mine(session, actor, case_id, version)
        _save(store, session, actor, case, "working", findings_text, impression_text)
        touch(store, case)
        return case_view(store, session, actor, case)


def own_impression(store: Store, actor: Actor, case_id: str, version: int, text: str) -> CaseView:
    """The reader's own impression, before the AI is shown; it cannot be written afterwards.

    Raises
    ------
    WrongState
        Where the AI has been shown already.
    """
    permit(actor, "review")
    text = _checked(text, "The impression", LONGEST_TEXT)
    if not text.strip():
        raise MalformedInput("The impression is empty; write what you see, or that you see nothing abnormal.")
    with store.begin() as session:
        case = _mine(session, actor, case_id, version)
        if case.revealed_at is not None:
            raise WrongState(
                "The AI has been shown; an own impression is one from before. / AI 已显示，无法再保存本人印象。",
                version=case.version,
            )
        _save(store, session, actor, case, "own_impression", "", text)
        touch(store, case)
        return case_view(store, session, actor, case)


def rule(
    store: Store,
    actor: Actor,
    case_id: str,
    version: int,
    finding_id: str | None,
    decision: str,
    *,
    code: str | None = None,
    polarity: str | None = None,
    side: str | None = None,
    zone: str | None = None,
    severity: str | None = None,
    certainty: str | None = None,
    size_mm: Sequence[float] | None = None,
    box: dict[str, Any] | None = None,
    note: str | None = None,
    replaces: str | None = None,
) -> CaseView:
    """Decide on one finding. Decisions are added, never edited; the one before is replaced.

    Parameters
    ----------
    finding_id
        What is decided on: ``accept``, ``change`` or ``reject`` a finding, ``keep`` or ``drop`` a sentence. None:
        ``add`` a finding that the AI does not have.
    code, polarity, side, zone, severity, certainty, size_mm
        For ``change`` and ``add``: the whole statement (what is left out is not stated); a changed finding keeps its
        code where none is given.
    box
        ``{frame, x0, y0, x1, y1}`` in source pixels; without one, an accepted finding keeps the AI's, and a changed or
        added one keeps that of the ruling it replaces.
    replaces
        Id of an added finding's ruling: ``add`` replaces it, ``reject`` takes it back.

    Raises
    ------
    MalformedInput, WrongState, Conflict, NotFound
        Where the decision does not fit, the AI is not shown yet, the case was changed, or there is no such finding.
    """
    permit(actor, "review")
    refuse_unclean([code, polarity, side, zone, severity, certainty, box, note, replaces, finding_id], "The ruling")
    note = None if note is None else _checked(note, "The note", LONGEST_NOTE)
    with store.begin() as session:
        case = _mine(session, actor, case_id, version)
        run = latest_run(session, case.id)
        findings = findings_of(session, run)
        rulings = current_rulings(session, case.id, findings)
        finding, earlier = _target(findings, rulings, finding_id, replaces)
        if run is not None and case.revealed_at is None:
            raise WrongState(
                "The AI's draft has not been shown; open it first. / 请先显示 AI 草稿。", version=case.version
            )
        stated = None
        if finding is not None or decision != "reject" or earlier is None:  # else an added finding is taken back
            wanted = None
            if decision in ("change", "add"):
                wanted = Stated(
                    code=code or (finding.code if finding is not None else None) or "",
                    polarity=polarity or "present",
                    side=side,
                    zone=zone,
                    severity=severity,
                    certainty=certainty or ("possible" if polarity == "uncertain" else "definite"),
                    size_mm=tuple(float(length) for length in size_mm or ()),
                )
            stated = _decided(finding, decision, wanted, box is not None)
        frames = [(entry["rows"], entry["cols"]) for entry in case.frames]
        drawn = check_box(box, frames) if box is not None and stated is not None else None
        if drawn is None and stated is not None and earlier is not None:
            drawn = earlier.box
        row = Ruling(
            id=new_id(),
            case_id=case.id,
            finding_id=None if finding is None else finding.id,
            decision=decision,
            box=drawn,
            note=note,
            author=actor.user_id,
            at=store.now(),
            **_columns(stated),
        )
        session.add(row)
        session.flush()
        if earlier is not None:
            earlier.replaced_by = row.id
        _criticals(store, session, actor, case)
        touch(store, case)
        tell(
            store,
            session,
            actor,
            "ruling.made",
            "case",
            case.id,
            ruling=row.id,
            finding=row.finding_id,
            decision=decision,
            code=row.code or (finding.code if finding is not None else None),
            polarity=row.polarity,
            side=row.side,
            replaces=None if earlier is None else earlier.id,
        )
        return case_view(store, session, actor, case)


def confirm_side(store: Store, actor: Actor, case_id: str, version: int, patient_right: str) -> CaseView:
    """A reader says on which side of the picture the patient's right lies; where the AI took the other, every side it
    named is marked to be looked at again by a warning.

    Raises
    ------
    MalformedInput
        Where it is neither ``left`` nor ``right``.
    """
    permit(actor, "review")
    if patient_right not in ("left", "right"):
        raise MalformedInput(
            "patient_right is 'left' or 'right': the picture's side on which the patient's right lies."
        )
    with store.begin() as session:
        case = _mine(session, actor, case_id, version)
        if case.side_source == "none":
            raise WrongState("This view has no sides to confirm. / 该体位无左右可核实。", version=case.version)
        if case.side_source != "assumed":
            raise WrongState("The side is known from the file; it is not to be confirmed.", version=case.version)
        turned = patient_right != case.patient_right
        case.side_confirmed_by, case.side_confirmed_at = actor.user_id, store.now()
        warnings = [one for one in case.warnings if one["code"] not in ("side_assumed", "side_turned")]
        if turned:
            case.patient_right = patient_right
            case.frames = [
                {**entry, "patient_right": _other(entry["patient_right"])}
                if entry.get("side_source") == "assumed"
                else entry
                for entry in case.frames
            ]
            warnings.append(_TURNED)
            _reopen_sided(store, session, actor, case)
        case.warnings = warnings
        touch(store, case)
        tell(store, session, actor, "case.side_confirmed", "case", case.id, patient_right=patient_right, turned=turned)
        return case_view(store, session, actor, case)


def suggest_text(store: Store, actor: Actor, case_id: str, language: str | None = None) -> dict[str, str]:
    """The two parts that the rulings amount to: ``{findings, impression, language}``; nothing is saved.

    Parameters
    ----------
    language
        The case's own where None.
    """
    permit(actor, "review")
    with store.begin() as session:
        case = seen(session, case_id)
        chosen = case.language if language is None else language
        if chosen not in ("en", "zh"):
            raise MalformedInput(f"Language {chosen!r} is unknown; use 'en' or 'zh'.")
        known = reviewed(session, case)
        if not known.revealed:
            stands, kept = standing([], [one for one in known.ruled if one.finding_id is None]), list[str]()
        else:
            stands, kept = standing(known.drafted, known.ruled), kept_sentences(known.drafted, known.ruled)
        findings, impression = compose(stands, kept, chosen)
        tell(store, session, actor, "case.text_suggested", "case", case.id)
    return {"findings": findings, "impression": impression, "language": chosen}


_TURNED = {
    "code": "side_turned",
    "en": "The reader turned the sides: every side that the AI named is the other one. Decisions on sided findings "
    "were taken back.",
    "zh": "读片者已更正左右：AI 所述侧别均应相反，涉及侧别的裁定已撤回。",
}


def _mine(session: Session, actor: Actor, case_id: str, version: int | None = None) -> Case:
    """The case, locked, where this person has it open for review."""
    case = locked(session, case_id, version)
    if case.state not in EDITABLE:
        raise WrongState(
            f"The case is {case.state!r}; open it for review first, or amend it where it is signed. / "
            "病例当前不可编辑。",
            version=case.version,
        )
    if case.claimed_by != actor.user_id:
        holder = user_name(session, case.claimed_by)
        raise Conflict(
            f"{holder} has this case open; take it over first. / 该病例正由 {holder} 处理。"
            if holder
            else "Open the case first: nobody has it. / 请先打开该病例。",
            version=case.version,
        )
    return case


def _checked(text: str, name: str, longest: int) -> str:
    if not isinstance(text, str):
        raise MalformedInput(f"{name} must be text.")
    refuse_unclean(text, name)
    if len(text) > longest:
        raise MalformedInput(f"{name} has {len(text):,} characters; at most {longest:,} are kept.")
    return text


def _save(
    store: Store, session: Session, actor: Actor, case: Case, kind: str, findings_text: str, impression_text: str
) -> ReportText:
    """One author's text is written over by the same author while the case is open; anybody else's is kept."""
    known = current_text(session, case.id, kind)
    newest = session.scalar(
        select(func.max(ReportText.version)).where(ReportText.case_id == case.id, ReportText.kind == kind)
    )
    if known is not None and known.author == actor.user_id and known.edition == case.edition:
        known.findings_text, known.impression_text, known.at = findings_text, impression_text, store.now()
        known.version = (newest or 0) + 1
        row = known
    else:
        row = ReportText(
            case_id=case.id,
            kind=kind,
            findings_text=findings_text,
            impression_text=impression_text,
            author=actor.user_id,
            at=store.now(),
            version=(newest or 0) + 1,
            edition=case.edition,
        )
        session.add(row)
    digest = hashlib.sha256(f"{findings_text}\x1e{impression_text}".encode()).hexdigest()
    tell(store, session, actor, "text.saved", "case", case.id, kind=kind, sha256=digest)
    session.flush()
    return row


def _target(
    findings: Sequence[AiFinding], rulings: Sequence[Ruling], finding_id: str | None, replaces: str | None
) -> tuple[AiFinding | None, Ruling | None]:
    """What is decided on, and the ruling that is replaced by it."""
    if finding_id is not None:
        finding = next((one for one in findings if one.id == finding_id), None)
        if finding is None:
            raise NotFound("This case's draft has no such finding. / 草稿中无此征象。")
        return finding, next((one for one in rulings if one.finding_id == finding_id), None)
    if replaces is None:
        return None, None
    added = next((one for one in rulings if one.id == replaces and one.finding_id is None), None)
    if added is None:
        raise NotFound("There is no such added finding, or it was replaced already. / 无此新增征象或已被替换。")
    return None, added


def _decided(finding: AiFinding | None, decision: str, wanted: Stated | None, moved: bool) -> Stated | None:
    drafted = None if finding is None else as_drafted(finding)
    if moved and decision == "change" and drafted is not None and wanted is not None:
        checked = check_stated(wanted)
        if checked == drafted.stated and not drafted.not_knowable and not drafted.contradicted:
            return checked  # only the box is another one: a change too
    return decide(drafted, decision, wanted)


def _columns(stated: Stated | None) -> dict[str, Any]:
    if stated is None:
        return {}
    return {
        "code": stated.code,
        "polarity": stated.polarity,
        "side": stated.side,
        "zone": stated.zone,
        "severity": stated.severity,
        "certainty": stated.certainty,
        "size_mm": list(stated.size_mm),
    }


def _criticals(store: Store, session: Session, actor: Actor, case: Case) -> None:
    """Confirmed critical findings have a record each; one whose finding was taken back, and which nobody has called
    about yet, is withdrawn."""
    findings = {one.id: one for one in findings_of(session, latest_run(session, case.id))}
    entries = critical_list(session)
    wanted: dict[tuple[str, str | None], Ruling] = {}
    for ruling in current_rulings(session, case.id, list(findings.values())):
        stated = stated_of(ruling)
        if stated is None or not opens_record(stated):
            continue
        words = " ".join(filter(None, (ruling.note, findings[ruling.finding_id].words if ruling.finding_id else None)))
        if matching(stated, entries, words) is not None:
            wanted[stated.code, stated.side] = ruling
    open_now = {
        (row.code, row.side): row
        for row in session.scalars(select(Critical).where(Critical.case_id == case.id, Critical.withdrawn_at.is_(None)))
    }
    for key in wanted.keys() - open_now.keys():
        session.add(Critical(case_id=case.id, code=key[0], side=key[1], opened_at=store.now()))
        tell(store, session, actor, "critical.opened", "case", case.id, code=key[0], side=key[1])
    for key in open_now.keys() - wanted.keys():
        if open_now[key].completed_at is None and open_now[key].at is None:
            open_now[key].withdrawn_at = store.now()
            tell(store, session, actor, "critical.withdrawn", "case", case.id, code=key[0], side=key[1])


def _reopen_sided(store: Store, session: Session, actor: Actor, case: Case) -> None:
    """Decisions on findings with a side were made under the wrong one; they are taken back one by one, on record."""
    findings = {one.id: one for one in findings_of(session, latest_run(session, case.id))}
    for ruling in current_rulings(session, case.id, list(findings.values())):
        if ruling.side in ("left", "right") and ruling.decision in ("accept", "change", "add"):
            ruling.replaced_by = ruling.id  # replaced by none: its finding is undecided again
            tell(store, session, actor, "ruling.taken_back", "case", case.id, ruling=ruling.id, why="sides turned")
    _criticals(store, session, actor, case)


def _other(side: str | None) -> str | None:
    return {"left": "right", "right": "left"}.get(side or "", side)
