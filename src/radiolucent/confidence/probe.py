"""Asking the model outright: is the finding there, yes or no, with the picture and without it.

Every finding is asked in several wordings on one prefill of the picture; the log-odds are averaged over the wordings,
since one wording can tip a prompt-sensitive model. p(yes) is the share of the *yes* beginnings among all yes and no
beginnings that the model's vocabulary can write. It is a signal of its own: a draft can leave out what the model would
affirm when asked. The same questions over a blank picture tell how much of the answer the picture decides: its *lift*
is the change of log-odds, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.vlm.answers import answer_logprobs
from radiolucent.vlm.types import Features, Language, Prompt

# Beginnings of an answer; none may begin another of the same language's, or it would be counted twice.
YES: Mapping[Language, tuple[str, ...]] = {"en": ("Yes", "yes"), "zh": ("有", "是")}
NO: Mapping[Language, tuple[str, ...]] = {"en": ("No", "no"), "zh": ("没有", "无", "否", "未见")}
_ASK: Mapping[Language, tuple[str, ...]] = {
    "en": ("Is there {}?", "Does this film show {}?", "Do you see {}?", "Is {} present?"),
    "zh": ("有{}吗？", "是否有{}？", "这张胸片有没有{}？", "能看到{}吗？"),
}

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

Ask = Callable[..., NDArray[np.float32]]
"""As :func:`radiolucent.vlm.answers.answer_logprobs`."""


@dataclass(frozen=True)
class ProbeAnswer:
    """The model's answer to one yes/no question, averaged over its wordings.

    Parameters
    ----------
    questions
        The wordings asked.
    yes
        p(yes) / (p(yes) + p(no)) with the picture.
    yes_without
        The same with the replacing picture; None where none was given.
    answered
        p(yes) + p(no), mean over the wordings: where it is small, the model wanted to say something else and ``yes``
        means little.
    spread
        Standard deviation of the log-odds over the wordings, nats; 0 where one was asked.
    """

    code: str
    questions: tuple[str, ...]
    yes: float
    yes_without: float | None
    answered: float
    spread: float = 0.0

    @property
    def margin(self) -> float:
        """Log-odds of *yes*, nats."""
        return log_odds(self.yes)

    @property
    def lift(self) -> float | None:
        """Nats of log-odds that the picture adds to *yes*; negative where it speaks for *no*."""
        return None if self.yes_without is None else self.margin - log_odds(self.yes_without)


def questions(code: str, language: Language) -> tuple[str, ...]:
    """The wordings of the yes/no question about a finding.

    >>> questions("pleural_effusion", "zh")[0]
    '有胸腔积液吗？'
    """
    if code not in ASKED:
        raise MalformedInput(f"No question is known for {code!r}; known codes: {', '.join(ASKED)}.")
    return tuple(wording.format(ASKED[code][1 if language == "zh" else 0]) for wording in _ASK[language])


def probe(
    model: Any,
    features: Features,
    codes: Sequence[str],
    *,
    language: Language = "en",
    without: Features | None = None,
    wordings: int = 4,
    ask: Ask = answer_logprobs,
) -> tuple[ProbeAnswer, ...]:
    """Ask about every code: one prefill of the picture serves all questions, one more where there is ``without``.

    Parameters
    ----------
    without
        Picture asked about in comparison, such as :func:`radiolucent.vlm.perturb.blank_features`.
    wordings
        Of each question, at most those that there are.

    Raises
    ------
    MalformedInput
        Where a code has no question, ``without`` holds another number of images, or the vocabulary can write no
        answer.
    """
    if wordings < 1:
        raise MalformedInput(f"wordings={wordings}: ask at least one.")
    if not codes:
        return ()
    if without is not None and without.soft_tokens.shape != features.soft_tokens.shape:
        raise MalformedInput(
            f"The replacing picture's tokens are {tuple(without.soft_tokens.shape)}, not "
            f"{tuple(features.soft_tokens.shape)}."
        )
    asked = [questions(code, language)[:wordings] for code in codes]
    prompts = [Prompt(text, language) for texts in asked for text in texts]
    yes, no = (_writable(model, beginnings) for beginnings in (YES[language], NO[language]))
    shown = [None] if without is None else [None, without.soft_tokens]
    answers = [
        _yes_and_no(ask(model, prompts, features, [*yes, *no], soft_tokens=soft), len(yes)).reshape(len(codes), -1, 2)
        for soft in shown
    ]
    return tuple(
        _averaged(code, texts, answers[0][place], answers[1][place] if without is not None else None)
        for place, (code, texts) in enumerate(zip(codes, asked, strict=True))
    )


def log_odds(share: float) -> float:
    """Of a share in [0, 1], bounded where it is all or nothing."""
    bounded = min(max(share, 1e-12), 1 - 1e-12)
    return math.log(bounded) - math.log1p(-bounded)


def _yes_and_no(logprobs: NDArray[np.float32], yes: int) -> NDArray[np.float64]:
    """log p of any yes and of any no: (prompts, answers) -> (prompts, 2)."""
    wide = logprobs.astype(np.float64)
    pooled: NDArray[np.float64] = np.stack(
        [np.logaddexp.reduce(wide[:, :yes], axis=1), np.logaddexp.reduce(wide[:, yes:], axis=1)], axis=1
    )
    return pooled


def _averaged(
    code: str, texts: tuple[str, ...], shown: NDArray[np.float64], without: NDArray[np.float64] | None
) -> ProbeAnswer:
    margins = shown[:, 0] - shown[:, 1]
    return ProbeAnswer(
        code=code,
        questions=texts,
        yes=_share(float(margins.mean())),
        yes_without=None if without is None else _share(float((without[:, 0] - without[:, 1]).mean())),
        answered=float(np.exp(shown).sum(axis=1).mean()),
        spread=float(margins.std()),
    )


def _share(margin: float) -> float:
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))


def _writable(model: Any, beginnings: Sequence[str]) -> list[str]:
    """Those that the vocabulary can write, each by tokens of its own."""
    tokenizer = model.tokenizer
    kept: dict[tuple[int, ...], str] = {}
    for text in beginnings:
        ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        unknown = getattr(tokenizer, "unk_token_id", None)
        if ids and unknown not in ids:
            kept.setdefault(ids, text)
    if not kept:
        raise MalformedInput(f"This model's vocabulary can write none of {', '.join(beginnings)}; probes need one.")
    return list(kept.values())
