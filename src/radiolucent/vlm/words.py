"""Generated tokens to text and to words, with exact character spans.

A Chinese character may be spread over several byte tokens and a word over several sub-words; the spans say which
tokens carry which characters, without guessing from token strings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from radiolucent.vlm.types import Word

_HAN = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:[-'’.,][^\W_{_HAN}]+)*|[^\s]")
_BROKEN = "\ufffd"  # what a decoder writes for the bytes of an unfinished character


@dataclass(frozen=True)
class Decoded:
    """Text of some tokens and the characters each token carries.

    Parameters
    ----------
    spans
        For each token the characters [first, last) it carries; empty (first == last) for special tokens. Tokens
        that together make one character all carry that character.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


def decode(tokenizer: Any, token_ids: Sequence[int]) -> Decoded:
    """Decode tokens and find each token's characters.

    Every prefix is decoded and compared with the whole, so the spans hold for any tokenizer (byte fallback,
    byte-level, word-level), at a cost quadratic in a text of a few hundred tokens.
    """
    ids = [int(token) for token in token_ids]
    text = _text(tokenizer, ids)
    special = set(tokenizer.all_special_ids)
    spans: list[tuple[int, int]] = []
    done = 0
    before = ""
    for count, token in enumerate(ids, start=1):
        so_far = _text(tokenizer, ids[:count])
        agreed = max(done, _common_prefix(so_far, text))
        if agreed > done:
            spans.append((done, agreed))
        elif token in special or (so_far == before and not so_far.endswith(_BROKEN)):
            spans.append((done, done))
        else:  # part of a character that later tokens complete
            spans.append((done, min(done + 1, len(text))))
        done, before = agreed, so_far
    return Decoded(text, tuple(spans))


def words_of(
    decoded: Decoded, *, first_token: int = 0, part: Literal["answer", "thinking"] = "answer", skip_chars: int = 0
) -> tuple[Word, ...]:
    """Words, Chinese characters and punctuation marks of a decoded text.

    Parameters
    ----------
    first_token
        Index of the decoded text's first token among all generated tokens.
    skip_chars
        Characters at the start that are not part of the text (the thought's header); spans count from there.
    """
    words = []
    for match in _WORD.finditer(decoded.text, skip_chars):
        first, last = match.span()
        tokens = tokens_of(decoded, first, last)
        if tokens is None:
            continue
        words.append(
            Word(
                text=match.group(),
                chars=(first - skip_chars, last - skip_chars),
                tokens=(tokens[0] + first_token, tokens[1] + first_token),
                part=part,
            )
        )
    return tuple(words)


def tokens_of(decoded: Decoded, first: int, last: int) -> tuple[int, int] | None:
    """Span of the tokens that carry characters [first, last); None where no token does."""
    carriers = [
        index for index, (start, stop) in enumerate(decoded.spans) if start < last and stop > first and stop > start
    ]
    return (carriers[0], carriers[-1] + 1) if carriers else None


def split_thinking(
    token_ids: Sequence[int], open_id: int | None, close_id: int | None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Token spans of the thought and of the answer.

    A thought that was cut short (opened, never closed) leaves an empty answer.
    """
    ids = [int(token) for token in token_ids]
    if open_id is None or open_id not in ids:
        return (0, 0), (0, len(ids))
    start = ids.index(open_id)
    if close_id is None or close_id not in ids[start:]:
        return (start + 1, len(ids)), (len(ids), len(ids))
    stop = ids.index(close_id, start)
    return (start + 1, stop), (stop + 1, len(ids))


def _text(tokenizer: Any, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def _common_prefix(partial: str, whole: str) -> int:
    limit = min(len(partial), len(whole))
    if partial[:limit] == whole[:limit]:
        agreed = limit
    else:
        agreed = next(index for index in range(limit) if partial[index] != whole[index])
    # A broken character at the end may be completed by the next token even where the whole text stays broken there.
    while agreed and partial[agreed - 1] == _BROKEN and agreed == len(partial) and len(partial) < len(whole):
        agreed -= 1
    return agreed
