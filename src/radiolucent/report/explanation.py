"""The explanation: one answer about one study, with what it saw, relied on, and how far that can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from radiolucent.attribution.types import AttributionMap
from radiolucent.confidence.types import Confidence
from radiolucent.errors import MalformedInput, Notice
from radiolucent.faithfulness.types import MapGrade, MapKey
from radiolucent.findings.types import Finding
from radiolucent.localize.box_readings import BoxReading
from radiolucent.study.types import Frame, Study
from radiolucent.trace.types import Trace
from radiolucent.vlm.types import Generation, Prompt


@dataclass(frozen=True, eq=False)
class Explanation:
    """Everything that one run of :func:`radiolucent.explain` found out.

    Parameters
    ----------
    findings
        In the order of the report; the first that is not absent is the main finding.
    maps
        (method, finding id) -> map. Absent findings have none.
    trace, confidence
        None where the level did not ask for them.
    faithfulness
        Grade of a map under the map's own key.
    provenance
        JSON-ready facts: model, weights hash, versions, seed, masks, timings. No identifiers, no paths.
        ``demo_model: true`` puts the demo banner on every page.
    warnings
        The study's and the run's, shown to people.
    shown_frames
        For each frame of the maps the index of the study's frame it lies on (a volume is sampled); () where the
        model was shown every frame in order.
    boxes
        That the model itself drew, each compared with what it relied on.
    """

    study: Study
    prompt: Prompt
    generation: Generation
    findings: tuple[Finding, ...] = ()
    maps: Mapping[MapKey, AttributionMap] = field(default_factory=dict)
    trace: Trace | None = None
    confidence: Confidence | None = None
    faithfulness: Mapping[MapKey, MapGrade] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
    shown_frames: tuple[int, ...] = ()
    boxes: tuple[BoxReading, ...] = ()

    def __post_init__(self) -> None:
        if any(not 0 <= index < len(self.study.frames) for index in self.shown_frames):
            raise MalformedInput(
                f"shown_frames {self.shown_frames} points outside the study's {len(self.study.frames)} frames."
            )
        frames = len(self.frames)
        for (method, finding_id), attribution in self.maps.items():
            if attribution.values.ndim != 3 or attribution.values.shape[0] != frames:
                raise MalformedInput(
                    f"The map {method} of {finding_id} has shape {attribution.values.shape}; expected ({frames}, grid "
                    "rows, grid columns): one frame of the map a frame of the study."
                )
        stray = sorted(f"{method} of {finding}" for method, finding in set(self.faithfulness) - set(self.maps))
        if stray:
            raise MalformedInput(f"Graded but not in the maps: {', '.join(stray)}.")

    @property
    def report(self) -> str:
        """The model's answer as written, without its thinking."""
        return self.generation.text

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """For each frame of the maps the index of the study's frame it lies on."""
        return self.shown_frames or tuple(range(len(self.study.frames)))

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames that the model was shown; the first axis of every map."""
        return tuple(self.study.frames[index] for index in self.frame_numbers)

    @property
    def language(self) -> str:
        """``en`` or ``zh``: the prompt's."""
        return self.prompt.language

    @property
    def is_demo(self) -> bool:
        """True where a demo model wrote it; such an explanation is never clinical."""
        return bool(self.provenance.get("demo_model", False))

    @property
    def main_finding(self) -> Finding | None:
        """The first present finding, else the first uncertain one, else None."""
        for polarity in ("present", "uncertain"):
            for finding in self.findings:
                if finding.polarity == polarity:
                    return finding
        return None

    def save(self, directory: str | Path) -> Path:
        """Write the bundle; see :func:`radiolucent.report.bundle.save`."""
        from radiolucent.report.bundle import save

        return save(self, directory)

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, Explanation) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds arrays and mappings


def equal(first: object, second: object) -> bool:
    """Equality by value, arrays included (same dtype, shape and bits; NaN equals NaN)."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return (
            isinstance(first, np.ndarray)
            and isinstance(second, np.ndarray)
            and first.dtype == second.dtype
            and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        )
    if isinstance(first, float) and isinstance(second, float):
        return first == second or (first != first and second != second)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        return type(first) is type(second) and all(
            equal(getattr(first, entry.name), getattr(second, entry.name)) for entry in dataclasses.fields(first)
        )
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(equal(value, second[key]) for key, value in first.items())
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))
    return type(first) is type(second) and bool(first == second)
