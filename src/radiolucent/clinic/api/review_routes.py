"""A review: open, look, rule, write, sign. Writes name the version that they were made on (`If-Match`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from radiolucent.clinic.api.answers import answer, case_answer, list_answer
from radiolucent.clinic.api.caller import InSession, SignedIn, TheStore, Version
from radiolucent.clinic.api.problems import Refusal, documented
from radiolucent.clinic.api.shapes import (
    Addition,
    CriticalBody,
    IncidentBody,
    Items,
    OpenBody,
    OwnImpression,
    ReasonBody,
    RejectBody,
    RulingBody,
    SideBody,
    SignBody,
    Suggestion,
    TextBody,
)
from radiolucent.clinic.api.texts import Id
from radiolucent.clinic.ops.incidents import IncidentView, report_incident
from radiolucent.clinic.service import cases, criticals, review, signing
from radiolucent.clinic.service.views import CaseView

routes = APIRouter(tags=["review"])
ACT = documented("not-found", "conflict")
WRITE = documented("not-found", "conflict", "blocked", "stale", "version-needed", "malformed")


@routes.post("/cases/{case_id}/open", operation_id="openCase", response_model=CaseView, responses=ACT)
def open_case(case_id: Id, caller: SignedIn, store: TheStore, body: OpenBody | None = None) -> Response:
    """Claim the case; 409 says who has it. `take_over` takes it from them, on record."""
    take_over = body is not None and body.take_over
    return case_answer(review.open_case(store, caller.actor, case_id, take_over=take_over))


@routes.post("/cases/{case_id}/release", operation_id="releaseCase", response_model=CaseView, responses=ACT)
def release(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Give the claim back; what was written stays."""
    return case_answer(review.release(store, caller.actor, case_id))


