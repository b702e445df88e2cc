"""A stock Gemma 3 of random weights and 16 cells an image, behind the real adapter."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from radiolucent.phantom.model import CHAT_TEMPLATE, build_processor, special_ids
from radiolucent.study.types import Display, Frame, Geometry, Source, Study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.profile import Profile
from radiolucent.vlm.types import Prompt

GRID, SIZE = 4, 32
PROMPT = Prompt("Describe the main findings of this chest X-ray.")


@cache
def _parts():
    tokenizer = build_processor().tokenizer
    images = Gemma3ImageProcessorPil(
        size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_pan_and_scan=False
    )
    processor = Gemma3Processor(images, tokenizer, chat_template=CHAT_TEMPLATE, image_seq_length=GRID * GRID)
    ids = special_ids(tokenizer)
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=24,
        max_position_embeddings=512,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<end_of_turn>"],
    )
    vision = SiglipVisionConfig(
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIZE,
        patch_size=SIZE // (2 * GRID),
        vision_use_head=False,
    )
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=GRID * GRID,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<end_of_turn>"],
    )
    torch.manual_seed(0)
    module = Gemma3ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:  # far livelier than the stock start, so that every map has structure
                parameter.normal_(0, 1.5 / parameter.shape[-1] ** 0.5)
    return module, processor, ids


@cache
def tiny_model():
    module, processor, ids = _parts()
    profile = Profile(
        family="gemma3",
        image_token=ids["<image_soft_token>"],
        begin_image=ids["<start_of_image>"],
        end_image=ids["<end_of_image>"],
        end_tokens=(ids["<end_of_turn>"], ids["<eos>"]),
        image_size=SIZE,
        grid=GRID,
        cells=GRID * GRID,
        layer_types=("sliding", "global", "sliding"),
        sliding_window=24,
    )
    module.set_attn_implementation("sdpa")
    return Gemma3Model(module, processor, profile, name="tiny", weights_hash="tiny")


def study(images=1, seed=0):
    rng = np.random.default_rng(seed)
    geometry = Geometry(rows=SIZE, cols=SIZE)
    frames = tuple(Frame(rng.random((SIZE, SIZE)).astype(np.float32), Display(0, 1), geometry) for _ in range(images))
    return Study(frames, "DX", Source("array", ""))


@cache
def written(images=1):
    """(model, features, generation): six tokens written about some films."""
    model = tiny_model()
    features = model.encode(study(images))
    return model, features, model.generate(PROMPT, features, max_new_tokens=6)


@cache
def sampled(images=1):
    """(model, features, generation): six different tokens drawn at temperature 1.5; no rows kept."""
    model = tiny_model()
    features = model.encode(study(images))
    (generation,) = model.sample(PROMPT, features, count=1, temperature=1.5, top_p=1.0, seed=3, max_new_tokens=6)
    assert len(set(generation.token_ids.tolist())) >= 4
    return model, features, generation
