"""Lengths and percentages in a sentence: as written, in millimetres, whatever the language."""

from __future__ import annotations

import re

_UNITS = {"mm": 1.0, "cm": 10.0, "毫米": 1.0, "厘米": 10.0, "公分": 10.0}
_NUMBER = r"\d{1,4}(?:\.\d{1,3})?"
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|毫米|厘米|公分)(?![a-z])"
_LENGTH = re.compile(
    rf"(?<![\d.])(?P<a>{_NUMBER})\s*-?\s*(?P<ua>{_UNIT})?"
    rf"(?:\s*(?P<join>x|×|\*|by|-|–|~|～|至|到|to)\s*(?P<b>{_NUMBER})\s*-?\s*(?P<ub>{_UNIT})?)?"
    rf"(?:\s*(?:x|×|\*|by)\s*(?P<c>{_NUMBER})\s*(?P<uc>{_UNIT})?)?",
)
# A length from one place to another: how far a tip lies from the carina is not the size of anything.
_AWAY_BEFORE = re.compile(r"(?:距.{0,12}|[上下]方.{0,3}|(?:above|below|from|beyond|past).{0,12})$")
_AWAY_AFTER = re.compile(
    r"\s*(?:(?:proximal|distal|superior|inferior|cephalad|caudal)\b|above|below|from\b|beyond|past\b|into\b|"
    r"inside|within|处|以[上下])"
)
_PERCENT = re.compile(rf"(?<![\d.])(?:{_NUMBER}\s*[%％]?\s*(?:-|–|~|～|至|到|to)\s*)?(?P<value>{_NUMBER})\s*[%％]")
_DIGIT = re.compile("[0-9]")
_RANGES = ("-", "–", "~", "～", "至", "到", "to")


def measures_in(sentence: str) -> list[tuple[str, str, int, int]]:
    """(kind, value, first, last) of every measure; the kind is ``size``, ``distance`` or ``percent``.

    The value of a size is its millimetres, one number a dimension, separated by commas; of a range the upper end.

    Examples
    --------
    >>> measures_in("a 2.3 x 1.8 cm mass, the tip 4 cm above the carina, 压缩约30%")
    [('size', '23,18', 2, 14), ('distance', '40', 29, 33), ('percent', '30', 55, 58)]
    """
    if not _DIGIT.search(sentence):
        return []
    found = []
    for match in _LENGTH.finditer(sentence):
        value = _millimetres(match)
        if value:
            away = _AWAY_BEFORE.search(sentence, max(0, match.start() - 16), match.start())
            away = away or _AWAY_AFTER.match(sentence, match.end())
            last = len(match[0].rstrip()) + match.start()
            found.append(("distance" if away else "size", value, match.start(), last))
    for match in _PERCENT.finditer(sentence):
        if float(match["value"]) <= 100:
            found.append(("percent", match["value"], match.start(), match.end()))
    return found


def numbers(value: str) -> tuple[float, ...]:
    """The millimetres, or the percentage, that a measure's value holds."""
    return tuple(float(number) for number in value.split(","))


def _millimetres(match: re.Match[str]) -> str:
    units = [match[name] for name in ("uc", "ub", "ua") if match[name]]
    if not units:
        return ""
    parts = [("a", "ua"), ("b", "ub"), ("c", "uc")]
    written = [(float(match[number]), match[unit] or units[0]) for number, unit in parts if match[number]]
    if match["join"] in _RANGES:
        del written[0]
    return ",".join(f"{number * _factor(unit):g}" for number, unit in written)


def _factor(unit: str) -> float:
    return _UNITS[unit] if unit in _UNITS else (1.0 if unit.startswith("milli") else 10.0)
