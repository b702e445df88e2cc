"""What a finding is. The vocabulary is fixed: others rely on these names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Polarity = Literal["present", "absent", "uncertain"]
Side = Literal["left", "right", "bilateral", "midline"]
Zone = Literal["upper", "middle", "lower", "hilar", "diffuse"]
Severity = Literal["minimal", "mild", "moderate", "severe"]
Certainty = Literal["definite", "likely", "possible"]
Unknowable = Literal["comparison", "size", "history", "view"]


@dataclass(frozen=True)
class Finding:
    """One finding that a report asserts, denies or leaves open.

    Parameters
    ----------
    code
        Name from the fixed vocabulary, such as ``pleural_effusion``.
    side
        The patient's side.
    zone
        None too where the words name two zones; ``zones`` then holds both.
    words
        The evidence as written.
    chars
        Span [first, last) of ``words`` in the text.
    sentence
        Span [first, last) of the sentence that holds it.
    certainty
        ``definite``, ``likely`` (考虑) or ``possible`` (不除外); of an absent finding always ``definite``.
    change
        ``new``, ``increased``, ``decreased``, ``stable``, ``resolved`` or None.
    contradicted
        The report asserts it and denies it without wording of change; the polarity is then ``uncertain``.
    zones
        Every zone that the words name, from the top down.
    size_mm
        Millimetres as written, one number a dimension; of a range the upper end. Empty where not stated.
    percent
        Compression of the lung by a pneumothorax, in percent; of a range the upper end.
    count
        How many, ``"multiple"`` where the words say so without a number.
    attributes
        (name, value) pairs from :data:`radiolucent.findings.vocabulary.ATTRIBUTES`: the ``kind`` of a device,
        ``margin``, ``density``, ``vessels``.
    not_knowable
        What the words claim that the input could not show (:mod:`radiolucent.findings.knowable`).
    """

    code: str
    polarity: Polarity = "present"
    side: Side | None = None
    zone: Zone | None = None
    severity: Severity | None = None
    words: str = ""
    chars: tuple[int, int] = (0, 0)
    sentence: tuple[int, int] = (0, 0)
    certainty: Certainty = "definite"
    change: str | None = None
    contradicted: bool = False
    zones: tuple[Zone, ...] = ()
    size_mm: tuple[float, ...] = ()
    percent: float | None = None
    count: int | Literal["multiple"] | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    not_knowable: tuple[Unknowable, ...] = ()

    @property
    def id(self) -> str:
        """Stable key within one report, such as ``pleural_effusion.right``."""
        return f"{self.code}.{self.side}" if self.side else self.code
