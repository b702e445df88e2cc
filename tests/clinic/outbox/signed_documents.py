"""Signed documents, sources and validators that the tests of the outbox share."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from radiolucent.clinic.outbox import Algorithm, Box, Overlay, Physician, SignedDocument, SignedFinding
from radiolucent.phantom.dicom import build_dataset
from radiolucent.phantom.film import draw_case

SIGNED_AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
FINDINGS_TEXT = "右侧胸腔少量积液。\n左上肺野结节不除外，约8 mm。"
IMPRESSION_TEXT = "右侧胸腔积液。"
EFFUSION = SignedFinding(
    "a" * 32,
    "accepted",
    "pleural_effusion",
    side="right",
    severity="mild",
    boxes=(Box(0, 40.5, 300, 180, 420.25, "model"),),
)
NODULE = SignedFinding(
    "b" * 32,
    "added",
    "nodule",
    "uncertain",
    "left",
    "upper",
    None,
    "possible",
    (8.0,),
    boxes=(Box(0, 330, 120, 380, 170),),
)
HEART = SignedFinding("c" * 32, "changed", "cardiomegaly", severity="minimal")
NO_PNEUMOTHORAX = SignedFinding("d" * 32, "accepted", "pneumothorax", "absent")
VALUES = np.zeros((16, 16), dtype=np.float32)
VALUES[10:13, 2:5] = np.arange(1, 10).reshape(3, 3)


def document(**changes: Any) -> SignedDocument:
    """A report of a real model, signed once."""
    held: dict[str, Any] = {
        "case_id": "0" * 32,
        "edition": 1,
        "language": "zh",
        "findings_text": FINDINGS_TEXT,
        "impression_text": IMPRESSION_TEXT,
        "reporting": Physician("张三", SIGNED_AT, "放射科"),
        "findings": (EFFUSION, NODULE, HEART, NO_PNEUMOTHORAX),
        "algorithm": Algorithm("a model", "1.5", "sha256:abc"),
        "organisation": "某医院",
        "overlays": (Overlay(0, VALUES, "relied_on", EFFUSION.id),),
    }
    return SignedDocument(**{**held, **changes})


def phantom(seed: int = 3, **changes: Any) -> Dataset:
    """A drawn film with some of its header changed."""
    made = build_dataset(draw_case(seed))
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def dciodvfy_errors(made: Dataset, path: Path) -> list[str]:
    """Errors of the independent validator dicom3tools' dciodvfy."""
    made.save_as(path, enforce_file_format=True)
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    said = (run.stdout + run.stderr).decode("utf-8", errors="replace").splitlines()
    assert any(line and not line.startswith(("Error", "Warning")) for line in said), said  # it recognised the object
    return [line for line in said if line.startswith("Error")]


def has(command: str) -> bool:
    """Whether a command is installed."""
    return shutil.which(command) is not None


def items_of(made: Any) -> list[Any]:
    """Every content item of a structured report, in document order."""
    found = []
    for item in made.get("ContentSequence") or []:
        found += [item, *items_of(item)]
    return found


def named(made: Any, code: str) -> list[Any]:
    """Content items whose concept has a code."""
    return [
        item
        for item in items_of(made)
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue == code
    ]
