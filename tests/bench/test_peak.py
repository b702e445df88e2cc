"""Memory that was held only for a moment is seen."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from radiolucent.bench.peak import peak_memory, resident

SIZE = 200_000_000  # bytes


def test_a_block_freed_again_counts_as_peak() -> None:
    before = resident()
    with peak_memory(torch.device("cpu")) as peak:
        held = np.ones(SIZE, dtype=np.uint8)
        time.sleep(0.05)
        del held
    assert 0.9 * SIZE < peak.most - peak.before < 1.5 * SIZE
    assert abs(peak.before - before) < 0.1 * SIZE


def test_the_peak_is_final_after_an_exception() -> None:
    with pytest.raises(KeyError), peak_memory(torch.device("cpu")) as peak:
        raise KeyError
    assert peak.most >= peak.before > 0


def test_cuda_reads_the_allocators_own_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 70)
    with peak_memory(torch.device("cuda")) as peak:
        pass
    assert (peak.before, peak.most) == (10, 70)
