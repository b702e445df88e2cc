"""What the gradient methods share: one pass with a graph for several targets, one gradient for each of them.

A pass over prompt and answer holds the score of every span at once, so it runs once; each distinct span then costs one
backward pass through the same graph, and each distinct foil, another text, one more pass and one more gradient of its
own. The gradient of a target is the difference of the two. Passes that cost the most at full size (4B: 6 s each on two
cores) are never run twice: the same forward also yields the replay that the parity gate asks for.

The soft tokens are where the picture enters the language model; they are cast to single precision first and the model
casts back to its own, so that a bfloat16 model's gradients arrive in float32. Only gradients at the picture are asked
for: none of the weights is ever part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.maps import finished_or_empty
from radiolucent.attribution.method import Made
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import in_single_precision, resolve_target, soft_rows
from radiolucent.errors import MalformedInput
from radiolucent.vlm import graph_memory, layers
from radiolucent.vlm.decode import statistics
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Replay, Target

Score = Literal["logprob", "logit"]
UNITS = {"logprob": "nats", "logit": "logits"}
STATISTICS_ROWS = 64  # rows of the vocabulary turned into float32 statistics at a time


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of several targets' scores from shared passes.

    Parameters
    ----------
    targets, score
        What they are the gradients of.
    values
        (targets, pictures, images * cells, hidden), at least float32: at the soft tokens, or at the layer asked for.
    scores
        float64 (targets, pictures), nats or logits.
    replay
        What the same forward says of every generated token, where it was asked for.
    states
        What the layer put out at the image positions, (pictures, images * cells, hidden); None at the soft tokens.
    forwards, backwards
        Pictures passed, and gradients taken, through the language model; those of all targets together.
    """

    targets: tuple[Target, ...]
    score: Score
    values: torch.Tensor
    scores: NDArray[np.float64]
    replay: Replay | None
    states: torch.Tensor | None
    forwards: int
    backwards: int


def target_gradients(
    model: ExplainableModel,
    generation: Generation,
    soft_tokens: torch.Tensor,
    targets: Sequence[Target],
    *,
    score: Score = "logprob",
    layer: int | None = None,
    replay: bool = False,
) -> Gradients:
    """Gradient of each target's score with respect to each picture's own soft tokens, all pictures in one pass.

    Parameters
    ----------
    soft_tokens
        (pictures, images * cells, hidden); see :func:`radiolucent.attribution.targets.soft_rows`.
    score
        ``logprob``: log p of the span's words, less the foil's. ``logit``: their logits, whose gradient does not fade
        where the model is already certain (that of log p carries a factor 1 - p).
    layer
        Take the gradient at what this decoder layer puts out at the image positions, in the soft tokens' place.
    replay
        Also keep the replay of this very forward, for :func:`radiolucent.vlm.parity.check_parity`; one picture only.

    Raises
    ------
    MalformedInput
        Where the score is unknown, there is no such layer, or a replay of several pictures is asked for.
    InsufficientMemory
        Where the graph would not fit, even with its layers checkpointed.
    """
    checked_score(score)
    if replay and len(soft_tokens) != 1:
        raise MalformedInput(f"A replay is of one picture; {len(soft_tokens)} were given.")
    texts = _Texts(generation, targets)
    written = _pass(model, generation, generation.token_ids, soft_tokens, texts.spans, score, layer, replay)
    foils = [
        _pass(model, generation, ids, soft_tokens, [(first, len(ids))], score, layer)
        for (first, _), ids in texts.foils.items()
    ]
    return Gradients(
        targets=tuple(texts.targets),
        score=score,
        values=torch.stack(texts.contrasts(written.values, [foil.values[0] for foil in foils])),
        scores=np.stack(texts.contrasts(written.scores, [foil.scores[0] for foil in foils])),
        replay=written.replay,
        states=written.states,
        forwards=written.forwards + sum(foil.forwards for foil in foils),
        backwards=written.backwards + sum(foil.backwards for foil in foils),
    )


def picture_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    score: Score,
    gradients: Gradients | None,
) -> Gradients:
    """The targets' gradients at the study's own soft tokens: those that the caller has taken already, or new ones.

    Parameters
    ----------
    gradients
        From :func:`target_gradients` at :func:`radiolucent.attribution.targets.soft_rows` of these features. They cost
        nothing more, and the maps made from them say so.

    Raises
    ------
    MalformedInput
        Where the gradients are of other targets, another score, a layer, or of pictures of another size.
    """
    if gradients is None:
        return target_gradients(model, generation, soft_rows(features), targets, score=checked_score(score))
    asked = tuple(resolve_target(generation, target) for target in targets)
    shape = (len(asked), *soft_rows(features).shape)
    if gradients.targets != asked or gradients.score != score or gradients.states is not None:
        raise MalformedInput(
            f"The gradients given are of {[one.label or one.tokens for one in gradients.targets]} ({gradients.score}); "
            f"asked for are {[one.label or one.tokens for one in asked]} ({score}) at the soft tokens. Take them anew."
        )
    if tuple(gradients.values.shape) != shape:
        raise MalformedInput(
            f"The gradients given have shape {tuple(gradients.values.shape)}; expected {shape}, this study alone."
        )
    return replace(gradients, forwards=0, backwards=0)


