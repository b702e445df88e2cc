"""Lengths and percentages as written, in millimetres."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.measures import measures_in, numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 mm", [("size", (8,))]),
        ("8mm nodule", [("size", (8,))]),
        ("an 8-mm nodule", [("size", (8,))]),
        ("1.5 cm", [("size", (15,))]),
        ("2.3 x 1.8 cm", [("size", (23, 18))]),
        ("2.3cm×1.8cm", [("size", (23, 18))]),
        ("10 × 8 × 6 mm", [("size", (10, 8, 6))]),
        ("3-5 mm", [("size", (5,))]),
        ("3 to 5 mm", [("size", (5,))]),
        ("约3～5毫米", [("size", (5,))]),
        ("4厘米", [("size", (40,))]),
        ("2公分", [("size", (20,))]),
        ("12 millimeters", [("size", (12,))]),
        ("4 cm above the carina", [("distance", (40,))]),
        ("25 mm from the carina", [("distance", (25,))]),
        ("距隆突约2.5cm", [("distance", (25,))]),
        ("隆突上方约3cm", [("distance", (30,))]),
        ("压缩约30%", [("percent", (30,))]),
        ("30%-40%", [("percent", (40,))]),
        ("250%", []),
        ("the 5th rib", []),
        ("5 cmh2o", []),
        ("2021-03-05", []),
        ("0.58", []),
    ],
)
def test_measures(text: str, expected: list[tuple[str, tuple[float, ...]]]) -> None:
    assert [(kind, numbers(value)) for kind, value, _, _ in measures_in(text)] == expected


@given(st.integers(1, 999), st.sampled_from([("mm", 1), ("cm", 10), ("毫米", 1), ("厘米", 10)]))
def test_any_length_in_any_unit(number: int, unit: tuple[str, int]) -> None:
    text = f"大小约{number}{unit[0]}的结节"
    ((kind, value, first, last),) = measures_in(text)
    assert (kind, numbers(value), text[first:last]) == ("size", (number * unit[1],), f"{number}{unit[0]}")


@given(st.text("0123456789.x×-~ mcm%厘米距", max_size=40))
def test_spans_lie_in_the_text_and_hold_a_digit(text: str) -> None:
    for _, value, first, last in measures_in(text):
        assert 0 <= first < last <= len(text)
        assert any(character.isdigit() for character in text[first:last])
        assert all(number >= 0 for number in numbers(value))
