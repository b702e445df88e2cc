"""The most memory that a piece of work held: resident bytes on the CPU, allocated bytes on CUDA."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

EVERY = 0.005  # seconds between looks at the resident size


@dataclass
class Peak:
    """Bytes held before the work, and at most while it ran."""

    before: int
    most: int


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(psutil.Process().memory_info().rss)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watch memory inside the block; ``most`` is final after it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        peak = Peak(torch.cuda.memory_allocated(device), 0)
        yield peak
        peak.most = torch.cuda.max_memory_allocated(device)
        return
    process = psutil.Process()
    peak = Peak(resident(), resident())
    done = threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            peak.most = max(peak.most, int(process.memory_info().rss))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.most = max(peak.most, resident())
