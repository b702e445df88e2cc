"""The demo model's own shape: a stock Gemma 3 of a few million parameters, its tokenizer and its processor."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import idct
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from radiolucent.phantom import grammar
from radiolucent.phantom.dataset import FILM_EDGE
from radiolucent.phantom.record import CODES, ZONED, ZONES, Lesion

GRID = 16
PATCH = FILM_EDGE // GRID
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
# Gemma's own turn layout; the image stands where the user put it.
CHAT_TEMPLATE = """{{ bos_token }}{%- for message in messages -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
{{ '<start_of_turn>' + role + '\\n' }}
{%- if message['content'] is string -%}{{ message['content'] | trim }}
{%- else -%}{%- for item in message['content'] -%}
{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}
{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
{%- endfor -%}{%- endif -%}
{{ '<end_of_turn>\\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""


def build_config(vocabulary: int, ids: dict[str, int]) -> Gemma3Config:
    """The architecture, small in numbers only: every sixth text layer global, as in the 4B model."""
    text = Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=512,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<end_of_turn>"],
    )
    vision = SiglipVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=FILM_EDGE,
        patch_size=PATCH,
        vision_use_head=False,
    )
    return Gemma3Config(
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


def build_model(config: Gemma3Config, seed: int) -> Gemma3ForConditionalGeneration:
    """Stock class, stock initialisation, but for three tensors that decide whether it learns to look."""
    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(config)
    vision = config.vision_config.hidden_size
    with torch.no_grad():
        # Stock initialisation is zero: the language model would be blind at step 0.
        model.model.multi_modal_projector.mm_input_projection_weight.normal_(0, vision**-0.5)
        embeddings = model.model.vision_tower.embeddings
        # A place is read from the start, not discovered: else left and right stay at chance.
        embeddings.position_embedding.weight.copy_(torch.from_numpy(_sine_cosine(GRID, vision)) * 0.5)
        kernels = torch.from_numpy(_cosine_kernels(PATCH, vision)) / 3  # grey films: three equal channels
        embeddings.patch_embedding.weight.copy_(kernels[:, None].expand(-1, 3, -1, -1))
        embeddings.patch_embedding.bias.zero_()
    return model


def build_processor() -> Gemma3Processor:
    """Gemma 3's processor over a tokenizer of the phantom grammar."""
    tokenizer = GemmaTokenizerFast(
        tokenizer_object=_train_tokenizer(),
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
    images = Gemma3ImageProcessorPil(
        size={"height": FILM_EDGE, "width": FILM_EDGE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_pan_and_scan=False
    )
    return Gemma3Processor(images, tokenizer, chat_template=CHAT_TEMPLATE, image_seq_length=GRID * GRID)


def special_ids(tokenizer: Any) -> dict[str, int]:
    """Token text -> id of the special tokens."""
    return {token: int(tokenizer.convert_tokens_to_ids(token)) for token in SPECIAL}


def write_folder(model: Gemma3ForConditionalGeneration, processor: Gemma3Processor, folder: Path) -> None:
    """Save in the layout that any Gemma 3 folder has, weights in half precision to stay small."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.to(torch.float16) for name, tensor in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half, safe_serialization=True)
    processor.save_pretrained(folder)
    declared = {"domain": "phantom", "box_format": None, "default_question": grammar.DEFAULT_QUESTION}
    text = json.dumps(declared, indent=2, ensure_ascii=False) + "\n"
    (folder / "radiolucent.json").write_text(text, encoding="utf-8")
    (folder / "model.safetensors").chmod(0o644)


def _train_tokenizer() -> Tokenizer:
    """BPE with byte fallback, as Gemma's; Chinese by character, so that every character keeps its own probability."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[A-Za-z]+|[\\s\\S]"), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[*SPECIAL, *bytes_],
        show_progress=False,
        initial_alphabet=[chr(c) for c in range(33, 127)] + ["▁", "\n"],
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    # Bytes are ordinary tokens: only the turn and image markers are special.
    state = tokenizer.to_str()
    plain = Tokenizer.from_str(_without_byte_specials(state))
    plain.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return plain


def _without_byte_specials(state: str) -> str:
    tree = json.loads(state)
    tree["added_tokens"] = [t for t in tree["added_tokens"] if not t["content"].startswith("<0x")]
    return json.dumps(tree, ensure_ascii=False)


def _corpus() -> list[str]:
    """Every sentence and question that the grammar can write, once."""
    texts: list[str] = ["user\n", "model\n"]
    for language in ("en", "zh"):
        for code in CODES:
            for lesion in _every(code):
                texts += [grammar.write_report((lesion,), language, form) for form in range(5)]
                texts.append(grammar.answer_where((lesion,), code, language))
            texts += grammar.yes_no_questions(code, language)
            texts += grammar.where_questions(code, language)
            texts.append(grammar.answer_yes_no((), code, language))
        for form in range(5):
            texts += grammar.report_questions(form, language)
            texts.append(grammar.write_report((), language, form))
    return texts


def _every(code: str) -> list[Lesion]:
    if code == "cardiomegaly":
        return [Lesion("cardiomegaly")]
    if code in ZONED:
        return [Lesion(code, s, z) for s, z in itertools.product(("left", "right"), ZONES)]  # type: ignore[arg-type]
    sizes = ("mild", "moderate", "severe")
    sides = ("left", "right", "bilateral")
    return [Lesion(code, s, None, z) for s, z in itertools.product(sides, sizes)]  # type: ignore[arg-type]


def _sine_cosine(grid: int, width: int) -> NDArray[np.float32]:
    """2-D sine-cosine code of the patches, (grid * grid, width), row-major."""
    frequency = 10.0 ** (-np.arange(width // 4) / (width // 4))
    rows, cols = np.mgrid[0:grid, 0:grid].reshape(2, -1, 1) * frequency
    return np.concatenate([np.sin(rows), np.cos(rows), np.sin(cols), np.cos(cols)], axis=1).astype(np.float32)


def _cosine_kernels(patch: int, count: int) -> NDArray[np.float32]:
    """The ``count`` smoothest orthonormal cosine patterns of a patch, (count, patch, patch); the mean scaled down."""
    order = sorted(itertools.product(range(patch), repeat=2), key=lambda p: (p[0] ** 2 + p[1] ** 2, p))
    kernels = np.zeros((count, patch, patch))
    for index, (u, v) in enumerate(order[:count]):
        spectrum = np.zeros((patch, patch))
        spectrum[u, v] = 1 / 8 if u == v == 0 else 1.0
        kernels[index] = idct(idct(spectrum, axis=0, norm="ortho"), axis=1, norm="ortho")
    return kernels.astype(np.float32)
