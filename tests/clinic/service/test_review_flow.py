"""A review from the worklist to the signature, and every rule on the way, on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clinic_site import (
    ADMIN,
    DOCTOR,
    SECOND,
    SERVICE,
    VIEWER,
    decide_all,
    draft,
    drafted_case,
    finding,
    leased,
    opened_case,
    received,
    sentence,
    sign,
    signed_case,
    write_suggestion,
)
from sqlalchemy import select

from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.errors import Blocked, Conflict, Forbidden, NotFound, UncleanText, WrongState
from radiolucent.clinic.service import cases, criticals, intake, review, signing, switches
from radiolucent.clinic.service.drafting import keep_draft
from radiolucent.clinic.service.views import CaseView, as_json
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import ReportText, Ruling
from radiolucent.errors import MalformedInput


def codes(case: CaseView) -> set[str]:
    return {one.code for one in case.blockers}


def by_code(case: CaseView, code: str) -> str:
    return next(one.id for one in case.findings if one.code == code)


def now() -> datetime:
    return datetime.now(UTC)


# Reading


def test_nothing_of_the_ai_before_it_is_shown(store: Store) -> None:
    case = drafted_case(store)
    assert case.state == "drafted" and case.drafted and not case.revealed
    assert case.run is None and case.findings == () and case.blockers == ()
    case = review.open_case(store, DOCTOR, case.id)
    assert case.run is None and codes(case) == {"not_revealed", "no_findings_text", "no_impression"}
    told = json.dumps(as_json(case))
    assert "effusion" not in told and "A draft." not in told
    case = review.reveal_ai(store, DOCTOR, case.id)
    assert case.run is not None and len(case.findings) == 3
    assert [one.must_rule for one in case.findings] == [True, True, False]


def test_the_patient_is_on_the_screen_of_those_who_may_see(store: Store) -> None:
    case = drafted_case(store, patient_id="P7", clinical_information="Cough")
    for actor in (DOCTOR, VIEWER, SERVICE):
        seen = cases.case(store, actor, case.id)
        assert seen.patient is not None and seen.patient.id == "P7"
        assert (seen.patient.name, seen.patient.name_ideographic) == ("Zhang San", "张三")
        assert seen.study.clinical_information == "Cough" and (seen.study.accession or "").startswith("ACC")
    hidden = cases.case(store, ADMIN, case.id)
    assert hidden.patient is None and hidden.study.accession is None and hidden.study.clinical_information is None


def test_the_prior_case_stands_beside(store: Store) -> None:
    first, other, second = (drafted_case(store, patient_id=one) for one in ("P1", "P2", "P1"))
    assert second.prior is not None and second.prior.case_id == first.id and other.prior is None


def test_a_case_that_is_none(store: Store) -> None:
    with pytest.raises(NotFound):
        cases.case(store, DOCTOR, "0" * 32)
    with pytest.raises(NotFound):
        review.open_case(store, DOCTOR, "nothing")


# Claims and versions


def test_opening_claims_and_says_who_has_it(store: Store) -> None:
    case = drafted_case(store)
    mine = review.open_case(store, DOCTOR, case.id)
    assert mine.state == "in_review" and mine.claimed_by_id == DOCTOR.user_id
    with pytest.raises(Conflict, match="u-doctor"):
        review.open_case(store, SECOND, case.id)
    assert review.open_case(store, SECOND, case.id, take_over=True).claimed_by_id == SECOND.user_id
    with pytest.raises(Conflict):
        review.save_text(store, DOCTOR, case.id, mine.version + 1, "mine", "mine")
    review.release(store, SECOND, case.id)
    assert review.open_case(store, DOCTOR, case.id).claimed_by_id == DOCTOR.user_id


def test_a_stale_claim_can_be_taken(store: Store) -> None:
    case = drafted_case(store)
    review.open_case(store, DOCTOR, case.id)
    later = replace(store, clock=lambda: now() + timedelta(hours=2))
    assert review.open_case(later, SECOND, case.id).claimed_by_id == SECOND.user_id


def test_a_stale_version_writes_nothing(store: Store) -> None:
    case = opened_case(store)
    newer = review.save_text(store, DOCTOR, case.id, case.version, "one", "two")
    for act in (
        lambda: review.save_text(store, DOCTOR, case.id, case.version, "lost", "lost"),
        lambda: review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "accept"),
        lambda: sign(store, case),
        lambda: signing.reject(store, DOCTOR, case.id, case.version),
    ):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.version == newer.version
    after = cases.case(store, DOCTOR, case.id)
    assert after.version == newer.version and after.texts.working is not None
    assert after.texts.working.findings == "one"


def test_nobody_writes_without_having_it_open(store: Store) -> None:
    case = drafted_case(store)
    for actor in (DOCTOR, SECOND):
        with pytest.raises(Conflict):
            review.save_text(store, actor, case.id, case.version, "a", "b")
    for actor in (VIEWER, ADMIN, SERVICE):
        for act in (
            lambda who=actor: review.open_case(store, who, case.id),
            lambda who=actor: review.save_text(store, who, case.id, case.version, "a", "b"),
            lambda who=actor: review.rule(store, who, case.id, case.version, None, "add", code="nodule"),
            lambda who=actor: sign(store, case, who),
            lambda who=actor: signing.reject(store, who, case.id, case.version),
            lambda who=actor: review.suggest_text(store, who, case.id),
        ):
            with pytest.raises(Forbidden):
                act()


# Rulings


def test_decisions_are_added_and_the_current_one_counts(store: Store) -> None:
    case = opened_case(store)
    effusion = by_code(case, "pleural_effusion")
    case = review.rule(store, DOCTOR, case.id, case.version, effusion, "accept")
    case = review.rule(store, DOCTOR, case.id, case.version, effusion, "reject")
    case = review.rule(
        store, DOCTOR, case.id, case.version, effusion, "change", side="left", severity="severe", note="larger"
    )
    ruling = next(one.ruling for one in case.findings if one.id == effusion)
    assert ruling is not None and (ruling.decision, ruling.side, ruling.severity) == ("change", "left", "severe")
    with store.read() as session:
        rows = session.scalars(select(Ruling).where(Ruling.finding_id == effusion).order_by(Ruling.at)).all()
    assert [row.decision for row in rows] == ["accept", "reject", "change"]
    assert [row.replaced_by for row in rows] == [rows[1].id, rows[2].id, None]


def test_findings_are_decided_one_by_one(store: Store) -> None:
    case = opened_case(store)
    assert not any("all" in name and not name.startswith("_") for name in vars(review) if name not in ("allowed",))
    with pytest.raises(MalformedInput):
        review.rule(store, DOCTOR, case.id, case.version, None, "accept")
    case = review.rule(store, DOCTOR, case.id, case.version, by_code(case, "pleural_effusion"), "accept")
    assert [one.ruling is not None for one in case.findings] == [True, False, False]
    assert "finding_undecided" in codes(case)


def test_findings_can_be_added_changed_and_taken_back(store: Store) -> None:
    case = opened_case(store, [])
    box = {"frame": 0, "x0": 1, "y0": 2, "x1": 5, "y1": 9}
    case = review.rule(store, DOCTOR, case.id, case.version, None, "add", code="nodule", side="left", box=box)
    (added,) = case.added
    assert added.box == {"frame": 0, "x0": 1.0, "y0": 2.0, "x1": 5.0, "y1": 9.0}
    case = review.rule(store, DOCTOR, case.id, case.version, None, "add", code="mass", side="left", replaces=added.id)
    assert [(one.code, one.box) for one in case.added] == [("mass", added.box)]
    with pytest.raises(NotFound):
        review.rule(store, DOCTOR, case.id, case.version, None, "add", code="mass", replaces=added.id)
    case = review.rule(store, DOCTOR, case.id, case.version, None, "reject", replaces=case.added[0].id)
    assert case.added == ()


def test_moving_a_box_alone_is_a_change(store: Store) -> None:
    rows = [finding("nodule", side="left", boxes=[{"frame": 0, "x0": 0, "y0": 0, "x1": 4, "y1": 4}])]
    case = opened_case(store, rows)
    box = {"frame": 0, "x0": 5, "y0": 5, "x1": 9, "y1": 9}
    case = review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "change", side="left", box=box)
    ruling = case.findings[0].ruling
    assert ruling is not None and ruling.box is not None and ruling.box["x0"] == 5.0 and ruling.decision == "change"


def test_a_ruling_on_nothing_or_before_the_ai_is_shown(store: Store) -> None:
    case = review.open_case(store, DOCTOR, drafted_case(store).id)
    with pytest.raises(WrongState):
        review.rule(store, DOCTOR, case.id, case.version, None, "add", code="nodule")
    case = review.reveal_ai(store, DOCTOR, case.id)
    for other in (drafted_case(store).id, "x"):
        with pytest.raises(NotFound):
            review.rule(store, DOCTOR, case.id, case.version, other, "accept")


def test_what_is_not_knowable_must_be_changed(store: Store) -> None:
    case = opened_case(store, [finding("nodule", side="left", size_mm=[8.0], not_knowable=["size"])])
    (one,) = case.findings
    assert one.not_knowable[0].en.startswith("not knowable") and one.not_knowable[0].zh.startswith("输入无依据")
    with pytest.raises(MalformedInput, match="not knowable"):
        review.rule(store, DOCTOR, case.id, case.version, one.id, "accept")
    case = review.rule(store, DOCTOR, case.id, case.version, one.id, "change", side="left")
    assert codes(write_suggestion(store, case)) == set()


def test_sentences_are_kept_or_dropped(store: Store) -> None:
    case = opened_case(
        store, [finding("nodule", side="left"), sentence("The patient is rotated."), sentence("Drop me.")]
    )
    nodule, keep, drop = case.findings
    assert {"finding_undecided", "sentence_undecided"} <= codes(case)
    case = review.rule(store, DOCTOR, case.id, case.version, nodule.id, "accept")
    case = review.rule(store, DOCTOR, case.id, case.version, keep.id, "keep")
    case = review.rule(store, DOCTOR, case.id, case.version, drop.id, "drop")
    text = review.suggest_text(store, DOCTOR, case.id)
    assert "The patient is rotated." in text["findings"] and "Drop me" not in text["findings"]
    assert codes(write_suggestion(store, case)) == set()


def test_rejecting_removes_the_sentence_from_the_suggestion(store: Store) -> None:
    case = opened_case(store)
    case = review.rule(store, DOCTOR, case.id, case.version, by_code(case, "pleural_effusion"), "reject")
    case = review.rule(store, DOCTOR, case.id, case.version, by_code(case, "nodule"), "accept")
    text = review.suggest_text(store, DOCTOR, case.id, "zh")
    assert text["findings"] == "左上肺野结节不除外。未见气胸。" and text["impression"] == "左上肺野结节不除外。"


# Signing


def test_the_whole_way(store: Store) -> None:
    case = signed_case(store)
    assert case.state == "signed" and case.editions == 1 and case.claimed_by is None
    assert case.texts.signed is not None and case.texts.signed.findings.startswith("Small right pleural effusion.")
    assert [(one.step, one.user) for one in case.signatures] == [("reporting", DOCTOR.name)]
    assert verify(store).intact


@pytest.mark.parametrize(
    ("findings_text", "code"),
    [
        ("Small left pleural effusion. Possible nodule in the left upper zone.", "text_side"),
        ("Possible nodule in the left upper zone.", "text_lacks"),
        ("Small right pleural effusion. Possible left upper nodule. Fracture of a left rib.", "text_asserts"),
        ("No pleural effusion. Possible left upper nodule.", "text_denies"),
    ],
)
def test_a_text_against_the_rulings_is_not_signed(store: Store, findings_text: str, code: str) -> None:
    case = decide_all(store, opened_case(store))
    impression = "Effusion; nodule." if code != "text_lacks" else "Nodule."
    case = review.save_text(store, DOCTOR, case.id, case.version, findings_text, impression)
    assert code in codes(case)
    with pytest.raises(Blocked) as refused:
        sign(store, case)
    assert code in {one.code for one in refused.value.reasons}
    assert code in {one.code for one in signing.check(store, DOCTOR, case.id)}
    assert cases.case(store, DOCTOR, case.id).state == "in_review"


def test_an_undecided_finding_blocks(store: Store) -> None:
    case = opened_case(store)
    case = review.save_text(store, DOCTOR, case.id, case.version, "No pneumothorax.", "Normal.")
    with pytest.raises(Blocked) as refused:
        sign(store, case)
    assert [one.code for one in refused.value.reasons].count("finding_undecided") == 2


def test_signing_takes_attestation_and_a_fresh_password(store: Store) -> None:
    case = decide_all(store, opened_case(store))
    for attestation, at in ((False, now()), (True, now() - timedelta(minutes=6))):
        with pytest.raises(Forbidden):
            signing.sign(store, DOCTOR, case.id, case.version, password_checked_at=at, attestation=attestation)
    with pytest.raises(WrongState):
        sign(store, case, step="reviewing")
    with pytest.raises(MalformedInput):
        sign(store, case, seconds_open=float("nan"))
    assert sign(store, case, step="reporting", seconds_open=12.5).state == "signed"


def test_an_assumed_side_must_be_confirmed(store: Store) -> None:
    case = decide_all(store, opened_case(store, side=None))
    assert case.side.source == "assumed" and "side_unverified" in codes(case)
    with pytest.raises(Blocked):
        sign(store, case)
    case = review.confirm_side(store, DOCTOR, case.id, case.version, "left")
    assert case.side.confirmed_by == DOCTOR.user_id and codes(case) == set()
    assert "side_assumed" not in {one.code for one in case.warnings}
    assert sign(store, case).state == "signed"


def test_a_turned_side_takes_sided_decisions_back(store: Store) -> None:
    case = decide_all(store, opened_case(store, side=None))
    case = review.confirm_side(store, DOCTOR, case.id, case.version, "right")
    assert case.side.patient_right == "right" and case.frames[0].patient_right == "right"
    assert "side_turned" in {one.code for one in case.warnings}
    assert {one.code: one.ruling for one in case.findings if one.must_rule} == {
        "pleural_effusion": None,
        "nodule": None,
    }
    assert "finding_undecided" in codes(case)


def test_a_known_side_is_not_confirmed(store: Store) -> None:
    case = opened_case(store)
    with pytest.raises(WrongState):
        review.confirm_side(store, DOCTOR, case.id, case.version, "left")
    with pytest.raises(MalformedInput):
        review.confirm_side(store, DOCTOR, case.id, case.version, "up")


def test_two_signatures_by_two_people(store: Store) -> None:
    switches.set_switch(store, ADMIN, "two_signatures", {"value": True})
    case = signed_case(store)
    assert case.state == "reported" and case.editions == 0 and len(case.signatures) == 1
    with pytest.raises(Forbidden, match="another person"):
        sign(store, case)
    case = sign(store, case, SECOND)
    assert case.state == "signed" and case.editions == 1
    assert [one.step for one in case.signatures] == ["reporting", "reviewing"]


def test_the_author_may_approve_where_the_site_says_so(store: Store) -> None:
    lax = replace(store, settings=store.settings.with_(two_signatures=True, author_is_not_approver=False))
    assert sign(lax, signed_case(lax)).state == "signed"


def test_a_reported_case_is_returned_with_its_reason(store: Store) -> None:
    switches.set_switch(store, ADMIN, "two_signatures", {"value": True})
    case = signed_case(store)
    for reason in ("", "   ", "x" * 3000):
        with pytest.raises(MalformedInput):
            signing.send_back(store, SECOND, case.id, case.version, reason)
    case = signing.send_back(store, SECOND, case.id, case.version, "Look at the left apex again")
    assert case.state == "in_review" and case.signatures == ()
    assert [(one.kind, one.reason) for one in case.reasons] == [("return", "Look at the left apex again")]
    case = sign(store, review.open_case(store, DOCTOR, case.id))
    assert case.state == "reported" and len(case.signatures) == 1


def test_an_amendment_is_a_new_edition_and_the_old_one_stays(store: Store) -> None:
    case = signed_case(store)
    first = case.texts.signed
    with pytest.raises(Conflict):
        review.save_text(store, DOCTOR, case.id, case.version, "x", "y")
    case = signing.amend(store, DOCTOR, case.id, case.version, "Nodule was a nipple shadow")
    assert case.state == "amended"
    case = review.rule(store, DOCTOR, case.id, case.version, by_code(case, "nodule"), "reject")
    assert "text_asserts" in codes(case)
    case = sign(store, write_suggestion(store, case))
    assert case.state == "signed" and case.editions == 2 and case.signatures[0].edition == 2
    with store.read() as session:
        texts = session.scalars(
            select(ReportText).where(ReportText.kind == "signed").order_by(ReportText.version)
        ).all()
    assert [text.edition for text in texts] == [1, 2]
    assert first is not None and texts[0].findings_text == first.findings and "nodule" not in texts[1].findings_text
    assert case.reasons[0].reason == "Nodule was a nipple shadow"


def test_rejecting_before_and_after_a_signature(store: Store) -> None:
    case = opened_case(store)
    assert signing.reject(store, DOCTOR, case.id, case.version).state == "rejected"
    case = signed_case(store)
    with pytest.raises(MalformedInput):
        signing.reject(store, DOCTOR, case.id, case.version)
    case = signing.reject(store, DOCTOR, case.id, case.version, "Wrong patient")
    assert case.state == "rejected" and case.reasons[0].kind == "withdrawal"
    for act in (
        lambda: signing.amend(store, DOCTOR, case.id, case.version, "r"),
        lambda: sign(store, case),
        lambda: intake.rerun(store, DOCTOR, case.id),
    ):
        with pytest.raises(WrongState):
            act()


def test_a_case_without_a_draft_is_reported_by_hand(store: Store) -> None:
    case = review.open_case(store, DOCTOR, intake.register(store, SERVICE, received()).id)
    assert case.state == "in_review" and not case.drafted
    case = review.rule(store, DOCTOR, case.id, case.version, None, "add", code="fracture", side="left")
    case = write_suggestion(store, case)
    assert case.blockers == ()
    assert sign(store, case).state == "signed"
    keep_draft(store, leased(store), 1, draft(), None)  # the draft comes too late: nothing changes
    after = cases.case(store, DOCTOR, case.id)
    assert after.state == "signed" and not after.drafted


# Reader first


def test_reader_first(store: Store) -> None:
    switches.set_switch(store, ADMIN, "reader_first", {"value": True})
    case = review.open_case(store, DOCTOR, drafted_case(store, urgency=2, critical=True).id)
    assert case.critical is None and case.urgency is None
    (row,) = cases.worklist(store, DOCTOR).items
    assert row.critical is None and row.urgency is None and row.badges == ()
    with pytest.raises(Blocked) as refused:
        review.reveal_ai(store, DOCTOR, case.id)
    assert refused.value.reasons[0].code == "own_impression_missing"
    with pytest.raises(MalformedInput):
        review.own_impression(store, DOCTOR, case.id, case.version, "  ")
    case = review.own_impression(store, DOCTOR, case.id, case.version, "Right effusion, I think.")
    case = review.reveal_ai(store, DOCTOR, case.id)
    assert case.critical is True and case.urgency == 2 and case.texts.own_impression is not None
    with pytest.raises(WrongState):
        review.own_impression(store, DOCTOR, case.id, case.version, "Second thoughts")


def test_reader_first_order_reveals_nothing(store: Store) -> None:
    plain = [drafted_case(store, patient_id=f"P{n}", critical=n == 3).id for n in range(4)]
    assert cases.worklist(store, DOCTOR).items[0].id == plain[3]
    assert [one.id for one in cases.worklist(store, DOCTOR, reveal=False).items] == plain


# Critical values


def test_a_confirmed_critical_finding_opens_a_record_until_it_is_read_back(store: Store) -> None:
    case = opened_case(store, [finding("pneumothorax", side="left", severity="severe")])
    assert case.findings[0].critical and case.criticals == ()
    case = review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "accept")
    (record,) = case.criticals
    assert record.code == "pneumothorax" and record.side == "left" and record.completed_at is None
    assert [one for one, _ in criticals.open_records(store, DOCTOR)] == [case.id]
    told = {"caller": "Dr Zhao", "receiver": "Nurse Wu"}
    case = criticals.record(store, DOCTOR, case.id, record.id, **told, at=now(), read_back=False)
    assert case.criticals[0].completed_at is None
    case = criticals.record(store, DOCTOR, case.id, record.id, **told, at=now(), read_back=True)
    assert case.criticals[0].completed_at is not None and criticals.open_records(store, DOCTOR) == []
    with pytest.raises(Conflict):
        criticals.record(store, DOCTOR, case.id, record.id, **told, at=now(), read_back=True)


def test_a_record_whose_finding_is_taken_back_is_withdrawn(store: Store) -> None:
    case = opened_case(store, [finding("pneumothorax", side="left", severity="severe")])
    one = case.findings[0].id
    case = review.rule(store, DOCTOR, case.id, case.version, one, "accept")
    assert len(case.criticals) == 1
    case = review.rule(store, DOCTOR, case.id, case.version, one, "change", side="left", severity="mild")
    assert case.criticals == ()
    with pytest.raises(NotFound):
        criticals.record(store, DOCTOR, case.id, "x", caller="a", receiver="b", at=now(), read_back=True)


@pytest.mark.parametrize(
    ("caller", "receiver", "ahead"), [("", "b", 0), ("a", "  ", 0), ("a", "b", 3600), ("a\x00", "b", 0)]
)
def test_a_record_needs_its_names_and_time(store: Store, caller: str, receiver: str, ahead: int) -> None:
    case = opened_case(store, [finding("pneumothorax", side="left", severity="severe")])
    case = review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "accept")
    with pytest.raises(MalformedInput):
        criticals.record(
            store,
            DOCTOR,
            case.id,
            case.criticals[0].id,
            caller=caller,
            receiver=receiver,
            at=now() + timedelta(seconds=ahead),
            read_back=True,
        )


# Texts


@pytest.mark.parametrize("bad", ["nul\x00", "half \ud800"])
def test_unclean_texts_are_refused_at_every_door(store: Store, bad: str) -> None:
    case = opened_case(store)
    doors = [
        lambda: review.save_text(store, DOCTOR, case.id, case.version, bad, ""),
        lambda: review.save_text(store, DOCTOR, case.id, case.version, "", bad),
        lambda: review.own_impression(store, DOCTOR, case.id, case.version, bad),
        lambda: review.rule(store, DOCTOR, case.id, case.version, None, "add", code="nodule", note=bad),
        lambda: review.rule(store, DOCTOR, case.id, case.version, None, "add", code=bad),
        lambda: signing.reject(store, DOCTOR, case.id, case.version, bad),
        lambda: signing.send_back(store, DOCTOR, case.id, case.version, bad),
        lambda: signing.amend(store, DOCTOR, case.id, case.version, bad),
        lambda: cases.worklist(store, DOCTOR, query=bad),
        lambda: intake.register(store, SERVICE, received(bad)),
        lambda: intake.register(store, SERVICE, received(), question=bad),
        lambda: intake.register(store, SERVICE, received(), idempotency_key=bad),
        lambda: intake.register(store, SERVICE, received(), clinical_information=bad),
        lambda: switches.pause(store, ADMIN, "demo", bad),
        lambda: switches.set_switch(store, ADMIN, "paused", {"models": {bad: "x"}}),
    ]
    for door in doors:
        with pytest.raises(UncleanText):
            door()


def test_a_text_too_long_is_refused(store: Store) -> None:
    case = opened_case(store)
    with pytest.raises(MalformedInput, match="characters"):
        review.save_text(store, DOCTOR, case.id, case.version, "x" * 30_000, "")


def test_autosave_keeps_the_other_authors_text(store: Store) -> None:
    case = opened_case(store)
    for text in ("one", "two", "three"):
        case = review.save_text(store, DOCTOR, case.id, case.version, text, "")
    case = review.open_case(store, SECOND, case.id, take_over=True)
    assert case.texts.working is not None and case.texts.working.findings == "three"
    case = review.save_text(store, SECOND, case.id, case.version, "hers", "")
    with store.read() as session:
        kept = session.scalars(select(ReportText.findings_text).order_by(ReportText.version)).all()
    assert list(kept) == ["three", "hers"]
