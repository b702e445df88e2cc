"""Sections on a tiny model: what they count, what they call a median, and that a cheat is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from radiolucent.bench import explaining, paint, volume, writing
from radiolucent.bench.passes import counted_passes
from radiolucent.bench.pieces import naive, pieces
from radiolucent.bench.record import Measurement
from radiolucent.bench.workload import Workload, build, film, spans, without_end
from radiolucent.errors import MalformedInput, WeightsUnavailable
from radiolucent.vlm.gemma3 import Gemma3Model

TOKENS = 12


@pytest.fixture(scope="module")
def work() -> Workload:
    return Workload("tiny-random", tokens=TOKENS, findings=3, repeats=3)


def only(rows: list[Measurement], name: str) -> Measurement:
    (row,) = [row for row in rows if row.name == name]
    return row


def test_the_model_goes_on_past_its_end_token(work: Workload) -> None:
    demo = without_end(build("demo"))
    generation = demo.generate(work.prompt, demo.encode(film(128)), max_new_tokens=60)
    assert len(generation.token_ids) == 60
    assert set(generation.token_ids.tolist()) & set(build("demo").profile.end_tokens)


def test_an_unknown_model_is_a_typed_error() -> None:
    with pytest.raises(WeightsUnavailable):
        build("5b-random")


def test_each_film_is_a_new_one_to_the_model(work: Workload) -> None:
    with counted_passes(work.model.module) as count:
        for _ in range(3):
            work.model.encode(work.fresh_film())
    assert count.encodes == 3


def test_plain_is_measured_once_and_its_parts_add_up(work: Workload) -> None:
    assert work.plain is work.plain
    assert work.plain.total == work.plain.encode + work.plain.prefill + work.plain.decode
    assert len(work.plain.generation.token_ids) == TOKENS and work.plain.generation.rows is None
    (row,) = writing.plain(work)
    assert row.seconds is not None and row.seconds > 0 and "median of 3" in row.how


def test_capture_keeps_the_bytes_that_arithmetic_says(work: Workload) -> None:
    (row,) = writing.capture(work)
    text = work.model.module.config.text_config
    cells = work.model.profile.cells
    numbers = text.num_hidden_layers * text.num_attention_heads * TOKENS
    assert row.bytes == numbers * (2 * cells + 4 + 4)  # float16 a cell; two float32 sums
    assert len(row.details["decode_seconds_with"]) == 3 and "median of 3 paired runs" in row.how
    assert row.goal is not None and row.goal.at_most == 1.05


def test_samples_are_one_encode_and_one_prefill(work: Workload) -> None:
    (row,) = writing.samples(work)
    assert (row.encodes, row.prefills, row.forwards, row.steps) == (1, 1, 0, TOKENS - 1)
    assert row.goal is not None and row.goal.counts == {"encodes": 1, "prefills": 1, "forwards": 0}


def test_a_model_that_encodes_for_every_sample_does_not_meet_the_goal(
    work: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Gemma3Model.sample

    def careless(self: Gemma3Model, prompt: Any, features: Any, **options: Any) -> Any:
        self.encode_pixels(features.pixels)
        return honest(self, prompt, features, **options)

    monkeypatch.setattr(Gemma3Model, "sample", careless)
    (row,) = writing.samples(work)
    assert row.encodes == 2 and row.ratio is not None and row.ratio < 3 and row.met is False


def test_a_second_prefill_does_not_meet_the_goal(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Gemma3Model.sample

    def careless(self: Gemma3Model, prompt: Any, features: Any, **options: Any) -> Any:
        self.prefill(prompt, features)
        return honest(self, prompt, features, **options)

    monkeypatch.setattr(Gemma3Model, "sample", careless)
    (row,) = writing.samples(work)
    assert row.prefills == 2 and row.met is False


def test_quick_counts_its_passes_and_names_the_cost_of_the_first_film() -> None:
    fresh = Workload("tiny-random", tokens=TOKENS, findings=3, repeats=1)
    rows = explaining.quick(fresh)
    quick = only(rows, "quick")
    assert quick.encodes == 1 and quick.prefills == 1 and quick.forwards >= 1
    assert quick.details["findings"] == 3 and quick.details["maps"] >= 1
    assert only(rows, "parity_bound").ratio_of.startswith("once after loading")
    assert [row.name for row in explaining.quick(fresh)] == ["quick"]


def test_trace_memory_counts_rows_and_maps(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TRACED_TOKENS", 20)
    (row,) = writing.trace_memory(work)
    assert row.details["rows_bytes"] == pytest.approx(20 * row.details["row_bytes_a_token"])
    assert row.details["trace_bytes"] > 0 and row.bytes is not None


def test_pieces_cover_encode_prefill_steps_and_gradients(work: Workload) -> None:
    names = {row.name.removeprefix("piece_") for row in pieces(work)}
    assert {
        "encode", "blank_encode", "prefill", "decode_step_batch_1", "decode_step_batch_4", "decode_step_batch_16",
        "replay", "replay_and_backward", "lm_head_batch_1", "statistics_batch_16", "draw_batch_16",
    } <= names  # fmt: skip


def test_the_naive_recipe_is_said_to_be_extrapolated_and_adds_its_pieces(work: Workload) -> None:
    (row,) = naive(work)
    assert row.extrapolated and "EXTRAPOLATED" in row.how and "never run whole" in row.how
    parts, replay = row.details["parts_seconds"], row.details["replay_seconds"]
    windows = (work.model.profile.grid - 1) ** 2
    assert parts["windows"] == pytest.approx(3 * windows * (work.plain.encode + replay))
    assert row.seconds == pytest.approx(sum(parts.values()))
    config = work.model.module.config
    positions = work.plain.prefilled.length + TOKENS
    text, vision = config.text_config, config.vision_config
    assert row.details["text_maps_bytes"] == text.num_hidden_layers * text.num_attention_heads * positions**2 * 2
    patches = (vision.image_size // vision.patch_size) ** 2
    assert row.details["vision_maps_bytes"] == vision.num_hidden_layers * vision.num_attention_heads * patches**2 * 2
    assert config.text_config._attn_implementation == "sdpa" == config.vision_config._attn_implementation


def test_a_volume_keeps_rows_and_not_maps(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "MAX_SLICES", 3)
    monkeypatch.setattr(Workload, "other", lambda self, name: work.model)
    small, full = volume.volume(work)
    text = work.model.module.config.text_config
    numbers = text.num_hidden_layers * text.num_attention_heads
    assert (small.encodes, small.prefills, small.forwards) == (3, 1, 0)
    assert small.bytes == numbers * volume.NEW_TOKENS * (3 * work.model.profile.cells * 2 + 8)
    assert small.details["full_maps_bytes"] == numbers * small.details["positions"] ** 2 * 2
    assert full.extrapolated and "ARITHMETIC" in full.how


def test_full_maps_of_eighty_five_slices_would_need_258_gigabytes(
    work: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workload, "other", lambda self, name: work.model)
    monkeypatch.setattr(volume, "ct_study", lambda slices: volume.Study(film(64).frames, "DX", film(64).source))
    _, full = volume.volume(work)
    assert round(full.details["full_maps_bytes"] / 1e9) == 258
    assert round(full.details["row_bytes_a_token"] / 85 / 1e3) == 139  # kB a token and image


def test_occlusions_are_counted_at_the_modules(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(model: Any, features: Any, generation: Any, target: Any, method: str) -> Any:
        for _ in range(10 if method == explaining.DENSE else 2):
            model.replay(generation, features)
        raise explaining.EmptyMap("nothing", "nothing")

    monkeypatch.setattr(explaining, "attribute", counted)
    monkeypatch.setattr(explaining, "OCCLUDED_FILMS", 2)
    (row,) = explaining.occlusion(work)
    assert row.details["explained"] >= 1 and row.model == "demo"
    assert row.ratio == pytest.approx(0.2) and row.met is False
    assert row.forwards == 2 * row.details["explained"] and row.details["hits"] == 0


def test_the_page_is_weighed_and_painted_or_said_not_to_be(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workload, "other", lambda self, name: work.model)
    monkeypatch.setattr(explaining, "PAGE_FILM_EDGE", 128)
    monkeypatch.setattr(explaining, "PAGE_WORDS", 10)
    monkeypatch.setattr(paint.shutil, "which", lambda name: None)
    rows = explaining.page(work)
    assert only(rows, "page_size").bytes and only(rows, "page_size").met
    painted = only(rows, "page_paint")
    assert painted.seconds is None and painted.met is None and "Chromium is not installed" in str(painted.error)


def test_spans_are_as_many_as_asked_apart_and_of_the_text() -> None:
    text = "one two three four five six seven eight nine ten"
    found = spans(text, 3)
    assert len({finding.id for finding in found}) == 3
    assert all(text[slice(*finding.chars)] == finding.words for finding in found)
    assert all(np.diff([edge for finding in found for edge in finding.chars]) > 0)
    assert [len(finding.words.split()) for finding in found] == [3, 3, 3]
    assert [finding.words for finding in spans("a b", 2)] == ["a", "b"]
    with pytest.raises(MalformedInput, match="2 words"):
        spans("a b", 3)
