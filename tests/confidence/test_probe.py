import math
import re

import numpy as np
import pytest
import torch

from radiolucent.confidence.probe import ANSWERS, ASKED, probe, question
from radiolucent.errors import MalformedInput
from radiolucent.phantom.grammar import answer_yes_no, yes_no_questions
from radiolucent.phantom.record import CODES, Lesion
from radiolucent.vlm.types import Features, PromptInputs


class Answering:
    """Answers of known probability: yes has p = sigmoid of the picture's mean, no the rest, of 0.9 in all."""

    def __init__(self):
        self.asked, self.passes = [], 0

    def tokenizer(self, text, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": {"Yes.": [1, 3], "No.": [2, 3], "有。": [4, 6], "没有。": [5, 4, 6]}[text]}

    def prompt_inputs(self, prompt, features):
        self.asked.append(prompt)
        return PromptInputs(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), ())

    def token_logprobs(self, inputs, token_ids, soft_tokens):
        self.passes += 1
        yes = torch.sigmoid(soft_tokens.double().mean(dim=(1, 2)))
        first = torch.log(0.9 * (yes if int(token_ids[0]) in (1, 4) else 1 - yes))
        return torch.stack([first, *[torch.zeros_like(first)] * (len(token_ids) - 1)], dim=1)


def features(mean, images=1):
    return Features(torch.full((images, 4, 2), float(mean)), torch.zeros(images, 3, 4, 4), (), "key")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_yes_is_renormalised_over_the_two_whole_answers(language):
    model = Answering()
    (answer,) = probe(model, features(1.2), ["pleural_effusion"], language=language)
    assert answer.yes == pytest.approx(1 / (1 + math.exp(-1.2)))
    assert answer.answered == pytest.approx(0.9)
    assert answer.yes_without is None and answer.lift is None
    assert model.asked[0].language == language and model.passes == 2


def test_lift_is_the_change_of_log_odds_in_the_same_passes():
    model = Answering()
    (answer,) = probe(model, features(1.2), ["nodule"], without=features(-0.7))
    assert answer.lift == pytest.approx(1.9)
    assert model.passes == 2


def test_every_code_of_the_vocabulary_has_a_question_in_both_languages():
    for code in ASKED:
        assert question(code, "en").endswith("?")
        assert re.search("[一-鿿]", question(code, "zh"))
    with pytest.raises(MalformedInput):
        question("gout", "en")


def test_questions_and_answers_are_the_ones_the_demo_model_learns():
    for language in ("en", "zh"):
        for code in CODES:
            assert question(code, language) == yes_no_questions(code, language)[0]
            assert answer_yes_no((Lesion(code),), code, language) == ANSWERS[language][0]
            assert answer_yes_no((), code, language) == ANSWERS[language][1]


def test_a_replacing_picture_of_another_size_is_refused():
    with pytest.raises(MalformedInput):
        probe(Answering(), features(0), ["nodule"], without=features(0, images=2))
