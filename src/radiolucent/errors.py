"""Typed errors and visible notices: what went wrong, what was expected, what to do next."""

from __future__ import annotations

from dataclasses import dataclass


class RadiolucentError(Exception):
    """Base of every error that radiolucent raises on purpose."""


class MalformedInput(RadiolucentError):
    """The input is broken: truncated, empty, not what it says it is, or out of bounds."""


class UnsupportedInput(RadiolucentError):
    """The input is sound but not something this product may explain (wrong modality, not a chest film)."""


class WeightsUnavailable(RadiolucentError):
    """The model's weights are missing, gated, or incomplete."""


class UnsupportedModel(RadiolucentError):
    """The weights are of an architecture that no adapter knows."""


class InsufficientMemory(RadiolucentError):
    """The run would need more memory than the machine has free."""


class ParityError(RadiolucentError):
    """The replayed pass is not the pass that generated the words; nothing may be explained from it."""


class TargetNotFound(RadiolucentError):
    """The word, finding or span that was asked about does not occur in the generation."""


class DegenerateSampling(RadiolucentError):
    """The samples cannot carry a confidence: identical, cut short, or drawn at temperature 0."""


@dataclass(frozen=True)
class Notice:
    """A warning that travels with a study or an explanation and is shown to people.

    Parameters
    ----------
    code
        Stable machine name, such as ``side_assumed``.
    en, zh
        The sentence shown, in English and in Chinese.
    """

    code: str
    en: str
    zh: str

    def text(self, language: str) -> str:
        """The sentence in ``language`` (``"en"`` or ``"zh"``)."""
        return self.zh if language == "zh" else self.en
