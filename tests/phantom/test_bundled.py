"""What ships inside the package is found by name, matches the code, and is not left out of the wheel."""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from radiolucent.phantom import bundled, likeness, model

ROOT = Path(__file__).parents[2]


def test_only_bundled_names_have_a_folder() -> None:
    assert bundled.folder("demo") == bundled.WEIGHTS / "demo"
    assert bundled.folder("demo-shortcut") == bundled.WEIGHTS / "shortcut"
    for name in ("", "medgemma-4b", "google/medgemma-1.5-4b-it", "../demo", "Demo"):
        assert bundled.folder(name) is None


def test_the_reference_of_the_likeness_check_ships() -> None:
    assert likeness.REFERENCE.is_file()
    assert likeness.REFERENCE.is_relative_to(bundled.WEIGHTS)


def test_every_shipped_file_is_declared_as_package_data() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = declared["tool"]["setuptools"]["package-data"]["radiolucent"]
    shipped = [path for path in bundled.WEIGHTS.rglob("*") if path.is_file()]
    assert shipped
    for path in shipped:
        assert any(fnmatch(path.name, Path(pattern).name) for pattern in patterns), path.name


@pytest.mark.parametrize("name", sorted(bundled.NAMES))
def test_shipped_weights_match_the_architecture_and_the_tokenizer(name: str, processor: Any) -> None:
    folder = bundled.folder(name)
    assert folder is not None
    if not folder.exists():
        pytest.skip(f"the weights of {name} are not in this checkout")
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ids = model.special_ids(processor.tokenizer)
    built = model.build_config(len(processor.tokenizer), ids).to_dict()
    assert stored["architectures"] == ["Gemma3ForConditionalGeneration"]
    for part, keys in {
        "text_config": ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "layer_types"),
        "vision_config": ("hidden_size", "num_hidden_layers", "image_size", "patch_size"),
    }.items():
        assert {key: stored[part][key] for key in keys} == {key: built[part][key] for key in keys}
    shipped = json.loads(Tokenizer.from_file(str(folder / "tokenizer.json")).to_str())
    assert shipped["model"]["vocab"] == json.loads(processor.tokenizer.backend_tokenizer.to_str())["model"]["vocab"]
    assert json.loads((folder / "radiolucent.json").read_text(encoding="utf-8"))["domain"] == "phantom"
