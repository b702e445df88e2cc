"""A Gemma 3 of any size with random weights behind the real adapter: what a machine can run, measured without weights.

The weights know nothing, but a pass costs what a pass of MedGemma costs. Their scales are chosen so that the model
behaves like a trained one where speed depends on behaviour: predictions are peaked (a nucleus of a handful of tokens),
words do not repeat themselves, and the picture changes what is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from radiolucent.errors import UnsupportedModel
from radiolucent.phantom.model import CHAT_TEMPLATE
from radiolucent.vlm import memory
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import _device, gemma3_profile

BLOCK = 16_777_259  # random numbers drawn; a prime, so that no two rows of a matrix are the same stretch of them
ENTRY = (
    0.3  # size of a word where it enters: small beside what the layers add (1 each), else it repeats itself for ever
)
ATTENDED = 0.3  # size of what a layer reads elsewhere: no larger, else the picture drowns the words
PEAKED = 6.0  # standard deviation of the logits: above sqrt(2 ln vocabulary) a handful of tokens hold the probability

UNWRITTEN = 0.5  # size of what is no word beside words: its logits stay far below the best word's, so it is not written

CONTROL = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4, "<start_of_turn>": 105, "<end_of_turn>": 106}
FIRST_BYTE = 238  # Gemma's <0x00>
FIRST_SYMBOL = FIRST_BYTE + 256
SYMBOLS = "▁\n" + "".join(map(chr, range(33, 127)))
FIRST_WORD = FIRST_SYMBOL + len(SYMBOLS)
QUESTION = (
    "user model Describe the main findings of this chest X ray You are shown a contiguous block of CT slices "
    "Review below carefully SLICE"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a Gemma 3; every sixth text layer is global, as in all of the family.

    Parameters
    ----------
    vocabulary, begin_image, end_image, image_token
        Words known, and the ids of an image's tokens.
    layers, hidden, intermediate, heads, kv_heads, head_dim, window
        Of the text decoder.
    vision_layers, vision_hidden, vision_intermediate, vision_heads, image_size, patch
        Of the vision tower.
    cells
        Soft tokens an image.
    """

    vocabulary: int
    begin_image: int
    end_image: int
    image_token: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    window: int
    vision_layers: int
    vision_hidden: int
    vision_intermediate: int
    vision_heads: int
    image_size: int
    patch: int
    cells: int = 256


_GEMMA_TOKENS = {"vocabulary": 262_208, "begin_image": 255_999, "end_image": 256_000, "image_token": 262_144}
_FEW_TOKENS = {"vocabulary": 2_048, "begin_image": 2_000, "end_image": 2_001, "image_token": 2_040}
_TINY_VISION = {"vision_layers": 1, "vision_hidden": 32, "vision_intermediate": 64, "vision_heads": 2}

SHAPES: dict[str, Shape] = {
    # google/medgemma-1.5-4b-it
    "4b": Shape(
        **_GEMMA_TOKENS, layers=34, hidden=2560, intermediate=10_240, heads=8, kv_heads=4, head_dim=256, window=1024,
        vision_layers=27, vision_hidden=1152, vision_intermediate=4304, vision_heads=16, image_size=896, patch=14,
    ),
    "227m": Shape(
        **_GEMMA_TOKENS, layers=18, hidden=512, intermediate=2048, heads=4, kv_heads=2, head_dim=128, window=1024,
        vision_layers=12, vision_hidden=384, vision_intermediate=1536, vision_heads=6, image_size=448, patch=14,
    ),
    # The 4B model's layers, heads and cells, and little else: rows, traces and reports as large as its own.
    "slim": Shape(
        **_FEW_TOKENS, layers=34, hidden=128, intermediate=256, heads=8, kv_heads=4, head_dim=16, window=1024,
        **_TINY_VISION, image_size=896, patch=56,
    ),
    "tiny": Shape(
        **_FEW_TOKENS, layers=6, hidden=32, intermediate=64, heads=2, kv_heads=1, head_dim=16, window=64,
        **_TINY_VISION, image_size=64, patch=8, cells=16,
    ),
}  # fmt: skip


def random_model(
    shape: str = "4b", *, dtype: torch.dtype = torch.bfloat16, device: str = "auto", seed: int = 0
) -> Gemma3Model:
    """A model of full shape and random weights that writes words.

    It writes words only: end tokens are in the vocabulary, but the weights never choose them, nor any other control
    token.

    Parameters
    ----------
    shape
        A name of ``SHAPES``; ``4b`` is MedGemma 1.5 4B and takes 8.6 GB.

    Raises
    ------
    UnsupportedModel
        Where the shape is unknown.
    InsufficientMemory
        Where it would not fit, before it is built.
    """
    if shape not in SHAPES:
        raise UnsupportedModel(f"The shape {shape!r} is unknown; use one of {', '.join(SHAPES)}.")
    sizes, place = SHAPES[shape], _device(device)
    with torch.device("meta"):
        module = Gemma3ForConditionalGeneration._from_config(config_of(sizes), dtype=dtype, attn_implementation="sdpa")
    needed = sum(weight.numel() for weight in module.parameters()) * dtype.itemsize
    memory._refuse(f"A {shape} model of random weights", needed, place)
    module.to_empty(device=place)
    module.tie_weights()
    rebuild_buffers(module)
    _fill(module, seed)
    module.eval().requires_grad_(False)
    processor = random_processor(sizes)
    profile = gemma3_profile(module, processor, {})
    return Gemma3Model(module, processor, profile, name=f"{shape}-random", weights_hash=f"random {shape} {seed}")


