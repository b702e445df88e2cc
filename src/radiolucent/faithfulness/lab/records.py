"""What is kept of one film: a record that goes to a file and comes back equal."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.types import Grade


@dataclass(frozen=True)
class Curve:
    """Scores as cells are hidden, by one fill; nats of the target's log-probability.

    Parameters
    ----------
    fill
        What stood in a hidden cell.
    hidden
        Shares of the picture's cells hidden, rising.
    morf, lerf
        Score with that share of the most, or least, relevant cells hidden.
    random
        Mean score of random orders.
    gap, excess
        Area between LeRF and MoRF, and that less the mean of random orders.
    """

    fill: str
    hidden: tuple[float, ...]
    morf: tuple[float, ...]
    lerf: tuple[float, ...]
    random: tuple[float, ...]
    gap: float
    excess: float


@dataclass(frozen=True)
class Perturbed:
    """What hiding cells says of one map.

    Parameters
    ----------
    curves
        One for each fill.
    sensitivity
        Sensitivity-n for each n.
    infidelity
        Relative, 0 is best, 1 as good as no map.
    necessity, sufficiency
        Of the map's top region; None where it has none or hiding everything costs next to nothing.
    """

    curves: tuple[Curve, ...]
    sensitivity: tuple[float, ...]
    infidelity: float
    necessity: float | None
    sufficiency: float | None


@dataclass(frozen=True)
class Sanity:
    """How alike one method's maps stayed; each a pair (SSIM, rank correlation).

    Parameters
    ----------
    cascade
        To the trained model's map, after each stage of weight randomisation; (0, 0) where a map was empty.
    seed
        Under another seed; None where the method draws nothing.
    shift
        Mean over the picture moved by 2 model pixels along both diagonals.
    precision
        With the weights in bfloat16 instead of float32; None where the model is not in float32.
    """

    cascade: tuple[tuple[float, float], ...]
    seed: tuple[float, float] | None
    shift: tuple[float, float]
    precision: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Score:
    """One map held against one lesion.

    Parameters
    ----------
    hit, energy, auc, chance
        As in :mod:`radiolucent.faithfulness.pointing`; an empty map scores hit 0, energy 0, auc 0.5.
    average_precision, rank_accuracy, iou_otsu, iou_best, iou_ceiling
        As in :mod:`radiolucent.faithfulness.metrics`; an empty map scores as a constant one, its IoU by Otsu 0.
    grade
        The map's own, blind to the mask; None where maps were not graded.
    forwards, backwards
        Passes that the map costs alone.
    encodes, seconds
        Measured for all of a film's findings together, shared out evenly.
    values
        float32 (frames, g, g); None for an empty map.
    """

    case: str
    code: str
    method: str
    hit: float
    energy: float
    auc: float
    chance: float
    average_precision: float
    rank_accuracy: float
    iou_otsu: float
    iou_best: float
    iou_ceiling: float
    empty: bool = False
    forwards: int = 0
    backwards: int = 0
    encodes: float = 0.0
    seconds: float = 0.0
    grade: Grade | None = None
    values: NDArray[np.float32] | None = None
    perturbed: Perturbed | None = None
    sanity: Sanity | None = None


@dataclass(frozen=True, eq=False)
class Explained:
    """One finding that was explained by every method.

    Parameters
    ----------
    swap
        Nats lost on the film without the lesion; None where there is no such film.
    """

    code: str
    words: str
    swap: float | None
    scores: tuple[Score, ...]


@dataclass(frozen=True, eq=False)
class CaseRecord:
    """One film of the comparison.

    Parameters
    ----------
    number
        The film's place among the cases, from 1.
    lesions, asserted
        Codes that the film holds, and those of them that the report asserts.
    inside
        Bool (frames, g, g): token cells whose centre lies in the picture; None where the film failed.
    perturbed, sanity
        Whether the measures of that kind were asked for.
    seconds
        Stage -> seconds that passed.
    cpu
        Seconds of processor time; on a busy machine fewer than passed.
    error
        Why the film could not be examined; empty where it was.
    """

    number: int
    case: str
    report: str = ""
    lesions: tuple[str, ...] = ()
    asserted: tuple[str, ...] = ()
    findings: tuple[Explained, ...] = ()
    inside: NDArray[np.bool_] | None = None
    perturbed: bool = False
    sanity: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    error: str = ""

    @property
    def scores(self) -> tuple[Score, ...]:
        """Every map's score."""
        return tuple(score for finding in self.findings for score in finding.scores)


def write_record(record: CaseRecord, path: Path) -> None:
    """Keep a record; a reader never sees half of it."""
    write_atomically(path, json.dumps(_plain(record), ensure_ascii=False) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """The text under its name in one step, so that an interrupted run leaves whole files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def read_record(path: Path) -> CaseRecord:
    """A record from its file.

    Raises
    ------
    MalformedInput
        Where the file is no record; its film can be examined anew once it is deleted.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        findings = tuple(_explained(entry) for entry in stored.pop("findings"))
        return CaseRecord(**_values(CaseRecord, stored), findings=findings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedInput(
            f"{path.name} is no record of a film ({type(error).__name__}: {error}); delete it and run again."
        ) from error


def _explained(stored: dict[str, Any]) -> Explained:
    scores = tuple(_score(entry) for entry in stored.pop("scores"))
    return Explained(**_values(Explained, stored), scores=scores)


def _score(stored: dict[str, Any]) -> Score:
    perturbed, sanity = stored.pop("perturbed"), stored.pop("sanity")
    if perturbed is not None:
        curves = tuple(Curve(**_values(Curve, one)) for one in perturbed.pop("curves"))
        perturbed = Perturbed(**_values(Perturbed, perturbed), curves=curves)
    if sanity is not None:
        sanity = Sanity(**_values(Sanity, sanity))
    return Score(**_values(Score, stored), perturbed=perturbed, sanity=sanity)


def _values(kind: type[Any], stored: dict[str, Any]) -> dict[str, Any]:
    unknown = set(stored) - {one.name for one in fields(kind)}
    if unknown:
        raise ValueError(f"unknown entries {', '.join(sorted(unknown))}")
    return {name: _value(value) for name, value in stored.items()}


def _plain(value: Any) -> Any:
    """Dataclasses, tuples and arrays as JSON; a map keeps its float32 values exactly."""
    if isinstance(value, np.ndarray):
        packed = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": packed, "dtype": str(value.dtype), "shape": list(value.shape)}
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def _value(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        flat = np.frombuffer(base64.b64decode(value["array"]), dtype=np.dtype(value["dtype"]))
        return flat.reshape(value["shape"]).copy()
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    return value
