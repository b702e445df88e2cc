"""What a word does in a report: it names a finding, a place, a side, a degree, denies or hedges, or is only grammar.

The findings' own rules decide, so that a word counts here as it counts when the report is read; anatomy and the small
words that stand inside a finding's own phrase ("the heart *is* enlarged") are listed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from radiolucent.findings.matching import find_matches, matches_inside
from radiolucent.findings.rules import load_rules
from radiolucent.findings.sentences import lower, plain, split_sentences

Kind = Literal["finding", "anatomy", "side", "severity", "negation", "hedge", "change", "grammar", "punctuation"]
CLINICAL: frozenset[Kind] = frozenset(get_args(Kind)) - {"grammar", "punctuation"}

KIND_WORDS: dict[Kind, tuple[str, str]] = {
    "finding": ("finding", "征象"),
    "anatomy": ("anatomy", "部位"),
    "side": ("side", "左右"),
    "severity": ("degree", "程度"),
    "negation": ("denial", "否定"),
    "hedge": ("hedge", "不确定用语"),
    "change": ("change", "变化"),
    "grammar": ("grammar", "语法词"),
    "punctuation": ("punctuation", "标点"),
}

# a later kind overrules an earlier one: the side inside a finding's phrase is a side
_RANKED: tuple[Kind, ...] = ("finding", "anatomy", "change", "severity", "side", "hedge", "negation")
_KIND_OF_RULE: dict[str, Kind] = {
    "side": "side",
    "zone": "anatomy",
    "severity": "severity",
    "count": "severity",
    "size": "severity",
    "percent": "severity",
    "change": "change",
    "margin": "finding",
    "density": "finding",
    "vessels": "finding",
    "term": "finding",
    "clause": "finding",
    "absent": "finding",
    "uncertain": "finding",
    "normal": "finding",
    "negation_before": "negation",
    "negation_after": "negation",
    "resolution_before": "negation",
    "resolution_after": "negation",
    "possible_before": "hedge",
    "possible_after": "hedge",
    "likely_before": "hedge",
    "likely_after": "hedge",
}
_SIDES = {"en": re.compile(r"\b(?:sides?|sided|bilateral\w*|unilateral)\b"), "zh": re.compile("(?<=[左右双两单一])侧")}
_STATEMENTS = ("clause", "absent", "uncertain", "normal")  # phrases that hold their own subject

_ANATOMY = {
    "en": re.compile(
        r"\b(?:lungs?|hearts?|cardiac|cardiomediastinal|mediastin\w+|silhouette|contours?|pleura|hil(?:a|um|ar)|perihilar"
        r"|zones?|lobes?|fields?|bases?|apex|apices|apical|basal|basilar|retrocardiac|costophrenic|sulc(?:us|i)|angles?"
        r"|(?:hemi)?diaphragms?|hemithora(?:x|ces)|thora(?:x|cic)|chest|trachea|carina|aort(?:a|ic)|ribs?|clavicles?"
        r"|spine|vertebra\w*|bones?|osseous|bony|fissures?|upper|middle|mid|lower|lingula\w*|rul|rml|rll|lul|lll)\b"
    ),
    "zh": re.compile(
        "[上中下](?=[肺叶野部])|肺(?:门|尖|底|野|叶|部)?|心(?:影|脏|膈)?|纵[隔膈]|[胸]膜|胸廓|膈(?:面|肌|顶)?|肋(?:膈角|骨)?"
        "|主动脉(?:结|弓)?|气管|隆突|锁骨|胸椎|叶间裂|(?<=[肺上中下])[野叶]"
    ),
}
_SMALL = {
    "en": re.compile(
        "an?|the|th(?:is|at|ese|ose|ere)|its?|is|are|was|were|be|been|being|am|has|have|had|do|does|did|may|might|could"
        "|can|would|will|in|on|at|of|to|for|from|by|with|into|over|under|and|n?or|but|as|than|then|also|which|whose?"
    ),
    "zh": re.compile("[的了着和与及并且或者为是在于有见可呈示其此该这那也亦均皆都等之]"),
}
_DENIES_INSIDE = {
    "en": re.compile(r"\b(?:no|not|neither|without)\b"),
    "zh": re.compile("未见|没有|[不未无没非](?!张|全|均|规)"),
}
_HEDGES_INSIDE = {
    "en": re.compile(r"\b(?:possibl[ey]|probabl[ey]|likely|may|might|could|perhaps|borderline|questionabl[ey])\b"),
    "zh": re.compile("考虑|可能|可疑|疑似|似"),
}


def word_kinds(text: str, spans: Sequence[tuple[int, int]], language: str) -> tuple[Kind, ...]:
    """The kind of each word of a text.

    Parameters
    ----------
    spans
        [first, last) of each word in ``text``.
    language
        ``"en"`` or ``"zh"``.

    Examples
    --------
    >>> word_kinds("No effusion.", [(0, 2), (3, 11), (11, 12)], "en")
    ('negation', 'finding', 'punctuation')
    """
    kinds = _character_kinds(text, language)
    return tuple(_of_word(text[first:last], kinds[first:last], language) for first, last in spans)


def _of_word(word: str, kinds: Iterable[int], language: str) -> Kind:
    if not any(character.isalnum() for character in word):
        return "punctuation"
    ranks = [rank for rank in kinds if rank]
    small = _SMALL[language].fullmatch(lower(word.strip())) is not None
    if not ranks or (small and max(ranks) <= 1 + _RANKED.index("anatomy")):
        return "grammar"
    if small and language == "en" and _RANKED[max(ranks) - 1] in ("negation", "hedge", "severity", "change"):
        return "grammar"  # "no evidence *of*", "cannot *be* excluded"
    return _RANKED[max(ranks) - 1]


def _character_kinds(text: str, language: str) -> list[int]:
    """For each character one plus the rank of its kind, 0 for grammar."""
    kinds = [0] * len(text)
    folded = lower(plain(text))

    def put(first: int, last: int, kind: Kind) -> None:
        rank = 1 + _RANKED.index(kind)
        for place in range(first, last):
            kinds[place] = max(kinds[place], rank)

    for sentence in split_sentences(folded, (load_rules(language),)):
        said = folded[sentence.first : sentence.last]
        for part in _ANATOMY[language].finditer(said):
            put(sentence.first + part.start(), sentence.first + part.end(), "anatomy")
        for part in _SIDES[language].finditer(said):
            put(sentence.first + part.start(), sentence.first + part.end(), "side")
        for match in find_matches(said, (language,)):
            kind = _KIND_OF_RULE.get(match.kind)
            if kind is None:
                continue
            first, words = sentence.first + match.first, said[match.first : match.last]
            if match.kind == "term":  # the pleura of "pleural effusion" is part of the finding's name
                for place in range(first, first + len(words)):
                    kinds[place] = 0
            put(first, first + len(words), kind)
            if match.kind in _STATEMENTS:
                for part in _DENIES_INSIDE[language].finditer(words):
                    put(first + part.start(), first + part.end(), "negation")
                for part in _HEDGES_INSIDE[language].finditer(words):
                    put(first + part.start(), first + part.end(), "hedge")
            if match.kind in ("term", *_STATEMENTS):
                for inside in matches_inside(words, match.language):
                    within = _KIND_OF_RULE.get(inside.kind)
                    if within in ("side", "severity"):
                        put(first + inside.first, first + inside.last, within)
    return kinds
