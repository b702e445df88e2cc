"""Tokens to characters and words: nothing lost, nothing invented, also where a character is split over tokens."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gemma import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from radiolucent.vlm.words import decode, split_thinking, tokens_of, words_of

GEMMA = tiny_tokenizer()


def byte_level() -> PreTrainedTokenizerFast:
    """Another family's scheme: every token is a few bytes, a Chinese character takes three."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


TOKENIZERS = {"gemma": GEMMA, "byte level": byte_level()}
TEXT = st.text(alphabet=string.ascii_letters + string.digits + " .,-\n" + "右侧胸腔积液未见𠀀é", max_size=30)


@pytest.mark.parametrize("scheme", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_every_token_carries_exactly_its_characters(scheme: str, text: str) -> None:
    tokenizer = TOKENIZERS[scheme]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = decode(tokenizer, ids)
    assert decoded.text == text and len(decoded.spans) == len(ids)
    covered = 0
    for start, stop in decoded.spans:
        assert start <= covered <= stop or start == covered  # no gap
        assert start < stop
        covered = max(covered, stop)
    assert covered == len(text)
    for token, (start, stop) in zip(ids, decoded.spans, strict=True):
        alone = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        if "\ufffd" not in alone:
            assert alone == text[start:stop]
        else:
            assert stop - start == 1  # one byte of one character


@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_words_tile_the_text_and_their_tokens_hold_them(text: str) -> None:
    ids = GEMMA(text, add_special_tokens=False)["input_ids"]
    decoded = decode(GEMMA, ids)
    words = words_of(decoded)
    assert "".join(word.text for word in words) == "".join(text.split())
    for word in words:
        assert text[slice(*word.chars)] == word.text
        assert word.text in GEMMA.decode(ids[slice(*word.tokens)], clean_up_tokenization_spaces=False)
        if len(word.text) > 1:
            assert word.text.isascii() or "é" in word.text


def test_a_character_of_three_byte_tokens_maps_to_all_three() -> None:
    ids = GEMMA("a鼻b", add_special_tokens=False)["input_ids"]
    decoded = decode(GEMMA, ids)
    assert len(ids) == 5 and decoded.spans == ((0, 1), (1, 2), (1, 2), (1, 2), (2, 3))
    assert [word.tokens for word in words_of(decoded)] == [(0, 1), (1, 4), (4, 5)]


def test_two_characters_in_one_token_share_it_and_long_words_span_many() -> None:
    ids = GEMMA("积液 pneumothorax", add_special_tokens=False)["input_ids"]
    words = words_of(decode(GEMMA, ids), first_token=10)
    assert [word.text for word in words] == ["积", "液", "pneumothorax"]
    assert words[0].tokens == words[1].tokens == (10, 11)
    assert words[2].tokens[1] - words[2].tokens[0] > 1 and words[2].tokens[1] == 10 + len(ids)


def test_special_tokens_carry_nothing() -> None:
    end = GEMMA.convert_tokens_to_ids("<end_of_turn>")
    ids = [*GEMMA("no", add_special_tokens=False)["input_ids"], end]
    decoded = decode(GEMMA, ids)
    assert decoded.text == "no" and decoded.spans[-1] == (2, 2)
    assert tokens_of(decoded, 0, 2) == (0, len(ids) - 1) and tokens_of(decoded, 5, 6) is None


def test_measures_hyphens_and_decimals_stay_whole() -> None:
    ids = GEMMA("a 1.5 cm right-sided node.", add_special_tokens=False)["input_ids"]
    assert [word.text for word in words_of(decode(GEMMA, ids))] == ["a", "1.5", "cm", "right-sided", "node", "."]


def test_the_thought_is_split_from_the_answer() -> None:
    assert split_thinking([5, 6], 90, 91) == ((0, 0), (0, 2))
    assert split_thinking([90, 5, 6, 91, 7], 90, 91) == ((1, 3), (4, 5))
    assert split_thinking([90, 5, 6], 90, 91) == ((1, 3), (3, 3))  # cut short: no answer yet
    assert split_thinking([5, 6], None, None) == ((0, 0), (0, 2))
