"""Yes/no probes: wordings averaged, answers pooled, the picture's share in the log-odds."""

import math
import re

import numpy as np
import pytest
import torch

from radiolucent.confidence.probe import ASKED, NO, YES, probe, questions
from radiolucent.errors import MalformedInput
from radiolucent.phantom.grammar import answer_yes_no, yes_no_questions
from radiolucent.phantom.record import CODES, Lesion
from radiolucent.vlm.types import Features


class Tokens:
    """A vocabulary of single characters, without some words."""

    unk_token_id = 0

    def __init__(self, unknown=()):
        self.unknown = unknown

    def __call__(self, text, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [0] if text in self.unknown else [ord(character) for character in text]}


class Answering:
    """Knows log-odds for each picture and a shift for each wording; answers with 0.9 of the probability in all."""

    def __init__(self, shifts=(0.0,), unknown=()):
        self.tokenizer, self.shifts, self.calls = Tokens(unknown), shifts, []

    def ask(self, model, prompts, features, answers, *, soft_tokens=None):
        picture = features.soft_tokens if soft_tokens is None else soft_tokens
        self.calls.append((prompts, answers))
        language = prompts[0].language
        rows = []
        for place, _ in enumerate(prompts):
            margin = float(picture.mean()) + self.shifts[place % len(self.shifts)]
            share = 1 / (1 + math.exp(-margin))
            said = [YES[language], NO[language]]
            counts = [sum(answer in one for answer in answers) for one in said]
            split = {
                answer: 0.9 * (share if answer in said[0] else 1 - share) / counts[answer not in said[0]]
                for answer in answers
            }
            rows.append([math.log(split[answer]) for answer in answers])
        return np.array(rows, dtype=np.float32)


def features(mean, images=1):
    return Features(torch.full((images, 4, 2), float(mean)), torch.zeros(images, 3, 4, 4), (), "key")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_yes_is_the_share_of_all_yes_beginnings_over_all_wordings(language):
    model = Answering()
    (answer,) = probe(model, features(1.2), ["pleural_effusion"], language=language, ask=model.ask)
    assert answer.yes == pytest.approx(1 / (1 + math.exp(-1.2)))
    assert answer.answered == pytest.approx(0.9) and answer.spread == pytest.approx(0, abs=1e-6)
    assert answer.yes_without is None and answer.lift is None
    assert answer.questions == questions("pleural_effusion", language) and len(model.calls) == 1


def test_log_odds_are_averaged_over_the_wordings_and_their_spread_is_told():
    model = Answering(shifts=(-2.0, 0.0, 1.0, 3.0))
    first, second = probe(model, features(0.5), ["nodule", "mass"], ask=model.ask)
    assert first.margin == pytest.approx(0.5 + 0.5) and first.spread == pytest.approx(np.std([-2, 0, 1, 3]), rel=1e-4)
    assert second.margin == pytest.approx(first.margin)
    (one,) = probe(model, features(0.5), ["nodule"], wordings=1, ask=model.ask)
    assert one.margin == pytest.approx(0.5 - 2.0) and len(one.questions) == 1


def test_lift_is_the_change_of_log_odds_and_costs_one_more_reading():
    model = Answering()
    (answer,) = probe(model, features(1.2), ["nodule"], without=features(-0.7), ask=model.ask)
    assert answer.lift == pytest.approx(1.9) and len(model.calls) == 2


def test_lift_against_another_patient_is_its_own_reading():
    model = Answering()
    swapped = {"without": features(-0.7), "other": features(2.0)}
    (answer,) = probe(model, features(1.2), ["nodule"], **swapped, ask=model.ask)
    assert answer.lift == pytest.approx(1.9) and answer.lift_other == pytest.approx(-0.8) and len(model.calls) == 3
    with pytest.raises(MalformedInput):
        probe(model, features(1.2), ["nodule"], other=features(0, images=2), ask=model.ask)


def test_answers_that_the_vocabulary_cannot_write_are_left_out():
    model = Answering(unknown=("yes", "no"))
    (answer,) = probe(model, features(1.2), ["nodule"], ask=model.ask)
    assert model.calls[0][1] == ["Yes", "No"] and answer.yes == pytest.approx(1 / (1 + math.exp(-1.2)))
    with pytest.raises(MalformedInput, match="vocabulary"):
        probe(Answering(unknown=NO["en"]), features(0), ["nodule"], ask=model.ask)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_beginning_is_counted_twice(language):
    every = [*YES[language], *NO[language]]
    assert not any(a != b and b.startswith(a) for a in every for b in every)


def test_every_code_of_the_vocabulary_has_questions_in_both_languages():
    for code in ASKED:
        assert all(text.endswith("?") for text in questions(code, "en"))
        assert all(re.search("[一-鿿]", text) for text in questions(code, "zh"))
    with pytest.raises(MalformedInput):
        questions("gout", "en")


def test_wordings_and_answers_are_ones_that_the_demo_model_learns():
    for language in ("en", "zh"):
        for code in CODES:
            assert set(questions(code, language)) <= set(yes_no_questions(code, language))
            assert answer_yes_no((Lesion(code),), code, language).startswith(YES[language])
            assert answer_yes_no((), code, language).startswith(NO[language])


def test_bad_requests_are_refused():
    model = Answering()
    with pytest.raises(MalformedInput):
        probe(model, features(0), ["nodule"], without=features(0, images=2), ask=model.ask)
    with pytest.raises(MalformedInput):
        probe(model, features(0), ["nodule"], wordings=0, ask=model.ask)
    assert probe(model, features(0), [], ask=model.ask) == ()
