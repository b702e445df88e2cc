"""What a hidden cell is filled with: the study's mean soft token, or what the model makes of a blank picture there."""

from __future__ import annotations

from typing import Literal

import torch

from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.attribution.targets import in_single_precision
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features

Fill = Literal["mean", "blank"]


def soft_fill(model: ExplainableModel, features: Features, fill: Fill) -> torch.Tensor:
    """The filling as a row (1, images * cells, hidden), the same layout as the study's soft tokens.

    Parameters
    ----------
    fill
        ``mean``: each image's mean token (mean-embedding replacement, Neo et al. 2025); ``blank``: the tokens of a
        blank picture, one more image encode, cell by cell.
    """
    tokens = in_single_precision(features.soft_tokens.detach())
    if fill == "mean":
        filling = tokens.mean(dim=1, keepdim=True).expand_as(tokens)
    elif fill == "blank":
        filling = in_single_precision(blank_features(model, features).soft_tokens.detach())
    else:
        raise MalformedInput(f"The fill {fill!r} is unknown; use 'mean' or 'blank'.")
    return filling.flatten(0, 1).unsqueeze(0)


def hidden_rows(rows: torch.Tensor, filling: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Copies of a picture's soft tokens with cells replaced.

    Parameters
    ----------
    rows, filling
        (1, images * cells, hidden).
    hidden
        Bool (pictures, images * cells): True where the cell is replaced.

    Returns
    -------
    (pictures, images * cells, hidden)
    """
    return torch.where(hidden.to(rows.device)[:, :, None], filling, rows)
