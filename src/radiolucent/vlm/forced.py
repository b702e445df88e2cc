"""Teacher-forced passes: prompt and given tokens in one forward without a cache, sliding masks exact.

The prediction of position *p* is read at row *p - 1*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from radiolucent.errors import MalformedInput
from radiolucent.vlm.capture import Recorder
from radiolucent.vlm.decode import Statistics, statistics
from radiolucent.vlm.types import PromptInputs

LOGITS_BUDGET = 1 << 30  # bytes of float32 logits held by one chunk of a batch
TOKENS_BUDGET = 1 << 14  # positions run in one chunk of a batch
STATISTICS_ROWS = 64  # rows turned into float32 statistics at a time


def embed(module: Any, input_ids: torch.Tensor, soft_tokens: torch.Tensor, image_token: int) -> torch.Tensor:
    """Text embeddings with the image soft tokens in their places.

    Parameters
    ----------
    input_ids
        int64 (length,).
    soft_tokens
        (B, images * cells, hidden), in the order of the image tokens in the prompt.

    Returns
    -------
    (B, length, hidden), differentiable with respect to ``soft_tokens``.
    """
    is_image = input_ids == image_token
    # The image token may lie outside the vocabulary; its embedding is replaced anyway.
    text = module.get_input_embeddings()(input_ids.masked_fill(is_image, 0)).detach()
    soft = soft_tokens.to(device=text.device, dtype=text.dtype)
    if int(is_image.sum()) != soft.shape[1]:
        raise MalformedInput(
            f"The prompt has room for {int(is_image.sum())} image soft tokens; {soft.shape[1]} were given."
        )
    placed: torch.Tensor = text.expand(len(soft), -1, -1).masked_scatter(is_image[None, :, None], soft)
    return placed


def forced_logits(
    module: Any,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    *,
    image_token: int,
    wanted: Sequence[int] | None = None,
    recorder: Recorder | None = None,
) -> torch.Tensor:
    """Logits that predict the given tokens after the prompt, one forward.

    Parameters
    ----------
    token_ids
        int64 (m,) on the model's device.
    soft_tokens
        (B, images * cells, hidden).
    wanted
        Indices into ``token_ids`` whose prediction is needed; all where None.

    Returns
    -------
    (B, len(wanted), vocabulary) in the model's dtype.
    """
    device = token_ids.device
    prompt = torch.as_tensor(inputs.input_ids, device=device)
    length = len(prompt)
    asked = list(range(len(token_ids))) if wanted is None else list(wanted)
    # The last token asked for predicts nothing that is needed, so it is not run.
    ids = torch.cat((prompt, token_ids[: max(asked)]))
    types = torch.zeros_like(ids)
    types[:length] = torch.as_tensor(inputs.token_type_ids, device=device)
    rows = torch.as_tensor(asked, dtype=torch.long, device=device)
    embeddings = embed(module, ids, soft_tokens, image_token)
    if recorder is not None:
        recorder.expect(0, tuple((rows + (length - 1)).tolist()))
    extra = {} if recorder is None else {"row_recorder": recorder}
    output = module(
        inputs_embeds=embeddings,
        token_type_ids=types.expand(len(embeddings), -1),
        position_ids=torch.arange(len(ids), device=device)[None].expand(len(embeddings), -1),
        use_cache=False,
        logits_to_keep=rows + (length - 1),
        **extra,
    )
    logits: torch.Tensor = output.logits
    return logits


def forced_logprobs(
    module: Any,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    *,
    image_token: int,
    wanted: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> torch.Tensor:
    """log p of the given tokens for each picture of a batch; float32 (B, len(wanted)), differentiable."""
    rows = list(range(len(token_ids))) if wanted is None else [int(index) for index in wanted]
    _check_places(rows, token_ids)
    choices = [(row, int(token_ids[row])) for row in rows]
    return forced_choices(
        module, inputs, token_ids, soft_tokens, choices, image_token=image_token, batch_size=batch_size
    )


def forced_choices(
    module: Any,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    choices: Sequence[tuple[int, int]],
    *,
    image_token: int,
    batch_size: int | None = None,
) -> torch.Tensor:
    """log p of any tokens in the places of given ones, for each picture of a batch: what else could stand there.

    Parameters
    ----------
    choices
        (index into ``token_ids``, token id) pairs; all that stand at one place are read from the same logits.
    batch_size
        Pictures run together; chosen by memory where None.

    Returns
    -------
    float32 (B, len(choices)), differentiable
    """
    wanted = sorted({index for index, _ in choices})
    _check_places(wanted, token_ids)
    if not choices:
        return torch.zeros((len(soft_tokens), 0), device=token_ids.device)
    column = {index: place for place, index in enumerate(wanted)}
    columns = torch.as_tensor([column[index] for index, _ in choices], device=token_ids.device)
    tokens = torch.as_tensor([token for _, token in choices], device=token_ids.device)
    if batch_size is None:
        per_picture = len(wanted) * module.config.text_config.vocab_size * 4
        positions = len(inputs.input_ids) + len(token_ids)
        batch_size = max(1, min(LOGITS_BUDGET // per_picture, TOKENS_BUDGET // positions))
    elif batch_size < 1:
        raise MalformedInput(f"batch_size={batch_size}; use at least 1.")
    parts = []
    for some in torch.split(soft_tokens, batch_size):
        logits = forced_logits(module, inputs, token_ids, some, image_token=image_token, wanted=wanted).float()
        parts.append(logits[:, columns, tokens] - logits.logsumexp(-1)[:, columns])
    return torch.cat(parts)


def _check_places(places: Sequence[int], token_ids: torch.Tensor) -> None:
    if any(not 0 <= index < len(token_ids) for index in places):
        raise MalformedInput(
            f"Tokens {list(places)} were asked for; there are {len(token_ids)} (0 to {len(token_ids) - 1})."
        )


def forced_statistics(
    module: Any,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    *,
    image_token: int,
    recorder: Recorder | None = None,
) -> Statistics:
    """log p, entropy and candidates of every given token, one picture (1, images * cells, hidden)."""
    logits = forced_logits(module, inputs, token_ids, soft_tokens, image_token=image_token, recorder=recorder)[0]
    parts = [
        statistics(some.float(), ids)
        for some, ids in zip(torch.split(logits, STATISTICS_ROWS), torch.split(token_ids, STATISTICS_ROWS), strict=True)
    ]
    return Statistics(*(torch.cat([getattr(part, name) for part in parts]) for name in Statistics.__annotations__))
