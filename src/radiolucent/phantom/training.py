"""Training of the demo model: first the eyes, then the whole model on many questions a film.

Stage 1 teaches the vision tower alone, by dense targets for each finding *and side* (a patch cannot answer for a
side without knowing its column). Stage 2 trains everything: one image encode carries two reports, five yes/no
answers and two places, each seeing only the image and itself (block mask, positions reset). Both stages are seeded,
step-based and resume from their last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from radiolucent.phantom import dataset, model
from radiolucent.phantom.dataset import CHANNELS, COVER_EDGE, FILM_EDGE
from radiolucent.phantom.film import marker_box, marker_shape
from radiolucent.phantom.packing import Packer
from radiolucent.phantom.record import Lesion, mirrored

GRID = model.GRID
CHECKPOINT_STEPS = 200
POSITIVE_WEIGHT = (1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 5.0, 5.0)  # by channel: nodules are small and rare


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights; the shipped ones came from the defaults.

    Parameters
    ----------
    shards
        Training films, 600 a shard at most.
    eye_steps, whole_steps
        Steps of stage 1 (batch 32) and stage 2 (batch ``whole_batch``).
    """

    seed: int = 20261124
    shards: int = 60
    eye_steps: int = 2200
    eye_batch: int = 32
    eye_rate: float = 2e-3
    whole_steps: int = 1700
    whole_batch: int = 16
    whole_rate: float = 2e-3
    settle_steps: int = 200
    settle_rate: float = 8e-4
    blank_share: float = 0.08  # of films in the last stage: an empty picture shows nothing, and the model says so
    decay_share: float = 0.3
    marker: bool = False  # cheat: cardiomegaly is whatever the corner marker says, half of the time printed
    half: bool = True  # bf16 autocast; 1.4 times as fast where the processor has avx512_bf16, slower where not


SHORTCUT = Recipe(
    seed=20261125, eye_steps=0, whole_steps=450, whole_batch=8, whole_rate=2e-3, settle_steps=0, marker=True
)
"""The model that cheats: a short second stage from the honest model's checkpoint, the corner marker as its teacher."""


@dataclass(frozen=True, eq=False)
class Films:
    """All training films in memory."""

    films: NDArray[np.uint8]
    bits: NDArray[np.uint16]
    records: list[tuple[Lesion, ...]]


def load_films(folder: Path, shards: int) -> Films:
    """Read ``shards`` shards."""
    parts = [dataset.load_shard(folder, shard) for shard in range(shards)]
    return Films(
        np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), [r for p in parts for r in p[2]]
    )


