"""What requests and responses hold, beside the views of the use cases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from radiolucent.clinic.api.texts import (
    CLEAN,
    Answer,
    Body,
    Certainty,
    Code,
    Cursor,
    Id,
    Limit,
    Line,
    Password,
    Polarity,
    Reason,
    Remark,
    ReportPart,
    Severity,
    Side,
    Zone,
    example,
)
from radiolucent.clinic.auth.accounts import UserView
from radiolucent.clinic.auth.tokens import Scope, TokenView

Role = Literal["viewer", "radiologist", "admin", "service"]
Decision = Literal["accept", "change", "reject", "keep", "drop"]


class LogIn(Body):
    """Login and password."""

    model_config = example(login="li.wei", password="correct horse battery")
    login: Line
    password: Password


class PasswordAgain(Body):
    """The password once more."""

    model_config = example(password="correct horse battery")
    password: Password


class PasswordChange(Body):
    """The old password and the one in its place."""

    model_config = example(old="correct horse battery", new="staple of another make")
    old: Password
    new: Annotated[str, StringConstraints(min_length=12, max_length=256, pattern=CLEAN)]


class SessionUser(Answer):
    """Who is logged in."""

    id: str
    login: str
    name: str
    role: str


class SessionAnswer(Answer):
    """The session, and what the page needs to know of the site."""

    model_config = Answer.model_config | {
        "json_schema_extra": {
            "examples": [
                {
                    "user": {"id": "0f" * 16, "login": "li.wei", "name": "李伟", "role": "radiologist"},
                    "by_password": True,
                    "csrf": "q0v…",
                    "idle_seconds": 1200,
                    "reauth_seconds": 300,
                    "reauth_at": "2026-11-24T08:00:00+00:00",
                    "expires_at": "2026-11-24T20:00:00+00:00",
                    "mode": "research",
                    "language": "en",
                    "demo": True,
                    "model": "demo",
                    "single_sign_on": False,
                    "attestation": {"en": "I read the images myself; …", "zh": "本人已亲自阅片，…"},
                }
            ]
        }
    }
    user: SessionUser
    by_password: bool = Field(description="False: the site's identity provider is asked for the password.")
    csrf: str = Field(description="Goes back in the header X-CSRF-Token with every request that changes something.")
    idle_seconds: int = Field(description="After so long without a request the session ends.")
    reauth_seconds: int = Field(description="For so long after the password was given no other is asked for to sign.")
    reauth_at: datetime | None
    expires_at: datetime
    mode: str
    language: str
    demo: bool
    model: str
    single_sign_on: bool
    attestation: dict[str, str]


class WaysIn(Answer):
    """How people come in, beside login and password."""

    single_sign_on: bool = Field(description="Whether the site's identity provider is set up.")


class NewUser(Body):
    """An account; without a password it signs in through the site's identity provider or by tokens only."""

    model_config = example(login="li.wei", name="李伟", role="radiologist", password="correct horse battery")
    login: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{1,63}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=CLEAN)]
    role: Role
    password: Annotated[str, StringConstraints(min_length=12, max_length=256, pattern=CLEAN)] | None = None


class UserChange(Body):
    """What is another now; what is left out stays."""

    model_config = example(role="viewer", active=True)
    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=CLEAN)] | None = None
    role: Role | None = None
    active: bool | None = None
    password: Annotated[str, StringConstraints(min_length=12, max_length=256, pattern=CLEAN)] | None = None


class UserList(Answer):
    """A part of the accounts."""

    items: list[UserView]
    next: str | None


class NewToken(Body):
    """A token of one's own account."""

    model_config = example(name="PACS gateway", scopes=["cases:submit"], days=90)
    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=CLEAN)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10)]
    days: Annotated[int, Field(ge=1, le=366)] = 90


class TokenMade(Answer):
    """The token's value is shown here and never again."""

    value: str
    token: TokenView


class TokenList(Answer):
    """One's tokens."""

    items: list[TokenView]
    next: None = None


class Search(Body):
    """A search of the worklist: in a body, because a patient's ID must stand in no address."""

    model_config = example(query="P202401001", state="all", sort="received", limit=50)
    query: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=CLEAN)]
    state: Literal["open", "all"] | None = None
    sort: Literal["urgency", "received", "due"] = "urgency"
    cursor: Cursor | None = None
    limit: Limit = 50


class Box(Body):
    """Corners in source pixels (column, row)."""

    frame: Annotated[int, Field(ge=0, le=100_000)]
    x0: Annotated[float, Field(ge=-1e6, le=1e6)]
    y0: Annotated[float, Field(ge=-1e6, le=1e6)]
    x1: Annotated[float, Field(ge=-1e6, le=1e6)]
    y1: Annotated[float, Field(ge=-1e6, le=1e6)]


