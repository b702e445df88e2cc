"""What is kept of a film that was read: its truth and the report's own words. Judging comes later, from these alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.records import write_atomically
from radiolucent.faithfulness.limits.drawing import PlantedLesion
from radiolucent.faithfulness.limits.plan import PlannedFilm


@dataclass(frozen=True)
class FilmRecord:
    """A film that was read.

    Parameters
    ----------
    report
        As the model wrote it; findings are extracted when the table is made, so a better extractor needs no new run.
    cut
        Whether the report ended at the limit of tokens.
    seconds
        To draw and to read.
    """

    seed: int
    set: str
    level: float
    lesions: tuple[PlantedLesion, ...]
    distractors: tuple[str, ...]
    report: str
    cut: bool = False
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def plan(self) -> PlannedFilm:
        """The film that this is the record of."""
        return PlannedFilm(self.seed, self.set, self.level)


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of everything that decides what a record holds; records of other settings are never mixed in."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def records_folder(out: Path, settings: Mapping[str, Any]) -> Path:
    """Where the records of these settings lie; the settings themselves are written beside them."""
    folder = out / "records" / settings_digest(settings)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(
        folder / "settings.json", json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )
    return folder


def write_record(record: FilmRecord, folder: Path) -> None:
    """Keep a record under its film's name, whole or not at all."""
    write_atomically(
        folder / f"{record.plan.name}.json", json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n"
    )


def read_record(film: PlannedFilm, folder: Path) -> FilmRecord | None:
    """The film's record, or None where it was not read yet.

    Raises
    ------
    MalformedInput
        Where the file is no record of this film.
    """
    path = folder / f"{film.name}.json"
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        lesions = tuple(PlantedLesion(**lesion) for lesion in stored.pop("lesions"))
        distractors, seconds = tuple(stored.pop("distractors")), tuple(stored.pop("seconds"))
        record = FilmRecord(lesions=lesions, distractors=distractors, seconds=seconds, **stored)
        if record.plan != film or not isinstance(record.report, str):
            raise ValueError(f"it holds {record.plan.name}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedInput(
            f"{path.name} is no record of this film ({type(error).__name__}: {error}); delete it and run again."
        ) from error
    return record
