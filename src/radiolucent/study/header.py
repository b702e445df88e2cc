"""Small readers of a DICOM header: an absent, empty and blank attribute are the same thing, 'not stated'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydicom.dataset import Dataset

Value = TypeVar("Value")


def texts(header: Dataset | None, keyword: str) -> tuple[str, ...]:
    """An attribute's values as upper-case text without padding; () where not stated."""
    value: Any = None if header is None else header.get(keyword)
    if value is None:
        return ()
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    stripped = [str(one).strip().upper() for one in several]
    return tuple(stripped) if any(stripped) else ()


def text(header: Dataset | None, keyword: str) -> str:
    """The first value as upper-case text; empty where not stated."""
    values = texts(header, keyword)
    return values[0] if values else ""


def numbers(header: Dataset | None, keyword: str) -> tuple[float, ...]:
    """An attribute's values as floats; () where not stated.

    Raises
    ------
    ValueError
        Where a value is no number.
    """
    return tuple(float(one) for one in texts(header, keyword) if one)


def items(header: Dataset | None, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; () where it is absent or empty."""
    return () if header is None else tuple(header.get(keyword) or ())


def group(header: Dataset, frame: int, sequence: str) -> Dataset | None:
    """A multi-frame object's functional group: the frame's own, else the shared one (PS3.3 C.7.6.16)."""
    per_frame = items(header, "PerFrameFunctionalGroupsSequence")
    holders = (*per_frame[frame : frame + 1], *items(header, "SharedFunctionalGroupsSequence")[:1])
    for holder in holders:
        found = items(holder, sequence)
        if found:
            return found[0]
    return None


def stated(
    header: Dataset, frame: int, sequence: str, keyword: str, read: Callable[[Dataset | None, str], tuple[Value, ...]]
) -> tuple[Value, ...]:
    """An attribute from the frame's functional group, else from the header itself."""
    return read(group(header, frame, sequence), keyword) or read(header, keyword)