def rebuild_buffers(module: Any) -> None:
    """Give a module whose tensors are uninitialised its rotary frequencies, embedding scale and position ids.

    The stock initialisation that ``from_pretrained`` runs after reading the weights, which holds none of these.
    """
    for weight in module.parameters():
        weight._is_hf_initialized = True
    for part in module.modules():
        if any(True for _ in part.buffers(recurse=False)):
            owner = _owner(module, part)
            owner._init_weights(part)


def _owner(module: Any, part: Any) -> Any:
    """The innermost pretrained model that a part belongs to: its configuration knows the part's sizes."""
    vision = module.model.vision_tower
    return vision if any(part is one for one in vision.modules()) else module


def _fill(module: Any, seed: int) -> None:
    """Fill every weight from one block of random numbers; drawing billions would take most of a minute."""
    generator = torch.Generator(module.device).manual_seed(seed)
    block = torch.empty(BLOCK, device=module.device).uniform_(-1, 1, generator=generator).to(module.dtype)
    table = module.get_input_embeddings().weight
    entry = ENTRY / module.config.text_config.hidden_size**0.5  # Gemma multiplies embeddings by the root of the width
    start = 0
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "norm" in name:
                # Gemma's norms multiply by 1 + weight, SigLIP's by the weight.
                weight.fill_(1.0 if "vision_tower" in name and name.endswith("weight") else 0.0)
            elif name.endswith("bias"):
                weight.zero_()
            else:
                # A deviation of one over the root of the inputs: values neither fade nor do gradients explode.
                deviation = entry if weight is table else weight[0].numel() ** -0.5
                start = _copy_from(block, weight.view(-1), start, deviation * 3**0.5)
        for rows in (slice(0, FIRST_WORD), list(_image_tokens(module.config))):
            table[rows] *= UNWRITTEN
        for layer in module.model.language_model.layers:
            layer.post_attention_layernorm.weight.fill_(ATTENDED - 1)
        module.model.language_model.norm.weight.fill_(PEAKED / ENTRY - 1)


def _copy_from(block: torch.Tensor, flat: torch.Tensor, start: int, scale: float) -> int:
    done = 0
    while done < len(flat):
        count = min(len(flat) - done, len(block) - start)
        torch.mul(block[start : start + count], scale, out=flat[done : done + count])
        done, start = done + count, (start + count) % len(block)
    return start


def config_of(shape: Shape) -> Gemma3Config:
    """The stock configuration of a shape."""
    ends = {"pad_token_id": CONTROL["<pad>"], "bos_token_id": CONTROL["<bos>"], "eos_token_id": CONTROL["<eos>"]}
    text = Gemma3TextConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        query_pre_attn_scalar=shape.head_dim,
        sliding_window=shape.window,
        max_position_embeddings=131_072,
        **ends,
    )
    vision = SiglipVisionConfig(
        hidden_size=shape.vision_hidden,
        intermediate_size=shape.vision_intermediate,
        num_hidden_layers=shape.vision_layers,
        num_attention_heads=shape.vision_heads,
        image_size=shape.image_size,
        patch_size=shape.patch,
        vision_use_head=False,
    )
    return Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=shape.cells,
        boi_token_index=shape.begin_image,
        eoi_token_index=shape.end_image,
        image_token_index=shape.image_token,
        **ends,
    )


def _image_tokens(config: Gemma3Config) -> tuple[int, ...]:
    return int(config.boi_token_id), int(config.eoi_token_id), int(config.image_token_id)


def random_processor(shape: Shape) -> Gemma3Processor:
    """Gemma 3's processor over a vocabulary of ``shape.vocabulary`` printable words, control tokens at Gemma's ids."""
    special = {
        **CONTROL,
        "<start_of_image>": shape.begin_image,
        "<end_of_image>": shape.end_image,
        "<image_soft_token>": shape.image_token,
    }
    tokenizer = Tokenizer(
        # A word of the vocabulary is one token though nothing merges; any other text is written by its bytes.
        models.BPE(
            _vocabulary(shape.vocabulary, special), [], byte_fallback=True, unk_token="<unk>", ignore_merges=True
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[A-Za-z]+|[\\s\\S]"), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    fast = GemmaTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token="<pad>",
        add_bos_token=True,
        extra_special_tokens={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
    )
    size = {"height": shape.image_size, "width": shape.image_size}
    images = Gemma3ImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_pan_and_scan=False)
    return Gemma3Processor(images, fast, chat_template=CHAT_TEMPLATE, image_seq_length=shape.cells)


def _vocabulary(size: int, special: dict[str, int]) -> dict[str, int]:
    """Token -> id, every id taken: control tokens, bytes, symbols, the question's words, then made-up words."""
    table: dict[int, str] = {index: token for token, index in special.items()}
    for value in range(256):
        table[FIRST_BYTE + value] = f"<0x{value:02X}>"
    known = dict.fromkeys([*SYMBOLS, *(f"{lead}{word}" for word in QUESTION.split() for lead in ("▁", ""))])
    words = itertools.chain(known, (word for word in _made_up() if word not in known))
    for index in itertools.chain(range(FIRST_SYMBOL, size), range(FIRST_SYMBOL)):
        if index not in table:
            table[index] = next(words)
    return {table[index]: index for index in range(size)}


def _made_up() -> Iterator[str]:
    """Pronounceable words of two syllables, then of three, each with the space before it."""
    syllables = ["".join(pair) for pair in itertools.product("bcdfghjklmnprstvwxz", "aeiou")]
    for count in itertools.count(2):
        for parts in itertools.product(syllables, repeat=count):
            yield "▁" + "".join(parts)
