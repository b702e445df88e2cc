"""Loading: what works, and one clear message for each thing that is wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_gemma import Shape, picture_study, tiny_model

from radiolucent.errors import InsufficientMemory, MalformedInput, UnsupportedModel, WeightsUnavailable
from radiolucent.vlm import load, memory
from radiolucent.vlm.load import load_model, register_bundled, weights_digest
from radiolucent.vlm.types import Prompt


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``save_pretrained`` writes it, in several shards."""
    folder = tmp_path_factory.mktemp("weights")
    model = tiny_model()
    model.module.save_pretrained(folder, max_shard_size="60KB")
    model.processor.save_pretrained(folder)
    (folder / "radiolucent.json").write_text(json.dumps({"domain": "phantom"}))
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture
def broken(weights: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(weights, tmp_path / "copy"))


def test_a_loaded_folder_writes_what_was_saved(weights: Path) -> None:
    loaded, original = load_model(str(weights)), tiny_model(Shape())
    assert loaded.dtype == torch.float32 and loaded.device.type == "cpu" and loaded.name == str(weights)
    assert loaded.profile.domain == "phantom" and loaded.hidden_size == 32
    study, prompt = picture_study(1), Prompt("is the effusion seen")
    ours, theirs = (m.generate(prompt, m.encode(study), max_new_tokens=12) for m in (loaded, original))
    np.testing.assert_array_equal(ours.token_ids, theirs.token_ids)
    np.testing.assert_allclose(ours.logprobs, theirs.logprobs, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())
    assert not loaded.module.training
    assert load_model(weights, dtype="bf16").dtype == torch.bfloat16


def test_the_digest_is_that_of_the_files_and_trusts_hub_blobs(weights: Path, broken: Path) -> None:
    lines = "".join(
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(weights.glob("*.safetensors"))
    )
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert weights_digest(weights) == load_model(weights).weights_hash == expected
    path = sorted(broken.glob("*.safetensors"))[0]
    blob = broken / hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(blob)
    path.symlink_to(blob)
    assert weights_digest(broken) == expected


def test_a_registered_name_is_a_folder(weights: Path) -> None:
    register_bundled("tiny-for-test", weights)
    assert load_model("tiny-for-test").name == "tiny-for-test"


def fails(name: Any, error: type[Exception], *words: str, **options: Any) -> None:
    with pytest.raises(error) as caught:
        load_model(name, **options)
    for word in words:
        assert word in str(caught.value)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    steps = ("huggingface.co/google/medgemma-1.5-4b-it", "accept its licence", "local folder", "--model demo")
    fails("no-such-model", WeightsUnavailable, "no-such-model", *steps)
    fails(tmp_path / "absent", WeightsUnavailable, "absent", *steps)
    (tmp_path / "file").write_text("x")
    fails(tmp_path / "file", WeightsUnavailable, "is a file")
    fails(tmp_path, WeightsUnavailable, "no config.json", *steps)


@pytest.mark.parametrize("case", ["gated", "unknown", "offline", "no network", "server"])
def test_the_hub_says_no(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    import huggingface_hub
    from huggingface_hub import errors

    response = types.SimpleNamespace(headers={}, request=None)
    raised = {
        "gated": errors.GatedRepoError("403", response=response),
        "unknown": errors.RepositoryNotFoundError("404", response=response),
        "offline": errors.LocalEntryNotFoundError("offline"),
        "no network": ConnectionError("no route"),
        "server": errors.HfHubHTTPError("500", response=response),
    }[case]

    def download(*_: object, **__: object) -> str:
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    words = {"gated": "are gated", "unknown": "knows no model"}.get(case, "could not be downloaded")
    fails("google/medgemma-1.5-4b-it", WeightsUnavailable, words, "accept its licence", "local folder", "--model demo")


def test_a_bundled_name_without_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    bundled = types.ModuleType("radiolucent.phantom.bundled")
    bundled.folder = lambda name: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "radiolucent.phantom.bundled", bundled)
    monkeypatch.setattr("radiolucent.phantom.bundled", bundled, raising=False)
    fails("demo", WeightsUnavailable, "reinstall")
    bundled.folder = lambda name: Path("absent")  # type: ignore[attr-defined]
    fails("demo", WeightsUnavailable, "reinstall")


