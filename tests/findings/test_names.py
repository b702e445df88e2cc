"""Names and descriptions: whatever is described is read back as the same finding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from radiolucent.errors import MalformedInput
from radiolucent.findings import ATTRIBUTES, CODES, VOCABULARY, Finding, extract_findings
from radiolucent.findings.names import code_name, describe, details, place_name
from radiolucent.findings.rules import load_rules

LOBE = re.compile(r"\blobes?\b|叶")


def _every_finding() -> Iterator[Finding]:
    certain = (("present", "definite"), ("uncertain", "likely"), ("uncertain", "possible"), ("absent", "definite"))
    for code, entry in VOCABULARY.items():
        sides = [None, "left", "right", "bilateral"] if entry.sided else [None]
        zones = [None, "upper", "middle", "lower", "hilar", "diffuse"] if entry.zoned else [None]
        if code == "hilar_enlargement":
            zones = ["hilar"]
        if code == "mediastinal_shift":
            sides.remove("bilateral")
        severities = [None, "minimal", "mild", "moderate", "severe"] if entry.graded else [None]
        for side, zone, severity, (polarity, certainty) in itertools.product(sides, zones, severities, certain):
            denied = polarity == "absent"
            if denied and (severity or side == "bilateral" or (zone and entry.zoned)):
                continue
            yield Finding(code, polarity, side, zone, severity, certainty=certainty)  # type: ignore[arg-type]


EVERY = list(_every_finding())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("code", CODES)
def test_a_description_is_read_back_as_the_finding(language: str, code: str) -> None:
    for finding in (each for each in EVERY if each.code == code):
        phrase = describe(finding, language)
        (read,) = extract_findings(phrase)
        expected_side = finding.side
        if language == "zh" and finding.zone == "diffuse" and finding.side is None:
            expected_side = "bilateral"  # diffuse without a side is 双肺弥漫性
        got = (read.code, read.polarity, read.side, read.zone, read.severity, read.certainty)
        assert got == (
            finding.code,
            finding.polarity,
            expected_side,
            finding.zone,
            finding.severity,
            finding.certainty,
        ), phrase


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_description_names_a_lobe(language: str) -> None:
    assert not [finding for finding in EVERY if LOBE.search(describe(finding, language))]


def test_translated_sounding_chinese_is_never_produced() -> None:
    translated = re.compile("固结|合并|巩固|肿大|不透明|空隙|无气")
    assert not [finding for finding in EVERY if translated.search(describe(finding, "zh"))]


def test_native_chinese_wording() -> None:
    assert describe(Finding("pleural_effusion", side="right", severity="mild"), "zh") == "右侧胸腔少量积液"
    assert describe(Finding("pneumothorax", side="left", severity="severe"), "zh") == "左侧大量气胸"
    assert describe(Finding("consolidation", side="right", zone="lower"), "zh") == "右下肺野实变"
    assert describe(Finding("cardiomegaly"), "zh") == "心影增大"
    assert describe(Finding("cardiomegaly", "absent"), "zh") == "心影不大"
    assert describe(Finding("inflammation", "uncertain", certainty="likely"), "zh") == "考虑炎症"


def test_english_wording() -> None:
    assert describe(Finding("pleural_effusion", side="right", severity="mild"), "en") == "Small right pleural effusion"
    assert describe(Finding("nodule", side="left", zone="upper"), "en") == "Nodule in the left upper zone"
    assert describe(Finding("pneumothorax", "absent"), "en") == "No pneumothorax"
    assert describe(Finding("cardiomegaly", severity="mild"), "en") == "Mildly enlarged heart"


@pytest.mark.parametrize(("change", "side"), [("increased", "left"), ("decreased", "right"), ("new", "left")])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_change_is_described_and_read_back(change: str, side: str, language: str) -> None:
    (read,) = extract_findings(describe(Finding("pleural_effusion", side=side, change=change), language))  # type: ignore[arg-type]
    assert (read.side, read.change, read.polarity) == (side, change, "present")


def test_a_contradiction_is_said() -> None:
    finding = Finding("pleural_effusion", "uncertain", "right", certainty="possible", contradicted=True)
    assert "contradicts itself" in describe(finding, "en")
    assert "前后矛盾" in describe(finding, "zh")


def test_every_code_has_a_name_and_rules_in_both_languages() -> None:
    for code in CODES:
        assert code_name(code, "en").isascii()
        assert not code_name(code, "zh").isascii()
    for language in ("en", "zh"):
        with_rules = {rule.value for rule in load_rules(language).rules if rule.kind in ("term", "clause")}
        assert with_rules == set(CODES)


def test_unknown_code_or_language_is_refused() -> None:
    with pytest.raises(MalformedInput, match="wibble"):
        code_name("wibble", "en")
    with pytest.raises(MalformedInput, match="'fr'"):
        describe(Finding("nodule"), "fr")


def test_place_names() -> None:
    assert place_name("right", "lower", "en") == "right lower zone"
    assert place_name("bilateral", "lower", "zh") == "双下肺野"
    assert place_name("left", "hilar", "zh") == "左肺门区"
    assert place_name(None, None, "en") == place_name(None, None, "zh") == ""


def test_details_are_read_back() -> None:
    attributes = (("margin", "spiculated"), ("margin", "lobulated"), ("density", "ground_glass"))
    finding = Finding("nodule", side="left", zone="upper", size_mm=(12.0, 8.0), count=2, attributes=attributes)
    assert details(finding, "zh") == ("2", "12 × 8 mm", "毛刺", "分叶", "磨玻璃密度")
    for language, joint in (("en", ", "), ("zh", "，")):
        said = [describe(finding, language), *details(finding, language)[1:]]
        (read,) = extract_findings(joint.join(said))
        assert (read.side, read.zone, read.size_mm, set(read.attributes)) == (
            "left",
            "upper",
            (12.0, 8.0),
            set(attributes),
        )


@pytest.mark.parametrize("language", [0, 1])
def test_every_attribute_but_a_device_is_read_back_from_its_name(language: int) -> None:
    bearer = {"margin": "nodule", "density": "mass", "vessels": "edema"}
    for name, values in ATTRIBUTES.items():
        for value, names in values.items():
            text = names[language]
            if name != "kind":
                text = (
                    f"{VOCABULARY[bearer[name]].zh}，{text}" if language else f"{VOCABULARY[bearer[name]].en}, {text}"
                )
            elif value == "other":
                continue  # "other device" says no kind
            (read,) = extract_findings(text)
            assert (name, value) in read.attributes, text
