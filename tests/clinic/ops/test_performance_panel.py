"""The panel counts what readers decided, names nobody, and speaks of drift only where the intervals lie apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from clinic_site import DOCTOR, decide_all, drafted_case, finding, opened_case, sign
from scipy.stats import norm

from radiolucent.clinic.ops.metrics import exposition
from radiolucent.clinic.ops.performance import FEWEST, age_band, outcomes, performance
from radiolucent.clinic.service import review
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store

ADMIN = Actor("u-admin", "admin", "Ada")
EFFUSION = (finding("pleural_effusion", side="right"),)


def ruled(store: Store, decision: str, number: int) -> None:
    case = opened_case(store, EFFUSION, patient_id=f"P{number}")
    more = {"code": "pleural_effusion", "side": "left"} if decision == "change" else {}
    review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, decision, **more)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Written out from Wilson 1927, as an oracle."""
    z = norm.ppf(0.975)
    middle = (hits + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * (hits * (of - hits) / of + z * z / 4) ** 0.5
    return middle - half, middle + half


def test_counts_rates_and_intervals(store: Store) -> None:
    for number, decision in enumerate(["accept", "accept", "accept", "change", "reject"]):
        ruled(store, decision, number)
    case = opened_case(store, EFFUSION, patient_id="P9")
    case = review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "reject")
    review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "accept")  # a change of mind counts once
    case = review.rule(store, DOCTOR, case.id, case.version + 1, None, "add", code="nodule")
    panel = performance(store, ADMIN)
    by = {one.code: one for one in panel.outcomes}
    one = by["pleural_effusion"]
    assert (one.ruled, one.accepted, one.changed, one.rejected) == (6, 4, 1, 1)
    assert one.rate == pytest.approx(2 / 6) and one.interval == pytest.approx(wilson(2, 6), abs=1e-9)
    assert (by["nodule"].missed, by["nodule"].ruled) == (1, 0)
    assert [entry.code for entry in outcomes(store)] == ["pleural_effusion"]
    text = exposition(store).decode()
    assert 'radiolucent_override_rate{code="pleural_effusion"} 0.333' in text
    assert 'radiolucent_findings_ruled{code="pleural_effusion"} 6.0' in text


def test_small_groups_and_few_signatures_show_no_number(make_store: Callable[..., Store]) -> None:
    store = make_store()
    sign(store, decide_all(store, opened_case(store)), seconds_open=12.0)
    panel = performance(store, ADMIN)
    assert panel.cases_signed == 1
    assert panel.time_to_sign.count == 1 and panel.time_to_sign.median is None
    assert all(group.rate is None for group in panel.groups if group.ruled < FEWEST)
    assert "u-doctor" not in repr(panel) and "Zhao" not in repr(panel)


def test_drift_is_told_where_it_is_and_not_where_it_is_not(make_store: Callable[..., Store]) -> None:
    store = make_store()
    past = replace(store, clock=lambda: store.now() - timedelta(days=90))
    for number in range(12):
        ruled(past, "accept", number)
    for number in range(12):
        ruled(store, "reject" if number else "accept", 100 + number)
    (drift,) = performance(store, ADMIN).drift
    assert drift.code == "pleural_effusion" and drift.recent > drift.before
    assert "Consider pausing" in drift.notice.en and "暂停" in drift.notice.zh
    assert performance(store, ADMIN, since=store.now() - timedelta(days=30)).drift == ()


def test_the_queue_and_the_time_to_draft_are_exposed(store: Store) -> None:
    drafted_case(store)
    text = exposition(store).decode()
    assert 'radiolucent_queue_depth{kind="draft",state="done"} 1.0' in text
    assert "radiolucent_time_to_draft_seconds_count 1.0" in text
    assert 'radiolucent_cases{state="drafted"} 1.0' in text


@pytest.mark.parametrize(
    ("age", "band"),
    [("045Y", "40-59"), ("018M", "0-19"), ("099Y", "80+"), ("080Y", "80+"), (None, "unknown"), ("??", "unknown")],
)
def test_age_bands(age: str | None, band: str) -> None:
    assert age_band(age) == band