def target_values(
    model: ExplainableModel,
    generation: Generation,
    soft_tokens: torch.Tensor,
    targets: Sequence[Target],
    *,
    score: Score = "logprob",
) -> NDArray[np.float64]:
    """The scores alone, from passes without a graph: float64 (targets, pictures). Arguments as above."""
    checked_score(score)
    texts = _Texts(generation, targets)

    def totals(token_ids: NDArray[np.int64], spans: Sequence[tuple[int, int]]) -> list[torch.Tensor]:
        wanted = sorted({row for span in spans for row in range(*span)})
        with torch.no_grad():
            taken, _ = _taken(model, generation, token_ids, soft_tokens, wanted, score)
        return [_total(taken, wanted, span).cpu() for span in spans]

    written = totals(generation.token_ids, texts.spans)
    foils = [totals(ids, [(first, len(ids))])[0] for (first, _), ids in texts.foils.items()]
    return torch.stack(texts.contrasts(written, foils)).numpy()


def through_vision(
    model: ExplainableModel, features: Features, gradients: torch.Tensor, *, layer: int | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Gradients at the soft tokens carried back into the vision tower, image by image: each is encoded once.

    Parameters
    ----------
    gradients
        (targets, images * cells, hidden).
    layer
        Back to what this layer of the tower puts out, (patches, width); to the pixels (3, size, size) where None.

    Yields
    ------
    For each image its states there, and the targets' gradients with respect to them (targets, ...).
    """
    opened = cast(Gemma3Model, model)
    cells = features.soft_tokens.shape[1]
    for image, at_tokens in enumerate(torch.split(gradients, cells, dim=1)):
        pixels = in_single_precision(features.pixels[image : image + 1].detach()).clone()
        if layer is None:
            states = pixels.requires_grad_(True)
            with torch.enable_grad(), graph_memory.vision_graph(opened, pictures=1):
                tokens = model.encode_pixels(states)
        else:
            index, tapped = layers.layer_at(layers.vision_layers(opened), layer)
            with (
                torch.enable_grad(),
                graph_memory.vision_graph(opened, pictures=1, first=index + 1),
                layers.tapped(tapped, cut=True) as outputs,
            ):
                tokens = model.encode_pixels(pixels)
            (states,) = outputs
        carried = [
            torch.autograd.grad(tokens, states, one[None].to(tokens), retain_graph=number < len(at_tokens) - 1)[0]
            for number, one in enumerate(at_tokens)
        ]
        yield states.detach()[0], torch.cat(carried)


def sensitivity_maps(
    values: torch.Tensor | Sequence[torch.Tensor],
    features: Features,
    targets: Sequence[Target],
    *,
    method: str,
    units: str,
    forwards: int,
    backwards: int,
    noise: Sequence[float] = (),
) -> list[Made]:
    """A map, or the reason why there is none, for each target's values (targets, ...) on the grid or at pixels.

    Parameters
    ----------
    noise
        For each target the magnitude up to which a value is round-off; 0 where none is given.
    """
    return [
        finished_or_empty(
            one.detach().cpu().numpy(),
            features,
            claim="sensitive",
            method=method,
            target=target,
            units=units,
            forwards=forwards,
            backwards=backwards,
            noise=level,
        )
        for one, target, level in zip(values, targets, noise or [0.0] * len(targets), strict=True)
    ]


def checked_score(score: Score) -> Score:
    """The score's name, refused where it is unknown."""
    if score not in get_args(Score):
        raise MalformedInput(f"The score {score!r} is unknown; use 'logprob' or 'logit'.")
    return score


class _Texts:
    """What several targets are scored on: the answer's distinct spans, and each distinct foil's own text."""

    def __init__(self, generation: Generation, targets: Sequence[Target]) -> None:
        if not targets:
            raise MalformedInput("No target was given; there is nothing to explain.")
        self.targets = [resolve_target(generation, target) for target in targets]
        self.spans = list(dict.fromkeys(target.tokens for target in self.targets))
        self.foils = {
            (target.tokens[0], target.foil): np.concatenate(
                [generation.token_ids[: target.tokens[0]], np.asarray(target.foil, dtype=np.int64)]
            )
            for target in self.targets
            if target.foil is not None
        }

    def contrasts(self, spans: Any, foils: Sequence[Any]) -> list[Any]:
        """For each target what its span has, less what its foil has."""
        order = list(self.foils)
        contrasted = []
        for target in self.targets:
            own = spans[self.spans.index(target.tokens)]
            foil = None if target.foil is None else foils[order.index((target.tokens[0], target.foil))]
            contrasted.append(own if foil is None else own - foil)
        return contrasted


@dataclass(frozen=True, eq=False)
class _Passed:
    """One text's pass: gradients (spans, pictures, ...) and scores (spans, pictures) of its spans."""

    values: torch.Tensor
    scores: NDArray[np.float64]
    replay: Replay | None
    states: torch.Tensor | None
    forwards: int
    backwards: int


def _pass(
    model: ExplainableModel,
    generation: Generation,
    token_ids: NDArray[np.int64],
    soft_tokens: torch.Tensor,
    spans: Sequence[tuple[int, int]],
    score: Score,
    layer: int | None = None,
    replay: bool = False,
) -> _Passed:
    """One text's pass, and one gradient for each of its spans."""
    wanted = list(range(len(token_ids))) if replay else sorted({row for span in spans for row in range(*span)})
    leaf = in_single_precision(soft_tokens.detach()).clone().requires_grad_(True)
    opened = cast(Gemma3Model, model)
    positions = len(generation.prompt_inputs.input_ids) + len(token_ids)
    sources = [leaf]
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(
            graph_memory.language_graph(opened, positions=positions, pictures=len(leaf), rows=len(wanted))
        )
        if layer is not None:
            _, tapped = layers.layer_at(layers.language_layers(opened), layer)
            sources = stack.enter_context(layers.tapped(tapped))
        taken, logits = _taken(model, generation, token_ids, leaf, wanted, score, keep_logits=replay)
        totals = [_total(taken, wanted, span) for span in spans]
    gradients = []
    for number, total in enumerate(totals):
        last = number == len(totals) - 1
        parts = torch.autograd.grad(total.sum(), sources, retain_graph=not last, materialize_grads=True)
        gradients.append(in_single_precision(torch.cat(parts)))
    values, states = torch.stack(gradients), None
    if layer is not None:
        places = [place for first, last in generation.image_spans for place in range(first, last)]
        values = values[:, :, places]
        states = in_single_precision(torch.cat([source.detach() for source in sources]))[:, places]
    return _Passed(
        values=values,
        scores=torch.stack(totals).detach().cpu().numpy(),
        replay=_replay(logits.detach()[0], token_ids) if replay and logits is not None else None,
        states=states,
        forwards=len(leaf),
        backwards=len(leaf) * len(spans),
    )


def _taken(
    model: ExplainableModel,
    generation: Generation,
    token_ids: NDArray[np.int64],
    soft_tokens: torch.Tensor,
    wanted: Sequence[int],
    score: Score,
    *,
    keep_logits: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Each wanted token's log p or logit (pictures, wanted), and all logits where they are needed."""
    if score == "logprob" and not keep_logits:
        return model.token_logprobs(generation.prompt_inputs, token_ids, soft_tokens, wanted=wanted), None
    with layers.tapped(layers.language_head(cast(Gemma3Model, model))) as heads:
        logprobs = model.token_logprobs(generation.prompt_inputs, token_ids, soft_tokens, wanted=wanted)
    logits = torch.cat(heads)
    if score == "logprob":
        return logprobs, logits
    ids = torch.as_tensor(token_ids[list(wanted)], device=logits.device).expand(len(logits), -1)
    return logits.gather(-1, ids[..., None])[..., 0].float(), logits


def _total(taken: torch.Tensor, wanted: Sequence[int], span: tuple[int, int]) -> torch.Tensor:
    """A span's score, float64 (pictures,)."""
    columns = [wanted.index(row) for row in range(*span)]
    return taken[:, columns].double().sum(-1)


def _replay(logits: torch.Tensor, token_ids: NDArray[np.int64]) -> Replay:
    """What a pass's logits (tokens, vocabulary) say of the tokens that were written."""
    ids = torch.as_tensor(token_ids, device=logits.device)
    rows = zip(torch.split(logits, STATISTICS_ROWS), torch.split(ids, STATISTICS_ROWS), strict=True)
    kept = [statistics(some.float(), tokens) for some, tokens in rows]

    def joined(name: str) -> NDArray[Any]:
        array: NDArray[Any] = torch.cat([getattr(part, name) for part in kept]).cpu().numpy()
        return array

    return Replay(
        logprobs=joined("logprobs"),
        entropy=joined("entropy"),
        top=joined("top_ids")[:, 0],
        top_logprob=joined("top_logprobs")[:, 0],
    )
