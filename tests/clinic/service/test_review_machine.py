"""Whatever is done in whatever order: what is signed agrees with the rulings, history only grows, the trail holds."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clinic_site import ADMIN, DOCTOR, SECOND, drafted_case, finding, sentence
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.errors import Blocked, Conflict, Forbidden
from radiolucent.clinic.review.agreement import mismatches
from radiolucent.clinic.review.rulings import Stated, standing
from radiolucent.clinic.service import cases, review, signing, switches
from radiolucent.clinic.service.loading import reviewed
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import open_store
from radiolucent.clinic.store.tables import Case, ReportText, Ruling, Signature
from radiolucent.errors import MalformedInput

ROWS = (
    finding("pleural_effusion", side="right", severity="mild"),
    finding("pneumothorax", side="left", severity="severe"),
    finding("consolidation", "absent"),
    sentence("Rotated."),
)
PEOPLE = st.sampled_from([DOCTOR, SECOND])
TEXTS = st.sampled_from(
    [
        "Small right pleural effusion. Large left pneumothorax.",
        "No abnormality.",
        "左侧大量气胸。右侧胸腔少量积液。",
        "Left pleural effusion.",
        "",
    ]
)
REFUSALS = (Conflict, Blocked, Forbidden, MalformedInput)


class ReviewMachine(RuleBasedStateMachine):
    """Two people at one case."""

    @initialize(two=st.booleans(), reader_first=st.booleans(), side=st.sampled_from(["left", None]))
    def start(self, two: bool, reader_first: bool, side: str | None) -> None:
        self.folder = tempfile.TemporaryDirectory()
        data = Path(self.folder.name)
        self.store = open_store(Settings(data=data, keys=data / "keys", two_signatures=two))
        switches.set_switch(self.store, ADMIN, "reader_first", {"value": reader_first})
        self.case = drafted_case(self.store, ROWS, side=side)
        self.findings: tuple[str, ...] = ()
        self.rulings = self.texts = self.editions = self.version = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert verify(self.store).intact
            self.store.dispose()
            self.folder.cleanup()

    def tried(self, act: Any, *given: Any, **more: Any) -> CaseView | None:
        before = self.seen()
        try:
            case: CaseView = act(self.store, *given, **more)
        except REFUSALS:
            after = self.seen()
            assert (after.version, after.state) == (before.version, before.state)  # a refusal changes nothing
            return None
        self.case = case
        if case.findings:
            self.findings = tuple(one.id for one in case.findings)
        return case

    def seen(self) -> CaseView:
        return cases.case(self.store, DOCTOR, self.case.id)

    @rule(who=PEOPLE, take_over=st.booleans())
    def open(self, who: Actor, take_over: bool) -> None:
        self.tried(review.open_case, who, self.case.id, take_over=take_over)

    @rule(who=PEOPLE)
    def show(self, who: Actor) -> None:
        self.tried(review.reveal_ai, who, self.case.id)

    @rule(who=PEOPLE)
    def own(self, who: Actor) -> None:
        self.tried(review.own_impression, who, self.case.id, self.case.version, "Effusion?")

    @rule(who=PEOPLE, findings_text=TEXTS, impression=TEXTS)
    def write(self, who: Actor, findings_text: str, impression: str) -> None:
        self.tried(review.save_text, who, self.case.id, self.case.version, findings_text, impression)

    @rule(who=PEOPLE)
    def write_suggestion(self, who: Actor) -> None:
        text = review.suggest_text(self.store, who, self.case.id)
        self.tried(review.save_text, who, self.case.id, self.case.version, text["findings"], text["impression"])

    @precondition(lambda self: self.findings)
    @rule(
        who=PEOPLE,
        place=st.integers(0, 3),
        decision=st.sampled_from(["accept", "accept", "change", "reject", "keep", "drop"]),
        side=st.sampled_from([None, "left", "right"]),
    )
    def decide(self, who: Actor, place: int, decision: str, side: str | None) -> None:
        fields = {"side": side} if decision == "change" else {}
        self.tried(review.rule, who, self.case.id, self.case.version, self.findings[place], decision, **fields)

    @rule(who=PEOPLE, code=st.sampled_from(["nodule", "fracture", "headache"]))
    def add(self, who: Actor, code: str) -> None:
        self.tried(review.rule, who, self.case.id, self.case.version, None, "add", code=code, side="left")

    @rule(who=PEOPLE, side=st.sampled_from(["left", "right"]))
    def confirm(self, who: Actor, side: str) -> None:
        self.tried(review.confirm_side, who, self.case.id, self.case.version, side)

    @rule(who=PEOPLE, attestation=st.sampled_from([True, True, False]))
    def sign(self, who: Actor, attestation: bool) -> None:
        self.tried(
            signing.sign,
            who,
            self.case.id,
            self.case.version,
            password_checked_at=datetime.now(UTC),
            attestation=attestation,
        )

    @rule(who=PEOPLE)
    def finish_properly(self, who: Actor) -> None:
        """The way that leads to a signature, so that signed states are reached often."""
        if self.tried(review.open_case, who, self.case.id, take_over=True) is None:
            return
        if self.case.state not in ("in_review", "amended"):
            return
        self.own(who)
        self.show(who)
        if self.case.side.source == "assumed" and self.case.side.confirmed_by is None:
            self.confirm(who, "left")
        for one in self.case.findings:
            if one.must_rule and one.ruling is None:
                self.tried(
                    review.rule,
                    who,
                    self.case.id,
                    self.case.version,
                    one.id,
                    "drop" if one.kind == "sentence" else "accept",
                )
        self.write_suggestion(who)
        self.sign(who, True)
        assert self.case.state in ("signed", "reported")

    @rule(who=PEOPLE)
    def send_back(self, who: Actor) -> None:
        self.tried(signing.send_back, who, self.case.id, self.case.version, "again")

    @rule(who=PEOPLE)
    def amend(self, who: Actor) -> None:
        self.tried(signing.amend, who, self.case.id, self.case.version, "because")

    @invariant()
    def what_is_signed_agrees_with_the_rulings(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.read() as session:
            case = session.get_one(Case, self.case.id)
            if case.state not in ("signed", "reported"):
                return
            known = reviewed(session, case)
            signature = session.scalars(
                select(Signature)
                .where(Signature.case_id == case.id, Signature.withdrawn_at.is_(None), Signature.step == "reporting")
                .order_by(Signature.edition.desc())
            ).first()
            assert signature is not None
            text = session.get_one(ReportText, signature.text_id)
            stands: list[Stated] = standing(known.drafted, known.ruled)
            assert mismatches((text.findings_text, text.impression_text), stands) == []
            assert {one.id for one in known.drafted if one.must_rule} <= {one.finding_id for one in known.ruled}
            assert not known.side_matters and (not known.reader_first or known.has_own_impression)

    @invariant()
    def history_only_grows(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.read() as session:
            case = session.get_one(Case, self.case.id)
            rulings = session.scalar(select(func.count()).select_from(Ruling)) or 0
            texts = session.scalar(select(func.count()).select_from(ReportText).where(ReportText.kind == "signed")) or 0
            current = session.execute(
                select(Ruling.finding_id, func.count())
                .where(Ruling.replaced_by.is_(None), Ruling.finding_id.is_not(None))
                .group_by(Ruling.finding_id)
            ).all()
        assert all(count == 1 for _, count in current)  # one decision a finding counts
        assert rulings >= self.rulings and texts >= self.texts
        assert case.edition >= self.editions and case.version >= self.version
        self.rulings, self.texts, self.editions, self.version = rulings, texts, case.edition, case.version

    @invariant()
    def nothing_of_the_ai_before_it_is_shown(self) -> None:
        if hasattr(self, "store"):
            case = self.seen()
            assert case.revealed or (case.run is None and not case.findings)


TestReviewMachine = ReviewMachine.TestCase
TestReviewMachine.settings = settings(
    max_examples=12, stateful_step_count=18, deadline=None, suppress_health_check=list(HealthCheck)
)
