"""Processes: every task has an outcome, whatever becomes of its process."""

import os
import signal
import time
from dataclasses import dataclass

import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.pool import run_tasks


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; some tasks end otherwise."""

    ready: bool = True

    def __call__(self):
        if not self.ready:
            raise MalformedInput("The weights are not there.")
        return double


def double(task):
    if task == "raise":
        raise ValueError("no number")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "threads":
        return os.environ["OMP_NUM_THREADS"]
    if task == "wait":
        time.sleep(60)
    return 2 * task


def test_every_task_has_its_own_outcome():
    tasks = [1, "raise", 2, "die", 3, 4, "threads"]
    outcomes = {outcome.task: outcome for outcome in run_tasks(Doubling(), tasks, 2)}
    assert sorted(outcomes) == list(range(len(tasks)))
    assert [outcomes[place].result for place in (0, 2, 4, 5)] == [2, 4, 6, 8]
    assert outcomes[1].error == "ValueError: no number" and "killed" in outcomes[3].error
    assert outcomes[6].result == "1"


def test_one_process_that_always_dies_still_ends():
    outcomes = list(run_tasks(Doubling(), ["die", "die", 5], 1))
    assert [outcome.result for outcome in outcomes] == [None, None, 10]


def test_a_process_that_cannot_start_ends_the_run_with_its_error():
    with pytest.raises(MalformedInput, match="weights are not there"):
        list(run_tasks(Doubling(ready=False), [1, 2], 2))


def test_no_task_starts_no_process():
    assert list(run_tasks(Doubling(), [], 3)) == []


def test_the_environment_is_as_before_and_stopping_ends_the_processes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    running = run_tasks(Doubling(), [1, "wait"], 1)
    assert next(running).result == 2
    started = time.monotonic()
    running.close()
    assert time.monotonic() - started < 20 and os.environ["OMP_NUM_THREADS"] == "7"
