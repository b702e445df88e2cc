"""A seeded share of the corpus of damaged and hostile files, and the hostile ones by name."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
from malformed_files import SCRIPT, corpus

from radiolucent.clinic.intake import DamagedUpload, Limits, UnfitUpload, parse

COUNT = 100


def test_a_share_of_the_corpus_neither_crashes_nor_hangs(tmp_path: Path) -> None:
    module = corpus()
    held = module.bases()
    sound = [("as it is", content) for contents in held.values() for content in contents[:: len(contents) // 4 or 1]]
    share = [*sound, *(module.one_file(held, 7, index) for index in range(COUNT))]
    result = module.summed([module.examine(iter(share), tmp_path, lambda number: None)])
    assert result["files"] >= COUNT
    assert result["broken"] == []
    assert result["opened"] + result["refused"] == result["files"]
    assert 0 < result["opened"] < result["files"]
    assert result["slowest_s"] < module.LONGEST_S and result["peak_mb"] < module.LIMITS.memory_mb


def test_the_committed_result_is_whole_and_keeps_the_promise() -> None:
    result = json.loads((SCRIPT.parent.parent / "docs" / "clinic" / "malformed.json").read_text(encoding="utf-8"))
    assert result["files"] >= 5000
    assert result["broken"] == []
    assert result["opened"] + result["refused"] == result["files"]
    assert result["slowest_s"] <= 10.5 and result["peak_mb"] <= result["limit_mb"]


def test_a_decompression_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    module = corpus()
    held = module.bases()
    for seed in range(8):
        path = tmp_path / "bomb"
        path.write_bytes(module._bomb(held, random.Random(seed)))
        with pytest.raises((DamagedUpload, UnfitUpload)) as refused:
            parse([path], Limits(memory_mb=1024))
        assert refused.value.peak_mb < 200


def test_a_file_that_needs_too_much_memory_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """A length of four gigabytes that nothing stands behind."""
    module = corpus()
    content = bytearray(module.bases()["dicom"][-1])
    at = bytes(content).rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    content[at + 8 : at + 12] = struct.pack("<I", 0xFFFFFFF0)
    path = tmp_path / "greedy.dcm"
    path.write_bytes(content)
    with pytest.raises(DamagedUpload) as refused:
        parse([path], Limits(memory_mb=700))
    assert refused.value.peak_mb < 700
