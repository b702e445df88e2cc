"""Who reads a report: the rules of this package, or a labeller from outside that is registered by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from radiolucent.errors import MalformedInput
from radiolucent.findings.extract import ReportFindings, extract_report
from radiolucent.findings.vocabulary import ATTRIBUTES, VOCABULARY

Labeller: TypeAlias = Callable[[str], ReportFindings]
"""The text of a report -> its findings, in the vocabulary of this package."""

_LABELLERS: dict[str, Labeller] = {"rules": extract_report}


def labellers() -> Mapping[str, Labeller]:
    """Every registered labeller by name; ``"rules"`` is always there."""
    return MappingProxyType(_LABELLERS)


def register_labeller(name: str, labeller: Labeller) -> None:
    """Make a labeller known under a name.

    Raises
    ------
    MalformedInput
        Where the name is taken or empty, or the labeller cannot be called.

    Examples
    --------
    >>> register_labeller("silent", lambda text: ReportFindings((), (), False))
    >>> label("Small left effusion.", "silent").findings
    ()
    >>> unregister_labeller("silent")
    """
    if not name or name in _LABELLERS:
        raise MalformedInput(f"The name {name!r} is taken or empty; registered are {', '.join(_LABELLERS)}.")
    if not callable(labeller):
        raise MalformedInput(f"A labeller is called with a report's text; got {type(labeller).__name__}.")
    _LABELLERS[name] = labeller


def unregister_labeller(name: str) -> None:
    """Forget a registered labeller; the rules stay."""
    if name == "rules" or name not in _LABELLERS:
        raise MalformedInput(f"{name!r} is not a labeller that can be removed.")
    del _LABELLERS[name]


def label(text: str, labeller: str = "rules") -> ReportFindings:
    """Read a report with a registered labeller and hold what it returns to the vocabulary.

    Raises
    ------
    MalformedInput
        Where no labeller has the name, or it returns a code, an attribute or a span that cannot be.
    """
    if labeller not in _LABELLERS:
        raise MalformedInput(f"No labeller is called {labeller!r}; registered are {', '.join(_LABELLERS)}.")
    report = _LABELLERS[labeller](text)
    if not isinstance(report, ReportFindings):
        raise MalformedInput(f"Labeller {labeller!r} returned {type(report).__name__}, not ReportFindings.")
    seen: set[tuple[str, str | None]] = set()
    for finding in report.findings:
        first, last = finding.chars
        unknown = [f"{name}={value}" for name, value in finding.attributes if value not in ATTRIBUTES.get(name, {})]
        if finding.code not in VOCABULARY or unknown:
            raise MalformedInput(
                f"Labeller {labeller!r} returned {finding.code!r} {' '.join(unknown)}, which is not in the vocabulary."
            )
        if not 0 <= first <= last <= len(text) or text[first:last] != finding.words:
            raise MalformedInput(
                f"Labeller {labeller!r} returned words {finding.words!r} that are not at {first}:{last}."
            )
        if (finding.code, finding.side) in seen:
            raise MalformedInput(
                f"Labeller {labeller!r} returned {finding.id!r} twice; a report has one a code and side."
            )
        seen.add((finding.code, finding.side))
    return report
