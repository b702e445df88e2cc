"""The AI brings films forward and pushes none past its due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.clinic.review.order import PER_FILM, TURNAROUND, Waiting, ordered

NOW = datetime(2026, 5, 1, 8, tzinfo=UTC)


@st.composite
def lists(draw: st.DrawFn) -> list[Waiting]:
    made = []
    for number in range(draw(st.integers(0, 9))):
        due = draw(st.none() | st.integers(-60, 90))
        made.append(
            Waiting(
                str(number),
                NOW - timedelta(minutes=draw(st.integers(0, 200))),
                None if due is None else NOW + timedelta(minutes=due),
                draw(st.booleans()),
                draw(st.integers(0, 3)),
            )
        )
    return made


def finished(order: list[str]) -> dict[str, datetime]:
    return {one: NOW + place * PER_FILM for place, one in enumerate(order, start=1)}


@settings(max_examples=200, deadline=None)
@given(lists())
def test_no_film_that_would_be_in_time_is_made_late(cases: list[Waiting]) -> None:
    without_ai = finished(ordered([Waiting(one.id, one.received, one.due) for one in cases], NOW))
    # An oracle of its own: earliest due first.
    plain = sorted(cases, key=lambda one: (one.due or one.received + TURNAROUND, one.received, one.id))
    by_due = finished([one.id for one in plain])
    with_ai = finished(ordered(cases, NOW))
    assert sorted(with_ai) == sorted(one.id for one in cases)
    for one in cases:
        if one.due is not None and by_due[one.id] <= one.due:
            assert with_ai[one.id] <= one.due and without_ai[one.id] <= one.due


def test_critical_films_come_first_then_urgent_ones() -> None:
    cases = [
        Waiting("plain", NOW - timedelta(hours=3)),
        Waiting("urgent", NOW - timedelta(hours=2), urgency=1),
        Waiting("more urgent", NOW - timedelta(hours=1), urgency=2),
        Waiting("critical", NOW, critical=True),
        Waiting("overdue", NOW, due=NOW - timedelta(hours=1)),
    ]
    assert ordered(cases, NOW) == ["critical", "overdue", "more urgent", "urgent", "plain"]


def test_a_film_about_to_be_due_is_not_passed() -> None:
    cases = [Waiting("due", NOW, due=NOW + PER_FILM), Waiting("critical", NOW, critical=True)]
    assert ordered(cases, NOW) == ["due", "critical"]
