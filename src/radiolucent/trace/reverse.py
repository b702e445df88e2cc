"""From a place in the picture to the words that attended there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiolucent.errors import MalformedInput
from radiolucent.trace.types import Trace, TraceWord


@dataclass(frozen=True, eq=False)
class WordAtPlace:
    """A word and how much of its attention lies at a place.

    Parameters
    ----------
    share
        Share of the word's attention on the picture that lies at the cell, averaged over the layers.
    lift
        ``share`` over the mean share of all words there: above 1 where the word looks there more than others do,
        which discounts cells that every word attends (attention sinks).
    """

    word: TraceWord
    share: float
    lift: float


def words_attending(
    trace: Trace, frame: int, cell: tuple[int, int], *, layer: int | None = None
) -> tuple[WordAtPlace, ...]:
    """Words ordered by how much more than the others they attend to a cell.

    Parameters
    ----------
    cell
        (grid row, grid column).
    layer
        A layer's index in the language model; all layers where None.

    Raises
    ------
    MalformedInput
        Where the trace kept no attended maps, or the place or layer is not in them.
    """
    words = [word for word in trace.words if word.attended is not None]
    if not words:
        raise MalformedInput("The trace kept no attended maps; build it with attended=True.")
    if layer is not None and layer not in trace.layers:
        raise MalformedInput(f"Layer {layer} is not in the trace; it holds {list(trace.layers)}.")
    chosen = list(range(len(trace.layers))) if layer is None else [trace.layers.index(layer)]
    maps = np.stack([word.attended[chosen] for word in words if word.attended is not None]).astype(np.float64)
    _, _, frames, rows, columns = maps.shape
    if not (0 <= frame < frames and 0 <= cell[0] < rows and 0 <= cell[1] < columns):
        raise MalformedInput(f"Frame {frame}, cell {cell} is outside {frames} frames of {rows} x {columns} cells.")
    totals = maps.sum(axis=(2, 3, 4))  # (words, layers): weight on the pictures
    here = maps[:, :, frame, cell[0], cell[1]]
    shares = np.divide(here, totals, out=np.zeros_like(here), where=totals > 0).mean(axis=1)
    usual = shares.mean()
    lifts = shares / usual if usual > 0 else np.zeros_like(shares)
    order = np.argsort(-lifts, kind="stable")
    return tuple(WordAtPlace(words[i], float(shares[i]), float(lifts[i])) for i in order)
