"""Writers of small DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import chest_film, chest_slice, ramp
from hypothesis import settings
from pydicom.dataset import Dataset

# A busy machine is no failure: no property here is about time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a data set into a fresh file; its name says nothing of its kind."""

    def write(dataset: Dataset, name: str = "x") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def film(save: Callable[..., Path]) -> Callable[..., Path]:
    def write(pixels: np.ndarray | None = None, name: str = "x", **attributes: Any) -> Path:
        return save(chest_film(ramp() if pixels is None else pixels, **attributes), name)

    return write


@pytest.fixture
def ct_slice(save: Callable[..., Path]) -> Callable[..., Path]:
    def write(height: float, pixels: np.ndarray | None = None, name: str = "x", **attributes: Any) -> Path:
        return save(chest_slice(ramp() if pixels is None else pixels, height, **attributes), name)

    return write
