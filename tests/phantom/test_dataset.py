"""Training films: the side is in the coverage, and drawing shards can stop and go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from radiolucent.phantom import dataset
from radiolucent.phantom.dataset import CHANNELS, COVER_EDGE, FILM_EDGE, coverage_bits, load_shard, write_shards
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import CODES, Lesion

HALF = COVER_EDGE // 2


@pytest.fixture
def two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SHARD_PEOPLE", 2)
    # Threads see the patched number whatever way processes are started.
    monkeypatch.setattr(dataset, "ProcessPoolExecutor", ThreadPoolExecutor)


def test_there_is_a_channel_for_every_finding_and_side() -> None:
    assert CHANNELS[0] == ("cardiomegaly", None)
    sided = [(code, side) for code in CODES if code != "cardiomegaly" for side in ("right", "left")]
    assert sorted(CHANNELS[1:]) == sorted(sided)


@pytest.mark.parametrize("size", [256, 512])
def test_coverage_is_set_where_a_third_of_the_cell_is_covered(size: int) -> None:
    step = size // COVER_EDGE
    mask = np.zeros((size, size), dtype=bool)
    mask[: step // 2, :step] = True  # half of the first cell
    mask[10 * step : 10 * step + 1, 5 * step : 6 * step] = True  # a quarter or less of another
    bits = coverage_bits({"nodule": mask})
    right = CHANNELS.index(("nodule", "right"))
    assert bits.dtype == np.uint16 and bits.shape == (COVER_EDGE, COVER_EDGE)
    assert bits[0, 0] == 1 << right
    assert bits.astype(int).sum() == 1 << right


def test_each_half_of_the_picture_speaks_for_its_own_side() -> None:
    everywhere = np.ones((FILM_EDGE, FILM_EDGE), dtype=bool)
    bits = coverage_bits({code: everywhere for code in CODES})
    for channel, (_, side) in enumerate(CHANNELS):
        on = (bits >> channel) & 1
        assert (on[:, :HALF] == (side != "left")).all()  # the picture's left is the patient's right
        assert (on[:, HALF:] == (side != "right")).all()


@pytest.mark.parametrize("side", ["right", "left", "bilateral"])
def test_a_drawn_lesion_is_covered_on_its_own_side(side: str) -> None:
    lesions = (Lesion("pleural_effusion", side, severity="moderate"),)  # type: ignore[arg-type]
    bits = coverage_bits(dict(draw_case(31, size=FILM_EDGE, lesions=lesions).masks))
    for channel, (code, channel_side) in enumerate(CHANNELS):
        covered = bool(((bits >> channel) & 1).any())
        assert covered == (code == "pleural_effusion" and side in (channel_side, "bilateral"))


def test_shards_are_drawn_once_and_only_the_missing_ones_again(two_people: None, tmp_path: Path) -> None:
    assert list(write_shards(tmp_path, 2)) == [0, 1, 2]
    first, second = (tmp_path / f"shard-{shard:03d}.npz" for shard in range(2))
    assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name}
    films, bits, records = load_shard(tmp_path, 0)
    kept = second.stat().st_mtime_ns
    first.unlink()
    (tmp_path / "shard-000.tmp.npz").write_bytes(b"a draft that was cut off")
    assert list(write_shards(tmp_path, 2)) == [1, 2]
    assert second.stat().st_mtime_ns == kept
    again = load_shard(tmp_path, 0)
    assert np.array_equal(films, again[0]) and np.array_equal(bits, again[1]) and records == again[2]
    assert list(write_shards(tmp_path, 2)) == [2]
    assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name}


def test_a_shard_holds_films_coverage_and_records_that_agree(two_people: None, tmp_path: Path) -> None:
    list(write_shards(tmp_path, 1))
    films, bits, records = load_shard(tmp_path, 0)
    assert len(films) == len(bits) == len(records) >= 2
    assert films.dtype == np.uint8 and films.shape[1:] == (FILM_EDGE, FILM_EDGE)
    assert bits.dtype == np.uint16 and bits.shape[1:] == (COVER_EDGE, COVER_EDGE)
    assert len({film.tobytes() for film in films}) == len(films)
    for cover, record in zip(bits, records, strict=True):
        planted = {lesion.code for lesion in record}
        for channel, (code, _) in enumerate(CHANNELS):
            assert code in planted or not ((cover >> channel) & 1).any()
