"""A model whose log-probabilities are a known function of its soft tokens, so that every map has a closed form."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import AttentionRows, Features, Generation, Prompt, PromptInputs, Replay, Word

GRID, HIDDEN, SIZE, VOCABULARY, LENGTH = 4, 3, 16, 11, 6
CELLS = GRID * GRID
PATCH = SIZE // GRID


class AnalyticModel:
    """log p(token v at step t) = w[v, t] . soft tokens + curvature * (w[v, t] . soft tokens)^2.

    The "vision tower" turns each patch of pixels into a token by a fixed linear map. Every call that a real model
    would run a pass for is counted.
    """

    def __init__(self, images=1, curvature=0.0, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(VOCABULARY, LENGTH, images * CELLS * HIDDEN, generator=generator).double()
        self.projection = torch.randn(3 * PATCH * PATCH, HIDDEN, generator=generator).double() / 4
        self.bias = torch.randn(CELLS, HIDDEN, generator=generator).double()
        self.curvature = curvature
        self.images = images
        self.sequences = 0
        self.encoded = 0
        self.layer_types = ("sliding", "global", "sliding")
        self.weights_state = "analytic"
        self.dtype, self.device = torch.float64, torch.device("cpu")
        # One vision layer, whose output the projection turns into tokens, and a language model without layers.
        self.vision_layer = torch.nn.Identity()
        self.module = SimpleNamespace(
            model=SimpleNamespace(
                vision_tower=SimpleNamespace(encoder=SimpleNamespace(layers=[self.vision_layer])),
                language_model=SimpleNamespace(layers=[]),
            ),
            config=SimpleNamespace(
                text_config=SimpleNamespace(
                    hidden_size=HIDDEN,
                    vocab_size=VOCABULARY,
                    intermediate_size=0,
                    num_attention_heads=0,
                    num_key_value_heads=0,
                    head_dim=0,
                ),
                vision_config=SimpleNamespace(
                    image_size=SIZE, patch_size=PATCH, hidden_size=3 * PATCH * PATCH, intermediate_size=0
                ),
            ),
        )
        rng = np.random.default_rng(seed)
        self.image_rows = rng.random((3, 2, LENGTH, images * CELLS)).astype(np.float32) / (images * CELLS)

    def features(self, seed=0):
        pixels = torch.randn(self.images, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)).double()
        geometry = Geometry(rows=SIZE, cols=SIZE, model_size=SIZE, grid=GRID)
        return Features(self._tokens(pixels), pixels, (geometry,) * self.images, f"features {seed}")

    def encode(self, study):
        return study

    def encode_pixels(self, pixels):
        self.encoded += len(pixels)
        return self._tokens(pixels)

    def token_logprobs(self, prompt_inputs, token_ids, soft_tokens, *, wanted=None, batch_size=None):
        self.sequences += len(soft_tokens)
        flat = soft_tokens.flatten(1)
        steps = [flat @ self.weights[int(token), step] for step, token in enumerate(token_ids)]
        linear = torch.stack(steps, dim=1)
        every = linear + self.curvature * linear**2
        return every if wanted is None else every[:, list(wanted)]

    def replay(self, generation, features, *, capture=False, soft_tokens=None):
        tokens = features.soft_tokens if soft_tokens is None else soft_tokens
        with torch.no_grad():
            logprobs = self.token_logprobs(None, generation.token_ids, tokens.reshape(1, -1))[0].numpy()
        rows = None
        if capture:
            image = self.image_rows[:, :, : len(generation.token_ids)].copy()
            # a token's row depends on the tokens before it, as in a real model
            for step in range(1, len(generation.token_ids)):
                image[:, :, step] *= 1 + int(generation.token_ids[step - 1]) / VOCABULARY
            # and a row depends on the picture it attends to
            image *= 1 + 0.5 * torch.sigmoid(tokens.reshape(-1, HIDDEN).sum(dim=1)).numpy().astype(np.float32)
            image /= 8
            rest = np.zeros(image.shape[:3], dtype=np.float32)
            rows = AttentionRows(image, 1 - image.sum(axis=3), rest, self.layer_types)
        return Replay(logprobs, np.zeros(len(logprobs), dtype=np.float32), rows)

    def generation(self, text="no acute finding at the base", tokens=(1, 2, 3, 4, 5, 6), rows=None):
        words, start = [], 0
        for index, word in enumerate(text.split()):
            first = text.index(word, start)
            start = first + len(word)
            words.append(Word(word, (first, start), (index, index + 1)))
        ids = np.array(tokens, dtype=np.int64)
        return Generation(
            text=text,
            thinking="",
            words=tuple(words),
            token_ids=ids,
            logprobs=np.zeros(len(ids), dtype=np.float32),
            entropy=np.zeros(len(ids), dtype=np.float32),
            alternatives=((),) * len(ids),
            image_spans=tuple((1 + i * CELLS, 1 + (i + 1) * CELLS) for i in range(self.images)),
            prompt=Prompt("Describe."),
            prompt_inputs=PromptInputs(np.zeros(4, np.int64), np.zeros(4, np.int64), ()),
            rows=rows,
        )

    def weight(self, target, generation):
        """The linear map of a target: (images * cells, hidden)."""
        first, last = target.tokens
        total = sum(self.weights[int(generation.token_ids[step]), step] for step in range(first, last))
        if target.foil is not None:
            total = total - sum(self.weights[token, first + step] for step, token in enumerate(target.foil))
        return total.reshape(-1, HIDDEN)

    def _tokens(self, pixels):
        patches = pixels.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (B, 3, g, g, p, p)
        flat = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        return self.vision_layer(flat.to(self.projection)) @ self.projection + self.bias
