"""Every attribution method by name, with what it may claim, what it costs and where it comes from.

A new method is one new file with a plain function ``(model, features, generation, target, **options)``, its entry
``METHOD`` at the end, and its name here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from radiolucent.attribution import (
    attention,
    attention_layers,
    distinct_attention,
    evidence_search,
    grad_cam,
    hierarchical_occlusion,
    input_x_gradient,
    integrated_gradients,
    logit_lens,
    occlusion,
    pixel_gradient,
    propose_and_verify,
    relevance,
    rollout,
    saliency,
    smooth_grad,
    token_ablation,
)
from radiolucent.attribution.defaults import DEFAULTS
from radiolucent.attribution.method import Made, Method
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import resolve_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Target, Word

_FILES = (  # strongest claim first
    propose_and_verify,
    evidence_search,
    token_ablation,
    occlusion,
    hierarchical_occlusion,
    saliency,
    smooth_grad,
    input_x_gradient,
    integrated_gradients,
    pixel_gradient,
    grad_cam,
    distinct_attention,
    attention,
    attention_layers,
    rollout,
    relevance,
    logit_lens,
)
_METHODS: dict[str, Method] = {file.METHOD.name: file.METHOD for file in _FILES}


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

    def many(*arguments: Any, **more: Any) -> list[Made]:
        made = found.many(*arguments, **{**options, **more})
        return [replace(one, method=name) if isinstance(one, AttributionMap) else one for one in made]

    return replace(
        found,
        name=name,
        function=function,
        many=many,
        passes=found.variant_passes.get(variant, found.passes),
        defaults={**found.defaults, **options},
        variants={},
        variant_passes={},
    )


def takes(name: str, option: str) -> bool:
    """Whether a method declares an option, such as ``gradients`` that were taken before."""
    return option in method(name).defaults


def attribute(
    model: ExplainableModel,
    study: Study | Features,
    generation: Generation,
    target: Target | Word | str,
    method: str = DEFAULTS["relied_on"],
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
    chosen = _with_options(method, options)
    features = study if isinstance(study, Features) else model.encode(study)
    return chosen.function(model, features, generation, resolve_target(generation, target), **options)


def attribute_all(
    model: ExplainableModel,
    study: Study | Features,
    generation: Generation,
    targets: Sequence[Target | Word | str],
    method: str = DEFAULTS["relied_on"],
    **options: Any,
) -> list[Made]:
    """One map a target from passes that they share; an :class:`EmptyMap` stands where a target has none.

    Arguments as in :func:`attribute`.
    """
    chosen = _with_options(method, options)
    if not targets:
        return []
    features = study if isinstance(study, Features) else model.encode(study)
    return chosen.many(model, features, generation, [resolve_target(generation, one) for one in targets], **options)


def _with_options(name: str, options: Mapping[str, Any]) -> Method:
    chosen = method(name)
    unknown = sorted(set(options) - set(chosen.defaults))
    if unknown:
        raise MalformedInput(
            f"{chosen.name} has no option {', '.join(unknown)}; it takes {', '.join(chosen.defaults) or 'none'}."
        )
    return chosen
