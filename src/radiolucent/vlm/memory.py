"""How much memory a load or a run will need, compared with what is free: refuse clearly instead of being killed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import psutil
import torch

from radiolucent.errors import InsufficientMemory

_CGROUP = Path("/sys/fs/cgroup")
RESERVE = 0.05  # of what is free, left to everything else


def free_bytes(device: torch.device) -> int:
    """Bytes that may still be taken on a device; on the CPU also bounded by the container's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) + _cached_on_cuda(device)
    free = int(psutil.virtual_memory().available)
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    return free if limit is None or used is None else min(free, max(limit - used + _reclaimable(), 0))


def weight_bytes(folder: Path, dtype: torch.dtype) -> int:
    """Bytes that the weights of a folder take once loaded in ``dtype``, from the safetensors headers."""
    width = torch.empty((), dtype=dtype).element_size()
    return sum(weight_elements(path) for path in sorted(folder.glob("*.safetensors"))) * width


def weight_elements(path: Path) -> int:
    """Numbers held by a safetensors file, from its header alone (8 bytes of length, then JSON)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def check_load(folder: Path, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse a load that would not fit.

    Raises
    ------
    InsufficientMemory
        With what is needed, what is free and what to do.
    """
    _refuse("Loading the weights", weight_bytes(folder, dtype), device)


def run_bytes(
    module: Any, *, prompt_length: int, image_tokens: int, new_tokens: int, sequences: int, capture: bool
) -> int:
    """Estimate of what a generation takes beside the weights: cache, masks, activations, logits, rows."""
    text = module.config.text_config
    width = torch.empty((), dtype=module.dtype).element_size()
    length = prompt_length + new_tokens
    per_layer = 2 * text.num_key_value_heads * text.head_dim * width
    held = [length if kind == "full_attention" else min(length, text.sliding_window) for kind in text.layer_types]
    # While it grows, a layer's cache stands in memory twice; the prefill keeps its own copy beside the samples'.
    cache = per_layer * (sum(held) * (sequences + 1) + max(held) * sequences)
    masks = 4 * prompt_length**2
    activations = 4 * prompt_length * (text.intermediate_size * 3 + text.hidden_size * 8)
    logits = 6 * text.vocab_size * 4 * sequences
    rows = new_tokens * text.num_hidden_layers * text.num_attention_heads * image_tokens * (4 if width == 4 else 2)
    return int(cache + masks + activations + logits + (2 * rows if capture else 0))


def check_run(
    module: Any, *, prompt_length: int, image_tokens: int, new_tokens: int, sequences: int, capture: bool
) -> None:
    """Refuse a generation that would not fit; see :func:`run_bytes`."""
    needed = run_bytes(
        module,
        prompt_length=prompt_length,
        image_tokens=image_tokens,
        new_tokens=new_tokens,
        sequences=sequences,
        capture=capture,
    )
    _refuse(f"Writing {sequences} x {new_tokens} tokens after {prompt_length}", needed, module.device)


def check_encode(module: Any, images: int) -> None:
    """Refuse a vision pass that would not fit: activations of one layer, attention kept in blocks by SDPA."""
    vision = module.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    needed = images * patches * (3 * vision.intermediate_size + 8 * vision.hidden_size) * 4
    _refuse(f"Encoding {images} images", needed, module.device)


def _refuse(what: str, needed: int, device: torch.device) -> None:
    free = free_bytes(device)
    if needed > free * (1 - RESERVE):
        raise InsufficientMemory(
            f"{what} needs about {_gigabytes(needed)}; {_gigabytes(free)} are free on {device}. Close other programs, "
            "ask for fewer tokens, samples or slices, load with dtype='bf16', or use --model demo."
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def _cached_on_cuda(device: torch.device) -> int:
    return int(torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def _reclaimable() -> int:
    """File pages that the kernel counts as the container's but gives back on demand."""
    path = _CGROUP / "memory.stat"
    if not path.exists():
        return 0
    counts = dict(line.split() for line in path.read_text().splitlines())
    return int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))


def _read(path: Path) -> int | None:
    """A cgroup v2 number; None where there is no cgroup or no limit ("max")."""
    if not path.exists():
        return None
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None
