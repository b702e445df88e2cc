"""Rows brought together as the rules see them, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import Conflict, NotFound
from radiolucent.clinic.review.blockers import Reviewed
from radiolucent.clinic.review.critical import DEFAULT_LIST, CriticalEntry, read_list
from radiolucent.clinic.review.rulings import Drafted, Ruled, Stated
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AiFinding, Case, ReportText, Ruling, Run, Switch


def locked(session: Session, case_id: str, version: int | None = None) -> Case:
    """The case, locked to the end of the transaction.

    Parameters
    ----------
    version
        That the caller has seen (If-Match); None: any.

    Raises
    ------
    NotFound, Conflict
        Where there is no such case; where somebody changed it since.
    """
    row = session.scalars(select(Case).where(Case.id == case_id).with_for_update()).first()
    if row is None:
        raise NotFound("There is no such case. / 未找到该病例。")
    if version is not None and row.version != version:
        raise Conflict(
            f"The case was changed meanwhile: it is at version {row.version}, you have seen {version}. Load it again; "
            "nothing you wrote was lost from your page. / 病例已被更新，请重新载入。",
            version=row.version,
        )
    return row


def seen(session: Session, case_id: str) -> Case:
    """The case, to be read.

    Raises
    ------
    NotFound
        Where there is none.
    """
    row = session.get(Case, case_id)
    if row is None:
        raise NotFound("There is no such case. / 未找到该病例。")
    return row


def touch(store: Store, case: Case) -> None:
    """The case was changed: a new version."""
    case.version += 1
    case.updated_at = store.now()


def latest_run(session: Session, case_id: str) -> Run | None:
    """The draft that is reviewed: the last one."""
    return session.scalars(select(Run).where(Run.case_id == case_id).order_by(Run.number.desc()).limit(1)).first()


def findings_of(session: Session, run: Run | None) -> list[AiFinding]:
    """What a run stated, in the order of its words."""
    if run is None:
        return []
    return list(session.scalars(select(AiFinding).where(AiFinding.run_id == run.id).order_by(AiFinding.place)))


def current_rulings(session: Session, case_id: str, findings: Sequence[AiFinding]) -> list[Ruling]:
    """Rulings that were not replaced, on the findings of this draft or on none (added ones)."""
    known = {one.id for one in findings}
    rows = session.scalars(
        select(Ruling).where(Ruling.case_id == case_id, Ruling.replaced_by.is_(None)).order_by(Ruling.at, Ruling.id)
    )
    return [row for row in rows if row.finding_id is None or row.finding_id in known]


def current_text(session: Session, case_id: str, kind: str) -> ReportText | None:
    """The latest text of a kind."""
    return session.scalars(
        select(ReportText)
        .where(ReportText.case_id == case_id, ReportText.kind == kind)
        .order_by(ReportText.version.desc())
        .limit(1)
    ).first()


def as_drafted(row: AiFinding) -> Drafted:
    """A finding's row as the rules see it."""
    stated = stated_of(row) if row.kind == "finding" else None
    return Drafted(
        id=row.id,
        kind="sentence" if stated is None else "finding",
        stated=stated,
        words=row.words,
        quadrant=row.quadrant,
        not_knowable=tuple(row.not_knowable or ()),
        contradicted=row.contradicted,
    )


def as_ruled(row: Ruling) -> Ruled:
    """A ruling's row as the rules see it."""
    return Ruled(row.id, row.finding_id, row.decision, stated_of(row))


def stated_of(row: AiFinding | Ruling) -> Stated | None:
    """What a finding or a ruling states; None where nothing."""
    if row.code is None:
        return None
    return Stated(
        row.code,
        row.polarity or "present",
        row.side,
        row.zone,
        row.severity,
        row.certainty or "definite",
        tuple(row.size_mm or ()),
    )


def reviewed(session: Session, case: Case) -> Reviewed:
    """The case as far as signing is concerned."""
    run = latest_run(session, case.id)
    findings = findings_of(session, run)
    working = current_text(session, case.id, "working")
    return Reviewed(
        findings_text="" if working is None else working.findings_text,
        impression_text="" if working is None else working.impression_text,
        drafted=[as_drafted(row) for row in findings],
        ruled=[as_ruled(row) for row in current_rulings(session, case.id, findings)],
        side_matters=case.side_source == "assumed" and case.side_confirmed_at is None,
        reader_first=case.reader_first,
        has_own_impression=current_text(session, case.id, "own_impression") is not None,
        revealed=run is None or case.revealed_at is not None,
    )


def critical_list(session: Session) -> tuple[CriticalEntry, ...]:
    """The site's list of critical findings, or the one that ships."""
    row = session.get(Switch, "critical")
    return DEFAULT_LIST if row is None else read_list(row.value["entries"])