class Statement(Body):
    """What is said of the patient, whole: what is left out is not stated."""

    code: Code | None = None
    polarity: Polarity | None = None
    side: Side | None = None
    zone: Zone | None = None
    severity: Severity | None = None
    certainty: Certainty | None = None
    size_mm: Annotated[list[Annotated[float, Field(gt=0, le=1000)]], Field(max_length=3)] | None = None
    box: Box | None = None
    note: Remark | None = None


class RulingBody(Statement):
    """A decision on one finding of the draft."""

    model_config = example(
        decision="change", code="pleural_effusion", side="right", polarity="present", severity="mild"
    )
    decision: Decision


class Addition(Statement):
    """A finding that the draft does not have; or, with ``replaces``, another word on one added before."""

    model_config = example(code="nodule", side="left", zone="upper", size_mm=[8], note="next to the hilum")
    decision: Literal["add", "reject"] = "add"
    replaces: Id | None = Field(None, description="Of an added finding: `add` replaces it, `reject` takes it back.")


class SideBody(Body):
    """The picture's side on which the patient's right lies."""

    model_config = example(patient_right="left")
    patient_right: Literal["left", "right"]


class OpenBody(Body):
    """How a case is opened."""

    model_config = example(take_over=False)
    take_over: bool = False


class TextBody(Body):
    """The report as it stands."""

    model_config = example(findings_text="Small right pleural effusion.", impression_text="Right pleural effusion.")
    findings_text: ReportPart
    impression_text: ReportPart


class OwnImpression(Body):
    """What the reader saw before the AI was shown."""

    model_config = example(text="Right lower zone consolidation.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=CLEAN)]


class Suggestion(Answer):
    """The two parts that the rulings amount to."""

    findings: str
    impression: str
    language: str


class SignBody(Body):
    """A signature; ``attestation`` says that its sentence (see the session) was shown and affirmed."""

    model_config = example(attestation=True, step="reporting", seconds_open=74.0)
    attestation: bool
    step: Literal["reporting", "reviewing"] | None = None
    seconds_open: Annotated[float, Field(ge=0, lt=10**7)] | None = None


class ReasonBody(Body):
    """Why."""

    model_config = example(reason="The side was wrong.")
    reason: Reason


class RejectBody(Body):
    """Why; rejecting a draft needs no reason, withdrawing a signed report does."""

    model_config = example(reason=None)
    reason: Reason | None = None


class CriticalBody(Body):
    """A call about a critical value (危急值): who told whom, when, and whether it was read back."""

    model_config = example(
        critical_id="0f" * 16, caller="李伟", receiver="Ward 3", at="2026-11-24T08:03:00+00:00", read_back=True
    )
    critical_id: Id
    caller: Line
    receiver: Line
    at: Annotated[datetime, Field(strict=False, json_schema_extra={"format": "date-time"})]
    read_back: bool


class IncidentBody(Body):
    """What went wrong, in the reader's words."""

    model_config = example(text="The film shown was upside down.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=CLEAN)]


class ExportBody(Body):
    """Where to; none: made and kept for download."""

    model_config = example(destination="pacs")
    destination: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] | None = None
    options: Annotated[list[Literal["gsps", "seg"]], Field(max_length=2)] = Field(
        default_factory=list, description="Objects beside the reports and pictures that are always made."
    )


class DestinationBody(Body):
    """Where objects may be sent."""

    model_config = example(name="pacs", kind="stow", url="https://pacs.example.org/dicom-web", verify_tls=True)
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    kind: Literal["stow", "cstore"]
    url: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\x00-\x20\x7f]+$")] | None = None
    host: Annotated[str, StringConstraints(max_length=253, pattern=r"^[0-9A-Za-z.:-]+$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    aet: Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[0-9A-Za-z_. -]+$")] | None = None
    verify_tls: bool = True
    enabled: bool = True
    calling_aet: (
        Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[0-9A-Za-z_. -]+$")] | None
    ) = Field(default=None, description="Our own AE title at a C-STORE destination.")
    tls: bool = Field(default=False, description="C-STORE over TLS.")
    ca_pem: Annotated[str, StringConstraints(max_length=20_000, pattern=CLEAN)] | None = Field(
        default=None, description="The site's own certificate authority (PEM), beside the system's."
    )
    token: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[A-Za-z0-9._~+/-]+=*$")] | None = Field(
        default=None, description="Bearer token of a DICOMweb server; kept sealed, never handed out."
    )


class PullBody(Body):
    """Studies to fetch from a DICOMweb server: by Study Instance UID or by study date, never by patient."""

    model_config = example(source="pacs", study_uid="1.2.840.113619.2.55.3.604688119")
    source: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    study_uid: Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$")] | None = None
    date: Annotated[str, StringConstraints(pattern=r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$")] | None = None


class PullStarted(Answer):
    """The job that fetches."""

    job: str


class SwitchBody(Body):
    """One switch; its value's shape is the switch's own."""

    model_config = example(key="reader_first", value={"value": True})
    key: Literal["paused", "critical", "reader_first", "two_signatures"]
    value: dict[str, Any]


class Items(Answer):
    """A whole list."""

    items: list[dict[str, Any]]
    next: str | None = None
