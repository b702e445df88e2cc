"""A CT of 85 slices with row capture: run where a small model stands in, and set against full maps by arithmetic."""

from __future__ import annotations

import numpy as np

from radiolucent.bench.clock import timed
from radiolucent.bench.passes import counted_passes
from radiolucent.bench.peak import peak_memory
from radiolucent.bench.record import Measurement
from radiolucent.bench.workload import Workload, measured_on
from radiolucent.bench.writing import rows_bytes
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Display, Frame, Source, Study
from radiolucent.vlm.profile import MAX_SLICES
from radiolucent.vlm.random_weights import SHAPES
from radiolucent.vlm.types import Prompt

SLICE_EDGE = 256  # pixels
NEW_TOKENS = 4
BF16 = 2  # bytes
REPORT = 300  # tokens


def volume(work: Workload) -> list[Measurement]:
    """The rows of a few tokens after 85 slices, and what full maps of the same pass would take."""
    model = work.other("demo")
    study = ct_study(MAX_SLICES)
    prompt = Prompt("Describe the main findings.")

    def trace() -> tuple[int, int]:
        generation = model.generate(prompt, model.encode(study), max_new_tokens=NEW_TOKENS)
        return rows_bytes(generation.rows), len(generation.prompt_inputs.input_ids)

    with counted_passes(model.module) as count, peak_memory(model.device) as peak:
        (kept, positions), seconds = timed(trace, model.device)
    text = model.module.config.text_config
    maps = text.num_hidden_layers * text.num_attention_heads * positions**2 * model.dtype.itemsize
    full = SHAPES["4b"]
    cells = MAX_SLICES * full.cells
    row = full.layers * full.heads * cells * BF16
    return [
        measured_on(
            model,
            "volume",
            f"trace of a CT of {MAX_SLICES} slices: {positions} positions, {NEW_TOKENS} tokens, bytes of the rows kept",
            "one run on the demo model, in the 4B model's place: its encode alone would take half an hour on two "
            "cores; passes counted by hooks; full maps and the 4B figures are arithmetic",
            seconds=seconds,
            bytes=kept,
            ratio=kept / maps,
            ratio_of="rows kept ÷ full maps of the prompt",
            encodes=count.encodes,
            prefills=count.prefills,
            forwards=count.forwards,
            steps=count.steps,
            details={"full_maps_bytes": maps, "peak_extra_bytes": peak.most - peak.before, "positions": positions},
        ),
        measured_on(
            model,
            "volume_4b",
            f"rows of a {REPORT}-token report after {MAX_SLICES} slices at 4B size, beside full maps",
            "ARITHMETIC, not run: layers x heads x image cells x 2 bytes a token; full maps: layers x heads x "
            f"{cells}² image positions x 2 bytes",
            bytes=row * REPORT,
            ratio=row * REPORT / (full.layers * full.heads * cells**2 * BF16),
            ratio_of="rows kept ÷ full maps",
            extrapolated=True,
            details={
                "row_bytes_a_token": row,
                "full_maps_bytes": full.layers * full.heads * cells**2 * BF16,
            },
        ),
    ]


def ct_study(slices: int) -> Study:
    """Slices of a body of water in air with a little noise, Hounsfield values; only the sizes matter."""
    rows, cols = np.mgrid[-1 : 1 : SLICE_EDGE * 1j, -1 : 1 : SLICE_EDGE * 1j]
    body = np.where((rows / 0.7) ** 2 + (cols / 0.9) ** 2 < 1, 40.0, -1000.0)
    noise = np.random.default_rng(0)
    geometry = Geometry(rows=SLICE_EDGE, cols=SLICE_EDGE)
    frames = tuple(
        Frame((body + noise.normal(0, 10, body.shape)).astype(np.float32), Display(40, 400), geometry)
        for _ in range(slices)
    )
    return Study(frames, "CT", Source("array", ""))
