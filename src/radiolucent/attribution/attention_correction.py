"""Attention with what does not depend on the picture taken out: places that carry nothing, place priors, sinks.

1. A cell's weight is multiplied by the length of what it carries into the residual stream, head by head
   (:mod:`radiolucent.vlm.contributions`): attention parked on a cell with an empty value counts for nothing.
2. Weights become shares of the cells' sum (text and special positions are left out), and the share that films without
   content draw at the same place is subtracted: the geometric mean over the films, for the row behind the same prompt
   (:func:`radiolucent.vlm.prior_films.content_free_prior`). Values have both signs and add to about 0.
3. A *sink* is a cell whose weight, bare or multiplied, is at least ``SINK_TIMES`` its image's median cell (i) in that
   prior and (ii) in the geometric mean over all generated words: massive whatever is shown and whatever is written.
   No place is a sink by its position. Sinks are hidden together (one pass): where the words lose less than
   ``HARMLESS`` nats they are filled in from their neighbours, else they are kept. The map's note says which.

The recipe follows the literature on visual attention sinks (Kang et al. 2025, arXiv 2503.03321) and norm-based
attention (Kobayashi et al. 2020, arXiv 2004.10102).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.attribution.fills import hidden_rows, soft_fill
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import passes, scores, soft_rows
from radiolucent.vlm.contributions import Contributions, contributions
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.prior_films import Prior, content_free_prior
from radiolucent.vlm.types import Features, Generation, Target

SINK_TIMES = 10.0  # times the image's median cell
HARMLESS = 0.2  # nats; sinks whose hiding costs more are not removed
NAMED = 4  # sinks whose places a note lists

Array = NDArray[np.float64]
Cells = NDArray[np.bool_]
Pool = Callable[[NDArray[np.floating]], Array]
"""(layers, heads, cells) -> (cells,): the chosen layers and heads."""


class Correction:
    """What the corrected maps of one generation share: own pass, foils' passes, prior, sinks.

    Parameters
    ----------
    pool
        Of the chosen layers and heads.
    films
        Films without content that the prior rests on.

    Attributes
    ----------
    forwards
        Passes run so far.
    """

    def __init__(
        self,
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        targets: Sequence[Target],
        pool: Pool,
        films: int,
    ) -> None:
        self._model = cast(Gemma3Model, model)
        self._features, self._generation, self._pool, self._films = features, generation, pool, films
        self._prior, prior_passes = content_free_prior(self._model, generation, films)
        self._own = contributions(self._model, generation, features.soft_tokens)
        self.forwards = 1 + prior_passes
        self._foils: dict[tuple[int, tuple[int, ...]], Contributions] = {}
        grid = features.geometries[0].grid
        self._shape = (len(features.geometries), grid, grid)
        self.sinks = find_sinks(self._own, self._prior, pool, self._shape)
        self._losses = dict.fromkeys(targets, 0.0)
        if self.sinks.any():
            self._losses = self._hidden(targets)

    def values(self, target: Target) -> tuple[Array, str]:
        """The corrected map of a target (images * cells,), and its note."""
        sinks = self.sinks if self._losses[target] < HARMLESS else np.zeros_like(self.sinks)
        first, last = target.tokens
        values, removed = self._span(self._own, slice(first, last), sinks)
        if target.foil is not None:
            values = values - self._span(self._foil(target), slice(0, len(target.foil)), sinks)[0]
        return values, self._note(target, sinks, removed)

    def _span(self, read: Contributions, rows: slice, sinks: Cells) -> tuple[Array, float]:
        """Corrected shares of a span's rows, and the share of the bare attention that sinks held."""
        image = read.rows.image[:, :, rows].astype(np.float64)
        attention = self._pool(image.mean(axis=2))
        # Cells that these rows' sliding windows have left behind have no prior either.
        seen = (image > 0).any(axis=2)
        own = shares(self._pool(read.lengths(rows).mean(axis=2, dtype=np.float64)), sinks)
        prior = shares(self._pool(self._prior.contribution * seen), sinks)
        total = attention.sum()
        removed = float(attention[sinks].sum() / total) if total > 0 else 0.0
        grids = (own - prior).reshape(self._shape)
        return from_neighbours(grids, sinks.reshape(self._shape)).reshape(-1), removed

    def _foil(self, target: Target) -> Contributions:
        foil = target.foil or ()
        key = (target.tokens[0], foil)
        if key not in self._foils:
            ids = np.concatenate([self._generation.token_ids[: key[0]], np.asarray(foil, dtype=np.int64)])
            self._foils[key] = contributions(
                self._model,
                self._generation,
                self._features.soft_tokens,
                token_ids=ids,
                wanted=range(key[0], len(ids)),
            )
            self.forwards += 1
        return self._foils[key]

    def _hidden(self, targets: Sequence[Target]) -> dict[Target, float]:
        """Nats that each target loses with all sinks hidden behind the image's mean token."""
        rows = soft_rows(self._features)
        both = torch.from_numpy(np.stack([np.zeros_like(self.sinks), self.sinks]))
        shown = hidden_rows(rows, soft_fill(self._model, self._features, "mean"), both)
        scored = scores(self._model, self._generation, shown, targets)
        self.forwards += 2 * passes(targets)
        return dict(zip(targets, (scored[0] - scored[1]).tolist(), strict=True))

    def _note(self, target: Target, sinks: Cells, removed: float) -> str:
        films = self._films
        en = f"The share that {films} films without content draw at the same places was subtracted."
        zh = f"已减去 {films} 张无内容影像在相同位置所得的注意力份额。"
        count = int(self.sinks.sum())
        if not count:
            return f"{en} No cell draws attention whatever is shown.\n{zh}没有网格在任何画面下都吸引注意力。"
        places_en, places_zh = self._places()
        loss = self._losses[target]
        en += f" {count} cells draw attention whatever is shown and written ({places_en}); hiding them costs the words "
        en += f"{loss:.2f} nats: "
        zh += f"{count} 个网格无论画面与文字如何都吸引注意力（{places_zh}），隐藏它们使文字损失 {loss:.2f} nats："
        if sinks.any():
            en += f"removed with {removed:.1%} of the attention on the image, and filled in from their neighbours."
            zh += f"已移除，其占图像注意力的 {removed:.1%}，并由相邻网格填补。"
        else:
            en += "too much to be sinks, they were kept."
            zh += "损失过大，不视为汇聚点，予以保留。"
        return f"{en}\n{zh}"

    def _places(self) -> tuple[str, str]:
        """The sinks' rows and columns, counted from 1."""
        found = np.argwhere(self.sinks.reshape(self._shape))
        several = self._shape[0] > 1
        en = [f"{f'image {i + 1}, ' if several else ''}row {r + 1}, column {c + 1}" for i, r, c in found[:NAMED]]
        zh = [f"{f'第 {i + 1} 幅图，' if several else ''}第 {r + 1} 行第 {c + 1} 列" for i, r, c in found[:NAMED]]
        more = len(found) > NAMED
        return "; ".join(en) + ("; …" if more else ""), "；".join(zh) + ("；…" if more else "")


