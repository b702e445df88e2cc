"""Sections about explaining: the levels over a plain generation, coarse-to-fine occlusion over dense, the page."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.registry import attribute
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.bench.clock import timed
from radiolucent.bench.paint import first_paint
from radiolucent.bench.passes import PassCount, counted_passes
from radiolucent.bench.record import Goal, Measurement
from radiolucent.bench.workload import Workload, film, measured_on, repeats_said, spans
from radiolucent.bench.writing import MEGABYTE
from radiolucent.explain import explain
from radiolucent.faithfulness.evaluate import true_positives
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.faithfulness.pointing import pointing_hit
from radiolucent.findings import extract_findings
from radiolucent.levels import PLANS, Level
from radiolucent.report.explanation import Explanation
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import load_model
from radiolucent.vlm.parity import measured_bound
from radiolucent.vlm.types import Features, Generation, Prompt, Target

OCCLUDED_FILMS = 6
DENSE, COARSE_TO_FINE = "occlusion", "hierarchical_occlusion"
PAGE_WORDS = 300
PAGE_FILM_EDGE = 2048  # pixels; a phantom's noise packs no better than a film's


def quick(work: Workload) -> list[Measurement]:
    """Level quick, and what the first film after loading costs more."""
    first = _first_film(work)
    return [_level(work, "quick", 1.3), *first]


def standard(work: Workload) -> list[Measurement]:
    """Level standard: trace, reliance, maps, verification and samples."""
    _first_film(work)
    return [_level(work, "standard", 3.0)]


def _first_film(work: Workload) -> list[Measurement]:
    """The noise bound of the parity gate, which a bf16 model needs once after loading; later films find it."""
    model, start = work.model, work.plain
    if model.dtype.itemsize == 4 or model.parity_bound is not None:
        return []
    bound, seconds = timed(
        lambda: measured_bound(model, start.prefilled.inputs, start.features.soft_tokens), work.place
    )
    model.parity_bound = bound
    return [
        work.row(
            "parity_bound",
            "what the first explanation after loading takes longer: the noise of the model's own arithmetic, for the "
            "parity gate",
            "one run",
            seconds=seconds,
            ratio=seconds / start.total,
            ratio_of="once after loading ÷ plain generation",
            details={"bound_nats": bound},
        )
    ]


def _level(work: Workload, level: Level, at_most: float) -> Measurement:
    plain, seconds, counts = [work.plain.total], list[float](), list[PassCount]()
    made: Explanation | None = None
    for index in range(work.pairs):
        if index:
            plain.append(timed(work.from_scratch, work.place)[1])
        run = partial(
            explain,
            work.model,
            work.fresh_film(),
            language="en",
            level=level,
            max_new_tokens=work.tokens,
            extractor=work.spans,
        )
        with counted_passes(work.model.module) as count:
            made, took = timed(run, work.place)
        seconds.append(took)
        counts.append(count)
    worst = max(counts, key=lambda count: (count.encodes, count.prefills, count.forwards))
    assert made is not None
    beside = PLANS[level].beside
    return work.row(
        level,
        f"explanation at level {level} with {work.findings} findings ÷ plain generation",
        f"{repeats_said(len(seconds))} of each, each from a fresh film; findings are word spans handed in through the "
        f"extractor{_AGREEING if beside else ''}",
        seconds=statistics.median(seconds),
        ratio=statistics.median(took / base for base, took in zip(plain, seconds, strict=True)),
        ratio_of=f"{level} ÷ plain generation",
        encodes=worst.encodes,
        prefills=worst.prefills,
        forwards=worst.forwards,
        steps=worst.steps,
        goal=Goal("ratio", at_most),
        details={
            "steps_seconds": made.provenance.get("seconds", {}),
            "maps": len(made.maps),
            "findings": len(made.findings),
            "samples_beside_the_report": beside,
            "plain_seconds": plain,
        },
    )


_AGREEING = ", the same in every sample, so that sampling stops as soon as it may"


@dataclass
class _Occluded:
    """What one method cost and hit over all findings."""

    passes: PassCount = field(default_factory=PassCount)
    seconds: float = 0.0
    hits: float = 0.0


def occlusion(work: Workload) -> list[Measurement]:
    """Coarse-to-fine occlusion against dense on the demo model's phantoms: passes by hooks, hits against the truth."""
    model = load_model("demo", device=work.device)  # its reports end where they end, so that findings can be true
    prompt = Prompt(model.profile.question("en"))
    methods = {name: _Occluded() for name in (DENSE, COARSE_TO_FINE)}
    explained = 0
    for case in phantom_cases(OCCLUDED_FILMS):
        features = model.encode(case.study)
        generation = model.generate(prompt, features)
        written = extract_findings(generation.text, "en")
        for finding in true_positives(written, case)[:1]:
            explained += 1
            target = finding_target(generation, finding, written)
            for name, spent in methods.items():
                make = partial(_map_of, model, features, generation, target, name)
                with counted_passes(model.module) as count:
                    made, seconds = timed(make, model.device)
                spent.passes += count
                spent.seconds += seconds
                if made is not None:
                    spent.hits += pointing_hit(made.values, [case.masks[finding.code]], made.geometry)
    dense, fine = methods[DENSE], methods[COARSE_TO_FINE]
    row = partial(
        measured_on,
        model,
        "occlusion",
        "hierarchical_occlusion ÷ dense occlusion, forwards",
        f"{explained} findings rightly reported on {OCCLUDED_FILMS} phantoms, one map each with the methods' own "
        "settings; passes counted by hooks",
        goal=Goal("ratio", 0.1),
    )
    if not dense.passes.forwards:
        return [row(error="no finding was rightly reported, so none was explained")]
    return [
        row(
            seconds=fine.seconds,
            ratio=fine.passes.forwards / dense.passes.forwards,
            ratio_of="forwards, coarse to fine ÷ dense",
            encodes=fine.passes.encodes,
            forwards=fine.passes.forwards,
            details={
                "dense_forwards": dense.passes.forwards,
                "dense_encodes": dense.passes.encodes,
                "dense_seconds": dense.seconds,
                "hits": fine.hits,
                "dense_hits": dense.hits,
                "explained": explained,
            },
        )
    ]


