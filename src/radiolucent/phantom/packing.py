"""Many questions on one film in one pass: each segment sees the image and itself, as if it stood alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from radiolucent.phantom import grammar
from radiolucent.phantom.record import CODES, Lesion

ANSWER_WEIGHT = 3.0  # of yes/no tokens: one token decides
IGNORED = -100


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of packed films.

    Parameters
    ----------
    tokens
        int64 (batch, length).
    positions
        int64 (batch, length): restart after the image for each segment.
    visible
        bool (batch, 1, length, length): query row may see key column.
    labels, weights
        (batch, length): the token that each row predicts (-100: none) and its weight.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


class Packer:
    """Turns records into packed token batches, and packed batches into a loss."""

    def __init__(self, processor: Any) -> None:
        self.tokenizer = processor.tokenizer
        # The processor writes two newlines around an image, as Gemma 3's does.
        image = processor.full_image_sequence
        self.prefix = self._ids("<bos><start_of_turn>user\n" + image)
        self.image_id = int(self.tokenizer.image_token_id)
        self.pad = int(self.tokenizer.pad_token_id)
        self._cached = lru_cache(maxsize=20000)(self._ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def segment(self, question: str, answer: str) -> tuple[tuple[int, ...], int]:
        """Token ids of one question with its answer, and where the answer begins."""
        asked = self._cached(f"{question}<end_of_turn>\n<start_of_turn>model\n")
        return asked + self._cached(f"{answer}<end_of_turn>"), len(asked)

    def draw_questions(self, record: tuple[Lesion, ...], rng: np.random.Generator) -> list[tuple[str, str, float]]:
        """Question, answer and weight of every segment for one film."""
        segments = []
        for language in ("en", "zh"):
            form = int(rng.choice(grammar.TRAINED_FORMS, p=(0.7, 0.15, 0.15)))
            questions = grammar.report_questions(form, language)
            question = questions[0] if rng.random() < 0.35 else questions[int(rng.integers(len(questions)))]
            segments.append((question, grammar.write_report(record, language, form), 1.0))
        for code in CODES:
            language = "en" if rng.random() < 0.5 else "zh"
            questions = grammar.yes_no_questions(code, language)  # type: ignore[arg-type]
            question = questions[int(rng.integers(len(questions)))]
            segments.append((question, grammar.answer_yes_no(record, code, language), ANSWER_WEIGHT))  # type: ignore[arg-type]
        present = [lesion.code for lesion in record]
        for _ in range(2):
            code = str(rng.choice(present if present and rng.random() < 0.75 else CODES))
            language = "en" if rng.random() < 0.5 else "zh"
            questions = grammar.where_questions(code, language)  # type: ignore[arg-type]
            question = questions[int(rng.integers(len(questions)))]
            segments.append((question, grammar.answer_where(record, code, language), 1.0))  # type: ignore[arg-type]
        return segments

    def pack(self, records: list[tuple[Lesion, ...]], rng: np.random.Generator) -> Packed:
        """Draw and pack the questions of a batch of films."""
        return self.pack_segments([self.draw_questions(record, rng) for record in records])

    def pack_segments(self, batch: list[list[tuple[str, str, float]]]) -> Packed:
        """Pack given (question, answer, weight) segments, one list a film."""
        rows = [[(*self.segment(question, answer), weight) for question, answer, weight in film] for film in batch]
        start = len(self.prefix)
        length = start + max(sum(len(ids) for ids, _, _ in film) for film in rows)
        count = len(rows)
        tokens = np.full((count, length), self.pad)
        positions = np.zeros((count, length), dtype=np.int64)
        owner = np.full((count, length), -1)
        labels = np.full((count, length), IGNORED)
        weights = np.zeros((count, length), dtype=np.float32)
        tokens[:, :start], positions[:, :start], owner[:, :start] = self.prefix, np.arange(start), 0
        for place, film in enumerate(rows):
            at = start
            for number, (ids, answer, weight) in enumerate(film, start=1):
                stop = at + len(ids)
                tokens[place, at:stop] = ids
                positions[place, at:stop] = start + np.arange(len(ids))
                owner[place, at:stop] = number
                labels[place, at + answer - 1 : stop - 1] = ids[answer:]
                weights[place, at + answer - 1 : stop - 1] = weight
                at = stop
        causal = np.tril(np.ones((length, length), dtype=bool))
        own = owner[:, :, None] == owner[:, None, :]
        visible = causal & (own | (owner[:, None, :] == 0))
        image = (tokens == self.image_id) & (owner == 0)
        visible |= image[:, :, None] & image[:, None, :]  # an image sees all of itself
        return Packed(
            torch.from_numpy(tokens),
            torch.from_numpy(positions),
            torch.from_numpy(visible[:, None]),
            torch.from_numpy(labels),
            torch.from_numpy(weights),
        )

    def loss(self, net: Any, patches: torch.Tensor, packed: Packed) -> torch.Tensor:
        """Weighted cross-entropy of the answers, given the vision tower's patches (batch, 256, hidden)."""
        hidden = self.hidden(net, patches, packed)
        wanted = packed.labels != IGNORED
        logits = net.lm_head(hidden[wanted])
        losses = torch.nn.functional.cross_entropy(logits.float(), packed.labels[wanted], reduction="none")
        weight = packed.weights[wanted]
        return (losses * weight).sum() / weight.sum()

    def hidden(self, net: Any, patches: torch.Tensor, packed: Packed) -> torch.Tensor:
        """Last hidden states (batch, length, hidden) of the packed pass."""
        soft = net.model.multi_modal_projector(patches)
        embedded = net.model.get_input_embeddings()(packed.tokens)
        image = (packed.tokens == self.image_id)[..., None].expand_as(embedded)
        embedded = embedded.masked_scatter(image, soft.to(embedded.dtype))
        masks = {"full_attention": packed.visible, "sliding_attention": packed.visible}
        out = net.model.language_model(
            inputs_embeds=embedded, attention_mask=masks, position_ids=packed.positions, use_cache=False
        )
        states: torch.Tensor = out.last_hidden_state
        return states
