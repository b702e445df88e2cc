"""What stands in a hidden place, whether the place is pixels of the picture or cells of its soft tokens.

Each fill means the same in both spaces, for a picture is a grid of values either way: three channels of pixels, or
the hidden channels of the tokens. ``mean``: the image's mean (in tokens: mean-embedding replacement, Neo et al. 2025,
arXiv 2410.07149). ``blank``: mid-grey, or the tokens that the model makes of a mid-grey picture. ``blur``: the picture
itself, blurred. ``inpaint``: the surroundings continued into the hidden place. ``counterfactual``: another study's
picture there, such as the same film without the lesion.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import inpaint_biharmonic
from torch.nn import functional

from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.attribution.targets import in_single_precision
from radiolucent.errors import MalformedInput
from radiolucent.vlm.perturb import GREY, Filling
from radiolucent.vlm.types import Features

Fill = Literal["mean", "blank", "blur", "inpaint", "counterfactual"]
Space = Literal["tokens", "pixels"]

BLUR = 1.0  # standard deviation of the blur in cells: a cell's own content is gone
SAMPLES = 8  # points along a cell's edge at which pixels are in-painted: the seam is finer than the vision patches


def filling(
    model: ExplainableModel,
    features: Features,
    fill: Fill,
    space: Space,
    *,
    other: Features | None = None,
    blur: float = BLUR,
) -> Filling:
    """What stands in each hidden place, as :func:`radiolucent.vlm.perturb.hide_pixels` and ``replace_cells`` ask it.

    Parameters
    ----------
    fill
        See the module. ``inpaint`` alone depends on what is hidden.
    space
        ``tokens`` (soft tokens) or ``pixels``.
    other
        For ``counterfactual``: the other study, with as many images.
    blur
        Standard deviation of ``blur`` in cells.

    Raises
    ------
    MalformedInput
        Where the fill or space is unknown, or ``other`` is missing, not asked for, or of another shape.
    """
    if space not in get_args(Space):
        raise MalformedInput(f"The space {space!r} is unknown; use {_listed(Space)}.")
    picture = _picture(features, space)
    if (other is not None) != (fill == "counterfactual"):
        raise MalformedInput(
            f"The fill {fill!r} with other={'given' if other else None}: 'counterfactual' needs it alone."
        )
    if fill == "inpaint":
        samples = SAMPLES * features.geometries[0].grid

        def continued(image: int, hidden: NDArray[np.bool_]) -> torch.Tensor:
            return _in_place(inpainted(picture[image], hidden, samples), space)

        return continued
    if fill == "mean":
        standing = picture.mean(dim=(2, 3), keepdim=True).expand_as(picture)
    elif fill == "blank":
        standing = (
            torch.full_like(picture, GREY) if space == "pixels" else _picture(blank_features(model, features), space)
        )
    elif fill == "blur":
        standing = blurred(picture, blur * picture.shape[-1] / features.geometries[0].grid)
    elif fill == "counterfactual" and other is not None:
        standing = _picture(other, space)
        if standing.shape != picture.shape:
            raise MalformedInput(
                f"The counterfactual has {space} of shape {tuple(standing.shape)}; expected {tuple(picture.shape)}, as "
                "the study has: encode a study of as many images with the same model."
            )
    else:
        raise MalformedInput(f"The fill {fill!r} is unknown; use {_listed(Fill)}.")
    return lambda image, hidden: _in_place(standing[image], space)


def soft_fill(model: ExplainableModel, features: Features, fill: Literal["mean", "blank", "blur"]) -> torch.Tensor:
    """A fill that does not depend on what is hidden, as a row (1, images * cells, hidden): a path's starting point."""
    standing = filling(model, features, fill, "tokens")
    nothing = np.zeros((1, 1), dtype=bool)
    return torch.cat([standing(image, nothing) for image in range(len(features.soft_tokens))]).unsqueeze(0)


def blurred(picture: torch.Tensor, deviation: float) -> torch.Tensor:
    """Gaussian blur of (images, channels, k, k), edges mirrored, cut at three standard deviations.

    Parameters
    ----------
    deviation
        In places of the picture's own grid, above 0.
    """
    if not deviation > 0:
        raise MalformedInput(f"A blur of {deviation} hides nothing; use a standard deviation above 0.")
    radius = min(int(3 * deviation + 0.5), picture.shape[-1] - 1)
    steps = torch.arange(-radius, radius + 1, device=picture.device, dtype=picture.dtype)
    weights = torch.exp(-0.5 * (steps / deviation) ** 2)
    kernel = (weights / weights.sum()).view(1, 1, -1)
    channels = picture.flatten(0, 1)[:, None]
    across = functional.conv2d(functional.pad(channels, (radius, radius, 0, 0), "reflect"), kernel[:, :, None])
    down = functional.conv2d(functional.pad(across, (0, 0, radius, radius), "reflect"), kernel[..., None])
    return down[:, 0].view_as(picture)


def inpainted(picture: torch.Tensor, hidden: NDArray[np.bool_], samples: int) -> torch.Tensor:
    """The picture with its hidden places continued from the others by the biharmonic equation.

    Damelin and Hoang 2018 (doi 10.1155/2018/3950312), scikit-image's solver, kept within the values that are seen.
    A picture finer than ``samples`` is solved at that many points along its edge, from means of points that are seen
    alone, and interpolated: a quarter of 896 x 896 hidden takes 18 s solved exactly, this way 0.1 s. A picture hidden
    as a whole has nothing to continue: it becomes its own mean.

    Parameters
    ----------
    picture
        (channels, k, k).
    hidden
        Bool (m, m), m a divisor of k.

    Returns
    -------
    (channels, k, k); only its values at hidden places mean anything.
    """
    edge = picture.shape[-1]
    step = max(1, edge // samples)
    while edge % step:  # the points must tile the picture
        step -= 1
    values = picture.detach().double().cpu().numpy().reshape(len(picture), edge // step, step, edge // step, step)
    times = edge // hidden.shape[-1]
    places = hidden.repeat(times, axis=0).repeat(times, axis=1)
    unseen: NDArray[np.bool_] = np.any(places.reshape(edge // step, step, edge // step, step), axis=(1, 3))
    if unseen.all():
        return picture.mean(dim=(1, 2), keepdim=True).expand_as(picture)
    coarse = values.mean(axis=(2, 4)).transpose(1, 2, 0)
    solved = inpaint_biharmonic(np.where(unseen[..., None], 0.0, coarse), unseen, channel_axis=-1)
    whole = torch.from_numpy(np.ascontiguousarray(solved.transpose(2, 0, 1)))[None]
    if step > 1:
        whole = functional.interpolate(whole, size=(edge, edge), mode="bilinear", align_corners=False)
    return whole[0].to(picture)


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


def _picture(features: Features, space: Space) -> torch.Tensor:
    """What the study shows in a space: (images, channels, k, k), at least in single precision."""
    if space == "pixels":
        return in_single_precision(features.pixels.detach())
    grid = features.geometries[0].grid
    tokens = in_single_precision(features.soft_tokens.detach())
    return tokens.transpose(1, 2).reshape(len(tokens), -1, grid, grid)


def _in_place(picture: torch.Tensor, space: Space) -> torch.Tensor:
    """(channels, k, k) in the layout of the space: (cells, hidden) for tokens."""
    return picture if space == "pixels" else picture.flatten(1).transpose(0, 1)


def _listed(names: object) -> str:
    return ", ".join(repr(name) for name in get_args(names))