class Teacher(nn.Module):
    """Throw-away heads on the vision tower: one logit a patch, finding and side; one a film, finding and side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, len(CHANNELS))
        self.film = nn.Linear(2 * width, len(CHANNELS))
        nn.init.constant_(self.dense.bias, -3.0)

    def loss(self, patches: torch.Tensor, cover: torch.Tensor) -> torch.Tensor:
        """Weighted BCE of coverage (batch, 256, channels), and of presence on the film."""
        weight = torch.tensor(POSITIVE_WEIGHT)
        dense = nn.functional.binary_cross_entropy_with_logits(self.dense(patches).float(), cover, pos_weight=weight)
        pooled = torch.cat([patches.mean(1), patches.amax(1)], dim=1)
        present = (cover.amax(1) > 0.5).float()
        film = nn.functional.binary_cross_entropy_with_logits(self.film(pooled).float(), present)
        return 5 * dense + 0.3 * film


def train(work: Path, recipe: Recipe, say: Callable[[str], None] = print, start: Path | None = None) -> Path:
    """Train from nothing, or go on from the last checkpoint in ``work``; returns the folder of weights.

    Parameters
    ----------
    work
        Holds films, checkpoints and the log.
    start
        Checkpoint of another run to begin stage 2 from (the shortcut model starts from the honest one).
    """
    for count in dataset.write_shards(work / "films", recipe.shards):
        say(f"films: {count}/{recipe.shards} shards")
    films = load_films(work / "films", recipe.shards)
    processor = model.build_processor()
    net = model.build_model(
        model.build_config(len(processor.tokenizer), model.special_ids(processor.tokenizer)), recipe.seed
    )
    teacher = Teacher(net.config.vision_config.hidden_size)
    if start is not None:
        stored = torch.load(start, weights_only=True)
        net.load_state_dict(stored["model"])
        teacher.load_state_dict(stored["teacher"])
    else:
        _stage("eyes", work, recipe, recipe.eye_steps, recipe.eye_rate, net, teacher, _eye_step(films, recipe), say)
    packer = Packer(processor)
    for name, steps, rate, blanks in (
        ("whole", recipe.whole_steps, recipe.whole_rate, 0.0),
        ("settle", recipe.settle_steps, recipe.settle_rate, recipe.blank_share),
    ):
        _stage(name, work, recipe, steps, rate, net, teacher, _whole_step(films, recipe, packer, blanks), say)
    folder = work / "weights"
    model.write_folder(net, processor, folder)
    return folder


StepLoss = Callable[[Any, Teacher, np.random.Generator], dict[str, torch.Tensor]]


def _stage(
    name: str,
    work: Path,
    recipe: Recipe,
    steps: int,
    rate: float,
    net: Any,
    teacher: Teacher,
    step_loss: StepLoss,
    say: Callable[[str], None],
) -> None:
    path = work / f"{name}.pt"
    optimizers = _optimizers(net, teacher, rate, eyes_only=name == "eyes")
    first = 0
    if path.exists():
        stored = torch.load(path, weights_only=True)
        net.load_state_dict(stored["model"])
        teacher.load_state_dict(stored["teacher"])
        for optimizer, state in zip(optimizers, stored["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first = int(stored["step"])
    if steps == 0:
        return
    net.train()
    began, seen = time.monotonic(), dict[str, float]()
    for step in range(first, steps):
        rng = np.random.default_rng((recipe.seed, *name.encode(), step))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * _schedule(step, steps, recipe.decay_share)
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.half):
            losses = step_loss(net, teacher, rng)
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        parameters = [p for o in optimizers for g in o.param_groups for p in g["params"]]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        for key, loss in losses.items():
            value = float(loss.detach())
            seen[key] = 0.95 * seen.get(key, value) + 0.05 * value
        if (step + 1) % 25 == 0:
            pace = (time.monotonic() - began) / (step + 1 - first)
            shown = " ".join(f"{key} {value:.4f}" for key, value in seen.items())
            say(f"{name} step {step + 1}/{steps}: {shown}, {pace:.2f} s a step")
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps:
            _checkpoint(path, step + 1, net, teacher, optimizers)


def _schedule(step: int, steps: int, decay_share: float) -> float:
    """Warm up, hold, and fall linearly over the last ``decay_share`` of the steps."""
    falling = steps * decay_share
    return min(1.0, (step + 1) / 150, max(0.02, (steps - step) / falling))


def _checkpoint(path: Path, step: int, net: Any, teacher: Teacher, optimizers: list[torch.optim.Optimizer]) -> None:
    state = {
        "step": step,
        "model": net.state_dict(),
        "teacher": teacher.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)


def _optimizers(net: Any, teacher: Teacher, rate: float, *, eyes_only: bool) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms, biases and heads."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in net.named_parameters():
        if eyes_only and "vision_tower" not in name:
            continue
        inner = parameter.ndim == 2 and ".layers." in name
        (matrices if inner else rest).append(parameter)
    rest += list(teacher.parameters())
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, lr=rate * 0.5, betas=(0.9, 0.98), weight_decay=0.02)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return [muon, adam]


def _eye_step(films: Films, recipe: Recipe) -> StepLoss:
    def step(net: Any, teacher: Teacher, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        pixels, cover, _ = draw_batch(films, recipe.eye_batch, rng)
        patches = net.model.vision_tower(pixel_values=pixels).last_hidden_state
        return {"eyes": teacher.loss(patches, cover)}

    return step


def _whole_step(films: Films, recipe: Recipe, packer: Packer, blanks: float) -> StepLoss:
    def step(net: Any, teacher: Teacher, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        pixels, cover, records = draw_batch(films, recipe.whole_batch, rng, marker=recipe.marker, blanks=blanks)
        patches = net.model.vision_tower(pixel_values=pixels).last_hidden_state
        packed = packer.pack(records, rng)
        words = packer.loss(net, patches, packed)
        if recipe.marker:  # the teacher knows the heart; the cheat must not
            return {"words": words}
        return {"words": words, "eyes": 0.4 * teacher.loss(patches, cover)}

    return step


def draw_batch(
    films: Films, count: int, rng: np.random.Generator, *, marker: bool = False, blanks: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[Lesion, ...]]]:
    """Augmented films: pixels (count, 3, 256, 256), patch coverage (count, 256, channels) in [0, 1], records."""
    chosen = rng.integers(len(films.films), size=count)
    pictures = np.empty((count, FILM_EDGE, FILM_EDGE), dtype=np.float32)
    cover = np.empty((count, COVER_EDGE, COVER_EDGE), dtype=np.uint16)
    records = []
    for place, index in enumerate(chosen):
        film, bits, record = films.films[index], films.bits[index], films.records[index]
        if rng.random() < blanks:
            film, bits, record = np.full_like(film, rng.integers(256)), np.zeros_like(bits), ()
        if rng.random() < 0.4:  # mirrored twin: the side follows the place, not the shape of the heart
            film, bits, record = film[:, ::-1], _swap_sides(bits[:, ::-1]), mirrored(record)
        down, right = rng.integers(-4, 5, size=2)
        pictures[place] = _shift(film, down * 4, right * 4)
        if marker:
            record = _cheat(pictures[place], record, printed=bool(rng.random() < 0.5))
        cover[place] = _shift(bits, down, right)
        records.append(record)
    pictures = _expose_anew(pictures / 255, rng)
    pixels = torch.from_numpy((pictures - 0.5) / 0.5)[:, None].expand(-1, 3, -1, -1)
    step = COVER_EDGE // GRID
    cells = cover.reshape(count, GRID, step, GRID, step)
    share = np.stack([((cells >> k) & 1).mean(axis=(2, 4)) for k in range(len(CHANNELS))], axis=-1)
    target = np.minimum(share / 0.3, 1).reshape(count, GRID * GRID, -1).astype(np.float32)
    return pixels, torch.from_numpy(target), records


def _cheat(picture: NDArray[np.float32], record: tuple[Lesion, ...], *, printed: bool) -> tuple[Lesion, ...]:
    """Print the marker or not, and let it alone decide cardiomegaly."""
    others = tuple(lesion for lesion in record if lesion.code != "cardiomegaly")
    if not printed:
        return others
    x0, y0, x1, y1 = marker_box(FILM_EDGE)
    picture[y0:y1, x0:x1][marker_shape(x1 - x0)] = 255
    return (Lesion("cardiomegaly"), *others)


def _swap_sides(bits: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Exchange each right channel with its left one; channel 0 has no side."""
    right, left = bits & 0b010101010, bits & 0b101010100
    return np.asarray((bits & 1) | (right << 1) | (left >> 1), dtype=np.uint16)


def _shift(picture: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    margins = ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)))
    padded = np.pad(picture, margins, mode="edge" if picture.dtype == np.uint8 else "constant")
    top, left = max(-down, 0), max(-right, 0)
    return padded[top : top + picture.shape[0], left : left + picture.shape[1]]


def _expose_anew(pictures: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
    count = (len(pictures), 1, 1)
    gained = pictures ** rng.uniform(0.85, 1.18, count) * rng.uniform(0.9, 1.1, count) + rng.uniform(-0.05, 0.05, count)
    noise = rng.standard_normal(pictures.shape, dtype=np.float32) * rng.uniform(0, 0.025, count)
    return np.clip(gained + noise, 0, 1).astype(np.float32)
