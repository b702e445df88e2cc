"""Tiny Gemma 3 models with random weights: every shape that the adapter must get right, in milliseconds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor, GemmaTokenizerFast
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Display, Frame, Source, Study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import gemma3_profile

SPECIAL = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
)
# Not special, as in Gemma's own vocabulary.
MARKERS = ("<unused94>", "<unused95>")
PIECES = (
    "▁no",
    "▁the",
    "▁a",
    "▁is",
    "▁seen",
    "▁effusion",
    "▁pleural",
    "pneumo",
    "thorax",
    "▁right",
    "▁left",
    "▁heart",
    "▁lung",
    "cardio",
    "megaly",
    "▁cardio",
    "▁pneumo",
    "Yes",
    "No",
    "user",
    "model",
    "thought",
    "右",
    "左",
    "侧",
    "胸",
    "腔",
    "积",
    "液",
    "积液",
    "未",
    "见",
    "\n",
    "▁",
    ".",
    ",",
)
TEMPLATE = """{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}
{%- set prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- set rest = messages[1:] -%}
{%- else -%}{%- set prefix = '' -%}{%- set rest = messages -%}{%- endif -%}
{%- for message in rest -%}
{{ '<start_of_turn>' + message['role'] + '\n' + (prefix if loop.first else '') }}
{%- for item in message['content'] -%}
{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}
{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
{%- endfor -%}{{ '<end_of_turn>\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""
IMAGE_FIRST = TEMPLATE
IMAGE_LAST = TEMPLATE.replace(
    "{%- for item in message['content'] -%}", "{%- for item in message['content'] | reverse -%}"
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """What differs between the tiny models."""

    image: int = 32
    patch: int = 8
    cells: int = 4
    layers: tuple[str, ...] = ("sliding_attention", "full_attention", "sliding_attention", "full_attention")
    heads: int = 4
    kv_heads: int = 2
    window: int = 512
    seed: int = 0
    template: str = IMAGE_FIRST
    dtype: torch.dtype = torch.float32


def tiny_tokenizer() -> GemmaTokenizerFast:
    """BPE with byte fallback, as Gemma's: some words whole, some in pieces, some characters in bytes only."""
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *MARKERS, *byte_tokens])}
    merges: list[tuple[str, str]] = []
    for piece in [*letters, *"".join(PIECES)]:
        vocabulary.setdefault(piece, len(vocabulary))
    for piece in PIECES:
        for length in range(2, len(piece) + 1):
            if piece[:length] not in vocabulary:
                vocabulary[piece[:length]] = len(vocabulary)
            if (piece[: length - 1], piece[length - 1]) not in merges:
                merges.append((piece[: length - 1], piece[length - 1]))
    backend = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[A-Za-z]+|[\u4e00-\u9fff]+|[\\s\\S]"), "isolated")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKERS])
    return GemmaTokenizerFast(
        tokenizer_object=backend,
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


def tiny_processor(shape: Shape) -> Gemma3Processor:
    """The stock processor over the tiny tokenizer."""
    images = Gemma3ImageProcessorPil(
        size={"height": shape.image, "width": shape.image},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        do_pan_and_scan=False,
    )
    return Gemma3Processor(images, tiny_tokenizer(), chat_template=shape.template, image_seq_length=shape.cells)


def tiny_module(shape: Shape, processor: Any) -> Gemma3ForConditionalGeneration:
    """Random weights, scaled so that attention is uneven and the picture matters."""
    tokenizer = processor.tokenizer
    ids = {token: int(tokenizer.convert_tokens_to_ids(token)) for token in SPECIAL}
    config = Gemma3Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": len(shape.layers),
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "layer_types": list(shape.layers),
            "sliding_window": shape.window,
            "max_position_embeddings": 4096,
            "pad_token_id": ids["<pad>"],
            "bos_token_id": ids["<bos>"],
            "eos_token_id": ids["<end_of_turn>"],
        },
        vision_config={
            "hidden_size": 24,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": shape.image,
            "patch_size": shape.patch,
            "vision_use_head": False,
            "model_type": "siglip_vision_model",
        },
        mm_tokens_per_image=shape.cells,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<end_of_turn>"],
    )
    torch.manual_seed(shape.seed)
    module = Gemma3ForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "mm_input_projection" in name:
                weight.normal_(0, 1.0)
            elif "language_model" in name and ("q_proj" in name or "k_proj" in name):
                weight.normal_(0, 0.5)
            elif "q_norm" in name or "k_norm" in name:
                weight.fill_(1.0)
            elif "embed_tokens" in name:
                weight.normal_(0, 0.18)
            elif weight.ndim >= 2:
                weight.normal_(0, weight[0].numel() ** -0.5)
    module.generation_config.eos_token_id = [ids["<eos>"], ids["<end_of_turn>"]]
    module.set_attn_implementation("sdpa")
    return module.to(shape.dtype).eval().requires_grad_(False)


def tiny_model(shape: Shape | None = None, **changes: Any) -> Gemma3Model:
    """The adapter over a tiny model."""
    shape = dataclasses.replace(shape or Shape(), **changes)
    processor = tiny_processor(shape)
    module = tiny_module(shape, processor)
    profile = gemma3_profile(module, processor, {"domain": "phantom"})
    return Gemma3Model(module, processor, profile, name="tiny", weights_hash=f"tiny {shape}")


def picture_study(images: int = 1, *, rows: int = 30, cols: int = 40, seed: int = 0, modality: str = "DX") -> Study:
    """Random films, wider than high, so that padding matters."""
    random = np.random.default_rng(seed)
    frames = tuple(
        Frame(random.uniform(0, 1000, (rows, cols)).astype(np.float32), Display(0.0, 1000.0), Geometry(rows, cols))
        for _ in range(images)
    )
    return Study(frames, modality, Source("array", f"{seed}"))
