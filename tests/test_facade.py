"""The short way in, as a newcomer types it: a JPEG, a Chinese question, four explanations as plain arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import radiolucent as rl
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion

QUESTION = "请分析这张胸部X光片，描述主要发现"
SIZE = 320


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    film = draw_case(12, size=SIZE, lesions=(Lesion("consolidation", "right", "lower"),)).film
    Image.fromarray(film).save(folder / "chest_xray.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def answered(workplace: Path) -> tuple[str, dict[str, Any], rl.Explanation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RADIOLUCENT_MODEL", "demo")
        patch.chdir(workplace)
        explainer = rl.ExplainableMedGemma()
        report, explanations = explainer.analyze_image("chest_xray.jpg", QUESTION)
        assert explainer.explanation is not None
        return report, explanations, explainer.explanation


def test_the_report_is_chinese_and_names_the_lesion(answered: tuple[str, dict[str, Any], rl.Explanation]) -> None:
    report, _, explanation = answered
    assert "实变" in report and not re.search("[A-Za-z]{2,}", report)
    assert explanation.is_demo and explanation.language == "zh"


def test_the_four_explanations_are_there(answered: tuple[str, dict[str, Any], rl.Explanation]) -> None:
    four = {"attention_maps", "feature_importance", "confidence_analysis", "decision_trace"}
    assert set(answered[1]) == four | {"decision_chain", "contrasts", "clinical_summary"}


def test_attention_maps_by_layer_and_word(answered: tuple[str, dict[str, Any], rl.Explanation]) -> None:
    report, explanations, _ = answered
    maps = explanations["attention_maps"]
    assert set(maps) == {"final_layer", "layers", "word"}
    assert sorted(maps["layers"]) == list(range(1, len(maps["layers"]) + 1))
    np.testing.assert_array_equal(maps["final_layer"], maps["layers"][max(maps["layers"])])
    for values in (*maps["layers"].values(), *maps["word"].values()):
        assert values.shape == (16, 16) and values.dtype == np.float32
        assert (values >= 0).all() and 0 < values.sum() <= 1 + 1e-4  # a share of one row of attention
    named = [word.split("#")[0].strip() for word in maps["word"]]
    assert "实" in named and all(word in report for word in named)
    # Every word's mean over layers and every layer's mean over words average to the same whole.
    np.testing.assert_allclose(
        np.mean(list(maps["layers"].values()), axis=0), np.mean(list(maps["word"].values()), axis=0), atol=1e-6
    )


def test_feature_importance_lies_on_the_picture_and_has_both_signs(
    answered: tuple[str, dict[str, Any], rl.Explanation],
) -> None:
    importance = answered[1]["feature_importance"]
    assert importance.shape == (SIZE, SIZE) and importance.dtype == np.float32
    assert np.isfinite(importance).all() and importance.min() < 0 < importance.max()


def test_confidence_is_in_percent_and_never_certain(answered: tuple[str, dict[str, Any], rl.Explanation]) -> None:
    terms = answered[1]["confidence_analysis"]
    assert "consolidation" in terms and terms["consolidation"] > 50
    assert all(0 < percent < 100 for percent in terms.values())


def test_the_decision_trace_walks_through_the_report(answered: tuple[str, dict[str, Any], rl.Explanation]) -> None:
    report, explanations, _ = answered
    steps = explanations["decision_trace"]
    assert "".join(step["word"].strip() for step in steps) == re.sub(r"\s", "", report)
    for step in steps:
        assert 0 < step["probability"] <= 1 and step["entropy"] >= 0
        assert step["image_reliance"] is not None
        chances = [chance for _, chance in step["alternatives"]]
        assert chances == sorted(chances, reverse=True) and sum(chances) <= 1 + 1e-4
        assert set(step["attention"]) == set(explanations["attention_maps"]["layers"])
        assert set(step["layer_types"]) == set(step["attention"])
        assert set(step["layer_types"].values()) <= {"global", "sliding"}
        losses = step["image_reliance_blank"], step["image_reliance_other_patient"]
        assert step["image_reliance"] == max(losses)
        clinical = step["kind"] not in ("grammar", "punctuation")
        assert (step["depends_on_image"] in ("seen", "guessed")) is clinical
    spoken = max(steps, key=lambda step: step["image_reliance"])
    assert spoken["word"].strip() in "实变影右下肺野见未"


def test_picture_and_bundle_are_written_to_the_working_folder(
    answered: tuple[str, dict[str, Any], rl.Explanation], workplace: Path
) -> None:
    with Image.open(workplace / "explainable_report.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 500
    assert rl.load_explanation(workplace / "explainable_report").report == answered[0]


def test_a_study_and_an_output_folder_are_taken_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RADIOLUCENT_MODEL", raising=False)
    normal = rl.load_study(draw_case(15, size=256, lesions=()).film, patient_right="left", view="PA")
    explainer = rl.ExplainableMedGemma("demo", output=tmp_path / "out", level="quick")
    report, explanations = explainer.analyze_image(normal, "Describe the findings.")
    assert "normal" in report
    assert explanations["feature_importance"].shape == (256, 256)  # of the whole answer: nothing was found
    assert "consolidation" not in explanations["confidence_analysis"]
    assert (tmp_path / "out" / "explainable_report.png").is_file()


def test_the_chain_the_contrasts_and_the_summary_are_in_the_prompts_language(
    answered: tuple[str, dict[str, Any], rl.Explanation],
) -> None:
    _, explanations, explanation = answered
    chain, contrasts = explanations["decision_chain"], explanations["contrasts"]
    assert chain[0]["stage"] == "问题" and chain[-1]["stage"] == "结论"
    assert "".join(chain[-1]["words"]) in explanation.report
    assert contrasts and all(one["question"].startswith("为何") and one["margin"] > -20 for one in contrasts)
    assert explanations["clinical_summary"].startswith("草稿描述")
