"""The tables. ``patients`` is the only one that holds identifiers, sealed with a key that is kept elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from radiolucent.clinic.store.columns import CleanJson, CleanText, UtcTime, new_id

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table; constraints have names, so that migrations can speak of them."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {str: CleanText, datetime: UtcTime, dict[str, Any]: CleanJson, list[Any]: CleanJson}  # noqa: RUF012


def _id() -> Mapped[str]:
    return mapped_column(primary_key=True, default=new_id)


class Patient(Base):
    """Identifiers, sealed with the patient's own data key; erasure destroys that key."""

    __tablename__ = "patients"
    id: Mapped[str] = _id()
    lookup: Mapped[str | None] = mapped_column(unique=True)  # HMAC of the patient's ID; None once erased
    wrapped_key: Mapped[bytes | None]
    sealed: Mapped[bytes | None]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class Case(Base):
    """One study with one question: what is drafted, reviewed and signed."""

    __tablename__ = "cases"
    id: Mapped[str] = _id()
    number: Mapped[int] = mapped_column(unique=True)
    patient_id: Mapped[str] = mapped_column(ForeignKey("patients.id"), index=True)
    state: Mapped[str] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=1)  # If-Match
    question: Mapped[str | None]
    language: Mapped[str]
    mode: Mapped[str]
    reader_first: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]
    study_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    modality: Mapped[str]
    view: Mapped[str | None]
    age: Mapped[str | None]
    sex: Mapped[str | None]
    sealed_study: Mapped[bytes | None]  # accession, UIDs, clinical information, institution: with the patient's key
    frames: Mapped[list[Any]] = mapped_column(default=list)  # [{rows, cols, label, view, patient_right, side_source}]
    side_source: Mapped[str]
    patient_right: Mapped[str | None]
    side_confirmed_by: Mapped[str | None]
    side_confirmed_at: Mapped[datetime | None]
    warnings: Mapped[list[Any]] = mapped_column(default=list)  # [{code, en, zh}]
    urgency: Mapped[int] = mapped_column(default=0, index=True)
    critical: Mapped[bool] = mapped_column(default=False)
    claimed_by: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]  # first opened by a reader
    drafted_at: Mapped[datetime | None]
    revealed_at: Mapped[datetime | None]
    revealed_by: Mapped[str | None]
    edition: Mapped[int] = mapped_column(default=0)  # editions signed so far
    prior_case_id: Mapped[str | None] = mapped_column(ForeignKey("cases.id"))
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    input_sha256: Mapped[str]
    source: Mapped[str] = mapped_column(default="upload")  # upload, pull, assistant


class StoredFile(Base):
    """A file on disk, encrypted with the patient's key; its name says nothing."""

    __tablename__ = "files"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str]  # original, frame, bundle, export
    path: Mapped[str]  # relative to the data folder
    sha256: Mapped[str]  # of what was sealed
    size: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)


class Run(Base):
    """One draft by one model; a second run is a new row, never an edit."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("case_id", "number"),)
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    number: Mapped[int]
    model: Mapped[str]
    weights_hash: Mapped[str]
    prompt: Mapped[str]
    provenance: Mapped[dict[str, Any]]
    report: Mapped[str]
    summary: Mapped[dict[str, Any]]  # {en, zh}
    confidence: Mapped[dict[str, Any] | None]  # {value, calibrated, finding}
    attention: Mapped[dict[str, Any]]  # {en, zh}: the place of the main finding's evidence, in words
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    trace: Mapped[list[Any]] = mapped_column(default=list)
    chain: Mapped[list[Any]] = mapped_column(default=list)
    maps: Mapped[list[Any]] = mapped_column(default=list)
    language: Mapped[str]
    created_at: Mapped[datetime]
    demo: Mapped[bool]
    bundle_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))


class AiFinding(Base):
    """What the AI stated: a finding, or a sentence in which none was recognised."""

    __tablename__ = "findings"
    id: Mapped[str] = _id()
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), index=True)
    place: Mapped[int]
    kind: Mapped[str] = mapped_column(default="finding")  # finding, sentence
    key: Mapped[str | None]  # Finding.id inside the explanation
    code: Mapped[str | None]
    polarity: Mapped[str | None]
    side: Mapped[str | None]
    zone: Mapped[str | None]
    severity: Mapped[str | None]
    certainty: Mapped[str | None]
    size_mm: Mapped[list[Any]] = mapped_column(default=list)
    words: Mapped[str]
    first: Mapped[int]  # span [first, last) of the words in the report
    last: Mapped[int]
    quadrant: Mapped[str | None]
    confidence: Mapped[dict[str, Any] | None]
    grade: Mapped[dict[str, Any] | None]
    alternatives: Mapped[list[Any]] = mapped_column(default=list)
    maps: Mapped[list[Any]] = mapped_column(default=list)
    boxes: Mapped[list[Any]] = mapped_column(default=list)
    not_knowable: Mapped[list[Any]] = mapped_column(default=list)
    contradicted: Mapped[bool] = mapped_column(default=False)


class Ruling(Base):
    """A person's decision; history is appended to, the current one is not replaced."""

    __tablename__ = "rulings"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    finding_id: Mapped[str | None] = mapped_column(ForeignKey("findings.id"))
    decision: Mapped[str]
    code: Mapped[str | None]
    polarity: Mapped[str | None]
    side: Mapped[str | None]
    zone: Mapped[str | None]
    severity: Mapped[str | None]
    certainty: Mapped[str | None]
    size_mm: Mapped[list[Any] | None]
    box: Mapped[dict[str, Any] | None]
    note: Mapped[str | None]
    author: Mapped[str]
    at: Mapped[datetime]
    replaced_by: Mapped[str | None]


