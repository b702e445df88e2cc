"""How the drafts do on this site, from what readers decided: acceptance and override by finding, drift, subgroups.

Site aggregates only: nothing here names a reader, a case or a patient, and groups under :data:`FEWEST` show no rate.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AiFinding, Case, Ruling, Run, Signature
from radiolucent.confidence.intervals import wilson
from radiolucent.errors import Notice
from radiolucent.findings.names import code_name

FEWEST = 5
"""Of a group, under which a rate or a time would point at single cases."""
RECENT = timedelta(days=30)
DRIFT_FEWEST = 10  # decisions on either side, under which no drift is spoken of


@dataclass(frozen=True)
class Outcome:
    """What readers made of one kind of finding.

    Parameters
    ----------
    rate
        Overridden (changed or rejected) ÷ decided on.
    interval
        Wilson, 95 %.
    missed
        Findings of this code that readers added.
    """

    code: str
    en: str
    zh: str
    ruled: int
    accepted: int
    changed: int
    rejected: int
    missed: int
    rate: float
    interval: tuple[float, float]

    @property
    def overridden(self) -> int:
        """Changed or rejected."""
        return self.changed + self.rejected


@dataclass(frozen=True)
class Drift:
    """Override rate of the last 30 days against everything before, where their intervals lie apart."""

    code: str
    recent: float
    recent_interval: tuple[float, float]
    before: float
    before_interval: tuple[float, float]
    notice: Notice


@dataclass(frozen=True)
class Group:
    """A subgroup's override rate; None where it is too small to show."""

    attribute: str
    value: str
    ruled: int
    rate: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Times:
    """Seconds over the site; None where there are too few."""

    count: int
    median: float | None
    lower_quartile: float | None
    upper_quartile: float | None


@dataclass(frozen=True)
class Performance:
    """The panel."""

    since: datetime | None
    cases_signed: int
    outcomes: tuple[Outcome, ...]
    drift: tuple[Drift, ...]
    groups: tuple[Group, ...]
    time_to_draft: Times
    time_to_sign: Times
    models: tuple[str, ...]


@dataclass(frozen=True)
class _Decided:
    code: str
    decision: str
    at: datetime
    model: str
    view: str
    sex: str
    age_band: str


def performance(store: Store, actor: Actor, *, since: datetime | None = None, model: str | None = None) -> Performance:
    """The panel from every standing decision, or those after ``since`` on drafts of ``model``."""
    permit(actor, "administer")
    with store.begin() as session:
        note(store, session, actor, "performance.read", "site", "performance")
    decided = [
        one
        for one in _decisions(store)
        if (since is None or one.at >= since) and (model is None or one.model == model or one.decision == "add")
    ]
    with store.read() as session:
        signed = session.execute(
            select(Signature.seconds_open, Signature.at, Signature.case_id).where(Signature.withdrawn_at.is_(None))
        ).all()
        drafts = first_drafts(session)
        models = session.scalars(select(Run.model).distinct().order_by(Run.model)).all()
    chosen = [row for row in signed if since is None or row[1] >= since]
    return Performance(
        since=since,
        cases_signed=len({row[2] for row in chosen}),
        outcomes=tuple(_outcomes(decided)),
        drift=tuple(_drift(decided, store.now())),
        groups=tuple(_groups(decided)),
        time_to_draft=_times([(made - got).total_seconds() for made, got in drafts if since is None or got >= since]),
        time_to_sign=_times([row[0] for row in chosen if row[0] is not None]),
        models=tuple(models),
    )


def first_drafts(session: Session) -> list[tuple[datetime, datetime]]:
    """(when a case's first draft was made, when the case was received)."""
    found = select(Run.created_at, Case.created_at).join(Case, Case.id == Run.case_id).where(Run.number == 1)
    return [(made, received) for made, received in session.execute(found)]


def outcomes(store: Store) -> list[Outcome]:
    """Every code that was decided on; free of audit, for the metrics."""
    return [one for one in _outcomes(_decisions(store)) if one.ruled]


