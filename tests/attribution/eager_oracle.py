"""The bare transformers module with eager attention: maps, log-probabilities and hidden states, none of our code."""

from __future__ import annotations

import copy

import numpy as np
import torch
from tiny_gemma import GRID


def read(case, answer):
    """(layers x (1, heads, positions, positions), log p of the answer's tokens, hidden states, module), graph kept."""
    model, features, generation = case
    module = copy.deepcopy(model.module).eval().requires_grad_(True)
    module.set_attn_implementation("eager")
    prompt = generation.prompt_inputs
    ids = torch.from_numpy(np.concatenate([prompt.input_ids, answer]))[None]
    types = torch.cat([torch.from_numpy(prompt.token_type_ids), torch.zeros(len(answer), dtype=torch.long)])[None]
    output = module(
        input_ids=ids,
        pixel_values=features.pixels,
        token_type_ids=types,
        output_attentions=True,
        output_hidden_states=True,
    )
    before = len(prompt.input_ids) - 1
    logprobs = output.logits[0, before:-1].log_softmax(dim=-1)
    written = logprobs.gather(-1, torch.as_tensor(np.asarray(answer))[:, None])[:, 0]
    return output.attentions, written, output.hidden_states, module


def cells(generation):
    """Absolute positions of the image soft tokens."""
    return [place for first, last in generation.image_spans for place in range(first, last)]


def first_row(generation):
    """The row that predicts the first generated token."""
    return len(generation.prompt_inputs.input_ids) - 1


def contrasted(generation, target):
    """The answer with the foil in the span's place."""
    return np.concatenate([generation.token_ids[: target.tokens[0]], target.foil])


def grids(flat, images):
    """(images * cells,) -> (images, g, g)."""
    return np.asarray(flat).reshape(images, GRID, GRID)
