"""The decision chain and the summaries of a real run: order, links that hold, and no claim beyond what was measured."""

import math

import numpy as np
import pytest

import radiolucent as rl
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.trace.chain import CHAIN_NOTE, decision_chain
from radiolucent.trace.summaries import NEARLY

STAGES = ["question", "looked", "named", "weighed", "concluded"]
RANK = ("verified", "weak", "not shown")


@pytest.fixture(scope="module", params=["en", "zh"])
def explanation(request):
    lesions = (Lesion("pneumothorax", "left", severity="severe"), Lesion("nodule", "right", "upper"))
    study = rl.load_study(draw_case(3, size=256, lesions=lesions, pairs=False).film, patient_right="left", view="PA")
    return rl.explain(rl.load_model("demo"), study, language=request.param, level="standard", samples=0)


def test_the_steps_follow_the_question_and_then_the_order_of_the_words(explanation):
    chain = explanation.trace.chain
    stages = [STAGES.index(step.stage) for step in chain]
    assert stages == sorted(stages) and stages[0] == 0 and stages[-1] == 4
    weighed = [step for step in chain if step.stage == "weighed"]
    assert [step.finding for step in weighed] == [finding.id for finding in explanation.findings]
    starts = [step.chars[0][0] for step in weighed]
    assert starts == sorted(starts)


def test_every_span_and_word_of_a_step_says_the_same_text(explanation):
    words = explanation.trace.words
    for step in explanation.trace.chain:
        for first, last in step.chars:
            assert 0 <= first < last <= len(explanation.report)
        assert all(words[index].part == "answer" for index in step.words)
        if step.stage == "weighed":
            (first, last) = step.chars[0]
            inside = [word for word in words if word.part == "answer" and first <= word.chars[0] < last]
            assert set(id(word) for word in inside) <= {id(words[index]) for index in step.words}


def test_a_step_is_as_strong_as_its_strongest_link_and_the_conclusion_as_the_weakest_finding(explanation):
    chain = explanation.trace.chain
    for step in chain:
        if step.links:
            assert step.strength == min((link.strength for link in step.links), key=RANK.index)
    stated = {finding.id for finding in explanation.findings if finding.polarity == "present"}
    weakest = max((s.strength for s in chain if s.finding in stated), key=RANK.index)
    assert stated and chain[-1].strength == weakest


def test_verified_is_said_only_where_an_intervention_verified_it(explanation):
    for step in explanation.trace.chain:
        for link in step.links:
            if link.method:
                assert (link.method, link.finding) in explanation.maps
            if link.strength == "verified" and step.stage == "weighed":
                assert link.kind == "intervention"
            if link.kind == "intervention" and link.method:
                made = explanation.maps[link.method, link.finding]
                assert made.claim == "relied_on" and any(test.verified for test in made.tests)
    looked = next(step for step in explanation.trace.chain if step.stage == "looked")
    assert looked.strength == "weak"  # attention is a hint


def test_without_measurements_nothing_is_linked(explanation):
    from dataclasses import replace

    bare = [
        replace(word, image_reliance=None, reliance_blank=None, reliance_other=None, mark="unknown")
        for word in explanation.trace.words
    ]
    trace = replace(explanation.trace, words=tuple(bare))
    chain = decision_chain(trace, "?", explanation.findings, {}, {})
    assert {step.strength for step in chain if step.stage in ("weighed", "concluded", "named")} == {"not shown"}


def test_both_languages_are_there_and_the_note_says_what_layers_are_not(explanation):
    for step in explanation.trace.chain:
        assert step.en and step.zh and step.en != step.zh
    assert "not time or thought" in CHAIN_NOTE[0] and "不是思考" in CHAIN_NOTE[1]


def test_a_withheld_map_never_reads_as_no_disease(explanation):
    keys = {key: "not shown" for key in explanation.maps}
    chain = decision_chain(explanation.trace, "?", explanation.findings, explanation.maps, keys)
    links = [link for step in chain for link in step.links if link.kind == "map"]
    assert links and all(link.strength == "not shown" for link in links)
    assert all("does not mean that it is absent" in link.en and "不代表无此病变" in link.zh for link in links)


def test_summaries_multiply_the_tokens_of_their_words_once(explanation):
    trace, generation = explanation.trace, explanation.generation
    assert [one.of for one in trace.findings] == [finding.id for finding in explanation.findings]
    assert all(not one.of for one in trace.sentences)
    for one in (*trace.findings, *trace.sentences):
        inside = [
            word for word in trace.words
            if word.part == one.part and word.chars[0] < one.chars[1] and word.chars[1] > one.chars[0]
            and any(character.isalnum() for character in word.text)
        ]  # fmt: skip
        tokens = {token for word in inside for token in range(*word.tokens)}
        total = float(np.sum([generation.logprobs[token] for token in tokens], dtype=np.float64))
        assert math.isclose(one.probability, math.exp(total), rel_tol=1e-6)
        assert trace.words[one.least_certain].logprob == min(w.logprob for w in inside if w.clinical)
        assert one.image_reliance == max(word.image_reliance for word in inside if word.clinical)
        assert 0 <= one.seen <= one.clinical == sum(word.clinical for word in inside)
        assert all(probability >= NEARLY for _, _, probability in one.nearly)


def test_on_a_plain_film_what_it_says_depends_on_the_image(explanation):
    stated = [one for one in explanation.trace.findings if one.of.startswith(("pneumothorax", "nodule"))]
    assert stated and all(one.seen == one.clinical for one in stated)
    assert explanation.trace.replaced_by == "drawn"
    assert {one.about for one in explanation.trace.contrasts} == {"presence", "side"}
    main = explanation.main_finding
    hidden = [one for one in explanation.trace.contrasts if one.margin_hidden is not None]
    assert {one.finding for one in hidden} <= {main.id}  # at level standard only the main finding's region is hidden
