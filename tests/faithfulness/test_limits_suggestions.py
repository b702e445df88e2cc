"""Weaknesses that are planted in a reader are found and named; none is made up where there is none."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radiolucent.faithfulness.limits.drawing import draw
from radiolucent.faithfulness.limits.factors import paired_factors
from radiolucent.faithfulness.limits.paired import paired_rows
from radiolucent.faithfulness.limits.plan import SAMPLE, USUAL, plan_films
from radiolucent.faithfulness.limits.proportions import wilson
from radiolucent.faithfulness.limits.sample import sample_rows
from radiolucent.faithfulness.limits.suggestions import BAD, GAP, LEVEL, find_weaknesses, is_weakness
from radiolucent.faithfulness.limits.types import ANY, Comparison, Condition, Share
from radiolucent.phantom.record import Lesion

sys.path.insert(0, str(Path(__file__).parent))
from limits_films import judged, truly

EDGE = 128
FACTORS = tuple(factor for factor in paired_factors(EDGE) if factor.name in ("noise", "rotation", "marker"))
OTHER_SIDE = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def films():
    return [(film, draw(film, FACTORS, EDGE)) for film in plan_films(170, 30, 0, FACTORS)]


def suggestions_of(films, **errs):
    return find_weaknesses(judged(films, **errs), FACTORS)


def blind_to_small_left_nodules(_film, lesion):
    hidden = lesion.code == "nodule" and lesion.side == "left" and lesion.size_cm < 2.2
    return None if hidden else truly(_film, lesion)


def test_a_perfect_reader_gets_no_suggestion(films):
    comparisons, suggestions = suggestions_of(films)
    assert suggestions == ()
    assert len(comparisons) > 100 and all(comparison.adjusted == 1 for comparison in comparisons)


def test_a_reader_that_errs_at_random_gets_no_suggestion(films):
    """Every tenth lesion missed and every tenth film alarmed, whatever is on it: no property is to blame."""
    chance = np.random.default_rng(5)

    def reads(film, lesion):
        return None if chance.random() < 0.1 else truly(film, lesion)

    def alarms(_film, drawn):
        there = {lesion.code for lesion in drawn.lesions}
        return [] if "cardiomegaly" in there or chance.random() > 0.1 else [Lesion("cardiomegaly")]

    assert [suggestion.en for suggestion in suggestions_of(films, reads=reads, alarms=alarms)[1]] == []


def test_blindness_to_small_nodules_on_the_left_is_found_and_named(films):
    comparisons, suggestions = suggestions_of(films, reads=blind_to_small_left_nodules)
    about = [s for s in suggestions if s.main.outcome == "recall" and s.main.code == "nodule"]
    assert len(about) == 1, [s.en for s in suggestions]
    told = about[0]
    named = {(c.condition.factor, c.condition.relation, c.condition.level) for c in (told.main, *told.narrower)}
    assert ("side", "is", "left") in named
    cut = next(level for factor, relation, level in named if (factor, relation) == ("size", "below"))
    assert cut == pytest.approx(2.2, abs=0.5)
    assert "left" in told.en and "左" in told.zh and f"under {cut} cm" in told.en and f"小于 {cut} cm" in told.zh
    assert all(s.main.code in ("nodule", ANY) for s in suggestions)  # nothing else is blamed
    missed = {(seed, code) for seed, code in told.main.members}
    truth = {
        (film.seed, lesion.code)
        for film, drawn in films
        if film.set == SAMPLE
        for lesion in drawn.lesions
        if blind_to_small_left_nodules(film, lesion) is None
    }
    assert missed <= truth
    assert sum(c.within is not None for c in comparisons) > 0


def test_the_counts_of_a_suggestion_are_those_of_the_films(films):
    told = next(s for s in suggestions_of(films, reads=blind_to_small_left_nodules)[1] if s.main.code == "nodule").main
    nodules = [
        lesion for film, drawn in films if film.set == SAMPLE for lesion in drawn.lesions if lesion.code == "nodule"
    ]
    if told.condition.factor == "side":
        inside = [lesion for lesion in nodules if lesion.side == told.condition.level]
    else:
        inside = [lesion for lesion in nodules if getattr(lesion, told.condition.factor + "_cm") < told.condition.level]
    found = sum(not (lesion.side == "left" and lesion.size_cm < 2.2) for lesion in inside)
    assert (told.weak.hits, told.weak.count) == (found, len(inside))
    assert (told.weak.low, told.weak.high) == wilson(found, len(inside))
    assert told.others.count == len(nodules) - len(inside)


def test_alarms_on_noisy_films_are_caught_with_their_level_and_finding(films):
    def alarms(film, drawn):
        calm = film.set != "noise" or film.level < 4 or any(le.code == "consolidation" for le in drawn.lesions)
        return [] if calm else [Lesion("consolidation", "right", "middle")]

    suggestions = suggestions_of(films, alarms=alarms)[1]
    assert len(suggestions) == 1
    told = suggestions[0]
    assert (told.main.design, told.main.outcome, told.main.condition.factor) == ("paired", "alarm", "noise")
    levels = {told.main.condition.level, *(c.condition.level for c in told.also)}
    assert levels == {4.0, 6.0}
    assert [c.code for c in told.narrower] == ["consolidation"]
    assert "noise × " in told.en.lower() and "噪声×" in told.zh and "consolidation" in told.en and "实变" in told.zh
    assert told.main.changed == (told.main.weak.hits, 0)


def test_a_shortcut_through_the_marker_is_caught(films):
    def reads(film, lesion):
        return None if lesion.code == "cardiomegaly" else truly(film, lesion)

    def alarms(film, drawn):
        return [Lesion("cardiomegaly")] if film.set == "marker" else []

    suggestions = suggestions_of(films, reads=reads, alarms=alarms)[1]
    marker = next(s for s in suggestions if s.main.condition.factor == "marker" and s.main.outcome == "alarm")
    assert "printed marker" in marker.en and "铅标" in marker.zh


def test_sides_that_flip_when_the_patient_is_turned_are_caught(films):
    def reads(film, lesion):
        read = truly(film, lesion)
        turned = film.set == "rotation" and film.level >= 10 and lesion.side in OTHER_SIDE
        return replace(read, side=OTHER_SIDE[lesion.side]) if turned else read

    suggestions = suggestions_of(films, reads=reads)[1]
    assert [(s.main.outcome, s.main.condition.factor) for s in suggestions] == [("wrong_side", "rotation")]
    assert {suggestions[0].main.condition.level, *(c.condition.level for c in suggestions[0].also)} == {10.0, 20.0}


def test_one_finding_taken_for_another_is_told_as_such(films):
    def alarms(_film, drawn):
        there = {lesion.code for lesion in drawn.lesions}
        return [Lesion("nodule", "left", "upper")] if "consolidation" in there and "nodule" not in there else []

    suggestions = suggestions_of(films, alarms=alarms)[1]
    told = next(s for s in suggestions if s.main.design == "sample" and s.main.code == "nodule")
    assert told.main.condition == Condition("company", "with", "consolidation")
    assert told.main.weak.rate == 1 and told.main.others.hits == 0
    assert "One finding is taken for another" in told.en


def _comparison(hits, count, other_hits, other_count, adjusted=0.001, outcome="recall"):
    weak, others = (Share(h, n, *wilson(h, n)) for h, n in ((hits, count), (other_hits, other_count)))
    side = Condition("side", "is", "left")
    return Comparison("sample", outcome, "nodule", side, None, weak, others, 0.0, adjusted)


def test_a_claim_needs_cases_a_gap_a_clear_interval_and_a_corrected_p():
    assert is_weakness(_comparison(7, 17, 50, 54))
    assert not is_weakness(_comparison(7, 17, 50, 54, adjusted=LEVEL))
    assert not is_weakness(_comparison(100, 100 + BAD - 1, 1000, 1000))  # too few misses
    assert not is_weakness(_comparison(800, 1000, int(1000 * (0.80 + GAP)) - 5, 1000))  # too small a gap
    assert not is_weakness(_comparison(3, 8, 6, 10))  # the interval holds the other rate
    assert is_weakness(_comparison(12, 30, 1, 90, outcome="alarm"))
    assert not is_weakness(_comparison(1, 90, 12, 30, outcome="alarm"))


def test_rows_partition_the_lesions_and_paired_rows_hold_the_same_cases_against_each_other(films):
    read = judged(films, reads=blind_to_small_left_nodules)
    sampled = [film for film in read if film.record.set == SAMPLE]
    rows = sample_rows(sampled)
    for code in ("nodule", "pleural_effusion"):
        whole = next(row.share for row in rows if (row.outcome, row.code, row.factor) == ("recall", code, "all"))
        for factor in ("side", "size", "contrast"):
            parts = [row.share for row in rows if (row.outcome, row.code, row.factor) == ("recall", code, factor)]
            assert len(parts) > 1
            assert sum(part.count for part in parts) == whole.count and sum(part.hits for part in parts) == whole.hits
    paired = [row for row in paired_rows(read, FACTORS) if row.outcome == "recall" and row.code == ANY]
    usual = [film for film in read if film.record.set == USUAL]
    for row in paired:
        assert row.share.count <= sum(len(film.lesions) for film in usual)
        assert (row.difference is None) == row.usual
        if row.difference is not None:
            value, low, high = row.difference
            assert low <= value <= high


def test_the_table_of_alarms_counts_each_film_once_a_finding(films):
    def alarms(_film, drawn):
        return [] if any(lesion.code == "cardiomegaly" for lesion in drawn.lesions) else [Lesion("cardiomegaly")]

    sampled = [film for film in judged(films, alarms=alarms) if film.record.set == SAMPLE]
    without = sum(film.lesion("cardiomegaly") is None for film in sampled)
    rows = {row.code: row.share for row in sample_rows(sampled) if (row.outcome, row.factor) == ("alarm", "all")}
    assert (rows["cardiomegaly"].hits, rows["cardiomegaly"].count) == (without, without)
    assert (rows[ANY].hits, rows[ANY].count) == (without, len(sampled))
    assert rows["nodule"].hits == 0
