"""Asking the model outright: is the finding there, yes or no, with the picture and without it.

Every finding is asked in several wordings on one prefill of the picture; the log-odds are averaged over the wordings,
since one wording can tip a prompt-sensitive model. p(yes) is the share of the *yes* beginnings among all yes and no
beginnings that the model's vocabulary can write. It is a signal of its own: a draft can leave out what the model would
affirm when asked. The same questions over a blank picture, and over another patient's film, tell how much of the answer
the picture decides: its *lift* is the change of log-odds, in nats. A replacing picture is the same for every study, so
its answers are kept and asked for once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
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

Remembered = dict[tuple[object, ...], NDArray[np.float64]]
"""(replacing picture, language, code, wordings) -> log p of any yes and of any no, float64 (wordings, 2)."""

_remembered: WeakKeyDictionary[Any, tuple[str, Remembered]] = WeakKeyDictionary()  # a model -> its state, its answers


@dataclass(frozen=True)
class ProbeAnswer:
    """The model's answer to one yes/no question, averaged over its wordings.

    Parameters
    ----------
    questions
        The wordings asked.
    yes
        p(yes) / (p(yes) + p(no)) with the picture.
    yes_without, yes_other
        The same with a blank picture, and with another patient's film; None where none was given.
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
    yes_other: float | None = None

    @property
    def margin(self) -> float:
        """Log-odds of *yes*, nats."""
        return log_odds(self.yes)

    @property
    def lift(self) -> float | None:
        """Nats of log-odds that the picture adds to *yes*; negative where it speaks for *no*."""
        return None if self.yes_without is None else self.margin - log_odds(self.yes_without)

    @property
    def lift_other(self) -> float | None:
        """The same against another patient's film."""
        return None if self.yes_other is None else self.margin - log_odds(self.yes_other)


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
    other: Features | None = None,
    wordings: int = 4,
    ask: Ask | None = None,
) -> tuple[ProbeAnswer, ...]:
    """Ask about every code: one prefill of the picture serves all questions, one more for each replacing picture.

    Parameters
    ----------
    without
        A blank picture, asked about in comparison: :func:`radiolucent.vlm.perturb.blank_features`.
    other
        Another patient's film, asked about in comparison: :func:`radiolucent.trace.reliance.drawn_film`.
    wordings
        Of each question, at most those that there are.
    ask
        In the place of :func:`radiolucent.vlm.answers.answer_logprobs`; nothing is remembered then.

    Raises
    ------
    MalformedInput
        Where a code has no question, a replacing picture holds another number of images, or the vocabulary can write
        no answer.
    """
    if wordings < 1:
        raise MalformedInput(f"wordings={wordings}: ask at least one.")
    if not codes:
        return ()
    for replacing in (without, other):
        if replacing is not None and replacing.soft_tokens.shape != features.soft_tokens.shape:
            raise MalformedInput(
                f"The replacing picture's tokens are {tuple(replacing.soft_tokens.shape)}, not "
                f"{tuple(features.soft_tokens.shape)}."
            )
    asked = {code: questions(code, language)[:wordings] for code in codes}
    yes, no = (_writable(model, beginnings) for beginnings in (YES[language], NO[language]))

    def answers(some: Sequence[str], soft: torch.Tensor | None) -> dict[str, NDArray[np.float64]]:
        """Code -> log p of any yes and of any no, float64 (wordings, 2)."""
        prompts = [Prompt(text, language) for code in some for text in asked[code]]
        logprobs = (ask or answer_logprobs)(model, prompts, features, [*yes, *no], soft_tokens=soft)
        return dict(zip(some, _yes_and_no(logprobs, len(yes)).reshape(len(some), -1, 2), strict=True))

    def of_replaced(replacing: Features | None) -> dict[str, NDArray[np.float64]] | None:
        if replacing is None:
            return None
        if ask is not None:
            return answers(list(asked), replacing.soft_tokens)
        known, picture = _known(model), (_digest(replacing.soft_tokens), replacing.layout, language)
        missing = [code for code, texts in asked.items() if (*picture, code, texts) not in known]
        if missing:
            for code, found in answers(missing, replacing.soft_tokens).items():
                known[(*picture, code, asked[code])] = found
        return {code: known[(*picture, code, texts)] for code, texts in asked.items()}

    shown, blank, swapped = answers(list(asked), None), of_replaced(without), of_replaced(other)
    return tuple(
        _averaged(
            code,
            asked[code],
            shown[code],
            None if blank is None else blank[code],
            None if swapped is None else swapped[code],
        )
        for code in codes
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


def _known(model: Any) -> Remembered:
    """What a model answered over replacing pictures; forgotten when its weights change."""
    state, answers = _remembered.get(model, ("", {}))
    if state != model.weights_state:
        answers = {}
        _remembered[model] = model.weights_state, answers
    return answers


def _digest(soft_tokens: torch.Tensor) -> tuple[int, str]:
    """Number of images, and what they hold; pictures repeated without a copy are read once."""
    repeated = soft_tokens.stride(0) == 0
    held = (soft_tokens[:1] if repeated else soft_tokens).detach().float().cpu().numpy()
    return len(soft_tokens), hashlib.sha256(f"{repeated}".encode() + held.tobytes()).hexdigest()


def _averaged(
    code: str,
    texts: tuple[str, ...],
    shown: NDArray[np.float64],
    without: NDArray[np.float64] | None,
    other: NDArray[np.float64] | None,
) -> ProbeAnswer:
    margins = shown[:, 0] - shown[:, 1]
    replaced = [None if one is None else _share(float((one[:, 0] - one[:, 1]).mean())) for one in (without, other)]
    return ProbeAnswer(
        code=code,
        questions=texts,
        yes=_share(float(margins.mean())),
        yes_without=replaced[0],
        yes_other=replaced[1],
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
