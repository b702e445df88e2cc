"""What the image adds to each word: the nats that it loses with a blank picture and with another patient's film.

A blank shows nothing, so a denial ("No effusion") stands without the picture as well as with it; only a film that shows
the thing tells whether the denial was read off this one. Both films are run in one batch of teacher-forced passes and
encoded once for the weights. Grammar, and words that the words before them settle ("effusion" after "Pleural"), lose
nothing under either: how well the measure tells such words from those that state facts is in ``docs/trace``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.errors import MalformedInput
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.study.load import load_study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation

DEPENDS = 0.2  # nats: the words become at least 18 % less likely; the bar of the region tests, see attribution
OTHER_SEED = 25  # the demo model reports all five findings of it, surely, in both languages
OTHER_LESIONS = (
    Lesion("cardiomegaly"),
    Lesion("pleural_effusion", "right", severity="severe"),
    Lesion("pneumothorax", "left", severity="severe"),
    Lesion("consolidation", "right", "upper"),
    Lesion("nodule", "left", "lower"),
)

_drawn: WeakKeyDictionary[Gemma3Model, tuple[str, torch.Tensor]] = WeakKeyDictionary()  # one encode for all studies


@dataclass(frozen=True, eq=False)
class Reliance:
    """Nats that each generated token loses: float64 (tokens,); positive where the picture made it likelier.

    Parameters
    ----------
    blank, other
        With a blank picture, and with another patient's film; ``other`` None where only the blank was run.
    """

    blank: NDArray[np.float64]
    other: NDArray[np.float64] | None = None

    def of(self, span: tuple[int, int]) -> float:
        """Of a word: the larger of its two losses, each added over its tokens."""
        first, last = span
        losses = [float(self.blank[first:last].sum())]
        if self.other is not None:
            losses.append(float(self.other[first:last].sum()))
        return max(losses)


def image_reliance(
    model: ExplainableModel, features: Features, generation: Generation, *, other: Features | None = None
) -> Reliance:
    """What every token loses with the picture replaced; one batch of as many passes as there are replacements.

    Parameters
    ----------
    other
        Another patient's film, of as many images as the study; the blank alone where None. :func:`drawn_film` gives
        the packaged one.

    Raises
    ------
    MalformedInput
        Where ``other`` does not fit the study.
    """
    shown = [blank_features(model, features)] + ([other] if other is not None else [])
    for one in shown:
        check_fits(one, features)
    rows = torch.stack([one.soft_tokens for one in shown])
    with torch.no_grad():
        replaced = model.token_logprobs(generation.prompt_inputs, generation.token_ids, rows)
    losses = generation.logprobs.astype(np.float64) - replaced.double().cpu().numpy()
    return Reliance(losses[0], losses[1] if other is not None else None)


def check_fits(other: Features, features: Features) -> None:
    """Raise where another film cannot stand in a study's place: as many images of the same model are needed."""
    if other.soft_tokens.shape != features.soft_tokens.shape:
        raise MalformedInput(
            f"The replacing picture has soft tokens of shape {tuple(other.soft_tokens.shape)}; expected "
            f"{tuple(features.soft_tokens.shape)}: give as many images of the same model."
        )


def drawn_film(model: ExplainableModel, features: Features) -> Features:
    """The packaged other patient: a drawn film with five findings, in the place of each of the study's images.

    It is a drawing. For a model that reads real films give :func:`image_reliance` a real other patient's.
    """
    adapter = cast(Gemma3Model, model)
    state, tokens = _drawn.get(adapter, ("", None))
    if tokens is None or state != adapter.weights_state:
        film = draw_case(OTHER_SEED, lesions=OTHER_LESIONS, pairs=False).film
        with torch.no_grad():
            tokens = adapter.encode_pixels(adapter.pixels(load_study(film, patient_right="left"))).detach()
        _drawn[adapter] = adapter.weights_state, tokens
    return replace(
        features,
        soft_tokens=tokens.to(features.soft_tokens.device).expand(len(features.soft_tokens), -1, -1),
        key=f"drawn film in the place of {features.key}",
    )
