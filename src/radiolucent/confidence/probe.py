"""Asking the model outright: is the finding there, yes or no, with the picture and without it.

p(yes) is renormalised over the two answers, each scored as a whole, teacher-forced; it is a signal of its own, since a
draft can leave out what the model would affirm when asked. The same question over a blank picture tells how much of
the answer the picture decides: its *lift* is the change of log-odds, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Language, Prompt, PromptInputs

ANSWERS: dict[Language, tuple[str, str]] = {"en": ("Yes.", "No."), "zh": ("有。", "没有。")}
_ASK: dict[Language, str] = {"en": "Is there {}?", "zh": "有{}吗？"}

ASKED: dict[str, tuple[str, str]] = {
    "enlarged_cardiomediastinum": ("a widened mediastinum", "纵隔增宽"),
    "cardiomegaly": ("cardiomegaly", "心影增大"),
    "lung_opacity": ("a lung opacity", "肺部阴影"),
    "nodule": ("a nodule", "结节"),
    "mass": ("a mass", "肿块"),
    "edema": ("pulmonary edema", "肺水肿"),
    "consolidation": ("consolidation", "实变"),
    "pneumonia": ("pneumonia", "肺炎"),
    "inflammation": ("inflammation", "炎症"),
    "atelectasis": ("atelectasis", "肺不张"),
    "pneumothorax": ("a pneumothorax", "气胸"),
    "pleural_effusion": ("a pleural effusion", "胸腔积液"),
    "pleural_other": ("pleural thickening", "胸膜增厚"),
    "fracture": ("a fracture", "骨折"),
    "support_devices": ("a support device", "置入物"),
    "fibrosis": ("fibrosis", "纤维化"),
    "calcification": ("calcification", "钙化"),
    "hilar_enlargement": ("hilar enlargement", "肺门增大"),
    "hyperinflation": ("hyperinflation", "肺过度充气"),
}


class AnsweringModel(Protocol):
    """The part of a model adapter that probing needs."""

    @property
    def tokenizer(self) -> Any:
        """``tokenizer(text, add_special_tokens=False)["input_ids"]``."""

    def prompt_inputs(self, prompt: Prompt, features: Features) -> PromptInputs:
        """The prompt as token arrays."""

    def token_logprobs(
        self, prompt_inputs: PromptInputs, token_ids: NDArray[np.int64], soft_tokens: torch.Tensor
    ) -> torch.Tensor:
        """log p of tokens (m,) after the prompt: (B, images * cells, hidden) -> (B, m)."""


@dataclass(frozen=True)
class ProbeAnswer:
    """The model's answer to one yes/no question.

    Parameters
    ----------
    yes
        p(yes) / (p(yes) + p(no)) with the picture.
    yes_without
        The same with the replacing picture; None where none was given.
    answered
        p(yes) + p(no): where it is small, the model wanted to say something else and ``yes`` means little.
    """

    code: str
    question: str
    yes: float
    yes_without: float | None
    answered: float

    @property
    def lift(self) -> float | None:
        """Nats of log-odds that the picture adds to *yes*; negative where it speaks for *no*."""
        return None if self.yes_without is None else _log_odds(self.yes) - _log_odds(self.yes_without)


def question(code: str, language: Language) -> str:
    """The yes/no question about a finding.

    >>> question("pleural_effusion", "zh")
    '有胸腔积液吗？'
    """
    if code not in ASKED:
        raise MalformedInput(f"No question is known for {code!r}; known codes: {', '.join(ASKED)}.")
    return _ASK[language].format(ASKED[code][1 if language == "zh" else 0])


def probe(
    model: AnsweringModel,
    features: Features,
    codes: Sequence[str],
    *,
    language: Language = "en",
    without: Features | None = None,
) -> tuple[ProbeAnswer, ...]:
    """Ask about every code; two batched passes a question, no image encode.

    Parameters
    ----------
    without
        Picture asked about in comparison, such as :func:`radiolucent.vlm.perturb.blank_features`; it joins the batch.

    Raises
    ------
    MalformedInput
        Where a code has no question, or ``without`` holds another number of images.
    """
    rows = features.soft_tokens.detach().flatten(0, 1).unsqueeze(0)
    if without is not None:
        other = without.soft_tokens.detach().flatten(0, 1).unsqueeze(0)
        if other.shape != rows.shape:
            raise MalformedInput(f"The replacing picture's tokens are {tuple(other.shape)}, not {tuple(rows.shape)}.")
        rows = torch.cat([rows, other])
    return tuple(_asked(model, features, rows, code, language) for code in codes)


def _asked(model: AnsweringModel, features: Features, rows: torch.Tensor, code: str, language: Language) -> ProbeAnswer:
    asked = question(code, language)
    inputs = model.prompt_inputs(Prompt(asked, language), features)
    yes, no = (_answer(model, inputs, rows, text) for text in ANSWERS[language])
    share = 1 / (1 + np.exp(no - yes))
    return ProbeAnswer(
        code=code,
        question=asked,
        yes=float(share[0]),
        yes_without=float(share[1]) if len(share) > 1 else None,
        answered=float(np.exp(yes[0]) + np.exp(no[0])),
    )


def _answer(model: AnsweringModel, inputs: PromptInputs, rows: torch.Tensor, text: str) -> NDArray[np.float64]:
    """log p of a whole answer for each picture, nats."""
    ids = np.asarray(model.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int64)
    with torch.no_grad():
        total: NDArray[np.float64] = model.token_logprobs(inputs, ids, rows).double().sum(dim=1).cpu().numpy()
    return total


def _log_odds(share: float) -> float:
    bounded = min(max(share, 1e-12), 1 - 1e-12)
    return math.log(bounded) - math.log1p(-bounded)
