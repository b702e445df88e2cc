"""From a name to a loaded model: a folder of weights, a bundled model, or a model on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from radiolucent.errors import MalformedInput, UnsupportedModel, WeightsUnavailable
from radiolucent.vlm import memory
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.profile import Profile, grid_edge, read_declaration

Loader = Callable[[Path, str, torch.dtype, torch.device], Gemma3Model]

MEDGEMMA = "google/medgemma-1.5-4b-it"
LARGE = 2_000_000_000  # parameters from which "auto" loads bf16: fp32 would take more than 8 GB
DTYPES = {
    "bf16": torch.bfloat16,
    "bfloat16": torch.bfloat16,
    "fp32": torch.float32,
    "float32": torch.float32,
}
NEXT_STEPS = (
    f"For {MEDGEMMA}, accept its licence at https://huggingface.co/{MEDGEMMA} and log in with `hf auth login`; or give "
    "the path of a local folder that holds the weights; or use `--model demo`, which needs no download."
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model")
_BUNDLED_NAMES = ("demo", "demo-shortcut")
_registered: dict[str, Path] = {}


def register_bundled(name: str, folder: Path) -> None:
    """Make a folder of weights known by a short name."""
    _registered[name] = folder


def load_model(
    name: str | Path, *, dtype: str | torch.dtype = "auto", device: str | torch.device = "auto"
) -> Gemma3Model:
    """Load a model to be explained.

    Parameters
    ----------
    name
        A folder of weights, a bundled name (``"demo"``), or a hub id such as ``"google/medgemma-1.5-4b-it"``.
    dtype
        ``"auto"`` (bf16 on CUDA or above 2 billion parameters, else fp32), ``"bf16"`` or ``"fp32"``.
    device
        ``"auto"`` (CUDA where there is one, else the CPU) or a torch device.

    Raises
    ------
    WeightsUnavailable
        Where the weights are missing, gated or incomplete; the message says what to do.
    UnsupportedModel
        Where no adapter knows the architecture, or float16 is asked for.
    InsufficientMemory
        Where the weights would not fit, before they are read.
    MalformedInput
        Where the device is unknown or not there.
    """
    wanted = None if dtype == "auto" else _dtype(dtype)
    place = _device(device)
    folder = _folder(str(name))
    config = read_config(folder)
    loader = FAMILIES.get(str(config.get("model_type")))
    if loader is None:
        raise UnsupportedModel(
            f"The weights are of architecture {config.get('model_type')!r}; known: {', '.join(sorted(FAMILIES))}. "
            "Use MedGemma 1.5, another Gemma 3 with vision, or `--model demo`."
        )
    if "vision_config" not in config:
        raise UnsupportedModel("These Gemma 3 weights have no vision tower; use a model that reads pictures.")
    check_complete(folder)
    if wanted is None:
        large = sum(memory.weight_elements(path) for path in folder.glob("*.safetensors")) > LARGE
        wanted = torch.bfloat16 if large or place.type == "cuda" else torch.float32
    memory.check_load(folder, wanted, place)
    return loader(folder, str(name), wanted, place)


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's ``config.json``.

    Raises
    ------
    WeightsUnavailable
        Where it is missing or not a JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise WeightsUnavailable(
            f"The folder {folder} holds no config.json, so it is no folder of weights. {NEXT_STEPS}"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsUnavailable(f"config.json in {folder} is not JSON ({error}); download it again.") from error
    if not isinstance(config, dict):
        raise WeightsUnavailable(f"config.json in {folder} must hold a JSON object; download it again.")
    return config


def check_complete(folder: Path) -> None:
    """Every weight file that the folder promises is there and whole.

    Raises
    ------
    WeightsUnavailable
        With the names of the missing, truncated or placeholder files.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsUnavailable(f"{index.name} in {folder} is not readable; download it again.") from error
    else:
        names = sorted(path.name for path in folder.glob("*.safetensors")) or ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WeightsUnavailable(
            f"The folder {folder} is incomplete: {', '.join(missing)} is missing. Finish the download. {NEXT_STEPS}"
        )
    broken = [name for name in names if not _whole(folder / name)]
    if broken:
        raise WeightsUnavailable(
            f"In {folder}, {', '.join(broken)} is cut short or only a placeholder (Git LFS pointer); download it again."
        )


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and SHA-256 digests of the folder's safetensors files, in order of name.

    In the hub's cache a file is a link to a blob named by its SHA-256, which spares reading gigabytes.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        blob = path.resolve().name
        known = path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob)
        digest.update(f"{path.name} {blob if known else _sha256(path)}\n".encode())
    return digest.hexdigest()


def _gemma3(folder: Path, name: str, dtype: torch.dtype, device: torch.device) -> Gemma3Model:
    from transformers import Gemma3ForConditionalGeneration

    module, report = Gemma3ForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
    )
    absent = sorted(report["missing_keys"])
    if absent:  # transformers would go on with random values in their place
        raise WeightsUnavailable(
            f"The weights in {folder} lack {len(absent)} tensors ({', '.join(absent[:3])}, …); download them again."
        )
    if module.config.text_config.use_bidirectional_attention:
        raise UnsupportedModel("The text decoder is bidirectional (an embedding model); it writes no reports.")
    module.to(device).eval().requires_grad_(False)
    processor = gemma3_processor(folder)
    profile = gemma3_profile(module, processor, read_declaration(folder))
    return Gemma3Model(
        module, processor, profile, name=name, weights_hash=lambda: weights_digest(folder), folder=folder
    )


