import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.confidence.agreement import agreement, mentioned, omitted, sides_meet, term_frequencies, verdict
from radiolucent.confidence.intervals import jeffreys
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding

EFFUSION = Finding("pleural_effusion", "present", side="right")


def effusion(polarity="present", side=None):
    return Finding("pleural_effusion", polarity, side=side)


def test_four_verdicts_are_counted_and_silence_is_not_denial():
    reports = [
        [effusion(side="right")],
        [effusion("uncertain", "right")],
        [effusion("absent")],
        [Finding("cardiomegaly")],
        [],
    ]
    (entry,) = agreement([EFFUSION], reports)
    assert (entry.present, entry.uncertain, entry.absent, entry.silent, entry.samples) == (1, 1, 1, 2, 5)
    assert entry.support == 1
    assert entry.low < 1 / 5 < entry.high


def test_the_drafts_own_polarity_is_what_is_supported():
    reports = [[effusion("absent")]] * 9 + [[effusion("present")]]
    (entry,) = agreement([effusion("absent")], reports)
    assert entry.support == 9
    assert entry.low > 0.5


def test_other_side_counts_as_present_with_a_side_that_disagrees():
    reports = [[effusion(side="right")]] * 6 + [[effusion(side="left")]] * 4
    (entry,) = agreement([EFFUSION], reports)
    assert entry.present == 10
    assert entry.side_agreement == (6, 10)


def test_where_the_draft_rules_on_both_sides_each_is_counted_for_itself():
    draft = [effusion(side="right"), effusion("absent", "left")]
    reports = [[effusion(side="right"), effusion("absent", "left")], [effusion(side="left")], [effusion(side="right")]]
    right, left = agreement(draft, reports)
    assert (right.present, right.silent) == (2, 1)
    assert (left.absent, left.present, left.silent) == (1, 1, 1)


def test_other_side_present_does_not_touch_a_denial():
    assert verdict(effusion("absent", "right"), [effusion(side="left")]) == "silent"


def test_bilateral_takes_in_each_side_and_an_unsaid_side_any():
    assert sides_meet("bilateral", "left") and sides_meet("right", "bilateral") and sides_meet(None, "left")
    assert not sides_meet("left", "right") and not sides_meet("midline", "bilateral")


def test_both_sides_named_one_by_one_agree_with_bilateral():
    (entry,) = agreement([effusion(side="bilateral")], [[effusion(side="left"), effusion(side="right")]] * 4)
    assert entry.side_agreement == (4, 4)


def test_a_sample_that_says_it_twice_counts_once():
    (entry,) = agreement([EFFUSION], [[effusion("uncertain"), effusion("present")]] * 5)
    assert entry.present == 5


polarities = st.sampled_from(["present", "uncertain", "absent"])
sides = st.sampled_from([None, "left", "right", "bilateral"])
findings = st.builds(Finding, st.sampled_from(["pleural_effusion", "nodule"]), polarities, sides)
reports_of = st.lists(st.lists(findings, max_size=4), min_size=1, max_size=12)


@given(st.lists(findings, max_size=3), reports_of)
def test_counts_always_add_up_and_the_order_of_samples_is_irrelevant(draft, reports):
    entries = agreement(draft, reports)
    assert entries == agreement(draft, reports[::-1])
    for entry in entries:
        assert entry.present + entry.uncertain + entry.absent + entry.silent == len(reports)
        assert 0 <= entry.low <= entry.support / len(reports) <= entry.high <= 1


@given(reports_of)
def test_a_frequency_is_never_0_or_100_percent(reports):
    assert all(0 < percent < 100 for percent in term_frequencies(reports).values())


def test_negated_terms_do_not_count():
    reports = [[Finding("inflammation", "absent")]] * 9 + [[Finding("inflammation", "uncertain")]]
    assert term_frequencies(reports) == {}
    assert list(term_frequencies(reports, include_uncertain=True)) == ["inflammation"]


def test_ten_of_ten_reads_below_100_and_above_the_article_s_90():
    assert term_frequencies([[EFFUSION]] * 10) == {"pleural_effusion": pytest.approx(100 * 10.5 / 11)}


def test_what_the_draft_leaves_out_is_reported():
    reports = [[EFFUSION, Finding("nodule")], [Finding("nodule")], [Finding("mass", "absent")]]
    assert omitted([EFFUSION], reports) == {"nodule": 2}
    assert {finding.code for finding in mentioned(reports)} == {"pleural_effusion", "nodule", "mass"}


def test_no_reports_no_agreement():
    with pytest.raises(MalformedInput):
        agreement([EFFUSION], [])
    with pytest.raises(MalformedInput):
        term_frequencies([])


def graded(severity, side="right", polarity="present"):
    return [Finding("pleural_effusion", polarity, side=side, severity=severity)]


def test_severity_is_scored_among_the_samples_that_grade_it():
    draft = graded("mild")
    telling = [graded("mild")] * 6 + [graded("severe")] * 2
    reports = telling + [graded(None)] * 4 + [graded("mild", polarity="absent"), []]
    (entry,) = agreement(draft, reports)
    assert entry.severity_agreement == (6, 8)
    assert entry.severity_interval == pytest.approx(jeffreys(6, 8))
    assert entry.side_agreement == (12, 12) and entry.side_interval == pytest.approx(jeffreys(12, 12))


def test_severity_of_the_other_side_does_not_speak():
    both = [*graded("mild"), *graded("severe", "left")]
    first, second = agreement(both, [both] * 5)
    assert first.severity_agreement == (5, 5) == second.severity_agreement
    (entry,) = agreement(graded("mild"), [graded("severe", "left")] * 5)
    assert entry.severity_agreement == (0, 0) and entry.severity_interval is None


def test_what_the_draft_does_not_say_has_no_conditional_share():
    (entry,) = agreement(graded(None, None), [graded("mild")] * 4)
    assert (entry.severity_agreement, entry.severity_interval) == (None, None)
    assert (entry.side_agreement, entry.side_interval) == (None, None)
    (denied,) = agreement(graded(None, "right", "absent"), [graded("mild")] * 4)
    assert denied.side_agreement is None and denied.severity_agreement is None