def _decisions(store: Store) -> list[_Decided]:
    """Standing decisions on AI findings, and standing additions."""
    with store.read() as session:
        rows = session.execute(
            select(Ruling.decision, Ruling.at, Ruling.code, AiFinding.code, Run.model, Case.view, Case.sex, Case.age)
            .join(Case, Case.id == Ruling.case_id)
            .outerjoin(AiFinding, AiFinding.id == Ruling.finding_id)
            .outerjoin(Run, Run.id == AiFinding.run_id)
            .where(Ruling.replaced_by.is_(None), Ruling.decision.in_(("accept", "change", "reject", "add")))
        ).all()
    return [
        _Decided(drafted or stated or "", decision, at, model or "", view or "unknown", sex or "unknown", age_band(age))
        for decision, at, stated, drafted, model, view, sex, age in rows
        if drafted or (stated and decision == "add")
    ]


def age_band(age: str | None) -> str:
    """DICOM's Age String (``045Y``) as a band of twenty years."""
    text = (age or "").strip().upper()
    if len(text) == 4 and text[:3].isdigit() and text[3] in "DWMY":
        years = int(text[:3]) if text[3] == "Y" else 0
        low = min(years // 20 * 20, 80)
        return "80+" if low == 80 else f"{low}-{low + 19}"
    return "unknown"


def _outcomes(decided: Iterable[_Decided]) -> list[Outcome]:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for one in decided:
        counted[one.code][one.decision] += 1
    found = []
    for code, by in sorted(counted.items()):
        ruled = by["accept"] + by["change"] + by["reject"]
        over = by["change"] + by["reject"]
        found.append(
            Outcome(
                code,
                code_name(code, "en"),
                code_name(code, "zh"),
                ruled,
                by["accept"],
                by["change"],
                by["reject"],
                by["add"],
                over / ruled if ruled else 0.0,
                wilson(over, ruled) if ruled else (0.0, 1.0),
            )
        )
    return found


def _drift(decided: Sequence[_Decided], now: datetime) -> list[Drift]:
    found = []
    for code in sorted({one.code for one in decided}):
        ruled = [one for one in decided if one.code == code and one.decision != "add"]
        recent = [one for one in ruled if one.at >= now - RECENT]
        before = [one for one in ruled if one.at < now - RECENT]
        if min(len(recent), len(before)) < DRIFT_FEWEST:
            continue
        (late, late_interval), (early, early_interval) = _rate(recent), _rate(before)
        if late_interval[0] > early_interval[1] or late_interval[1] < early_interval[0]:
            more = late > early
            found.append(
                Drift(
                    code,
                    late,
                    late_interval,
                    early,
                    early_interval,
                    Notice(
                        "override_drift",
                        f"{code_name(code, 'en')}: overridden in {late:.0%} of decisions in the last 30 days, "
                        f"{early:.0%} before. {'Consider pausing the model.' if more else 'Fewer than before.'}",
                        f"{code_name(code, 'zh')}：近 30 天否改率 {late:.0%}，此前 {early:.0%}。"
                        f"{'请考虑暂停该模型。' if more else '较前下降。'}",
                    ),
                )
            )
    return found


_ATTRIBUTES: tuple[tuple[str, Callable[[_Decided], str]], ...] = (
    ("view", lambda one: one.view),
    ("sex", lambda one: one.sex),
    ("age", lambda one: one.age_band),
)


def _groups(decided: Sequence[_Decided]) -> list[Group]:
    found = []
    for attribute, value_of in _ATTRIBUTES:
        by: dict[str, list[_Decided]] = defaultdict(list)
        for one in decided:
            if one.decision != "add":
                by[value_of(one)].append(one)
        for value, members in sorted(by.items()):
            if len(members) < FEWEST:
                found.append(Group(attribute, value, len(members), None, None))
            else:
                rate, bounds = _rate(members)
                found.append(Group(attribute, value, len(members), rate, bounds))
    return found


def _rate(members: Sequence[_Decided]) -> tuple[float, tuple[float, float]]:
    over = sum(one.decision in ("change", "reject") for one in members)
    return over / len(members), wilson(over, len(members))


def _times(seconds: Sequence[float]) -> Times:
    if len(seconds) < FEWEST:
        return Times(len(seconds), None, None, None)
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Times(len(seconds), middle, low, high)
