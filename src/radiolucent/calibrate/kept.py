"""Finished films kept in a file, one JSON line each, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radiolucent.errors import MalformedInput


class Kept:
    """A file of finished films under the settings that they were run with.

    Parameters
    ----------
    path
        Begun with a line of settings where there is none; None keeps films in memory only.
    settings
        Plain JSON values.

    Raises
    ------
    MalformedInput
        Where the file is damaged, or was begun with other settings; they are named.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.films: dict[str, Any] = {}
        if path is None:
            return
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_line(dict(settings)), encoding="utf-8")
            return
        *lines, unfinished = path.read_text(encoding="utf-8").split("\n")
        try:
            first, *films = [json.loads(line) for line in lines]
            self.films = {film["film"]: film["found"] for film in films}
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedInput(f"{path.name} is damaged: {error}. Remove it to begin again.") from error
        if first != settings:
            known = first if isinstance(first, dict) else {}
            differ = [name for name in settings if known.get(name) != settings[name]]
            raise MalformedInput(f"{path.name} was begun with another {', '.join(differ)}; use another folder.")
        if unfinished:  # the line in which an interrupted run stopped
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def add(self, film: str, found: Any) -> None:
        """Keep what was found on a film."""
        self.films[film] = found
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line({"film": film, "found": found}))


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
