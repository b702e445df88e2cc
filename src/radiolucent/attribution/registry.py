"""Every attribution method by name, with what it may claim, what it costs and where it comes from.

A new method is one new file with a plain function ``(model, features, generation, target, **options)`` and one entry
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from radiolucent.attribution.attention import attention
from radiolucent.attribution.hierarchical_occlusion import hierarchical_occlusion
from radiolucent.attribution.input_x_gradient import input_x_gradient
from radiolucent.attribution.integrated_gradients import integrated_gradients
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.occlusion import occlusion
from radiolucent.attribution.pixel_gradient import pixel_gradient
from radiolucent.attribution.saliency import saliency
from radiolucent.attribution.targets import resolve_target
from radiolucent.attribution.token_ablation import token_ablation
from radiolucent.attribution.types import AttributionMap, Claim
from radiolucent.errors import MalformedInput
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Target, Word


@dataclass(frozen=True)
class Method:
    """One way to attribute words to the picture.

    Parameters
    ----------
    function
        ``(model, features, generation, target, **options) -> AttributionMap``.
    en, zh
        One sentence for people.
    cost
        Passes for one image, in words.
    citation
        Where the method comes from.
    defaults
        The options' defaults, read from the function's signature.
    variants
        Named settings that are compared under their own name, such as ``attention:final``: name -> options.
    """

    name: str
    function: Callable[..., AttributionMap]
    claim: Claim
    en: str
    zh: str
    cost: str
    citation: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def description(self, language: str = "en") -> str:
        """The sentence in ``language`` (``"en"`` or ``"zh"``)."""
        return self.zh if language == "zh" else self.en


def _method(
    function: Callable[..., AttributionMap],
    claim: Claim,
    en: str,
    zh: str,
    cost: str,
    citation: str,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
) -> Method:
    options = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return Method(function.__name__, function, claim, en, zh, cost, citation, options, variants or {})


_METHODS = {
    method.name: method
    for method in (
        _method(
            token_ablation,
            "relied_on",
            "Hides one cell of the picture after another (as a soft token) and measures what the words lose.",
            "逐格隐藏图像（软标记），测量相应文字的概率损失。",
            "cells + 1 forward passes, batched, no image encode",
            "Neo et al. 2025, arXiv 2410.07149",
            {"blank": {"fill": "blank"}, "coarse": {"group": 2}},
        ),
        _method(
            occlusion,
            "relied_on",
            "Hides squares of pixels before the model looks, and measures what the words lose.",
            "在模型读图前遮挡像素方块，测量相应文字的概率损失。",
            "about cells + 1 forward passes and image encodes, batched",
            "Zeiler and Fergus 2014, arXiv 1311.2901",
            {"blur": {"fill": "blur"}, "blank": {"fill": "blank"}},
        ),
        _method(
            hierarchical_occlusion,
            "relied_on",
            "Hides large blocks of pixels first and looks closer only where the words lose most.",
            "先遮挡大块区域，仅在文字损失最大处逐级细化。",
            "49 forward passes and image encodes at 16 x 16 cells, batched",
            "Zeiler and Fergus 2014, arXiv 1311.2901, coarse to fine",
        ),
        _method(
            saliency,
            "sensitive",
            "Length of the gradient of the words' log-probability at each cell's soft token.",
            "文字对数概率在每个图像软标记处的梯度长度。",
            "1 forward and 1 backward pass",
            "Simonyan et al. 2014, arXiv 1312.6034",
        ),
        _method(
            input_x_gradient,
            "sensitive",
            "Signed first-order effect of each cell's soft token on the words' log-probability.",
            "每个图像软标记对文字对数概率的一阶影响（有符号）。",
            "1 forward and 1 backward pass",
            "Shrikumar et al. 2016, arXiv 1605.01713",
            {"mean": {"baseline": "mean"}},
        ),
        _method(
            integrated_gradients,
            "sensitive",
            "Gradients integrated from the mean token to the picture's; the values add to the words' change.",
            "从平均标记到图像标记的路径积分梯度；各值之和等于文字得分的变化。",
            "16 forward and 16 backward passes, batched",
            "Sundararajan et al. 2017, arXiv 1703.01365",
        ),
        _method(
            pixel_gradient,
            "sensitive",
            "Gradient of the words' log-probability at each pixel, through the vision tower.",
            "文字对数概率对每个像素的梯度（经视觉编码器）。",
            "1 forward and 1 backward pass, image encode included",
            "Simonyan et al. 2014, arXiv 1312.6034",
        ),
        _method(
            attention,
            "attended",
            "Where the model attended when it wrote the words; attention is a hypothesis, not evidence.",
            "模型生成文字时注意的位置；注意力只是假设，不是依据。",
            "none where rows were kept while generating, else 1 forward pass",
            "Vaswani et al. 2017, arXiv 1706.03762; limits: Jain and Wallace 2019, arXiv 1902.10186",
            {
                "final": {"layers": "final"},
                "global": {"layers": "global"},
                "max": {"reduce": "max"},
                "corrected": {"without_prior": True},
            },
        ),
    )
}


def methods() -> Mapping[str, Method]:
    """Name -> method, strongest claim first."""
    return dict(_METHODS)


def method(name: str) -> Method:
    """The method of a name, or of a name and a variant such as ``attention:final`` (the last layer alone).

    Raises
    ------
    MalformedInput
        Where no method, or no variant of it, has that name.
    """
    base, _, variant = name.partition(":")
    if base not in _METHODS:
        raise MalformedInput(f"The attribution method {name!r} is unknown; use one of {', '.join(_METHODS)}.")
    found = _METHODS[base]
    if ":" not in name:
        return found
    if variant not in found.variants:
        raise MalformedInput(f"{base} has no variant {variant!r}; it has {', '.join(found.variants) or 'none'}.")
    options = found.variants[variant]

    def function(*arguments: Any, **more: Any) -> AttributionMap:
        return replace(found.function(*arguments, **{**options, **more}), method=name)

    return replace(found, name=name, function=function, defaults={**found.defaults, **options}, variants={})


def attribute(
    model: ExplainableModel,
    study: Study | Features,
    generation: Generation,
    target: Target | Word | str,
    method: str = "token_ablation",
    **options: Any,
) -> AttributionMap:
    """One map: which part of the picture bears on some words, under the method's own claim.

    Parameters
    ----------
    study
        A study, or its features where it was encoded before.
    target
        Words as they stand in the answer, a :class:`Word` of the generation, or a :class:`Target` (span and foil).
    method
        A name from :func:`methods`.
    options
        Of the method; see its ``defaults``.

    Returns
    -------
    Raw signed map, one frame for each image of the study.

    Raises
    ------
    TargetNotFound
        Where the words do not occur in the generation.
    MalformedInput
        Where the method or an option is unknown.
    EmptyMap
        Where the method found exactly nothing.
    """
    chosen = _chosen(method)
    unknown = sorted(set(options) - set(chosen.defaults))
    if unknown:
        raise MalformedInput(
            f"{chosen.name} has no option {', '.join(unknown)}; it takes {', '.join(chosen.defaults) or 'none'}."
        )
    features = study if isinstance(study, Features) else model.encode(study)
    return chosen.function(model, features, generation, resolve_target(generation, target), **options)


_chosen = method  # ``attribute`` has an argument of that name
