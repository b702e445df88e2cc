"""Critical findings (危急值): a list that the site edits, and what on a film matches it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from radiolucent.clinic.review.rulings import Stated
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Severity, Zone
from radiolucent.findings.vocabulary import VOCABULARY


@dataclass(frozen=True)
class CriticalEntry:
    """One entry of the list.

    Parameters
    ----------
    severities
        That match; empty: any. ``unknown`` matches a finding without one: its size is not known to be small.
    zones
        That match; empty: any.
    words
        At least one must occur in the finding's words or the reader's note; empty: none is asked for.
    """

    code: str
    en: str
    zh: str
    severities: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def matches(self, stated: Stated, words: str = "") -> bool:
        """Whether a finding is on the list through this entry; a denial never is."""
        if not stated.asserted or stated.code != self.code:
            return False
        if self.severities and (stated.severity or "unknown") not in self.severities:
            return False
        if self.zones and stated.zone not in self.zones:
            return False
        return not self.words or any(re.search(re.escape(word), words, re.IGNORECASE) for word in self.words)


_LARGE = ("moderate", "severe", "unknown")

DEFAULT_LIST: tuple[CriticalEntry, ...] = (
    CriticalEntry("pneumothorax", "large or tension pneumothorax", "大量或张力性气胸", severities=_LARGE),
    CriticalEntry("pleural_effusion", "large pleural effusion", "大量胸腔积液", severities=("severe",)),
    CriticalEntry("atelectasis", "collapse of a whole lung", "一侧全肺不张", severities=("severe",)),
    CriticalEntry("atelectasis", "collapse of a whole lung", "一侧全肺不张", zones=("diffuse",)),
    CriticalEntry("edema", "acute pulmonary edema", "急性肺水肿", severities=_LARGE),
    CriticalEntry("enlarged_cardiomediastinum", "widened mediastinum", "纵隔增宽"),
    CriticalEntry("subdiaphragmatic_gas", "free gas under the diaphragm", "膈下游离气体"),
    CriticalEntry(
        "support_devices",
        "malpositioned tube or line",
        "置管位置异常",
        words=("malposition", "misplaced", "too low", "too high", "位置异常", "位置不当", "过深", "过浅", "误入"),
    ),
)


def matching(stated: Stated, entries: Iterable[CriticalEntry], words: str = "") -> CriticalEntry | None:
    """The first entry that a finding matches; None where it is not critical."""
    return next((entry for entry in entries if entry.matches(stated, words)), None)


def opens_record(stated: Stated) -> bool:
    """Whether confirming it asks for a call: present, or likely."""
    return stated.polarity == "present" or (stated.polarity == "uncertain" and stated.certainty == "likely")


def read_list(value: Sequence[Mapping[str, Any]]) -> tuple[CriticalEntry, ...]:
    """A list as an administrator gives it.

    Raises
    ------
    MalformedInput
        Naming the entry that does not fit.
    """
    entries = []
    for number, given in enumerate(value, start=1):
        try:
            entry = CriticalEntry(
                code=str(given["code"]),
                en=str(given["en"]),
                zh=str(given["zh"]),
                severities=tuple(given.get("severities", ())),
                zones=tuple(given.get("zones", ())),
                words=tuple(given.get("words", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedInput(f"Entry {number} of the critical list needs code, en and zh.") from error
        if (
            entry.code not in VOCABULARY
            or not entry.en.strip()
            or not entry.zh.strip()
            or not set(entry.severities) <= {*get_args(Severity), "unknown"}
            or not set(entry.zones) <= set(get_args(Zone))
            or not all(isinstance(word, str) and word.strip() for word in entry.words)
        ):
            raise MalformedInput(f"Entry {number} of the critical list does not fit the vocabulary ({entry.code!r}).")
        entries.append(entry)
    return tuple(entries)


def written(entries: Iterable[CriticalEntry]) -> list[dict[str, Any]]:
    """The list as JSON."""
    return [{name: list(v) if isinstance(v, tuple) else v for name, v in asdict(one).items()} for one in entries]
