"""Targets found by their words, and scored against the primitive and against the plain chain rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_gemma import picture_study, tiny_model

from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.vlm.answers import answer_logprobs
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.target import as_tokens, find_target, target_scores
from radiolucent.vlm.types import Features, Generation, Prompt, Target
from radiolucent.vlm.words import decode, words_of

PROMPT = Prompt("is the effusion seen")
TEXT = "no pneumothorax is seen. right pleural effusion, effusion 右侧胸腔积液，鼻"


def written(model: Gemma3Model, features: Features, text: str = TEXT) -> Generation:
    """A generation that says ``text``, with the words that the adapter would have found."""
    ids = np.asarray(model.tokenizer(text, add_special_tokens=False)["input_ids"])
    decoded = decode(model.tokenizer, ids.tolist())
    assert decoded.text == text
    blank = model.generate(PROMPT, features, max_new_tokens=1)
    return dataclasses.replace(blank, text=text, words=words_of(decoded), token_ids=ids)


@pytest.fixture(scope="module")
def features(model: Gemma3Model) -> Features:
    return model.encode(picture_study(1))


@pytest.mark.parametrize(
    "text", ["effusion", "pneumothorax", "right pleural effusion", "右侧胸腔积液", "胸腔", "液", "鼻"]
)
def test_words_are_found_with_all_of_their_tokens(model: Gemma3Model, features: Features, text: str) -> None:
    generation = written(model, features)
    target = find_target(generation, text)
    span = model.tokenizer.decode(generation.token_ids[slice(*target.tokens)].tolist())
    assert text in span and target.label == text
    first, last = target.tokens
    for narrower in ((first + 1, last), (first, last - 1)):
        assert text not in model.tokenizer.decode(generation.token_ids[slice(*narrower)].tolist())


def test_occurrences_and_parts_of_words(model: Gemma3Model, features: Features) -> None:
    generation = written(model, features)
    first, second = (find_target(generation, "effusion", occurrence=index) for index in (0, 1))
    assert first.tokens[1] <= second.tokens[0]
    assert find_target(generation, "thorax").tokens == find_target(generation, "pneumothorax").tokens
    assert find_target(generation, "积").tokens == find_target(generation, "积液").tokens  # one token holds both


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("edema", {}, "occurs 0 times"),
        ("Effusion", {}, "It reads 'effusion' there"),
        ("effusion", {"occurrence": 2}, "occurs 2 times"),
        ("effusion", {"occurrence": -1}, "occurs 2 times"),
        ("", {}, "is empty"),
        (" ", {}, "holds no word"),
        ("effusion", {"foil": "heart"}, "give model="),
    ],
)
def test_what_is_not_there_is_named(
    model: Gemma3Model, features: Features, text: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(TargetNotFound, match=message):
        find_target(written(model, features), text, **options)


def test_a_foil_takes_the_place_of_the_words(model: Gemma3Model, features: Features) -> None:
    generation = written(model, features)
    target = find_target(generation, "right", foil="left", model=model)
    assert model.tokenizer.decode(list(target.foil or ())) == " left"
    target = find_target(generation, "右", foil="左", model=model)
    assert model.tokenizer.decode(list(target.foil or ())) == "左"
    target = find_target(generation, "thorax", foil="megaly", model=model)
    assert model.tokenizer.decode(list(target.foil or ())) == " pneumomegaly"
    target = find_target(generation, "no", foil="a", model=model)
    assert model.tokenizer.decode(list(target.foil or ())) == "a"
    with pytest.raises(TargetNotFound, match="foil is empty"):
        find_target(generation, "right", foil="", model=model)


def test_scores_follow_the_chain_rule(model: Gemma3Model, features: Features) -> None:
    generation = written(model, features)
    plain = find_target(generation, "effusion")
    contrast = find_target(generation, "right", foil="left", model=model)
    same = dataclasses.replace(contrast, label="again")
    torch.manual_seed(0)
    soft = features.soft_tokens[None] + torch.randn(5, *features.soft_tokens.shape)
    calls = 0
    forward = model.module.forward

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        return forward(*args, **kwargs)

    model.module.forward = counted
    try:
        scores = target_scores(model, generation, soft, [plain, contrast, same])
    finally:
        model.module.forward = forward
    assert calls == 2 and scores.shape == (5, 3)
    torch.testing.assert_close(scores[:, 1], scores[:, 2])
    inputs, ids = generation.prompt_inputs, generation.token_ids
    whole = model.token_logprobs(inputs, ids, soft)
    torch.testing.assert_close(scores[:, 0], whole[:, slice(*plain.tokens)].sum(-1), atol=1e-4, rtol=0)
    first, last = contrast.tokens
    assert contrast.foil is not None
    through_foil = model.token_logprobs(inputs, [*ids[:first], *contrast.foil], soft)
    up_to_span = model.token_logprobs(inputs, ids[:last], soft)
    torch.testing.assert_close(scores[:, 1], up_to_span.sum(-1) - through_foil.sum(-1), atol=1e-4, rtol=0)
    assert target_scores(model, generation, soft, []).shape == (5, 0)


def test_scores_carry_gradients_and_refuse_foreign_spans(model: Gemma3Model, features: Features) -> None:
    generation = written(model, features)
    soft = features.soft_tokens[None].clone().requires_grad_(True)
    target = find_target(generation, "right", foil="left", model=model)
    (gradient,) = torch.autograd.grad(target_scores(model, generation, soft, [target]).sum(), soft)
    assert float(gradient.abs().sum()) > 0
    for tokens, foil in (((3, 3), None), ((-1, 2), None), ((0, 1000), None), ((0, 1), ())):
        with pytest.raises(TargetNotFound, match="expected a span"):
            target_scores(model, generation, soft, [Target(tokens, foil)])


@pytest.mark.parametrize(("window", "images"), [(512, 1), (9, 2)])
def test_answers_on_a_shared_prefill_equal_answers_one_by_one(window: int, images: int) -> None:
    model = tiny_model(window=window)
    features = model.encode(picture_study(images))
    prompts = [Prompt("is the effusion seen"), Prompt("is the right heart seen on the left"), Prompt("no")]
    answers = ["Yes", "No", "No effusion", "未见积液", "鼻"]
    prefills = 0

    def text(_module: object, _args: object, kwargs: dict[str, torch.Tensor]) -> None:
        nonlocal prefills
        prefills += kwargs.get("past_key_values") is not None and len(kwargs["inputs_embeds"]) == 1

    hook = model.module.model.language_model.register_forward_pre_hook(text, with_kwargs=True)
    found = answer_logprobs(model, prompts, features, answers)
    hook.remove()
    assert prefills == 1 and found.shape == (3, 5) and found.dtype == np.float32
    for row, prompt in enumerate(prompts):
        inputs = model.prompt_inputs(prompt, features)
        for column, answer in enumerate(answers):
            alone = model.token_logprobs(inputs, as_tokens(model, answer), features.soft_tokens[None]).sum()
            assert found[row, column] == pytest.approx(float(alone), abs=2e-4)
    np.testing.assert_allclose(answer_logprobs(model, prompts[1], features, answers), found[1:2], atol=1e-4)
    other = model.encode(picture_study(images, seed=4))
    instead = answer_logprobs(model, prompts, features, answers, soft_tokens=other.soft_tokens)
    np.testing.assert_allclose(instead, answer_logprobs(model, prompts, other, answers), atol=1e-5)


def test_questions_before_the_image_are_answered_one_by_one() -> None:
    from small_gemma import IMAGE_LAST

    model = tiny_model(template=IMAGE_LAST)
    features = model.encode(picture_study(1))
    prompts = [Prompt("is the effusion seen"), Prompt("no")]
    found = answer_logprobs(model, prompts, features, ["Yes", "No effusion"])
    for row, prompt in enumerate(prompts):
        np.testing.assert_allclose(
            answer_logprobs(model, prompt, features, ["Yes", "No effusion"])[0], found[row], atol=1e-4
        )


def test_empty_questions_and_answers_are_refused(model: Gemma3Model, features: Features) -> None:
    for prompts, answers in (([], ["Yes"]), ([PROMPT], []), ([PROMPT], ["Yes", ""])):
        with pytest.raises(MalformedInput, match="at least one"):
            answer_logprobs(model, prompts, features, answers)
