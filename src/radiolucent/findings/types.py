"""What a finding is. The vocabulary is fixed: others rely on these names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Polarity = Literal["present", "absent", "uncertain"]
Side = Literal["left", "right", "bilateral", "midline"]
Zone = Literal["upper", "middle", "lower", "hilar", "diffuse"]
Severity = Literal["minimal", "mild", "moderate", "severe"]


@dataclass(frozen=True)
class Finding:
    """One finding that a report asserts, denies or leaves open.

    Parameters
    ----------
    code
        Name from the fixed vocabulary, such as ``pleural_effusion``.
    side
        The patient's side.
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
    """

    code: str
    polarity: Polarity = "present"
    side: Side | None = None
    zone: Zone | None = None
    severity: Severity | None = None
    words: str = ""
    chars: tuple[int, int] = (0, 0)
    sentence: tuple[int, int] = (0, 0)
    certainty: Literal["definite", "likely", "possible"] = "definite"
    change: str | None = None
    contradicted: bool = False

    @property
    def id(self) -> str:
        """Stable key within one report, such as ``pleural_effusion.right``."""
        return f"{self.code}.{self.side}" if self.side else self.code
