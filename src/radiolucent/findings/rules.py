"""The rules as data: one TOML file a language, compiled once to regular expressions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from radiolucent.findings.first_letters import first_letters
from radiolucent.findings.vocabulary import ATTRIBUTES, CODES

# Kinds of match that say something about a code: a noun phrase, a subject with its predicate, and statements
# that carry their own polarity ("heart size is normal").
FINDING_KINDS = frozenset(("term", "clause", "absent", "uncertain"))
DESCRIPTIVE_KINDS = ("margin", "density", "vessels")
PLACE_KINDS = ("side", "zone", "partial")
ATTRIBUTE_KINDS = frozenset(("severity", "change", "count", *PLACE_KINDS, *DESCRIPTIVE_KINDS, "size", "percent"))

# What an earlier tier has taken, a later one cannot match.
IGNORED, SAID, CUES, MODIFIERS = range(4)


_DEPTH = {"en": 4, "zh": 2}  # characters by which rules are told apart: three letters of a word, or a whole one


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule: where ``pattern`` matches, the text holds ``value`` of this ``kind``.

    Parameters
    ----------
    detail
        The kind of a device, where the words say which.
    openings
        With which first characters a match can begin.
    """

    language: str
    tier: int
    kind: str
    value: str
    pattern: re.Pattern[str]
    openings: frozenset[str]
    detail: str = ""


@dataclass(frozen=True)
class Grammar:
    """The small words that decide which modifier belongs to which finding."""

    coordinator: re.Pattern[str]
    list_word: re.Pattern[str]
    soft_list_word: re.Pattern[str]
    clause_opener: re.Pattern[str]
    preposition: re.Pattern[str]
    filler: re.Pattern[str]
    question: re.Pattern[str]


@dataclass(frozen=True)
class Rules:
    """All rules of one language.

    Parameters
    ----------
    rules
        What a sentence is matched against.
    inside
        What a finding's own words are matched against: modifiers, where "increased" can also mean change.
    claims
        Claim -> what in a text speaks of something outside the picture.
    """

    language: str
    rules: tuple[Rule, ...]
    inside: tuple[Rule, ...]
    claims: dict[str, re.Pattern[str]]
    grammar: Grammar
    heading: re.Pattern[str]
    silent: re.Pattern[str]
    organs: re.Pattern[str]


@cache
def load_rules(language: str) -> Rules:
    """The rules of ``"en"`` or ``"zh"``.

    Raises
    ------
    ValueError
        Where the data file names a code or an attribute outside the vocabulary; a fault of the package, never of
        the input.
    """
    text = resources.files("radiolucent.findings").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    _check_names(data, language)
    grammar = data["grammar"]
    fold_case = re.compile(r"\\.|[A-Z]")

    def rule(tier: int, kind: str, value: str, patterns: list[str], detail: str = "") -> Rule:
        body = "|".join(f"(?:{pattern})" for pattern in patterns)
        for name in ("be", "adv", "gap", "neg", "hedge", "state"):
            body = body.replace("{" + name + "}", grammar.get(name, ""))
        body = fold_case.sub(lambda found: found[0] if found[0][0] == "\\" else found[0].lower(), body)
        if language == "en":
            body = body.replace(" ?", r"[\s\-]*").replace(" ", r"[\s\-]+")
            body = f"(?:{body})(?:(?<![a-z])|(?![a-z]))"  # never ends inside a word
        return Rule(language, tier, kind, value, re.compile(body), first_letters(body, _DEPTH[language]), detail)

    modifiers = list(_modifiers(data))
    changes = [(value, patterns) for value, patterns in data["changes"].items()]
    rules = [rule(IGNORED, "ignore", "", data["ignore"]["patterns"])]
    rules += [rule(SAID, "normal", scope, patterns) for scope, patterns in data["normal"].items()]
    for code, entry in data["codes"].items():
        rules += [rule(SAID, kind, code, patterns, detail) for kind, patterns, detail in _expand(entry, language)]
    rules += [rule(CUES, kind, "", patterns) for kind, patterns in _cues(data)]
    rules += [rule(SAID if value == "stable" else CUES, "change", value, patterns) for value, patterns in changes]
    rules += [rule(MODIFIERS, kind, value, patterns) for kind, value, patterns in modifiers]
    inside = [rule(MODIFIERS, kind, value, patterns) for kind, value, patterns in modifiers]
    inside += [rule(MODIFIERS, "change", value, patterns) for value, patterns in changes]
    sections = data["sections"]
    return Rules(
        language,
        tuple(rules),
        tuple(inside),
        {name: _whole(patterns, language) for name, patterns in data["claims"].items()},
        Grammar(**{name: re.compile(grammar[name], re.IGNORECASE) for name in Grammar.__dataclass_fields__}),
        _heading([name for names in sections.values() for name in names], language),
        _whole(sections["silent"], language),
        _whole(sections["organs"], language),
    )


