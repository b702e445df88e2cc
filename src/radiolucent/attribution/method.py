"""What the registry keeps of a method: what it may claim, what it costs, where it comes from.

Each method is one file that ends with its own ``METHOD = describe(...)``; the registry lists the files.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap, Claim
from radiolucent.vlm.types import Features, Generation, Target

Made = AttributionMap | EmptyMap
"""A map, or the reason why there is none."""


@dataclass(frozen=True)
class Size:
    """What a method's cost depends on.

    Parameters
    ----------
    cells
        Token-grid cells of one image.
    images
        Of the study.
    targets
        Explained together.
    layers
        Of the language model.
    """

    cells: int = 256
    images: int = 1
    targets: int = 1
    layers: int = 34


@dataclass(frozen=True)
class Passes:
    """How often the model runs.

    Parameters
    ----------
    replays
        Pictures passed through the language model, teacher-forced.
    backwards
        Gradients taken through the language model.
    encodes
        Pictures passed through the vision tower.
    vision_backwards
        Gradients taken through the vision tower.
    """

    replays: float = 0.0
    backwards: float = 0.0
    encodes: float = 0.0
    vision_backwards: float = 0.0

    def __add__(self, other: Passes) -> Passes:
        return Passes(
            self.replays + other.replays,
            self.backwards + other.backwards,
            self.encodes + other.encodes,
            self.vision_backwards + other.vision_backwards,
        )


@dataclass(frozen=True)
class Method:
    """One way to attribute words to the picture.

    Parameters
    ----------
    function
        ``(model, features, generation, target, **options) -> AttributionMap``.
    many
        ``(model, features, generation, targets, **options) -> list[AttributionMap | EmptyMap]``: several targets from
        passes that they share; a target without a map is an :class:`EmptyMap` in its place, not raised.
    en, zh
        One sentence for people.
    cost
        Passes for one image, in words; ``passes`` counts them.
    citation
        Where the method comes from.
    defaults
        The options' defaults, read from the function's signature.
    variants
        Named settings that are compared under their own name, such as ``attention:final``: name -> options.
    variant_passes
        Those of a variant, where they differ from the method's.
    """

    name: str
    function: Callable[..., AttributionMap]
    many: Callable[..., list[Made]]
    claim: Claim
    en: str
    zh: str
    cost: str
    citation: str
    passes: Callable[[Size], Passes]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant_passes: Mapping[str, Callable[[Size], Passes]] = field(default_factory=dict)

    def description(self, language: str = "en") -> str:
        """The sentence in ``language`` (``"en"`` or ``"zh"``)."""
        return self.zh if language == "zh" else self.en


def describe(
    function: Callable[..., AttributionMap],
    *,
    claim: Claim,
    en: str,
    zh: str,
    cost: str,
    citation: str,
    passes: Callable[[Size], Passes],
    many: Callable[..., list[Made]] | None = None,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    variant_passes: Mapping[str, Callable[[Size], Passes]] | None = None,
) -> Method:
    """A method's entry, named after its function; its options are the function's keyword-only arguments.

    Parameters
    ----------
    many
        The same for several targets with shared passes; one target after another where None.
    """
    options = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return Method(
        name=function.__name__,
        function=function,
        many=many or _one_by_one(function),
        claim=claim,
        en=en,
        zh=zh,
        cost=cost,
        citation=citation,
        passes=passes,
        defaults=options,
        variants=variants or {},
        variant_passes=variant_passes or {},
    )


def only(made: Sequence[Made]) -> AttributionMap:
    """The map of a single target; its :class:`EmptyMap` is raised."""
    (result,) = made
    if isinstance(result, EmptyMap):
        raise result
    return result


def _one_by_one(function: Callable[..., AttributionMap]) -> Callable[..., list[Made]]:
    def many(
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        targets: Sequence[Target],
        **options: Any,
    ) -> list[Made]:
        made: list[Made] = []
        for target in targets:
            try:
                made.append(function(model, features, generation, target, **options))
            except EmptyMap as empty:
                made.append(empty)
        return made

    return many