def find_sinks(read: Contributions, prior: Prior, pool: Pool, shape: tuple[int, int, int]) -> Cells:
    """Bool (images * cells,): cells that are massive on films without content and in all words of this picture.

    Parameters
    ----------
    read
        Rows of every generated token.
    shape
        (images, g, g)
    """
    tokens = range(read.rows.image.shape[2])  # one at a time: all rows of a volume are gigabytes
    bare = np.stack([pool(read.rows.image[:, :, token]) for token in tokens])
    carried = np.stack([pool(read.lengths(slice(token, token + 1))[:, :, 0]) for token in tokens])
    flagged = np.zeros(bare.shape[1], dtype=bool)
    for words, on_films in ((bare, prior.attention), (carried, prior.contribution)):
        with np.errstate(divide="ignore"):
            every = np.exp(np.log(words).mean(axis=0))
        flagged |= massive(pool(on_films), shape) & massive(every, shape)
    return flagged


def massive(weights: Array, shape: tuple[int, int, int]) -> Cells:
    """Bool (images * cells,): at least ``SINK_TIMES`` the median cell of the same image, where that is above 0."""
    images = weights.reshape(shape[0], -1)
    middle = np.median(images, axis=1, keepdims=True)
    found: Cells = ((middle > 0) & (images >= SINK_TIMES * middle)).reshape(-1)
    return found


def shares(weights: Array, without: Cells) -> Array:
    """Weights of the cells that are left, as shares of their sum; 0 elsewhere, and everywhere where nothing is seen."""
    left = np.where(without, 0.0, weights)
    total = left.sum()
    return left / total if total > 0 else left


def from_neighbours(grids: Array, holes: Cells) -> Array:
    """Holes filled with the mean of their eight neighbours that are none, ring by ring; (images, g, g)."""
    filled, open_ = np.where(holes, 0.0, grids), holes.copy()
    around = np.ones((1, 3, 3))
    while open_.any():
        known = (~open_).astype(np.float64)
        count = ndimage.convolve(known, around, mode="constant")
        total = ndimage.convolve(filled * known, around, mode="constant")
        ready = open_ & (count > 0.5)
        if not ready.any():  # an image of holes alone
            break
        filled[ready] = total[ready] / count[ready]
        open_ &= ~ready
    return filled