def gemma3_processor(folder: Path) -> Any:
    """Gemma 3's processor with the PIL picture backend, so that pictures are the same with and without torchvision.

    Raises
    ------
    WeightsUnavailable
        Where the tokenizer, the picture settings or the chat template are missing.
    """
    from transformers import AutoProcessor

    # transformers would go on with an empty vocabulary and default picture settings.
    for alternatives in (("tokenizer.json", "tokenizer.model"), ("processor_config.json", "preprocessor_config.json")):
        if not any((folder / name).is_file() for name in alternatives):
            raise WeightsUnavailable(
                f"The folder {folder} holds neither {' nor '.join(alternatives)}; download these small files as well."
            )
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsUnavailable(
            f"The processor in {folder} cannot be read (tokenizer.json, tokenizer_config.json, processor_config.json "
            f"or preprocessor_config.json): {error}. Download these files again."
        ) from error
    if getattr(processor, "image_processor", None) is None or not getattr(processor, "chat_template", None):
        raise WeightsUnavailable(
            f"The processor in {folder} has no picture settings or no chat template (chat_template.jinja); download "
            "the missing files."
        )
    return processor


def gemma3_profile(module: Any, processor: Any, declared: dict[str, Any]) -> Profile:
    """The profile of loaded Gemma 3 weights, from their configuration and tokenizer.

    Raises
    ------
    UnsupportedModel
        Where the image tokens form no square grid.
    """
    config, tokenizer = module.config, processor.tokenizer
    text = config.text_config
    ends = {int(token) for token in _as_list(module.generation_config.eos_token_id) + _as_list(config.eos_token_id)}
    ends |= {marker for marker in (_token(tokenizer, "<end_of_turn>"), tokenizer.eos_token_id) if marker is not None}
    return Profile(
        family="gemma3",
        image_token=int(config.image_token_id),
        begin_image=int(config.boi_token_id),
        end_image=int(config.eoi_token_id),
        end_tokens=tuple(sorted(ends)),
        image_size=int(config.vision_config.image_size),
        grid=grid_edge(int(config.mm_tokens_per_image)),
        cells=int(config.mm_tokens_per_image),
        layer_types=tuple("global" if kind == "full_attention" else "sliding" for kind in text.layer_types),
        sliding_window=int(text.sliding_window),
        thinking_open=_token(tokenizer, "<unused94>"),
        thinking_close=_token(tokenizer, "<unused95>"),
        **declared,
    )


FAMILIES: dict[str, Loader] = {"gemma3": _gemma3}


def _folder(name: str) -> Path:
    """Where the weights of a name lie, fetched from the hub where it is a hub id."""
    if name in _registered:
        return _registered[name]
    if name in _BUNDLED_NAMES:
        from radiolucent.phantom import bundled

        folder: Path | None = bundled.folder(name)
        if folder is None or not folder.is_dir():
            raise WeightsUnavailable(f"The bundled model {name!r} is not in this installation; reinstall radiolucent.")
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise WeightsUnavailable(f"{name} is a file; give the folder that holds config.json and the safetensors files.")
    if not _HUB_ID.fullmatch(name):
        raise WeightsUnavailable(f"There is no folder and no bundled model {name!r}. {NEXT_STEPS}")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except errors.GatedRepoError as error:
        raise WeightsUnavailable(
            f"The weights of {name} are gated and this account may not read them. {NEXT_STEPS}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsUnavailable(f"The hub knows no model {name}, or it is private. {NEXT_STEPS}") from error
    except (errors.LocalEntryNotFoundError, _client_error(errors), OSError) as error:
        raise WeightsUnavailable(
            f"The weights of {name} are not on this machine and could not be downloaded ({type(error).__name__}). "
            f"{NEXT_STEPS}"
        ) from error


def _client_error(errors: Any) -> type[Exception]:
    """Base error of the HTTP client that the installed hub library is built on (no network, timeout)."""
    base: type[Exception] = errors.HTTPError
    return base


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen in (torch.bfloat16, torch.float32):
        return chosen
    raise UnsupportedModel(
        f"dtype {dtype!r} is not supported: float16 overflows in Gemma 3's residual stream. "
        "Use 'auto', 'bf16' or 'fp32'."
    )


def _device(device: str | torch.device) -> torch.device:
    if device != "auto":
        try:
            place = torch.device(device)
        except RuntimeError as error:
            raise MalformedInput(f"The device {device!r} is unknown; use 'auto', 'cpu' or 'cuda'.") from error
        if place.type == "cuda" and not torch.cuda.is_available():
            raise MalformedInput("torch finds no CUDA device here; use device='cpu' or install torch's CUDA build.")
        return place
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says (8 bytes of length, JSON, data)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            return False
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    return size == 8 + length + max(ends, default=0)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _token(tokenizer: Any, text: str) -> int | None:
    token = tokenizer.get_vocab().get(text)
    return None if token is None else int(token)


def _as_list(tokens: Any) -> list[int]:
    if tokens is None:
        return []
    return list(tokens) if isinstance(tokens, list | tuple) else [tokens]
