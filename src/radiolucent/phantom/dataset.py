"""The demo model's training films: shards on disk, drawn from seeds that no evaluation ever uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radiolucent.phantom.anatomy import draw_anatomy
from radiolucent.phantom.film import FIRST_TRAINING_SEED, compose, expose
from radiolucent.phantom.record import CODES, Lesion, sample_lesions

FILM_EDGE = 256  # what the demo model's vision tower is shown
COVER_EDGE = 64  # lesion coverage is kept on this grid
FILMS_A_PERSON = 3  # one anatomy, several records: three times the films for little more time
SHARD_PEOPLE = 200
FINE_SHARE = 0.12  # of the people: drawn at 512 pixels and reduced, as films of other sizes are

# One bit a finding and side; the vision tower is taught to write the side into its patches.
CHANNELS = (
    ("cardiomegaly", None),
    *((code, side) for code in CODES if code != "cardiomegaly" for side in ("right", "left")),
)


def write_shards(folder: Path, shards: int, workers: int = 2) -> Iterator[int]:
    """Draw every missing shard; yields how many exist so far. Safe to interrupt and call again."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [s for s in range(shards) if not (folder / f"shard-{s:03d}.npz").exists()]
    done = shards - len(missing)
    yield done
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_write_shard, [folder] * len(missing), missing):
            done += 1
            yield done


def load_shard(folder: Path, shard: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16], list[tuple[Lesion, ...]]]:
    """Films uint8 (n, 256, 256), coverage bits uint16 (n, 64, 64) and records of one shard."""
    with np.load(folder / f"shard-{shard:03d}.npz") as stored:
        films, bits, records = stored["films"], stored["bits"], json.loads(str(stored["records"]))
    return films, bits, [tuple(Lesion(**lesion) for lesion in record) for record in records]


def coverage_bits(masks: dict[str, NDArray[np.bool_]]) -> NDArray[np.uint16]:
    """Masks of one film to coverage bits, uint16 (64, 64): bit k is set where channel k covers a third of the cell."""
    bits = np.zeros((COVER_EDGE, COVER_EDGE), dtype=np.uint16)
    for channel, (code, side) in enumerate(CHANNELS):
        if code not in masks:
            continue
        mask = masks[code]
        step = mask.shape[0] // COVER_EDGE
        cells = mask.reshape(COVER_EDGE, step, COVER_EDGE, step).mean(axis=(1, 3)) > 1 / 3
        if side is not None:  # the patient's right lies on the picture's left
            cells[:, COVER_EDGE // 2 :] &= side == "left"
            cells[:, : COVER_EDGE // 2] &= side == "right"
        bits |= (cells.astype(np.uint16) << channel).astype(np.uint16)
    return bits


def _write_shard(folder: Path, shard: int) -> None:
    films, bits, records = [], [], []
    for person in range(SHARD_PEOPLE):
        seed = FIRST_TRAINING_SEED + shard * SHARD_PEOPLE + person
        for film, cover, record in _draw_person(seed):
            films.append(film)
            bits.append(cover)
            records.append([asdict(lesion) for lesion in record])
    path = folder / f"shard-{shard:03d}.npz"
    draft = path.with_suffix(".tmp.npz")
    np.savez(draft, films=np.stack(films), bits=np.stack(bits), records=np.array(json.dumps(records)))
    draft.rename(path)


def _draw_person(seed: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint16], tuple[Lesion, ...]]]:
    rng = np.random.default_rng(seed)
    size = 512 if rng.random() < FINE_SHARE else FILM_EDGE
    record_rng, lesion_rng, exposure_rng, anatomy_rng = rng.spawn(4)
    anatomy = draw_anatomy(anatomy_rng, size)
    for _ in range(FILMS_A_PERSON if size == FILM_EDGE else 1):
        exposure, _ = expose(exposure_rng, size, False, True, "realistic")
        case = compose(seed, anatomy, sample_lesions(record_rng), lesion_rng, exposure, pairs=False)
        film = case.film
        if size != FILM_EDGE:
            film = np.asarray(Image.fromarray(film).resize((FILM_EDGE, FILM_EDGE), Image.Resampling.BILINEAR))
        yield film, coverage_bits(dict(case.masks)), case.lesions