def test_a_missing_shard_is_named(broken: Path) -> None:
    path = sorted(broken.glob("*.safetensors"))[1]
    path.unlink()
    fails(broken, WeightsUnavailable, path.name, "incomplete")


def test_no_weights_at_all(broken: Path) -> None:
    for path in [*broken.glob("*.safetensors"), broken / "model.safetensors.index.json"]:
        path.unlink()
    fails(broken, WeightsUnavailable, "model.safetensors is missing")


@pytest.mark.parametrize("damage", ["cut", "pointer", "empty"])
def test_a_damaged_shard_is_named(broken: Path, damage: str) -> None:
    path = sorted(broken.glob("*.safetensors"))[0]
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    path.write_bytes({"cut": path.read_bytes()[:-10], "pointer": pointer, "empty": b""}[damage])
    fails(broken, WeightsUnavailable, path.name, "download it again")


def test_absent_tensors_are_not_filled_with_random_values(broken: Path) -> None:
    path = sorted(broken.glob("*.safetensors"))[0]
    tensors = load_file(path)
    dropped = next(name for name in tensors if "embed_tokens" not in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != dropped}, path, metadata={"format": "pt"})
    fails(broken, WeightsUnavailable, "lack 1 tensors")


def rewrite(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def test_other_architectures(broken: Path) -> None:
    rewrite(broken, model_type="llava")
    fails(broken, UnsupportedModel, "llava", "gemma3")
    rewrite(broken, model_type="gemma3", vision_config=None)
    fails(broken, UnsupportedModel, "vision tower")
    (broken / "config.json").write_text("{")
    fails(broken, WeightsUnavailable, "not JSON")
    (broken / "config.json").write_text("[]")
    fails(broken, WeightsUnavailable, "JSON object")


def test_a_family_is_one_entry(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(broken, model_type="other")
    seen: list[tuple[Path, str]] = []
    sentinel = tiny_model()

    def other(folder: Path, name: str, dtype: torch.dtype, device: torch.device) -> Any:
        seen.append((folder, name))
        return sentinel

    monkeypatch.setitem(load.FAMILIES, "other", other)
    assert load_model(str(broken)) is sentinel and seen == [(broken, str(broken))]


def test_a_folder_without_tokenizer_or_template(broken: Path) -> None:
    template = broken / "chat_template.jinja"
    text = template.read_text()
    template.unlink()
    fails(broken, WeightsUnavailable, "chat template")
    template.write_text(text)
    (broken / "tokenizer_config.json").unlink()
    fails(broken, WeightsUnavailable, "cannot be read")
    (broken / "tokenizer.json").unlink()
    fails(broken, WeightsUnavailable, "neither tokenizer.json nor tokenizer.model")


def test_half_precision_is_refused(weights: Path) -> None:
    for dtype in ("fp16", "float16", torch.float16, "int8"):
        fails(weights, UnsupportedModel, "overflows", "bf16", dtype=dtype)


def test_devices_that_are_not_there(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(weights, MalformedInput, "unknown", device="tpu9000")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fails(weights, MalformedInput, "device='cpu'", device="cuda")


def test_too_little_memory_is_said_before_loading(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = sum(tensor.numel() for path in weights.glob("*.safetensors") for tensor in load_file(path).values())
    assert memory.weight_bytes(weights, torch.float32) == numbers * 4
    assert memory.weight_bytes(weights, torch.bfloat16) == numbers * 2
    monkeypatch.setattr(memory, "free_bytes", lambda device: numbers * 3)
    fails(weights, InsufficientMemory, "Loading the weights", "free on cpu", "--model demo", dtype="fp32")
    assert load_model(weights, dtype="bf16").dtype == torch.bfloat16


def test_large_models_are_bf16_by_default(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LARGE", 10)
    assert load_model(weights).dtype == torch.bfloat16


def test_the_estimate_of_a_run_grows_with_it() -> None:
    module = tiny_model().module
    base = {"prompt_length": 300, "image_tokens": 256, "new_tokens": 100, "sequences": 1, "capture": False}
    least = memory.run_bytes(module, **base)
    for change in ({"prompt_length": 600}, {"new_tokens": 200}, {"sequences": 16}, {"capture": True}):
        assert memory.run_bytes(module, **{**base, **change}) > least