class ReportText(Base):
    """A text as it stood: each save is a row."""

    __tablename__ = "texts"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str]  # own_impression, working, signed
    findings_text: Mapped[str]
    impression_text: Mapped[str]
    author: Mapped[str]
    at: Mapped[datetime]
    version: Mapped[int]  # counts the texts of this kind
    edition: Mapped[int] = mapped_column(default=0)


class Signature(Base):
    """A signature on a text, with the words that were attested."""

    __tablename__ = "signatures"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    edition: Mapped[int]
    step: Mapped[str]  # reporting, reviewing
    user_id: Mapped[str]
    user_name: Mapped[str]
    attestation: Mapped[str]
    text_id: Mapped[str] = mapped_column(ForeignKey("texts.id"))
    at: Mapped[datetime]
    seconds_open: Mapped[float | None]
    withdrawn_at: Mapped[datetime | None]  # returned (退回)


class Critical(Base):
    """A critical value (危急值): who told whom, when, and whether it was read back."""

    __tablename__ = "criticals"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    code: Mapped[str]
    side: Mapped[str | None]
    opened_at: Mapped[datetime]
    caller: Mapped[str | None]
    receiver: Mapped[str | None]
    at: Mapped[datetime | None]
    read_back: Mapped[bool] = mapped_column(default=False)
    completed_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]  # the ruling that opened it was changed


class Export(Base):
    """An object made for the hospital, and where it went."""

    __tablename__ = "exports"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    edition: Mapped[int]  # version of the signed text: a text that was returned and signed anew is another one
    preliminary: Mapped[bool] = mapped_column(default=False)  # before the reviewing physician signed
    kind: Mapped[str]
    sop_class: Mapped[str | None]
    sop_uid: Mapped[str | None]
    series_uid: Mapped[str | None]
    study_uid: Mapped[str | None]
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))
    state: Mapped[str]  # made, queued, sent, failed
    destination: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]


class Amendment(Base):
    """Why a report was opened again, returned, rejected or withdrawn: free text, so not in the audit trail."""

    __tablename__ = "amendments"
    id: Mapped[str] = _id()
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str] = mapped_column(default="amendment")  # amendment, return, rejection, withdrawal
    reason: Mapped[str]
    author: Mapped[str]
    at: Mapped[datetime]
    text_id: Mapped[str | None] = mapped_column(ForeignKey("texts.id"))  # the text concerned
    previous_edition: Mapped[int]


class Job(Base):
    """Work to be done once: leased to one worker at a time."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state_not_before", "state", "not_before"),)
    id: Mapped[str] = _id()
    kind: Mapped[str]
    case_id: Mapped[str | None] = mapped_column(ForeignKey("cases.id"), index=True)
    payload: Mapped[dict[str, Any]]
    state: Mapped[str]  # ready, leased, done, dead
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime]
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    error: Mapped[str | None]
    progress: Mapped[float] = mapped_column(default=0.0)
    note: Mapped[str | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One event; never changed, never deleted: triggers see to it."""

    __tablename__ = "audit"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]  # ISO 8601 in UTC, as it was sealed
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(index=True)
    object_kind: Mapped[str]
    object_id: Mapped[str] = mapped_column(index=True)
    detail: Mapped[str]  # canonical JSON, as it was sealed
    previous: Mapped[str]
    digest: Mapped[str]


class User(Base):
    """An account."""

    __tablename__ = "users"
    id: Mapped[str] = _id()
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    role: Mapped[str]  # viewer, radiologist, admin, service
    active: Mapped[bool] = mapped_column(default=True)
    failed: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    password_changed_at: Mapped[datetime | None]


class LoginSession(Base):
    """A session; the cookie itself is not kept, only its digest."""

    __tablename__ = "sessions"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    reauth_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class Token(Base):
    """An API token; only its digest is kept."""

    __tablename__ = "tokens"
    digest: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(default=new_id, unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Destination(Base):
    """Where objects may be sent; listed by an administrator."""

    __tablename__ = "destinations"
    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # stow, cstore
    url: Mapped[str | None]
    host: Mapped[str | None]
    port: Mapped[int | None]
    aet: Mapped[str | None]
    verify_tls: Mapped[bool] = mapped_column(default=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    calling_aet: Mapped[str | None]
    tls: Mapped[bool] = mapped_column(default=False)
    ca_pem: Mapped[str | None]
    sealed_token: Mapped[bytes | None]


class Switch(Base):
    """A site's switch: paused models, the list of critical findings, and the like."""

    __tablename__ = "switches"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]


class Incident(Base):
    """What went wrong, in a reader's words."""

    __tablename__ = "incidents"
    id: Mapped[str] = _id()
    case_id: Mapped[str | None] = mapped_column(ForeignKey("cases.id"), index=True)
    text: Mapped[str]
    author: Mapped[str]
    at: Mapped[datetime]
