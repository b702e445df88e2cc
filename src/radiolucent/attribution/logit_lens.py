"""Where the words fit the picture: log-probability of the words' tokens at the image positions. Not a trace.

What a decoder layer puts out at an image position is read as if it were to predict a word: final norm, output
projection, log-softmax. A cell where the word is likely *looks like* the word to the model. Nothing is hidden and no
step of the answer is read: the map is the same whether or not the model used the place, and whenever the word was
written. So the claim is *plausible*, never attended or relied on. nostalgebraist 2020 (logit lens); at image tokens
Neo et al. 2025, arXiv 2410.07149; the same reading without its interference correction in TAM, arXiv 2506.23270.

Whether a word fits where its finding lies depends on the model. Image positions are never taught to predict words; on
the demo model the map is hardly better than chance.

The prompt is read up to behind its last image only: what stands there cannot depend on later text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.maps import finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.forced import forced_logits
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.layers import language_head, language_layers, layer_at, tapped
from radiolucent.vlm.types import Features, Generation, PromptInputs, Target

Layer = Literal["middle", "last"] | int
Words = Literal["mean", "first"]
LOGITS_BYTES = 1 << 26  # float32 logits of some cells held at a time


def logit_lens(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    layer: Layer = "middle",
    words: Words = "mean",
) -> AttributionMap:
    """log p of the target's tokens at each image position, less the mean over all cells; in nats.

    With a foil, log p of the span's tokens less log p of the foil's, less the mean over all cells.

    Parameters
    ----------
    layer
        Whose output is read: ``middle`` (half of the layers run), ``last``, or an index.
    words
        ``mean``: over the span's content tokens, those of words with letters or figures (all tokens where there is
        none; a foil's are all taken). ``first``: the first of them.
    """
    return only(logit_lenses(model, features, generation, [target], layer=layer, words=words))


def logit_lenses(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    layer: Layer = "middle",
    words: Words = "mean",
) -> list[Made]:
    """The maps of several targets, foils included, from one pass."""
    if words not in get_args(Words):
        raise MalformedInput(f"words={words!r} is unknown; use 'mean' or 'first'.")
    opened = cast(Gemma3Model, model)
    states = image_states(opened, features, generation, layer)
    spans = [content_tokens(generation, target.tokens) for target in targets]
    foils = [list(target.foil or ()) for target in targets]
    if words == "first":
        spans, foils = [span[:1] for span in spans], [foil[:1] for foil in foils]
    asked = sorted({token for tokens in (*spans, *foils) for token in tokens})
    fits = token_fits(opened, states, asked)
    column = {token: place for place, token in enumerate(asked)}

    def mean(tokens: Sequence[int]) -> NDArray[np.float64]:
        taken: NDArray[np.float64] = fits[:, [column[token] for token in tokens]].mean(axis=1)
        return taken

    made = []
    for target, span, foil in zip(targets, spans, foils, strict=True):
        values = mean(span) - mean(foil) if foil else mean(span)
        made.append(
            finished_or_empty(
                values - values.mean(),
                features,
                claim="plausible",
                method="logit_lens",
                target=target,
                units="nats",
                forwards=1,
            )
        )
    return made


def content_tokens(generation: Generation, span: tuple[int, int]) -> list[int]:
    """Token ids of a span's words that hold letters or figures; all of the span's where there is none."""
    first, last = span
    places = {
        place
        for word in generation.words
        if any(character.isalnum() for character in word.text)
        for place in range(*word.tokens)
        if first <= place < last
    }
    return [int(generation.token_ids[place]) for place in sorted(places) or range(first, last)]


def image_states(model: Gemma3Model, features: Features, generation: Generation, layer: Layer) -> torch.Tensor:
    """What a decoder layer puts out at the image positions: (images * cells, hidden), one pass."""
    layers = language_layers(model)
    if isinstance(layer, str) and layer not in ("middle", "last"):
        raise MalformedInput(f"The layer {layer!r} is unknown; use 'middle', 'last' or an index.")
    index = {"middle": (len(layers) - 1) // 2, "last": len(layers) - 1}[layer] if isinstance(layer, str) else layer
    _, read = layer_at(layers, index)
    inputs = generation.prompt_inputs
    end = max(last for _, last in generation.image_spans)
    head = PromptInputs(inputs.input_ids[:end], inputs.token_type_ids[:end], inputs.image_spans)
    with torch.no_grad(), tapped(read) as outputs:
        forced_logits(
            model.module,
            head,
            torch.as_tensor(generation.token_ids[:1], device=model.device),
            features.soft_tokens.reshape(1, -1, model.hidden_size),
            image_token=model.profile.image_token,
            wanted=[0],
        )
    (states,) = outputs
    return states[0, [place for first, last in generation.image_spans for place in range(first, last)]]


def token_fits(model: Gemma3Model, states: torch.Tensor, tokens: Sequence[int]) -> NDArray[np.float64]:
    """log p of some tokens at each state: float64 (states, tokens); logits of all words for some states at a time."""
    head = language_head(model)
    norm = model.module.model.language_model.norm
    ids = torch.as_tensor(list(tokens), device=states.device)
    at_a_time = max(1, LOGITS_BYTES // (4 * model.module.config.text_config.vocab_size))
    parts = []
    with torch.no_grad():
        for some in torch.split(states, at_a_time):
            logits = head(norm(some)).float()
            parts.append(logits[:, ids] - logits.logsumexp(-1, keepdim=True))
    fits: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
    return fits


METHOD = describe(
    logit_lens,
    claim="plausible",
    en="Where the words would fit the picture's own tokens (logit lens); not a trace of how they were written.",
    zh="图像标记处与该文字相符的程度（logit lens）；并非文字生成过程的追踪。",
    cost="1 forward pass over the prompt up to its last image, for all targets",
    citation="nostalgebraist 2020, logit lens; Neo et al. 2025, arXiv 2410.07149",
    passes=lambda size: Passes(replays=1),
    many=logit_lenses,
)