def _map_of(
    model: Gemma3Model, features: Features, generation: Generation, target: Target, method: str
) -> AttributionMap | None:
    try:
        return attribute(model, features, generation, target, method)
    except EmptyMap:
        return None


def page(work: Workload) -> list[Measurement]:
    """report.html of a 300-word report: its size, and its first paint in Chromium where there is one."""
    model = work.other("slim-random")
    made = explain(
        model,
        film(PAGE_FILM_EDGE),
        language="en",
        level="quick",
        max_new_tokens=PAGE_WORDS,
        extractor=lambda text: spans(text, work.findings),
    )
    with tempfile.TemporaryDirectory() as folder:
        bundle, seconds = timed(lambda: made.save(Path(folder) / "bundle"), model.device)
        size = (bundle / "report.html").stat().st_size
        painted = first_paint(bundle / "report.html")
    words = len(made.trace.words) if made.trace is not None else 0
    how = (
        f"one report of {words} words, a {PAGE_FILM_EDGE}-px film, a model with the 4B model's layers, heads and cells"
    )
    return [
        measured_on(
            model,
            "page_size",
            f"report.html of a {PAGE_WORDS}-word report",
            how,
            bytes=size,
            goal=Goal("bytes", 3 * MEGABYTE),
            details={"words": words, "save_seconds": seconds},
        ),
        measured_on(
            model,
            "page_paint",
            f"first paint of the report.html of a {PAGE_WORDS}-word report",
            f"{how}; {painted.how}",
            seconds=painted.seconds,
            goal=Goal("seconds", 1.0),
            error=None if painted.seconds is not None else painted.how,
        ),
    ]
