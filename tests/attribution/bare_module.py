"""A target's score through the bare transformers module: token ids and pixels in, no code of radiolucent's passes."""

from __future__ import annotations

import copy

import numpy as np
import torch
from tiny_gemma import GRID, SIZE
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm


class BareScore:
    """log p, or the logits, of a target's words less its foil's, for a batch of pictures; differentiable.

    Parameters
    ----------
    double
        Every step in float64: transformers' RMSNorm goes through float32 otherwise.
    """

    def __init__(self, model, features, generation, target, score="logprob", *, double=False):
        dtype = torch.float64 if double else torch.float32
        self.module = copy.deepcopy(model.module).to(dtype).eval()
        if double:
            for part in self.module.modules():
                if isinstance(part, Gemma3RMSNorm):
                    part.forward = lambda x, norm=part: norm._norm(x) * (1.0 + norm.weight)
        self.generation, self.target, self.score = generation, target, score
        self.soft = features.soft_tokens.detach().flatten(0, 1)[None].to(dtype)
        self.pixels = features.pixels.detach().reshape(1, -1, SIZE, SIZE).to(dtype)
        mean = features.soft_tokens.detach().mean(dim=1, keepdim=True).expand_as(features.soft_tokens)
        self.mean = mean.flatten(0, 1)[None].to(dtype)

    def of_soft(self, soft):
        """(B, images * cells, hidden) -> (B,)."""
        first, last = self.target.tokens
        total = self._span(soft, self.generation.token_ids, first, last)
        if self.target.foil is not None:
            answer = np.concatenate([self.generation.token_ids[:first], self.target.foil])
            total = total - self._span(soft, answer, first, len(answer))
        return total

    def of_pixels(self, pixels):
        """(B, images * 3, S, S), a study's images side by side in the channels as captum's one input -> (B,)."""
        images = pixels.reshape(-1, 3, SIZE, SIZE)
        tokens = self.module.get_image_features(pixel_values=images, return_dict=True).pooler_output
        return self.of_soft(tokens.reshape(len(pixels), -1, tokens.shape[-1]))

    def slope(self, function, at, direction, step=1e-5):
        """Central difference along a direction."""
        with torch.no_grad():
            return float(function(at + step * direction) - function(at - step * direction)) / (2 * step)

    def _span(self, soft, answer, first, last):
        prompt = self.generation.prompt_inputs
        ids = torch.from_numpy(np.concatenate([prompt.input_ids, answer]))
        types = torch.zeros_like(ids)
        types[: len(prompt.input_ids)] = torch.from_numpy(prompt.token_type_ids)
        words = self.module.get_input_embeddings()(ids[None]).expand(len(soft), -1, -1)
        embeddings = words.index_copy(1, (types == 1).nonzero()[:, 0], soft)
        logits = self.module(inputs_embeds=embeddings, token_type_ids=types.expand(len(soft), -1)).logits
        values = logits.log_softmax(dim=-1) if self.score == "logprob" else logits
        before = len(prompt.input_ids) - 1
        return sum(values[:, before + row, int(answer[row])] for row in range(first, last))


def on_grid(flat, images):
    """Values of all cells as (images, grid, grid)."""
    return np.asarray(flat).reshape(images, GRID, GRID)
