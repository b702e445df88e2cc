"""With which characters a match of a pattern can begin: what lets one pass over a text try only the rules that may
hold there, instead of searching the text once a rule."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

_WILD = "\0"  # stands for any character at all
_LONGEST_CLASS = 40  # a character class with more members than this counts as any character

# The parser behind :mod:`re`. It is not public; tests/findings/test_first_letters.py holds this module to what
# the compiled patterns themselves match.
_parser: Any = import_module("re._parser")


def first_letters(pattern: str, depth: int = 2) -> frozenset[str]:
    """The openings of every match: ``depth`` characters, or fewer where the next is open or the match ends.

    Returns
    -------
    frozenset of str
        Empty strings among them say that a match can begin with any character.

    Examples
    --------
    >>> sorted(first_letters("(?:left|right)? ?lungs?"))
    [' l', 'le', 'lu', 'ri']
    >>> sorted(first_letters("肺[野尖]|气.?胸"))
    ['气', '气胸', '肺尖', '肺野']
    """
    openings = _sequence(_parser.parse(pattern), depth)
    return frozenset(opening.partition(_WILD)[0] for opening in openings)


def _sequence(nodes: Iterable[Any], depth: int) -> set[str]:
    openings = {""}
    for operator, argument in nodes:
        if all(len(opening) == depth for opening in openings):
            break
        openings = _joined(openings, _node(str(operator), argument, depth), depth)
    return openings


def _joined(starts: set[str], ends: set[str], depth: int) -> set[str]:
    return {(start + end)[:depth] for start in starts for end in (ends if len(start) < depth else ("",))}


def _node(operator: str, argument: Any, depth: int) -> set[str]:
    if operator == "LITERAL":
        return {chr(argument)}
    if operator == "IN":
        return _members(argument)
    if operator == "BRANCH":
        return set().union(*(_sequence(branch, depth) for branch in argument[1]))
    if operator == "SUBPATTERN":
        return _sequence(argument[-1], depth)
    if operator in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, body = argument
        once = repeated = _sequence(body, depth)
        for _ in range(min(most, depth) - 1):
            repeated = repeated | _joined(repeated, once, depth)
        return repeated | {""} if least == 0 else repeated
    if operator in ("AT", "ASSERT", "ASSERT_NOT"):
        return {""}
    return {_WILD}


def _members(items: Iterable[Any]) -> set[str]:
    members: set[str] = set()
    for operator, argument in items:
        if str(operator) == "LITERAL":
            members.add(chr(argument))
        elif str(operator) == "RANGE" and argument[1] - argument[0] < _LONGEST_CLASS:
            members |= {chr(code) for code in range(argument[0], argument[1] + 1)}
        else:
            return {_WILD}
    return members
