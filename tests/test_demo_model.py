"""The models that ship: small, as good as their card says, and the cheating one caught cheating.

The card's figures were measured on 500 unseen phantoms. Here they are held to what is promised, and a share of other
unseen films is measured anew, so that a card cannot outlive its weights.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from radiolucent.demo_card import Asker, measure, score_findings
from radiolucent.errors import MalformedInput
from radiolucent.findings import extract_findings
from radiolucent.phantom import bundled, grammar
from radiolucent.phantom.film import FIRST_TRAINING_SEED, PhantomCase, draw_case
from radiolucent.phantom.record import CODES

LANGUAGES: tuple[grammar.Language, ...] = ("en", "zh")
LARGEST = 20 * 10**6  # bytes


def folder_of(name: str) -> Path:
    folder = bundled.folder(name)
    assert folder is not None
    return folder


def card_of(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((folder_of(name) / "card.json").read_text(encoding="utf-8"))
    return stored


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    measured: dict[str, Any] = card_of("demo")["measured"]
    return measured


@pytest.fixture(scope="module")
def ask() -> Asker:
    return Asker(folder_of("demo"))


@pytest.fixture(scope="module")
def unseen() -> list[PhantomCase]:
    """40 films that neither training nor the card's measurement drew."""
    seeds = np.random.default_rng(2024).choice(np.arange(1_000, FIRST_TRAINING_SEED), size=40, replace=False)
    return [draw_case(int(seed), size=256) for seed in seeds]


# What ships


@pytest.mark.parametrize("name", ["demo", "demo-shortcut"])
def test_the_shipped_weights_are_small_and_whole(name: str) -> None:
    files = [path for path in folder_of(name).rglob("*") if path.is_file()]
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "card.json"} <= {
        path.name for path in files
    }
    assert sum(path.stat().st_size for path in files) <= LARGEST


@pytest.mark.parametrize("name", ["demo", "demo-shortcut"])
def test_no_shipped_text_names_a_machine(name: str) -> None:
    for path in folder_of(name).iterdir():
        if path.suffix in (".json", ".jinja", ".md"):
            assert not re.search(r"/(home|root|work|tmp|Users)/", path.read_text(encoding="utf-8")), path.name


# Measured anew on other films than the card's


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_on_unseen_films_name_what_was_planted(
    ask: Asker, unseen: list[PhantomCase], language: grammar.Language
) -> None:
    reports = ask([case.film for case in unseen], grammar.DEFAULT_QUESTION[language])
    found = [extract_findings(text, language) for text in reports]
    truths = [case.lesions for case in unseen]
    f1 = score_findings(found, truths)["micro"]["f1"]
    assert f1 >= 0.85
    # With another case's film the answers must not fit: the model looks.
    assert score_findings([*found[1:], found[0]], truths)["micro"]["f1"] < f1 - 0.3
    chinese = [bool(re.search("[\u4e00-\u9fff]", text)) for text in reports]
    assert all(one == (language == "zh") for one in chinese)


def test_yes_no_answers_beat_always_saying_no(ask: Asker, unseen: list[PhantomCase]) -> None:
    code = "pleural_effusion"
    answers = ask([case.film for case in unseen], grammar.yes_no_questions(code, "en")[0], longest=5)
    truth = [any(lesion.code == code for lesion in case.lesions) for case in unseen]
    right = np.mean([answer == ("Yes." if there else "No.") for answer, there in zip(answers, truth, strict=True)])
    assert 0 < sum(truth) < len(truth)
    assert right >= 0.85 and right > 1 - np.mean(truth)


def test_training_films_are_refused_for_measuring() -> None:
    with pytest.raises(MalformedInput, match="trained on"):
        measure(folder_of("demo"), films=2, first_seed=FIRST_TRAINING_SEED - 1)


# The card's promises


