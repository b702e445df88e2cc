"""Films that show nothing: what a model attends to on them, it attends to whatever it is shown."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.vlm import memory
from radiolucent.vlm.contributions import contributions
from radiolucent.vlm.gemma3 import IMAGES_AT_A_TIME, Gemma3Model
from radiolucent.vlm.types import Generation

GREYS = (-0.6, 0.6)  # range of the films' grey level, after SigLIP's normalisation (black -1, white 1)
NOISES = (0.05, 0.4)  # standard deviation of the films' noise, faint and strong in turn
GOLDEN = 0.6180339887498949  # its multiples fill a range evenly however many are taken
SEED = 20200218
FLOOR = 1e-6  # of a row's mean cell: a weight below it counts as this much in a mean of logarithms
KEPT = 8  # prompts whose prior is remembered


@dataclass(frozen=True, eq=False)
class Prior:
    """What the row behind the prompt gives each place on films that show nothing: means of logarithms over the films.

    Parameters
    ----------
    attention, contribution
        float32 (layers, heads, images * cells): geometric mean of the attention, and of the length of what the cell
        adds (see :mod:`radiolucent.vlm.contributions`); exactly 0 where no film's cell was seen.
    """

    attention: NDArray[np.float32]
    contribution: NDArray[np.float32]


@dataclass(eq=False)
class _Known:
    """What is remembered of a model while its weights stay as they are."""

    weights: str
    films: torch.Tensor
    priors: OrderedDict[str, Prior] = field(default_factory=OrderedDict)


_known: WeakKeyDictionary[Gemma3Model, _Known] = WeakKeyDictionary()


def prior_films(model: Gemma3Model, count: int) -> torch.Tensor:
    """Soft tokens of grey films with noise: (count, cells, hidden), encoded once for the model's weights.

    The films are the same in every call: grey levels spread evenly, white noise faint and strong in turn.

    Raises
    ------
    MalformedInput
        Where fewer than one film is asked for.
    InsufficientMemory
        Where the vision tower's pass would not fit.
    """
    if count < 1:
        raise MalformedInput(f"{count} films without content make no prior; use at least 1 (16 are usual).")
    known = _of(model)
    if len(known.films) < count:
        pixels = film_pixels(model.profile.image_size, range(len(known.films), count))
        memory.check_encode(model.module, min(len(pixels), IMAGES_AT_A_TIME))
        with torch.no_grad():
            more = [model.encode_pixels(some) for some in torch.split(pixels, IMAGES_AT_A_TIME)]
        known.films = torch.cat([known.films, *more])
    return known.films[:count]


def content_free_prior(model: Gemma3Model, generation: Generation, count: int) -> tuple[Prior, int]:
    """The prior of a generation's prompt, and the passes that it cost: ``count``, or 0 where it is remembered.

    The row is the one behind the prompt, so the prior is the prompt's and not the answer's: one for all studies that
    are asked the same. Where a study has several images, each pass shows a different film in each place.
    """
    films = prior_films(model, count)
    inputs = generation.prompt_inputs
    known = _of(model)
    key = hashlib.sha256(inputs.input_ids.tobytes() + str(count).encode()).hexdigest()
    if key in known.priors:
        known.priors.move_to_end(key)
        return known.priors[key], 0
    images = len(inputs.image_spans)
    logs = []
    for first in range(count):
        shown = films[[(first + image) % count for image in range(images)]]
        read = contributions(model, generation, shown, token_ids=generation.token_ids[:1])
        logs.append((_logarithms(read.rows.image[:, :, 0]), _logarithms(read.lengths()[:, :, 0])))
    attention, contribution = (np.exp(np.mean(some, axis=0)).astype(np.float32) for some in zip(*logs, strict=True))
    known.priors[key] = Prior(attention, contribution)
    while len(known.priors) > KEPT:
        known.priors.popitem(last=False)
    return known.priors[key], count


def film_pixels(size: int, numbers: range) -> torch.Tensor:
    """The films of some numbers, normalised: float32 (films, 3, size, size) in [-1, 1]."""
    films = []
    for number in numbers:
        noise = torch.randn(1, size, size, generator=torch.Generator().manual_seed(SEED + number))
        grey = GREYS[0] + (number * GOLDEN % 1) * (GREYS[1] - GREYS[0])
        films.append((grey + NOISES[number % 2] * noise).clamp(-1, 1).expand(3, -1, -1))
    return torch.stack(films)


def _logarithms(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """log of (layers, heads, cells), -inf in rows that see no cell at all."""
    values = weights.astype(np.float64)
    floor = FLOOR * values.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs: NDArray[np.float64] = np.log(np.maximum(values, floor))
    return logs


def _of(model: Gemma3Model) -> _Known:
    """What is known of a model; forgotten where its weights were changed by hand."""
    weights = model.weights_state
    known = _known.get(model)
    if known is None or known.weights != weights:
        nothing = torch.empty(0, model.profile.cells, model.hidden_size, dtype=model.dtype, device=model.device)
        known = _known[model] = _Known(weights, nothing)
    return known
