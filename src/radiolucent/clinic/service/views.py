"""What the use cases hand out: plain frozen values, in the shape of the API's JSON (:func:`as_json`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from radiolucent.errors import Notice

T = TypeVar("T")


@dataclass(frozen=True)
class Words:
    """One thing in both languages."""

    en: str
    zh: str

    def text(self, language: str) -> str:
        """In ``language``."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list; ``next`` is the cursor of the following part, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True)
class PatientBanner:
    """Who lies on the screen.

    Parameters
    ----------
    name, name_ideographic, name_phonetic
        The three component groups of DICOM's Patient's Name, ``^`` turned into spaces.
    birth_date
        ISO date, or None.
    """

    name: str
    name_ideographic: str
    name_phonetic: str
    id: str
    sex: str | None
    age: str | None
    birth_date: str | None


@dataclass(frozen=True)
class StudyFacts:
    """What the study is; the identifying ones are None for roles that may not see them."""

    at: datetime | None
    accession: str | None
    modality: str
    view: str | None
    clinical_information: str | None
    institution: str | None
    study_uid: str | None = None


@dataclass(frozen=True)
class SideView:
    """Where the sides come from; ``patient_right`` is the picture's side on which the patient's right lies."""

    source: str
    patient_right: str | None
    confirmed_by: str | None
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class FrameView:
    """One picture of the case."""

    rows: int
    cols: int
    label: str
    view: str | None
    patient_right: str | None = None
    side_source: str = "none"
    spacing: tuple[float, float] | None = None
    spacing_kind: str | None = None


@dataclass(frozen=True)
class PriorView:
    """The patient's case before this one."""

    case_id: str
    at: datetime | None


@dataclass(frozen=True)
class RunView:
    """The draft that is reviewed.

    Parameters
    ----------
    summary, attention
        Clinical summary, and where the evidence lies, in words.
    confidence
        ``{value, calibrated, finding}`` of the least certain finding that the summary states; None where none.
    trace
        ``[{text, start, end, probability, reliance, map}]``; ``map`` is a key of the case's maps or None.
    chain
        ``[{stage, en, zh, chars, words, finding, strength}]``: the decision chain in the order of the words; ``stage``
        and ``strength`` are ``{key, en, zh}``.
    maps
        ``[{key, finding, claim, method, grade, withheld}]``.
    """

    id: str
    number: int
    model: str
    weights_hash: str
    report: str
    summary: Words
    attention: Words
    confidence: dict[str, Any] | None
    created_at: datetime
    prompt: str
    language: str
    provenance: dict[str, Any]
    demo: bool
    warnings: tuple[Notice, ...]
    trace: tuple[dict[str, Any], ...] = ()
    chain: tuple[dict[str, Any], ...] = ()
    maps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class RulingView:
    """A decision; ``box`` is ``{frame, x0, y0, x1, y1}`` in source pixels."""

    id: str
    finding_id: str | None
    decision: str
    code: str | None
    polarity: str | None
    side: str | None
    zone: str | None
    severity: str | None
    certainty: str | None
    size_mm: tuple[float, ...]
    box: dict[str, Any] | None
    note: str | None
    author: str
    at: datetime
    name: Words | None = None
    replaced_by: str | None = None


@dataclass(frozen=True)
class FindingView:
    """What the AI states, with everything that a reader weighs it by.

    Parameters
    ----------
    kind
        ``finding``, or ``sentence``: an AI sentence in which no finding was recognised; keep or drop it.
    phrase
        The finding as a phrase: ``Small right pleural effusion``.
    hedge
        The certainty in a word, empty where definite.
    count
        ``{n, of}``: samples that say so; None where not sampled.
    quadrant, grade
        ``{key, en, zh}`` or None.
    evidence
        One evidence word or sentence a finding.
    must_rule
        Signing waits for a decision on it.
    """

    id: str
    kind: str
    code: str | None
    name: Words | None
    phrase: Words
    hedge: Words
    polarity: str | None
    side: str | None
    zone: str | None
    severity: str | None
    certainty: str | None
    size_mm: tuple[float, ...]
    words: str
    chars: tuple[int, int]
    count: dict[str, int] | None
    interval: tuple[float, float] | None
    probability: float | None
    calibrated: bool
    quadrant: dict[str, str] | None
    grade: dict[str, str] | None
    evidence: Words
    alternatives: tuple[dict[str, Any], ...]
    boxes: tuple[dict[str, Any], ...]
    maps: tuple[dict[str, Any], ...]
    not_knowable: tuple[Notice, ...]
    contradicted: bool
    critical: bool
    must_rule: bool
    ruling: RulingView | None


@dataclass(frozen=True)
class TextView:
    """A two-part text: 检查所见 / Findings and 诊断意见 / Impression."""

    findings: str
    impression: str
    author: str
    at: datetime
    edition: int = 0

    @property
    def saved_at(self) -> datetime:
        """When it was saved."""
        return self.at


@dataclass(frozen=True)
class Texts:
    """The texts of a case as they stand now."""

    own_impression: TextView | None = None
    working: TextView | None = None
    signed: TextView | None = None


@dataclass(frozen=True)
class SignatureView:
    """A signature of the current edition."""

    step: str
    user: str
    user_id: str
    at: datetime
    edition: int


@dataclass(frozen=True)
class CriticalView:
    """A critical value (危急值) record; open until ``completed_at``."""

    id: str
    code: str
    name: Words
    side: str | None
    opened_at: datetime
    caller: str | None
    receiver: str | None
    at: datetime | None
    read_back: bool
    completed_at: datetime | None


@dataclass(frozen=True)
class ReasonView:
    """Why a report was amended, returned, rejected or withdrawn (``kind``)."""

    kind: str
    reason: str
    author: str
    at: datetime
    previous_edition: int


@dataclass(frozen=True)
class CaseRow:
    """One line of the worklist; what reader-first hides is None or neutral."""

    id: str
    number: int
    state: str
    version: int
    received_at: datetime
    study_at: datetime | None
    due_at: datetime | None
    modality: str
    view: str | None
    age: str | None
    sex: str | None
    patient_name: str | None
    patient_id: str | None
    urgency: int | None
    critical: bool | None
    badges: tuple[Notice, ...]
    claimed_by: str | None
    reader_first: bool
    demo: bool
    question: str | None
    progress: float | None = None


@dataclass(frozen=True)
class CaseView:
    """A case as a reader opens it. ``run`` is None and ``findings`` empty until the AI is revealed."""

    id: str
    number: int
    version: int
    state: str
    mode: str
    language: str
    question: str | None
    demo: bool
    reader_first: bool
    revealed: bool
    drafted: bool
    claimed_by: str | None
    claimed_by_id: str | None
    critical: bool | None
    urgency: int | None
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None
    patient: PatientBanner | None
    study: StudyFacts
    side: SideView
    warnings: tuple[Notice, ...]
    frames: tuple[FrameView, ...]
    prior: PriorView | None
    run: RunView | None
    findings: tuple[FindingView, ...]
    added: tuple[RulingView, ...]
    texts: Texts
    signatures: tuple[SignatureView, ...]
    editions: int
    blockers: tuple[Notice, ...]
    criticals: tuple[CriticalView, ...]
    reasons: tuple[ReasonView, ...] = ()
    links: dict[str, str] = field(default_factory=dict)


def as_json(value: Any) -> Any:
    """A view as JSON-ready values: times as ISO 8601, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {entry.name: as_json(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        if isinstance(value, TextView):
            out["saved_at"] = out["at"]
        return out
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    return value