@routes.post(
    "/cases/{case_id}/reveal",
    operation_id="revealAi",
    response_model=CaseView,
    responses=documented("not-found", "conflict", "blocked"),
)
def reveal(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Show the AI's draft; in reader-first mode only once the reader's own impression is saved."""
    return case_answer(review.reveal_ai(store, caller.actor, case_id))


@routes.post("/cases/{case_id}/side", operation_id="confirmSide", response_model=CaseView, responses=WRITE)
def side(case_id: Id, body: SideBody, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """Say on which side of the picture the patient's right lies."""
    return case_answer(review.confirm_side(store, caller.actor, case_id, version, body.patient_right))


@routes.put("/cases/{case_id}/text", operation_id="saveText", response_model=CaseView, responses=WRITE)
def save(case_id: Id, body: TextBody, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """Keep the report as it stands."""
    saved = review.save_text(store, caller.actor, case_id, version, body.findings_text, body.impression_text)
    return case_answer(saved)


@routes.put(
    "/cases/{case_id}/own-impression", operation_id="saveOwnImpression", response_model=CaseView, responses=WRITE
)
def own(case_id: Id, body: OwnImpression, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """The reader's own impression, from before the AI was shown."""
    return case_answer(review.own_impression(store, caller.actor, case_id, version, body.text))


@routes.put(
    "/cases/{case_id}/findings/{finding_id}/ruling",
    operation_id="ruleOnFinding",
    response_model=CaseView,
    responses=WRITE,
)
def rule(
    case_id: Id, finding_id: Id, body: RulingBody, caller: SignedIn, store: TheStore, version: Version
) -> Response:
    """Decide on one finding; there is no decision on several."""
    fields = body.model_dump(exclude={"decision"})
    return case_answer(review.rule(store, caller.actor, case_id, version, finding_id, body.decision, **fields))


@routes.post(
    "/cases/{case_id}/findings",
    operation_id="addFinding",
    status_code=201,
    response_model=CaseView,
    responses=WRITE,
)
def add(case_id: Id, body: Addition, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """Add a finding that the draft does not have."""
    fields = body.model_dump(exclude={"decision"})
    return case_answer(review.rule(store, caller.actor, case_id, version, None, body.decision, **fields), 201)


@routes.get(
    "/cases/{case_id}/suggestion",
    operation_id="suggestText",
    response_model=Suggestion,
    responses=documented("not-found"),
)
def suggestion(
    case_id: Id, caller: SignedIn, store: TheStore, language: Annotated[Literal["en", "zh"] | None, Query()] = None
) -> Response:
    """The two parts that the decisions amount to; nothing is saved."""
    return answer(review.suggest_text(store, caller.actor, case_id, language))


@routes.get(
    "/cases/{case_id}/blockers", operation_id="listBlockers", response_model=Items, responses=documented("not-found")
)
def blockers(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """What stands between the case and its signature."""
    return list_answer(signing.check(store, caller.actor, case_id))


@routes.post(
    "/cases/{case_id}/sign",
    operation_id="signCase",
    response_model=CaseView,
    responses=documented(
        "not-found", "conflict", "blocked", "stale", "version-needed", "malformed", "reauthentication-needed"
    ),
)
def sign(case_id: Id, body: SignBody, who: InSession, store: TheStore, version: Version) -> Response:
    """Sign. The password must have been given within `reauth_seconds`; 403 `reauthentication-needed` asks for it."""
    checked, now = who.reauth_at, store.now()
    if checked is None or now - checked > timedelta(minutes=store.settings.reauth_minutes):
        raise Refusal("reauthentication-needed", "Give your password again before you sign. / 签名前请重新输入密码。")
    signed = signing.sign(
        store,
        who.actor,
        case_id,
        version,
        password_checked_at=checked,
        attestation=body.attestation,
        step=body.step,
        seconds_open=body.seconds_open,
    )
    return case_answer(signed)


@routes.post("/cases/{case_id}/return", operation_id="returnCase", response_model=CaseView, responses=WRITE)
def send_back(case_id: Id, body: ReasonBody, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """Return a reported case to its author (退回)."""
    return case_answer(signing.send_back(store, caller.actor, case_id, version, body.reason))


@routes.post("/cases/{case_id}/reject", operation_id="rejectCase", response_model=CaseView, responses=WRITE)
def reject(
    case_id: Id, caller: SignedIn, store: TheStore, version: Version, body: RejectBody | None = None
) -> Response:
    """Reject a case, or withdraw a signed report with a reason."""
    reason = None if body is None else body.reason
    return case_answer(signing.reject(store, caller.actor, case_id, version, reason))


@routes.post("/cases/{case_id}/amend", operation_id="amendCase", response_model=CaseView, responses=WRITE)
def amend(case_id: Id, body: ReasonBody, caller: SignedIn, store: TheStore, version: Version) -> Response:
    """Open a signed report again, to be signed as a new edition."""
    return case_answer(signing.amend(store, caller.actor, case_id, version, body.reason))


@routes.get(
    "/cases/{case_id}/criticals",
    operation_id="listCriticals",
    response_model=Items,
    responses=documented("not-found"),
)
def case_criticals(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """The case's critical value records (危急值)."""
    return list_answer(cases.case(store, caller.actor, case_id).criticals)


@routes.post("/cases/{case_id}/criticals", operation_id="recordCritical", response_model=CaseView, responses=ACT)
def record_critical(case_id: Id, body: CriticalBody, caller: SignedIn, store: TheStore) -> Response:
    """Who told whom, when, and whether it was read back."""
    recorded = criticals.record(
        store,
        caller.actor,
        case_id,
        body.critical_id,
        caller=body.caller,
        receiver=body.receiver,
        at=body.at,
        read_back=body.read_back,
    )
    return case_answer(recorded)


@routes.post(
    "/cases/{case_id}/incident",
    operation_id="reportIncident",
    status_code=201,
    response_model=IncidentView,
    responses=documented("not-found"),
)
def incident(case_id: Id, body: IncidentBody, caller: SignedIn, store: TheStore) -> Response:
    """Report that something went wrong; administrators see it."""
    return answer(report_incident(store, caller.actor, body.text, case_id), 201)
