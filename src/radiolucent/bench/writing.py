"""Sections about writing: a plain generation, row capture beside it, samples beside one another, a trace's memory."""

from __future__ import annotations

import statistics
from typing import Any

from radiolucent.bench.clock import paired, timed
from radiolucent.bench.passes import counted_passes
from radiolucent.bench.peak import peak_memory
from radiolucent.bench.record import Goal, Measurement
from radiolucent.bench.workload import Workload, repeats_said
from radiolucent.trace.build import build_trace
from radiolucent.trace.types import Trace
from radiolucent.vlm.types import AttentionRows

SAMPLES = 16
TRACED_TOKENS = 300
MEGABYTE = 1_000_000


def plain(work: Workload) -> list[Measurement]:
    """The baseline: one image encode, one prefill, so many tokens, nothing captured."""
    measured = work.plain
    totals = [measured.total]
    for _ in range(work.pairs - 1):
        totals.append(timed(work.from_scratch, work.place)[1])
    return [
        work.row(
            "plain",
            f"plain generation: image encode, prefill of {measured.prefilled.length} positions, {work.tokens} tokens",
            f"{repeats_said(len(totals))}; the prefill records one row a layer in any case",
            seconds=statistics.median(totals),
            details={
                "encode_seconds": measured.encode,
                "prefill_seconds": measured.prefill,
                "decode_seconds": measured.decode,
                "decode_seconds_a_token": measured.decode / work.tokens,
                "prompt_positions": measured.prefilled.length,
            },
        )
    ]


def capture(work: Workload) -> list[Measurement]:
    """Row capture against none: the decode steps of both from one prefill, in turn."""
    start = work.plain
    kept: list[AttentionRows] = []

    def captured() -> None:
        rows = work.write(start.features, start.prefilled, capture=True).rows
        kept[:] = [] if rows is None else [rows]

    pairs = paired(
        lambda: work.write(start.features, start.prefilled, capture=False),
        captured,
        pairs=work.repeats,
        device=work.place,
        shared=start.encode + start.prefill,
    )
    return [
        work.row(
            "capture",
            "generation with row capture ÷ plain generation",
            f"{pairs.said}: the decode steps from one shared prefill, image encode and prefill added to both",
            seconds=pairs.seconds,
            ratio=pairs.ratio,
            ratio_of="with capture ÷ without",
            bytes=rows_bytes(kept[-1]),
            goal=Goal("ratio", 1.05),
            details={
                "decode_seconds_without": list(pairs.baseline),
                "decode_seconds_with": list(pairs.compared),
                "decode_alone_ratio": type(pairs)(pairs.baseline, pairs.compared).ratio,
                "row_bytes_a_token": rows_bytes(kept[-1]) / work.tokens,
            },
        )
    ]


def samples(work: Workload) -> list[Measurement]:
    """Sixteen sampled reports against one, each from a fresh film: encode, prefill, and all sequences side by side."""
    seconds: dict[int, list[float]] = {1: [], SAMPLES: []}
    counts = []

    def draw(count: int) -> Any:
        study = work.fresh_film()
        return work.model.sample(work.prompt, work.model.encode(study), count=count, max_new_tokens=work.tokens)

    for _ in range(work.pairs):
        seconds[1].append(timed(lambda: draw(1), work.place)[1])
        with counted_passes(work.model.module) as count:
            seconds[SAMPLES].append(timed(lambda: draw(SAMPLES), work.place)[1])
        counts.append(count)
    worst = max(counts, key=lambda count: (count.encodes, count.prefills))
    return [
        work.row(
            "samples",
            f"{SAMPLES} samples ÷ 1 sample, whole runs",
            f"{repeats_said(work.pairs)} of each, in turn, each from a fresh film; passes counted by hooks",
            seconds=statistics.median(seconds[SAMPLES]),
            ratio=statistics.median(m / o for o, m in zip(seconds[1], seconds[SAMPLES], strict=True)),
            ratio_of=f"{SAMPLES} samples ÷ 1 sample",
            encodes=worst.encodes,
            prefills=worst.prefills,
            forwards=worst.forwards,
            steps=worst.steps,
            goal=Goal("ratio", 3.0, {"encodes": 1, "prefills": 1, "forwards": 0}),
            details={"one_sample_seconds": seconds[1], "sixteen_samples_seconds": seconds[SAMPLES]},
        )
    ]


def trace_memory(work: Workload) -> list[Measurement]:
    """Memory of a generation with its trace over the same generation without: peaks, and what is kept."""
    start = work.plain
    with peak_memory(work.place) as without:
        work.write(start.features, start.prefilled, capture=False, tokens=TRACED_TOKENS)
    with peak_memory(work.place) as traced:
        generation = work.write(start.features, start.prefilled, capture=True, tokens=TRACED_TOKENS)
    with peak_memory(work.place) as building:
        trace = build_trace(work.model, start.features, generation, reliance=False)
    extra = max(traced.most, building.most) - without.most
    return [
        work.row(
            "trace_memory",
            f"peak memory of a {TRACED_TOKENS}-token generation and its trace, over the same generation alone",
            "one run of each; the resident size of the process (CUDA: allocated bytes) watched while they ran, "
            "freed memory reused by both",
            bytes=extra,
            goal=Goal("bytes", 64 * MEGABYTE),
            details={
                "rows_bytes": rows_bytes(generation.rows),
                "trace_bytes": trace_bytes(trace),
                "peak_without": without.most,
                "peak_with": max(traced.most, building.most),
                "row_bytes_a_token": rows_bytes(generation.rows) / TRACED_TOKENS,
            },
        )
    ]


def rows_bytes(rows: AttentionRows | None) -> int:
    """Bytes of the attention rows kept."""
    return 0 if rows is None else sum(int(array.nbytes) for array in (rows.image, rows.prompt_text, rows.generated))


def trace_bytes(trace: Trace) -> int:
    """Bytes of the attended maps kept word by word."""
    return sum(int(word.attended.nbytes) for word in trace.words if word.attended is not None)
