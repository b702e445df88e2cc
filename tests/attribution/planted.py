"""A model whose words are any function of which cells are shown: hidden (mean-filled) cells count 0, shown ones 1."""

from __future__ import annotations

import numpy as np
import torch

from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import AttentionRows, Features, Generation, Prompt, PromptInputs, Replay, Target

PATCH = 2


class PlantedModel:
    """log p(token v at any step) = functions[v](shown), shown (B, images, grid, grid) in [0, 1].

    A soft token is (value, 1 - value); the value differs from cell to cell and never equals the image's mean.
    """

    def __init__(self, functions, grid=8, images=1, rows=None, cols=None, attended=()):
        self.functions, self.grid, self.images = functions, grid, images
        self.attended = attended  # for each step the cell (image, row, column) that its rows look at
        self.replays = 0
        size = grid * PATCH
        self.geometry = Geometry(rows=rows or size, cols=cols or size, model_size=size, grid=grid)
        rng = np.random.default_rng(0)
        self.values = torch.from_numpy(rng.permuted(np.linspace(1, 2, images * grid**2)).reshape(images, grid**2))
        self.mean = self.values.mean(dim=1, keepdim=True)
        self.sequences = 0

    def features(self):
        tokens = torch.stack([self.values, 1 - self.values], dim=-1)
        size = self.grid * PATCH
        pixels = torch.randn(self.images, 3, size, size, generator=torch.Generator().manual_seed(0)).double()
        return Features(tokens, pixels, (self.geometry,) * self.images, "planted")

    def token_logprobs(self, prompt_inputs, token_ids, soft_tokens, *, wanted=None, batch_size=None):
        self.sequences += len(soft_tokens)
        value = soft_tokens.reshape(len(soft_tokens), self.images, -1, 2)[..., 0].double()
        shown = ((value - self.mean) / (self.values - self.mean)).reshape(-1, self.images, self.grid, self.grid)
        every = torch.stack([self.functions[int(token)](shown) for token in token_ids], dim=1)
        return every if wanted is None else every[:, list(wanted)]

    def replay(self, generation, features, *, capture=False, soft_tokens=None):
        self.replays += 1
        shape = (2, 2, len(generation.token_ids))
        image = np.full((*shape, self.images * self.grid**2), 1e-3, dtype=np.float32)
        for step, cell in enumerate(self.attended):
            image[:, :, step, np.ravel_multi_index(cell, (self.images, self.grid, self.grid))] = 0.1
        rest = np.zeros(shape, dtype=np.float32)
        rows = AttentionRows(image, 1 - image.sum(axis=3), rest, ("sliding", "global"))
        return Replay(rest[0, 0], rest[0, 0], rows if capture else None)

    def generation(self, tokens, language="en", rows=None):
        zeros = np.zeros(len(tokens), dtype=np.float32)
        return Generation(
            text="some words",
            thinking="",
            words=(),
            token_ids=np.array(tokens, dtype=np.int64),
            logprobs=zeros,
            entropy=zeros,
            alternatives=((),) * len(tokens),
            image_spans=(),
            prompt=Prompt("Describe.", language),
            prompt_inputs=PromptInputs(np.zeros(1, np.int64), np.zeros(1, np.int64), ()),
            rows=rows,
        )


def additive(weights):
    """Nats that shown cells bring, cell by cell: weights (images, grid, grid)."""
    fixed = torch.as_tensor(np.asarray(weights, dtype=np.float64))
    return lambda shown: (shown * fixed).sum(dim=(1, 2, 3))


def heat(shape, *cells, value=1.0):
    """A map that is ``value`` at some cells and 0 elsewhere."""
    made = np.zeros(shape, dtype=np.float64)
    for cell in cells:
        made[cell] = value
    return made


def span(step, foil=None, label="the words"):
    return Target((step, step + 1), foil, label)
