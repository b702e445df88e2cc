"""One pass with first letters finds what searching the text once a rule finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_text import LANGUAGES, cases

from radiolucent.findings.first_letters import first_letters
from radiolucent.findings.matching import _candidates, _sentence_lookup
from radiolucent.findings.rules import Rule, load_rules
from radiolucent.findings.sentences import lower

RULES = [rule for language in LANGUAGES for rule in (*load_rules(language).rules, *load_rules(language).inside)]
TEXTS = [lower(case.text) for language in LANGUAGES for case in cases(language)]


def _opens(text: str, openings: frozenset[str]) -> bool:
    return any(text.startswith(opening) for opening in openings)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_every_string_that_a_rule_matches_begins_with_its_letters(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(RULES))
    try:
        text = data.draw(st.from_regex(rule.pattern))
    except ValueError:
        return  # hypothesis cannot draw from every assertion
    match = rule.pattern.search(text)
    if match is not None and match[0]:
        assert _opens(match[0], rule.openings)


@pytest.mark.parametrize(
    "pattern",
    ["ab|c", "(?:a|bc)?d", "a*b", "[xy]z?", "(?<=q)r", "(?:(?:ab)+|c{2,3})d", "a.b", "\\d?x", "(?i:a)b", "(a)|b"],
)
@given(text=st.text("abcdqrxyz1", max_size=6), depth=st.integers(1, 5))
def test_letters_of_small_patterns(pattern: str, text: str, depth: int) -> None:
    match = re.search(pattern, text)
    if match is not None:
        assert _opens(match[0], first_letters(pattern, depth))


def _searched(text: str, rule: Rule) -> list[tuple[int, int]]:
    """Brute force: every place where the rule holds, none overlapping, none beginning inside a Latin word."""
    found: list[tuple[int, int]] = []
    for position in range(len(text)):
        inside = position > 0 and "a" <= text[position] <= "z" and "a" <= text[position - 1] <= "z"
        if inside or text[position].isspace() or (found and position < found[-1][1]):
            continue
        match = rule.pattern.match(text, position)
        if match and match.end() > position:
            found.append(match.span())
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_pass_finds_what_a_search_for_every_rule_finds(language: str) -> None:
    for text in TEXTS[:: len(TEXTS) // 40]:
        expected = {
            (rule.kind, rule.value, rule.detail, first, last)
            for rule in load_rules(language).rules
            for first, last in _searched(text, rule)
        }
        got = {
            (match.kind, match.value, match.detail, match.first, match.last)
            for _, match in _candidates(text, _sentence_lookup((language,)))
        }
        assert got == expected, text
