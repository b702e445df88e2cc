"""JSON as it was meant: no NaN, no key twice, no nesting without end; and its numbers checked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from radiolucent.errors import MalformedInput
from radiolucent.study.limits import check_file

MAX_BYTES = 1 << 28  # the COCO annotations of 118,000 pictures are 450 MB; of films with lesions some tens


def read_json(path: Path, name: str) -> Any:
    """The document.

    Parameters
    ----------
    name
        How messages call the file.

    Raises
    ------
    MalformedInput
        Missing, empty or very large files; text that is not JSON or not UTF-8; NaN and Infinity, which JSON has not;
        a key that an object holds twice, of which readers silently keep the last.
    """
    check_file(path, name)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise MalformedInput(f"{name} has {size} bytes; at most {MAX_BYTES} are read. Split it.")
    try:
        return json.loads(
            path.read_text(encoding="utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice
        )
    except _Refused as error:
        raise MalformedInput(f"{name} {error}") from error
    except UnicodeDecodeError as error:
        raise MalformedInput(f"{name} is not UTF-8 text; save it as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedInput(
            f"{name} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}. Export it again."
        ) from error
    except (RecursionError, ValueError) as error:  # ValueError: an integer of more than 4300 digits
        raise MalformedInput(f"{name} is not readable JSON ({type(error).__name__}); export it again.") from error


def number(value: Any, where: str) -> float:
    """A finite JSON number.

    Raises
    ------
    MalformedInput
        Where it is a string, a truth value, null, or past what a float holds.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedInput(f"{where}: expected a number, found {_kind(value)}.")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise MalformedInput(f"{where}: a number is too large to be a place in a film.")
    return found


def whole(value: Any, where: str) -> int:
    """A JSON number without a fraction."""
    found = number(value, where)
    if found != int(found):
        raise MalformedInput(f"{where}: expected a whole number, found {found:g}.")
    return int(found)


def listed(value: Any, where: str) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise MalformedInput(f"{where}: expected a list, found {_kind(value)}.")
    return value


def mapped(value: Any, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise MalformedInput(f"{where}: expected an object, found {_kind(value)}.")
    return value


def words(value: Any, where: str) -> str:
    """A JSON string that says something."""
    if not isinstance(value, str) or not value.strip():
        raise MalformedInput(f"{where}: expected a text, found {_kind(value)}.")
    return value.strip()


class _Refused(Exception):
    """A document that JSON readers would accept and misread."""


def _no_constant(constant: str) -> float:
    raise _Refused(f"holds {constant}, which is not a number of JSON; write the value or leave it out.")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("holds an object with the same key twice, so that one of the two would be lost; merge them.")
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "an empty text" if value == "" else names[type(value)]
