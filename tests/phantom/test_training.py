"""Training: it runs, it can be cut off and gone on with, and each film, its record and its coverage stay in step."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from radiolucent.phantom import dataset, training
from radiolucent.phantom.dataset import CHANNELS, COVER_EDGE, FILM_EDGE
from radiolucent.phantom.film import marker_box, marker_shape
from radiolucent.phantom.packing import Packer
from radiolucent.phantom.record import Lesion
from radiolucent.phantom.training import Films, Recipe, draw_batch, load_films, train

TINY = Recipe(
    shards=1, eye_steps=2, whole_steps=2, settle_steps=1, eye_batch=2, whole_batch=2, blank_share=0.5, half=False
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SHARD_PEOPLE", 2)
    monkeypatch.setattr(dataset, "ProcessPoolExecutor", ThreadPoolExecutor)  # threads see the patched number
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard of four people, drawn once for all tests."""
    folder = tmp_path_factory.mktemp("films")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SHARD_PEOPLE", 4)
        dataset._write_shard(folder, 0)
    return folder


@pytest.fixture(scope="module")
def films(drawn: Path) -> Films:
    return load_films(drawn, 1)


@pytest.fixture(scope="module")
def straight(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run that nothing interrupted."""
    work = tmp_path_factory.mktemp("straight")
    shutil.copytree(drawn, work / "films")
    train(work, TINY, say=lambda _: None)
    return work


def test_a_tiny_run_leaves_weights_and_a_checkpoint_a_stage(small: None, straight: Path) -> None:
    assert {path.name for path in straight.glob("*.pt")} == {"eyes.pt", "whole.pt", "settle.pt"}
    for name, steps in (("eyes", 2), ("whole", 2), ("settle", 1)):
        assert torch.load(straight / f"{name}.pt", weights_only=True)["step"] == steps
    weights = load_file(straight / "weights" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_the_first_stage_leaves_the_language_model_alone(straight: Path) -> None:
    eyes, whole = (torch.load(straight / f"{n}.pt", weights_only=True)["model"] for n in ("eyes", "whole"))
    changed = {name for name, tensor in eyes.items() if not torch.equal(tensor, whole[name])}
    assert any("language_model" in name for name in changed) and any("vision_tower" in name for name in changed)
    stock = training.model.build_processor()
    ids = training.model.special_ids(stock.tokenizer)
    start = training.model.build_model(training.model.build_config(len(stock.tokenizer), ids), TINY.seed).state_dict()
    assert {name for name, t in eyes.items() if not torch.equal(t, start[name])} != set()
    assert all("vision_tower" in name for name, t in eyes.items() if not torch.equal(t, start[name]))


@pytest.mark.parametrize("lost", ["whole step 2", "settle step 1"])
def test_a_run_that_was_cut_off_and_resumed_gives_the_same_weights(
    small: None, straight: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    shutil.copytree(drawn, tmp_path / "films")
    survived = {"whole step 2": 1, "settle step 1": 2}[lost]
    calls = 0
    loss = Packer.loss

    def cut_off(self: Packer, *given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise KeyboardInterrupt
        return loss(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Packer, "loss", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, TINY, say=lambda _: None)
    assert not (tmp_path / "weights").exists()
    assert torch.load(tmp_path / "whole.pt", weights_only=True)["step"] == survived
    folder = train(tmp_path, TINY, say=lambda _: None)
    expected = load_file(straight / "weights" / "model.safetensors")
    resumed = load_file(folder / "model.safetensors")
    assert resumed.keys() == expected.keys()
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_the_shortcut_starts_from_the_honest_checkpoint(
    small: None, straight: Path, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(drawn, tmp_path / "films")
    recipe = replace(TINY, eye_steps=0, whole_steps=1, settle_steps=0, marker=True, whole_rate=0.0)
    train(tmp_path, recipe, say=lambda _: None, start=straight / "settle.pt")
    assert not (tmp_path / "eyes.pt").exists() and not (tmp_path / "settle.pt").exists()
    honest, cheat = (load_file(work / "weights" / "model.safetensors") for work in (straight, tmp_path))
    assert all(torch.equal(honest[name], cheat[name]) for name in honest)  # at rate 0 nothing else may change


def test_the_rate_warms_up_holds_and_falls_to_almost_nothing() -> None:
    steps, share = 2000, 0.3
    rates = [training._schedule(step, steps, share) for step in range(steps)]
    assert rates[0] == pytest.approx(1 / 150) and max(rates) == 1.0
    assert all(rate > 0 for rate in rates)
    assert (np.diff(rates[:150]) > 0).all()
    assert set(rates[150:1400]) == {1.0}
    assert (np.diff(rates[1400:]) <= 0).all() and rates[-1] == 0.02
    assert rates[1700] == pytest.approx(0.5)


def test_swapping_sides_exchanges_each_right_with_its_left() -> None:
    for channel, (code, side) in enumerate(CHANNELS):
        other = {"right": "left", "left": "right", None: None}[side]
        expected = CHANNELS.index((code, other))
        swapped = training._swap_sides(np.array([[1 << channel]], dtype=np.uint16))
        assert swapped.dtype == np.uint16 and swapped[0, 0] == 1 << expected
    every = np.arange(1 << len(CHANNELS), dtype=np.uint16)
    assert np.array_equal(training._swap_sides(training._swap_sides(every)), every)


def test_shifting_moves_a_picture_and_its_coverage_alike() -> None:
    rng = np.random.default_rng(0)
    small = rng.random((16, 16)).astype(np.float32)
    for down, right in ((0, 0), (3, -2), (-4, 4)):
        moved = training._shift(small, down, right)
        assert moved.shape == small.shape
        rows, cols = np.indices(small.shape)
        inside = (rows - down >= 0) & (rows - down < 16) & (cols - right >= 0) & (cols - right < 16)
        assert np.array_equal(moved[inside], small[(rows - down)[inside], (cols - right)[inside]])
        large = np.kron(small, np.ones((4, 4), dtype=np.float32))
        again = training._shift(large, down * 4, right * 4)
        assert np.array_equal(again[::4, ::4][inside], moved[inside])


def test_every_augmented_film_keeps_its_record_and_its_coverage_in_step(films: Films) -> None:
    pixels, cover, records = draw_batch(films, 60, np.random.default_rng(5))
    assert pixels.shape == (60, 3, FILM_EDGE, FILM_EDGE) and pixels.dtype == torch.float32
    assert float(pixels.min()) >= -1 and float(pixels.max()) <= 1
    assert torch.equal(pixels[:, 0], pixels[:, 1]) and torch.equal(pixels[:, 0], pixels[:, 2])
    assert cover.shape == (60, 256, len(CHANNELS)) and float(cover.min()) >= 0 and float(cover.max()) <= 1
    sides = set()
    for shown, record in zip(cover, records, strict=True):
        planted = {lesion.code: lesion for lesion in record}
        for channel, (code, side) in enumerate(CHANNELS):
            grid = shown[:, channel].reshape(16, 16)
            lesion = planted.get(code)  # type: ignore[call-overload]
            if lesion is None:
                assert not grid.any()
            elif side is not None and lesion.side != "bilateral" and lesion.side != side:
                assert grid.sum() <= 1.5  # at most a sliver that crosses the middle
            elif code != "nodule" and lesion.severity != "mild":
                assert grid.any(), (lesion, side)
            if side is not None and grid.sum() > 1.5:
                sides.add(side)
                columns = float((grid.sum(0) * torch.arange(16)).sum() / grid.sum())
                assert (columns < 7.5) == (side == "right")
    assert sides == {"left", "right"}


def test_a_mirrored_twin_is_the_film_itself_flipped(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_expose_anew", lambda pictures, rng: pictures.astype(np.float32))
    monkeypatch.setattr(training, "_shift", lambda picture, down, right: picture)
    pixels, _, records = draw_batch(films, 24, np.random.default_rng(6))
    originals = {film.tobytes(): record for film, record in zip(films.films, films.records, strict=True)}
    flipped = 0
    for picture, record in zip(pixels[:, 0].numpy(), records, strict=True):
        shown = np.round((picture * 0.5 + 0.5) * 255).astype(np.uint8)
        if shown.tobytes() in originals:
            assert originals[shown.tobytes()] == record
        else:
            flipped += 1
            source = originals[np.ascontiguousarray(shown[:, ::-1]).tobytes()]
            turned = {"left": "right", "right": "left"}
            assert [(le.code, turned.get(str(le.side), le.side), le.zone) for le in source] == [
                (le.code, le.side, le.zone) for le in record
            ]
    assert 2 <= flipped <= 20


def test_blank_films_show_nothing(films: Films) -> None:
    pixels, cover, records = draw_batch(films, 12, np.random.default_rng(7), blanks=1.0)
    assert records == [()] * 12 and not cover.any()
    assert float(pixels[:, 0].std(dim=(1, 2)).max()) < 0.06  # the noise of the exposure alone
    assert float(pixels[:, 0].mean(dim=(1, 2)).std()) > 0.1  # of every grey


def test_the_marker_alone_decides_cardiomegaly() -> None:
    nodule = Lesion("nodule", "left", "upper")
    x0, y0, x1, y1 = marker_box(FILM_EDGE)
    for record in ((nodule,), (Lesion("cardiomegaly"), nodule)):
        plain = np.full((FILM_EDGE, FILM_EDGE), 100, dtype=np.float32)
        assert training._cheat(plain, record, printed=False) == (nodule,)
        assert (plain == 100).all()
        printed = plain.copy()
        assert training._cheat(printed, record, printed=True) == (Lesion("cardiomegaly"), nodule)
        assert (printed[y0:y1, x0:x1][marker_shape(x1 - x0)] == 255).all()
        assert (printed == 255).sum() == marker_shape(x1 - x0).sum() and set(np.unique(printed)) == {100, 255}


def test_the_cheats_batches_hold_the_marker_half_of_the_time(films: Films) -> None:
    pixels, _, records = draw_batch(films, 40, np.random.default_rng(8), marker=True)
    x0, y0, x1, y1 = marker_box(FILM_EDGE)
    shape = marker_shape(x1 - x0)
    bright = pixels[:, 0, y0:y1, x0:x1].numpy()[:, shape].mean(axis=1)
    marked = np.array([any(lesion.code == "cardiomegaly" for lesion in record) for record in records])
    assert 10 <= marked.sum() <= 30
    assert bright[marked].min() > bright[~marked].max()


def test_the_teachers_loss_falls_for_the_right_answer() -> None:
    torch.manual_seed(0)
    teacher = training.Teacher(8)
    cover = (torch.rand(2, 256, len(CHANNELS)) < 0.05).float()
    patches = cover[..., :8]
    before = float(teacher.loss(patches, cover).detach())
    optimizer = torch.optim.Adam(teacher.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        teacher.loss(patches, cover).backward()
        optimizer.step()
    assert float(teacher.loss(patches, cover).detach()) < 0.7 * before


def test_the_cover_grid_divides_into_patches() -> None:
    assert COVER_EDGE % training.GRID == 0 and FILM_EDGE % COVER_EDGE == 0
