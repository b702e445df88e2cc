"""The rules as data: one TOML file a language, compiled once to regular expressions."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from radiolucent.findings.vocabulary import CODES

# Kinds of match that say something about a code: a noun phrase, a subject with its predicate, and statements
# that carry their own polarity ("heart size is normal").
FINDING_KINDS = ("term", "clause", "absent", "uncertain")
ATTRIBUTE_KINDS = ("side", "zone", "severity", "change", "partial")


@dataclass(frozen=True)
class Rule:
    """One compiled rule: where ``pattern`` matches, the text holds ``value`` of this ``kind``."""

    kind: str
    value: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Grammar:
    """The small words that decide which modifier belongs to which finding."""

    coordinator: re.Pattern[str]
    list_word: re.Pattern[str]
    soft_list_word: re.Pattern[str]
    clause_opener: re.Pattern[str]
    preposition: re.Pattern[str]
    filler: re.Pattern[str]


@dataclass(frozen=True)
class Rules:
    """All rules of one language, in tiers: what an earlier tier has taken, a later one cannot match.

    Parameters
    ----------
    attributes
        Kind -> rules of modifiers around a finding.
    inside
        Kind -> rules of modifiers inside a finding's own words, where "increased" can also mean change.
    """

    language: str
    tiers: tuple[tuple[Rule, ...], ...]
    attributes: dict[str, tuple[Rule, ...]]
    inside: dict[str, tuple[Rule, ...]]
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
        Where the data file names a code outside the vocabulary; a fault of the package, never of the input.
    """
    text = resources.files("radiolucent.findings").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    unknown = set(data["codes"]) - set(CODES)
    if unknown:
        raise ValueError(f"{language}.toml names codes outside the vocabulary: {sorted(unknown)}.")
    grammar = data["grammar"]

    def rule(kind: str, value: str, patterns: list[str]) -> Rule:
        return Rule(kind, value, _compile(patterns, language, grammar))

    ignore = (rule("ignore", "", data["ignore"]["patterns"]),)
    said = [rule("change", "stable", data["changes"]["stable"])]
    said += [rule("normal", scope, patterns) for scope, patterns in data["normal"].items()]
    for code, entry in data["codes"].items():
        said += [rule(kind, code, patterns) for kind, patterns in _expand(entry, language).items() if patterns]
    cues = [
        rule(f"{group}_{place}", "", patterns)
        for group in ("negation", "resolution")
        for place, patterns in data[group].items()
    ]
    cues += [rule(kind, "", patterns) for kind, patterns in data["uncertainty"].items()]
    cues += [rule(kind, "", patterns) for kind, patterns in data["scope"].items() if kind != "partial"]
    changes = [rule("change", value, patterns) for value, patterns in data["changes"].items() if value != "stable"]
    attributes = [rule("severity", value, patterns) for value, patterns in data["severities"].items()]
    attributes += [rule("side", value, patterns) for value, patterns in data["sides"].items()]
    attributes += [rule("zone", value, patterns) for value, patterns in data["zones"].items()]
    for place in data["places"]:
        attributes += [rule(kind, place[kind], [place["pattern"]]) for kind in ("side", "zone")]
    attributes.append(rule("partial", "", data["scope"]["partial"]))
    return Rules(
        language,
        (ignore, tuple(said), (*cues, *changes)),
        _by_kind(attributes),
        _by_kind([*attributes, *changes]),
        Grammar(
            **{
                name: re.compile(grammar[name], re.IGNORECASE)
                for name in ("coordinator", "list_word", "soft_list_word", "clause_opener", "preposition", "filler")
            }
        ),
        _heading([name for names in data["sections"].values() for name in names], language),
        _whole(data["sections"]["silent"], language),
        _whole(data["sections"]["organs"], language),
    )


def _by_kind(rules: list[Rule]) -> dict[str, tuple[Rule, ...]]:
    return {kind: tuple(rule for rule in rules if rule.kind == kind) for kind in ATTRIBUTE_KINDS}


def _expand(entry: dict[str, Any], language: str) -> dict[str, list[str]]:
    """Turn ``clauses`` into patterns that assert, deny and hedge them.

    A clause has a subject, a predicate and, where the subject can be called well, a healthy predicate.
    """
    terms: dict[str, list[str]] = {
        "term": list(entry.get("terms", [])),
        "clause": [],
        "absent": list(entry.get("absent", [])),
        "uncertain": list(entry.get("uncertain", [])),
    }
    link, adverbs = ("{be}", "{adv}") if language == "en" else ("{gap}", "{gap}")
    for clause in entry.get("clauses", []):
        subject, predicate = clause["subject"], clause["predicate"]
        terms["clause"].append(f"{subject}{link}{adverbs}{predicate}")
        terms["absent"].append(f"{subject}{link}{{neg}}{adverbs}{predicate}")
        terms["uncertain"].append(f"{subject}{link if language == 'zh' else ' '}{{hedge}}{adverbs}{predicate}")
        if "healthy" in clause:
            terms["absent"].append(f"{subject}{link}{adverbs if language == 'en' else ''}{clause['healthy']}")
    return terms


def _compile(patterns: list[str], language: str, grammar: dict[str, str]) -> re.Pattern[str]:
    body = "|".join(f"(?:{pattern})" for pattern in patterns)
    for name in ("be", "adv", "gap", "neg", "hedge"):
        body = body.replace("{" + name + "}", grammar.get(name, ""))
    if language == "zh":
        return re.compile(body, re.IGNORECASE)
    body = body.replace(" ?", r"[\s\-]*").replace(" ", r"[\s\-]+")
    edge = "(?:(?<![A-Za-z])|(?![A-Za-z]))"  # never inside a word; a pattern may begin or end with punctuation
    return re.compile(f"{edge}(?:{body}){edge}", re.IGNORECASE)


def _whole(names: list[str], language: str) -> re.Pattern[str]:
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
