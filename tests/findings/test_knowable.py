"""What a report claims that its input could not show."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings import claims_beyond_input, extract_findings, mark_not_knowable

NOTHING = {"has_prior": False, "has_spacing": False, "has_history": False, "has_other_view": False}
CLAIMS = {
    "Compared to the prior film, no change.": "comparison",
    "The left effusion is unchanged.": "comparison",
    "New right lower lobe consolidation.": "comparison",
    "右侧胸腔积液较前增多。": "comparison",
    "与2021年旧片比较，未见明显变化。": "comparison",
    "8 mm nodule in the left upper lobe.": "size",
    "左上肺结节，大小约8mm。": "size",
    "The tube ends 4 cm above the carina.": "size",
    "65-year-old man.": "history",
    "Patient with cough and fever.": "history",
    "患者因咳嗽就诊。": "history",
    "既往肺结核病史。": "history",
    "The lateral view shows an effusion.": "view",
    "侧位片示胸腔积液。": "view",
}
GIVES = {"comparison": "has_prior", "size": "has_spacing", "history": "has_history", "view": "has_other_view"}


@pytest.mark.parametrize("text", CLAIMS)
def test_a_claim_is_found_unless_the_input_offers_it(text: str) -> None:
    kind = CLAIMS[text]
    assert kind in {claim.kind for claim in claims_beyond_input(text, **NOTHING)}
    assert kind not in {claim.kind for claim in claims_beyond_input(text, **(NOTHING | {GIVES[kind]: True}))}


@pytest.mark.parametrize(
    "text",
    [
        "Small left pleural effusion. No pneumothorax.",
        "右侧少量胸腔积液，未见气胸。",
        "No prior film is available for comparison.",
        "COMPARISON: None.\nFINDINGS: No effusion.",
        "无旧片对比。心影不大。",
        "左侧气胸，肺压缩约30%。",
        "建议复查。",
        "双肺纹理增多。",
        "Increased lung markings.",
    ],
)
def test_what_the_picture_can_show_is_no_claim(text: str) -> None:
    assert claims_beyond_input(text, **NOTHING) == ()


def test_a_finding_is_marked_with_what_is_said_of_it() -> None:
    text = "The left effusion has increased. 8 mm nodule in the right upper zone. No pneumothorax."
    marked = mark_not_knowable(extract_findings(text), text, has_prior=False, has_spacing=False)
    assert {finding.code: finding.not_knowable for finding in marked} == {
        "pleural_effusion": ("comparison",),
        "nodule": ("size",),
        "pneumothorax": (),
    }
    given_all = mark_not_knowable(extract_findings(text), text, has_prior=True, has_spacing=True)
    assert given_all == extract_findings(text)


def test_a_comparison_said_of_a_whole_sentence_marks_all_of_it() -> None:
    text = "与旧片比较，右侧胸腔积液，左上肺结节。"
    marked = mark_not_knowable(extract_findings(text), text, has_prior=False, has_spacing=True)
    assert [finding.not_knowable for finding in marked] == [("comparison",), ("comparison",)]


def test_the_words_shown_to_people() -> None:
    (claim,) = claims_beyond_input("左上肺结节约8mm。", has_prior=True, has_spacing=False)
    assert claim.text("zh") == "输入无依据：未提供像素间距"
    assert claim.text("en").startswith("not knowable from the input: ")


@given(st.lists(st.sampled_from([*CLAIMS, "No effusion. ", "\x00", "8 ", "cm"]), max_size=6).map(" ".join))
def test_claims_lie_in_the_text_and_vanish_as_the_input_offers_more(text: str) -> None:
    found = set(claims_beyond_input(text, **NOTHING))
    for claim in found:
        assert text[slice(*claim.chars)] == claim.words
    for offered in itertools.product([False, True], repeat=4):
        fewer = set(claims_beyond_input(text, **dict(zip(NOTHING, offered, strict=True))))
        assert fewer <= found
    assert claims_beyond_input(text, **dict.fromkeys(NOTHING, True)) == ()