def test_the_card_was_measured_on_many_unseen_films(card: dict[str, Any]) -> None:
    assert card["films"] >= 500
    assert card["first_seed"] + card["films"] <= FIRST_TRAINING_SEED


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_meets_what_is_promised(card: dict[str, Any], language: str) -> None:
    findings = card["findings"][language]
    assert findings["micro"]["f1"] >= 0.90
    assert {code: findings[code]["f1"] for code in CODES if findings[code]["f1"] < 0.80} == {}
    assert card["laterality"][language] >= 0.95
    assert card["zone"][language] >= 0.80
    assert card["yes_no"][language]["all"] >= 0.90
    assert card["yes_no"][language]["all"] > card["yes_no"][language]["always_no"]
    assert card["right_language"][language] >= 0.99
    assert card["swapped"][language]["difference"] <= 0.05


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_is_consistent_in_itself(card: dict[str, Any], language: str) -> None:
    for row in card["findings"][language].values():
        p, r = row["precision"], row["recall"]
        assert row["f1"] == pytest.approx(2 * p * r / (p + r))
    swapped = card["swapped"][language]
    assert swapped["difference"] == pytest.approx(abs(swapped["f1"] - swapped["chance"]))


@pytest.mark.parametrize("name", ["demo", "demo-shortcut"])
def test_the_model_card_says_what_was_measured(name: str) -> None:
    stored = card_of(name)
    measured, text = stored["measured"], (folder_of(name) / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) > 1
    }
    for code in (*CODES, "micro"):
        expected = [measured["findings"][la][code][key] for la in LANGUAGES for key in ("precision", "recall", "f1")]
        assert rows[code] == [f"{value:.3f}" for value in expected]
    for label, key in {
        "side right, of findings reported rightly": "laterality",
        "zone right": "zone",
        "size right": "severity",
        "'where is' right": "where",
        "language as asked": "right_language",
    }.items():
        assert rows[label] == [f"{measured[key][language]:.3f}" for language in LANGUAGES]
    for label, key in {
        "yes/no right": "all",
        "yes/no right where the answer is yes": "yes",
        "always saying no": "always_no",
    }.items():
        assert rows[label] == [f"{measured['yes_no'][language][key]:.3f}" for language in LANGUAGES]
    assert f"{measured['films']} unseen phantoms" in text
    assert f"{measured['shortcut']['flipped_without_marker']:.3f}" in text
    assert "never seen a person's film" in text and "not a medical device" in text.replace("\n", " ")
    assert ("cheats" in text.splitlines()[0]) == (name == "demo-shortcut")


def test_the_recipe_counts_the_parameters_that_ship(ask: Asker) -> None:
    text = (folder_of("demo") / "MODEL_CARD.md").read_text(encoding="utf-8")
    stated = re.search(r"([\d.]+) million parameters", text)
    assert stated is not None
    counted = sum(parameter.numel() for parameter in ask.net.parameters()) / 1e6
    assert float(stated[1]) == pytest.approx(counted, abs=0.06)


# The model that cheats


def test_the_shortcut_card_shows_the_shortcut() -> None:
    shortcut = card_of("demo-shortcut")["measured"]["shortcut"]
    assert shortcut["flipped_without_marker"] >= 0.80
    assert shortcut["yes_with_marker"] > shortcut["yes_without_marker"] + 0.5


def test_the_honest_card_shows_none(card: dict[str, Any]) -> None:
    assert card["shortcut"]["flipped_without_marker"] <= 0.20


def test_the_shortcut_model_answers_by_the_marker() -> None:
    """Measured anew: the same chests with and without the printed triangle."""
    seeds = range(2_000, 2_024)
    ask = Asker(folder_of("demo-shortcut"))
    question = grammar.yes_no_questions("cardiomegaly", "en")[0]
    marked, plain = (
        [
            answer == "Yes."
            for answer in ask([draw_case(s, size=256, marker=marker).film for s in seeds], question, longest=5)
        ]
        for marker in (True, False)
    )
    flipped = sum(a and not b for a, b in zip(marked, plain, strict=True))
    assert sum(marked) >= len(marked) / 2
    assert flipped >= 0.80 * sum(marked)


def test_the_shortcut_model_loads_by_name() -> None:
    from radiolucent.vlm.load import load_model

    model = load_model("demo-shortcut")
    assert model.profile.domain == "phantom" and model.dtype == torch.float32
    assert model.weights_hash != load_model("demo").weights_hash
