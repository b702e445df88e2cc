"""The composed text says what the rulings say, in both languages; a text that says otherwise is found out."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiolucent.clinic.review.agreement import mismatches
from radiolucent.clinic.review.composing import NORMAL, compose
from radiolucent.clinic.review.rulings import Stated, check_stated
from radiolucent.findings.vocabulary import CODES, VOCABULARY

EFFUSION = Stated("pleural_effusion", side="right", severity="mild")
NODULE = Stated("nodule", "uncertain", "left", "upper", certainty="possible")


@st.composite
def statements(draw: st.DrawFn) -> Stated:
    code = draw(st.sampled_from([name for name in CODES if name != "inflammation"]))
    entry = VOCABULARY[code]
    polarity = draw(st.sampled_from(["present", "uncertain", "absent"]))
    sides = [None, "left", "right"] + (["bilateral"] if code != "mediastinal_shift" else [])
    return check_stated(
        Stated(
            code,
            polarity,
            draw(st.sampled_from(sides)) if entry.sided else None,
            draw(st.sampled_from([None, "upper", "middle", "lower"])) if entry.zoned and polarity != "absent" else None,
            draw(st.sampled_from([None, "mild", "moderate", "severe"])) if entry.graded else None,
            draw(st.sampled_from(["likely", "possible"])) if polarity == "uncertain" else "definite",
            draw(st.sampled_from([(), (8.0,)])) if entry.measured and polarity != "absent" else (),
        )
    )


STANDS = st.lists(statements(), max_size=5, unique_by=lambda one: one.twin)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STANDS, st.sampled_from(["en", "zh"]))
def test_what_is_composed_agrees_with_what_stands(stands: list[Stated], language: str) -> None:
    assert mismatches(compose(stands, [], language), stands) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STANDS.filter(lambda stands: any(one.asserted for one in stands)), st.sampled_from(["en", "zh"]), st.data())
def test_a_finding_left_out_or_turned_is_found(stands: list[Stated], language: str, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from([one for one in stands if one.asserted]))
    rest = [one for one in stands if one is not gone]
    assert "text_lacks" in {one.code for one in mismatches(compose(rest, [], language), stands)}
    assert "text_asserts" in {one.code for one in mismatches(compose(stands, [], language), rest)}
    if gone.side in ("left", "right"):
        from dataclasses import replace

        turned = [
            replace(one, side="left" if gone.side == "right" else "right") if one is gone else one for one in stands
        ]
        assert "text_side" in {one.code for one in mismatches(compose(turned, [], language), stands)}


@pytest.mark.parametrize(
    ("findings", "impression", "codes"),
    [
        ("Small right pleural effusion.", "Small right pleural effusion.", set()),
        ("There is a small right pleural effusion.", "Pleural effusion.", set()),  # the side stands in the findings
        ("Small left pleural effusion.", "Pleural effusion.", {"text_side"}),
        ("Pleural effusion.", "Pleural effusion.", {"text_side"}),  # ruled as right, written without a side
        ("Small right pleural effusion.", "No pleural effusion.", {"text_denies"}),
        ("Small right pleural effusion. Left apical pneumothorax.", "As above.", {"text_asserts"}),
        ("The lungs are clear.", "No acute cardiopulmonary abnormality.", {"text_lacks", "text_calls_normal"}),
        ("右侧胸腔少量积液。", "右侧胸腔积液。", set()),
        ("左侧胸腔少量积液。", "左侧胸腔积液。", {"text_side"}),
        ("右侧胸腔少量积液，右肺下叶感染。", "右侧胸腔积液。", {"text_asserts"}),
        ("右侧胸腔少量积液。", "心肺未见异常。", {"text_calls_normal"}),
        ("双侧胸腔积液。", "双侧胸腔积液。", {"text_side"}),
    ],
)
def test_hand_written_texts(findings: str, impression: str, codes: set[str]) -> None:
    found = mismatches((findings, impression), [EFFUSION])
    assert {one.code for one in found} == codes
    assert all(one.en and one.zh for one in found)


def test_left_and_right_are_both() -> None:
    both = [Stated("pleural_effusion", side="left"), Stated("pleural_effusion", side="right")]
    assert mismatches(("双侧胸腔积液。", "双侧胸腔积液。"), both) == []
    assert mismatches(("Bilateral pleural effusions.", "Effusions."), both) == []


def test_pneumonia_and_inflammation_are_one() -> None:
    assert mismatches(("右下肺炎症。", "右下肺肺炎。"), [Stated("pneumonia", side="right")]) == []


def test_a_denial_may_be_left_out_or_written() -> None:
    denied = [Stated("pneumothorax", "absent"), EFFUSION]
    assert mismatches(("Small right pleural effusion.", "Small right pleural effusion."), denied) == []
    assert mismatches(("No pneumothorax. Small right pleural effusion.", "Effusion."), denied) == []


def test_the_wording_is_a_radiologists() -> None:
    stands = [
        EFFUSION,
        NODULE,
        Stated("cardiomegaly", "absent"),
        Stated("pneumothorax", "absent"),
        Stated("consolidation", "absent"),
    ]
    assert compose(stands, ["体位稍旋转。"], "zh") == (
        "右侧胸腔少量积液。左上肺野结节不除外。心影不大。未见气胸、实变。体位稍旋转。",
        "1. 右侧胸腔少量积液。\n2. 左上肺野结节不除外。",
    )
    findings, impression = compose(stands, [], "en")
    assert findings.startswith("Small right pleural effusion. Possible nodule in the left upper zone.")
    assert impression == "1. Small right pleural effusion.\n2. Possible nodule in the left upper zone."
    for language in ("en", "zh"):
        text = "".join(compose(stands, [], language))
        assert "lobe" not in text and "叶" not in text


def test_a_normal_film_gets_a_normal_impression_and_no_draft_none() -> None:
    assert compose([Stated("pneumothorax", "absent")], [], "en") == ("No pneumothorax.", NORMAL[0])
    assert compose([], [], "zh") == ("", "")
