"""A report cut into sentences, each knowing whether its section asserts anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from radiolucent.findings.rules import Rules

CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
LATIN = re.compile(r"[A-Za-z]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:vs|approx|e\.g|i\.e|dr|mr|mrs|ca|cf|etc|fig|resp|incl|est)|\b[A-Z])$", re.IGNORECASE
)
_ITEM = re.compile(r"[ \t]*(?:[-*•·]|\(?\d{1,2}[.、．)）])[ \t]*(?=[^\d\s])")
_MAYBE_END = re.compile(r"[。！!？?.．\n\r]|(?<!\d)\d(?=\d?[.、．)）])")
_CLOSING = re.compile("[。！!？?\"'）)]*")
_HEADING_MARK = re.compile(r"[:：】\]\n]")
_SPACE = re.compile(r"\s*")
_INLINE_ITEM = re.compile(r"(?<![\d.])(?:\d{1,2}[.、．)）])[ \t]*(?=[^\d\s.])")


@dataclass(frozen=True)
class Sentence:
    """Span [first, last) of one sentence, heading and list mark cut away.

    Parameters
    ----------
    asserts
        False inside INDICATION, HISTORY, COMPARISON, TECHNIQUE, 病史, 检查方法, 建议 and the like.
    item
        True where it is an item of a list.
    """

    first: int
    last: int
    asserts: bool
    item: bool = False


_PLAIN = str.maketrans(
    {mark: " " for mark in "*_#`"} | {chr(code): chr(code - 0xFEE0) for code in (*range(0xFF10, 0xFF1A), 0xFF05)}
)
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
_LONGEST_SENTENCE = 600  # longer is no sentence, and reading time grows with its square


def plain(text: str) -> str:
    """The text with Markdown marks blanked and wide digits made narrow; same length, so that spans still hold."""
    return text.translate(_PLAIN)


def lower(text: str) -> str:
    """Latin capitals made small; same length, unlike :meth:`str.lower`."""
    return text.translate(_LOWER)


def split_sentences(text: str, rules: Iterable[Rules]) -> tuple[Sentence, ...]:
    """Cut ``text`` at full stops, list items, headings and line ends that are not mere line wraps.

    Parameters
    ----------
    rules
        Languages whose headings are known.
    """
    known = tuple(rules)
    cleaned = plain(text)
    asserts, written = True, False
    sentences: list[Sentence] = []
    for first, last, paragraph in _pieces(cleaned):
        if paragraph and written and not asserts:
            asserts = True  # a silent section ends with its paragraph
        start = first
        while start < last and cleaned[start].isspace():
            start += 1
        item = bool(_ITEM.match(cleaned, start, last))
        while (heading := _heading_at(cleaned, start, last, known)) is not None:
            end, kind = heading
            asserts, written = kind != "silent", False
            if kind == "organ":
                break  # "Heart: enlarged" needs its heading
            start = end
        if mark := _ITEM.match(cleaned, start, last):
            start = mark.end()
        for begin, stop in _bounded(cleaned, *_trim(cleaned, start, last)):
            written = True
            sentences.append(Sentence(begin, stop, asserts, item))
    return tuple(sentences)


def _bounded(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut what no full stop has cut at the last comma or space before the longest a sentence may be."""
    while last - first > _LONGEST_SENTENCE:
        stop = first + _LONGEST_SENTENCE
        breaks = [text.rfind(mark, first + 1, stop) for mark in "；;，, 、"]
        stop = next((found + 1 for found in breaks if found > first), stop)
        yield first, stop
        first = stop
    if first < last:
        yield first, last


def _heading_at(text: str, start: int, last: int, known: tuple[Rules, ...]) -> tuple[int, str] | None:
    if text[last - 1] in ".。！!？?" and not _HEADING_MARK.search(text, start, last):
        return None
    for rules in known:
        found = rules.heading.match(text, start, last)
        if found and found.end() > start:
            silent, organ = (pattern.fullmatch(found["name"]) for pattern in (rules.silent, rules.organs))
            return found.end(), "silent" if silent else "organ" if organ else "asserting"
    return None


def _pieces(text: str) -> Iterator[tuple[int, int, bool]]:
    """(first, last, begins a paragraph) of each stretch between hard ends."""
    first, paragraph = 0, False
    for found in _MAYBE_END.finditer(text):
        position, character = found.start(), found[0]
        if position < first:
            continue
        end = None
        next_paragraph = False
        if character in "。！!？?" or (character in ".．" and _full_stop(text, position)):
            end = _CLOSING.match(text, position + 1).end()  # type: ignore[union-attr]
        elif character in "\n\r":
            stop = _SPACE.match(text, position).end()  # type: ignore[union-attr]
            next_paragraph = text.count("\n", position, stop) > 1
            if next_paragraph or not _wrapped(text, position, stop):
                end = position
        elif position > first and character.isdigit() and _inline_item(text, position):
            end = position
        if end is None:
            continue
        if end > first:
            yield first, end, paragraph
            paragraph = False
        paragraph = paragraph or next_paragraph
        first = end
    if first < len(text):
        yield first, len(text), paragraph


def _full_stop(text: str, position: int) -> bool:
    before, after = text[max(0, position - 6) : position], text[position + 1 : position + 2]
    if after.isdigit() and before[-1:].isdigit():
        return False
    if before[-1:].isdigit() and _inline_item(text, position - len(re.findall(r"\d+$", before)[0])):
        return False  # the point of "1." in a list
    if after and after.islower():
        return False
    return not _ABBREVIATION.search(before) or after in ("\n", "")


def _inline_item(text: str, position: int) -> bool:
    mark = _INLINE_ITEM.match(text, position)
    if mark is None:
        return False
    before = text[:position].rstrip(" \t")[-1:]
    return not before or before in "。.;；:：\n" or bool(CJK.match(before) and not CJK.match(text[mark.end() - 1]))


def _wrapped(text: str, position: int, stop: int) -> bool:
    """Whether a single line break only wraps an English line."""
    following = text[stop : stop + 1]
    before = text[:position].rstrip(" \t")[-1:]
    return bool(following) and following.islower() and before not in ".。:：;；" and not CJK.match(following)


def _trim(text: str, first: int, last: int) -> tuple[int, int]:
    while first < last and (text[first].isspace() or text[first] in "-•·:："):
        first += 1
    while last > first and text[last - 1].isspace():
        last -= 1
    return first, last
