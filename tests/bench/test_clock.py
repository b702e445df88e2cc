"""Pairs run in turn, and their ratio is the median over pairs, not a ratio of sums."""

from __future__ import annotations

import time

import pytest
import torch

from radiolucent.bench.clock import Pairs, paired, timed

CPU = torch.device("cpu")


def test_pairs_run_in_turn() -> None:
    order: list[str] = []
    paired(lambda: order.append("plain"), lambda: order.append("captured"), pairs=3, device=CPU)
    assert order == ["plain", "captured"] * 3


def test_the_ratio_is_the_median_of_the_pairs_and_one_disturbed_run_does_not_move_it() -> None:
    pairs = Pairs(baseline=(1.0, 2.0, 10.0), compared=(1.1, 2.4, 90.0))
    assert pairs.ratio == pytest.approx(1.2)  # 1.1, 1.2, 9.0
    assert pairs.seconds == pytest.approx(2.4)


def test_what_both_share_is_added_to_both() -> None:
    assert Pairs((10.0,), (20.0,), shared=90.0).ratio == pytest.approx(1.1)


@pytest.mark.parametrize(("count", "words"), [(1, "too few"), (2, "too few"), (3, "median of 3"), (5, "median of 5")])
def test_fewer_than_three_pairs_are_called_too_few(count: int, words: str) -> None:
    assert words in Pairs((1.0,) * count, (1.0,) * count).said


def test_seconds_are_those_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((5.0, 7.5))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    assert timed(lambda: "done", CPU) == ("done", 2.5)


def test_a_cuda_device_is_waited_for_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: order.append("wait"))
    timed(lambda: order.append("work"), torch.device("cuda"))
    assert order == ["wait", "work", "wait"]
