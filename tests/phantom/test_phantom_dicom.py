"""Phantoms as DICOM: nothing is lost on the way, the side is stated, and an outside checker finds no error."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radiolucent.phantom.dicom import build_dataset, write_dicom
from radiolucent.phantom.film import draw_case
from radiolucent.study import load_study

SIZES = (128, 255, 300)  # 255: an odd number of bytes, and a spacing without a short decimal form


@pytest.mark.parametrize("size", SIZES)
def test_the_film_survives_the_round_trip_exactly(size: int, tmp_path: Path) -> None:
    case = draw_case(21, size=size)
    study = load_study(write_dicom(case, tmp_path / "film.dcm"))
    (frame,) = study.frames
    assert np.array_equal(frame.picture(), case.film / np.float32(255))
    assert (study.modality, study.view, study.source.format) == ("DX", "PA", "dicom")
    assert study.warnings == ()


def test_the_side_and_the_spacing_are_read_from_the_file(tmp_path: Path) -> None:
    case = draw_case(21, size=128)
    geometry = load_study(write_dicom(case, tmp_path / "film.dcm")).frames[0].geometry
    assert (geometry.patient_right, geometry.side_source) == ("left", "orientation")
    assert geometry.spacing == pytest.approx((300 / 128, 300 / 128))
    assert geometry.spacing_kind == "detector"


def test_the_same_phantom_is_the_same_object_and_no_person() -> None:
    case, other = draw_case(21, size=64), draw_case(22, size=64)
    assert build_dataset(case).SOPInstanceUID == build_dataset(case).SOPInstanceUID
    assert build_dataset(case).SOPInstanceUID != build_dataset(other).SOPInstanceUID
    dataset = build_dataset(case)
    uids = {dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID}
    assert len(uids) == 3 and all(pydicom.uid.UID(uid).is_valid for uid in uids)
    assert "phantom" in str(dataset.PatientName).lower()


@pytest.mark.parametrize("size", SIZES)
def test_dciodvfy_finds_no_error(size: int, tmp_path: Path) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        if os.environ.get("CI"):
            pytest.fail("dciodvfy is missing: install Debian's dicom3tools.")
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    path = write_dicom(draw_case(21, size=size), tmp_path / "film.dcm")
    done = subprocess.run([tool, str(path)], capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert "DXImageForPresentation" in said
    assert [line for line in said.splitlines() if "Error" in line] == []
    assert done.returncode == 0