def _check_names(data: dict[str, Any], language: str) -> None:
    unknown = set(data["codes"]) - set(CODES)
    for name, values in data["attributes"].items():
        unknown |= {f"{name}.{value}" for value in set(values) - set(ATTRIBUTES.get(name, {}))}
    for entry in data["codes"].values():
        unknown |= set(entry.get("kinds", {})) - set(ATTRIBUTES["kind"])
    if unknown:
        raise ValueError(f"{language}.toml names what is not in the vocabulary: {sorted(unknown)}.")


def _cues(data: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for group in ("negation", "resolution"):
        for place, patterns in data[group].items():
            yield f"{group}_{place}", patterns
    yield from data["uncertainty"].items()
    yield from ((kind, patterns) for kind, patterns in data["scope"].items() if kind != "partial")


def _modifiers(data: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for kind, table in (("severity", "severities"), ("side", "sides"), ("zone", "zones"), ("count", "counts")):
        yield from ((kind, value, patterns) for value, patterns in data[table].items())
    for place in data["places"]:
        yield from ((kind, place[kind], [place["pattern"]]) for kind in ("side", "zone"))
    for kind, values in data["attributes"].items():
        yield from ((kind, value, patterns) for value, patterns in values.items())
    yield "partial", "", data["scope"]["partial"]


def _expand(entry: dict[str, Any], language: str) -> Iterator[tuple[str, list[str], str]]:
    """(kind, patterns, detail): ``clauses`` become patterns that assert, deny and hedge them.

    A clause has a subject, a predicate and, where the subject can be called well, a healthy predicate.
    """
    said: dict[str, list[str]] = {
        "clause": [],
        "absent": list(entry.get("absent", [])),
        "uncertain": list(entry.get("uncertain", [])),
    }
    link, adverbs = ("{be}", "{adv}") if language == "en" else ("{gap}", "{gap}")
    for clause in entry.get("clauses", []):
        subject, predicate = clause["subject"], clause["predicate"]
        said["clause"].append(f"{subject}{link}{adverbs}{predicate}")
        said["absent"].append(f"{subject}{link}{{neg}}{adverbs}{predicate}")
        said["uncertain"].append(f"{subject}{link if language == 'zh' else ' '}{{hedge}}{adverbs}{predicate}")
        if "healthy" in clause:
            said["absent"].append(f"{subject}{link}{adverbs if language == 'en' else ''}{clause['healthy']}")
    for detail, patterns in entry.get("kinds", {}).items():
        yield "term", patterns, detail
    if entry.get("terms"):
        yield "term", entry["terms"], ""
    yield from ((kind, patterns, "") for kind, patterns in said.items() if patterns)


def _whole(names: Iterable[str], language: str) -> re.Pattern[str]:
    body = "|".join(names)
    return re.compile(body.replace(" ", r"\s+") if language == "en" else body, re.IGNORECASE)


def _heading(names: list[str], language: str) -> re.Pattern[str]:
    """A heading at a line's or sentence's start: the name, then a colon, a closing bracket or the line's end."""
    body = "|".join(f"(?:{name})" for name in names)
    if language == "en":
        body = body.replace(" ", r"\s+")
    mark = r"[ \t]*(?:[-•·]|\d{1,2}[.)、])?[ \t]*[【\[]?[ \t]*"
    end = r"[ \t]*(?:[】\]][ \t]*[:：]?|[:：]|[ \t]*(?=\n|$))"
    return re.compile(f"{mark}(?P<name>{body}){end}", re.IGNORECASE)
