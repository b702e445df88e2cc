"""Signing, returning (退回), rejecting, amending."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note as tell
from radiolucent.clinic.errors import Blocked, Conflict, Forbidden, WrongState
from radiolucent.clinic.review.blockers import blockers
from radiolucent.clinic.review.states import EDITABLE, after, allowed
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.loading import current_text, locked, reviewed, seen, touch
from radiolucent.clinic.service.presenting import case_view, signatures, user_name
from radiolucent.clinic.service.switches import two_signatures
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Amendment, Case, Job, ReportText, Signature
from radiolucent.errors import MalformedInput, Notice

ATTESTATION = (
    "I read the images myself; AI was an aid; this report is mine.",
    "本人已亲自阅片，AI 草稿仅供参考，本报告由本人负责。",
)
LONGEST_REASON = 2_000


def check(store: Store, actor: Actor, case_id: str) -> list[Notice]:
    """What stands between the case and its signature; empty where it may be signed."""
    permit(actor, "see cases")
    with store.begin() as session:
        case = seen(session, case_id)
        tell(store, session, actor, "case.checked", "case", case.id)
        return blockers(reviewed(session, case))


def sign(
    store: Store,
    actor: Actor,
    case_id: str,
    version: int,
    *,
    password_checked_at: datetime,
    attestation: bool,
    step: str | None = None,
    seconds_open: float | None = None,
) -> CaseView:
    """Sign: as the reporting physician (报告医师) from review, as the reviewing physician (审核医师) once reported.

    Where one signature is enough, the reporting one makes the report final. The text is frozen as an edition and the
    rules are checked again in this transaction: what was looked at is what is signed.

    Parameters
    ----------
    password_checked_at
        When this person last gave the password.
    attestation
        True: :data:`ATTESTATION` was shown and affirmed.
    step
        ``reporting`` or ``reviewing``; None: the one that is next.
    seconds_open
        That the page was in front of the reader; shown as site aggregates only.

    Raises
    ------
    Blocked
        With everything that has to be dealt with first.
    Forbidden
        Where the password is too long ago, nothing was attested, or the approver is the author.
    Conflict, WrongState
        Where the case was changed, is somebody else's, or is not at this step.
    """
    permit(actor, "sign")
    if attestation is not True:
        raise Forbidden(f"Signing needs the attestation: {ATTESTATION[0]} / {ATTESTATION[1]}")
    now = store.now()
    if now - password_checked_at > timedelta(minutes=store.settings.reauth_minutes):
        raise Forbidden("Give your password again before you sign. / 签名前请重新输入密码。")
    if seconds_open is not None and not 0 <= seconds_open < 10**7:
        raise MalformedInput(f"seconds_open is {seconds_open}; expected a number of seconds.")
    with store.begin() as session:
        case = locked(session, case_id, version)
        expected = "reviewing" if case.state == "reported" else "reporting"
        if step not in (None, expected):
            raise WrongState(f"The next signature on this case is {expected!r}, not {step!r}.", version=case.version)
        if expected == "reporting":
            _report(store, session, actor, case, now, seconds_open)
        else:
            _approve(store, session, actor, case, now, seconds_open)
        case.claimed_by = case.claimed_at = None
        touch(store, case)
        tell(
            store,
            session,
            actor,
            "case.signed" if case.state == "signed" else "case.reported",
            "case",
            case.id,
            step=expected,
            edition=case.edition + (case.state == "reported"),
        )
        return case_view(store, session, actor, case)


def send_back(store: Store, actor: Actor, case_id: str, version: int, reason: str) -> CaseView:
    """Return a reported case to its author (退回): the first signature is withdrawn, the reason is on record."""
    permit(actor, "sign")
    reason = _reason(reason)
    with store.begin() as session:
        case = locked(session, case_id, version)
        target = after("return", case.state)
        for row in signatures(session, case):
            row.withdrawn_at = store.now()
        case.state = target if case.edition == 0 else "amended"
        case.claimed_by = case.claimed_at = None
        touch(store, case)
        _give_reason(store, session, actor, case, "return", reason)
        tell(store, session, actor, "case.returned", "case", case.id)
        return case_view(store, session, actor, case)


def reject(store: Store, actor: Actor, case_id: str, version: int, reason: str | None = None) -> CaseView:
    """Reject a case: nothing of it leaves. One that was signed is withdrawn, and needs a reason.

    Raises
    ------
    MalformedInput
        Where a signed case is withdrawn without a reason.
    """
    permit(actor, "sign")
    if reason is not None:
        reason = _reason(reason)
    with store.begin() as session:
        case = locked(session, case_id, version)
        withdrawn = case.edition > 0
        if withdrawn and reason is None:
            raise MalformedInput("Withdrawing a signed report needs a reason. / 撤回已签发报告须说明原因。")
        if case.claimed_by not in (None, actor.user_id):
            raise Conflict(f"{user_name(session, case.claimed_by)} has this case open.", version=case.version)
        case.state = after("withdraw" if withdrawn and case.state != "reported" else "reject", case.state)
        case.claimed_by = case.claimed_at = None
        session.execute(
            update(Job)
            .where(Job.case_id == case.id, Job.kind == "draft", Job.state == "ready")
            .values(state="done", finished_at=store.now(), note="rejected")
            .execution_options(synchronize_session=False)
        )
        touch(store, case)
        if reason is not None:
            _give_reason(store, session, actor, case, "withdrawal" if withdrawn else "rejection", reason)
        tell(store, session, actor, "case.withdrawn" if withdrawn else "case.rejected", "case", case.id)
        return case_view(store, session, actor, case)


def amend(store: Store, actor: Actor, case_id: str, version: int, reason: str) -> CaseView:
    """Open a signed report again, to be signed as a new edition; the earlier one stays as it was.

    Raises
    ------
    WrongState
        Where it is not signed.
    """
    permit(actor, "sign")
    reason = _reason(reason)
    with store.begin() as session:
        case = locked(session, case_id, version)
        case.state = after("amend", case.state)
        _give_reason(store, session, actor, case, "amendment", reason)
        case.claimed_by, case.claimed_at = actor.user_id, store.now()
        touch(store, case)
        tell(store, session, actor, "case.amended", "case", case.id, edition=case.edition)
        return case_view(store, session, actor, case)


def _report(
    store: Store, session: Session, actor: Actor, case: Case, now: datetime, seconds_open: float | None
) -> None:
    if case.state not in EDITABLE or case.claimed_by != actor.user_id:
        if allowed("sign", case.state):
            holder = user_name(session, case.claimed_by)
            raise Conflict(
                f"{holder} has this case open. / 该病例正由 {holder} 处理。" if holder else "Open the case first.",
                version=case.version,
            )
        after("sign", case.state)
    if reasons := blockers(reviewed(session, case)):
        raise Blocked(reasons)
    working = current_text(session, case.id, "working")
    assert working is not None  # an empty text is a blocker
    newest = session.scalar(
        select(func.max(ReportText.version)).where(ReportText.case_id == case.id, ReportText.kind == "signed")
    )
    text = ReportText(
        case_id=case.id,
        kind="signed",
        findings_text=working.findings_text,
        impression_text=working.impression_text,
        author=actor.user_id,
        at=now,
        version=(newest or 0) + 1,
        edition=case.edition + 1,
    )
    session.add(text)
    session.flush()
    _signature(session, actor, case, "reporting", text, now, seconds_open)
    if two_signatures(store, session):
        case.state = "reported"
    else:
        case.state = after("sign", case.state)
        case.edition += 1


def _approve(
    store: Store, session: Session, actor: Actor, case: Case, now: datetime, seconds_open: float | None
) -> None:
    target = after("co-sign", case.state)
    first = next((row for row in signatures(session, case) if row.step == "reporting"), None)
    text = current_text(session, case.id, "signed")
    if first is None or text is None:
        raise WrongState("The reporting physician has not signed this edition.", version=case.version)
    if store.settings.author_is_not_approver and first.user_id == actor.user_id:
        raise Forbidden(
            "The reviewing physician must be another person than the author. / 审核医师不得为报告医师本人。"
        )
    if case.claimed_by not in (None, actor.user_id):
        holder = user_name(session, case.claimed_by)
        raise Conflict(f"{holder} has this case open. / 该病例正由 {holder} 处理。", version=case.version)
    _signature(session, actor, case, "reviewing", text, now, seconds_open)
    case.state = target
    case.edition += 1


def _signature(
    session: Session,
    actor: Actor,
    case: Case,
    step: str,
    text: ReportText,
    now: datetime,
    seconds_open: float | None,
) -> None:
    session.add(
        Signature(
            case_id=case.id,
            edition=case.edition + 1,
            step=step,
            user_id=actor.user_id,
            user_name=actor.name,
            attestation=ATTESTATION[case.language == "zh"],
            text_id=text.id,
            at=now,
            seconds_open=seconds_open,
        )
    )
    session.flush()


def _reason(reason: str) -> str:
    refuse_unclean(reason, "The reason")
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise MalformedInput(f"A reason of 1 to {LONGEST_REASON} characters is needed. / 请填写原因。")
    return reason


def _give_reason(store: Store, session: Session, actor: Actor, case: Case, kind: str, reason: str) -> None:
    text = current_text(session, case.id, "signed")
    session.add(
        Amendment(
            case_id=case.id,
            kind=kind,
            reason=reason,
            author=actor.user_id,
            at=store.now(),
            text_id=None if text is None else text.id,
            previous_edition=case.edition,
        )
    )
