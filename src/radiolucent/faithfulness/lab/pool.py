"""Tasks run in processes of their own: each loads what it needs once; one that dies costs one task, not the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from radiolucent.errors import RadiolucentError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # read when numpy and torch are loaded

Start = Callable[[], Callable[[Any], Any]]
"""Run once in each process; gives the function that runs a task. Both must be picklable by name."""


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a result, or why there is none.

    Parameters
    ----------
    task
        Its place among the tasks.
    """

    task: int
    result: Any = None
    error: str = ""


def run_tasks(start: Start, tasks: Sequence[Any], workers: int) -> Iterator[Outcome]:
    """Outcomes as they come, in whatever order.

    Where the caller stops (an error, Ctrl-C), the processes are ended; a task's own error is its outcome.

    Parameters
    ----------
    start
        A picklable callable, such as a frozen dataclass with ``__call__``.
    workers
        Processes, each with one thread.

    Raises
    ------
    RadiolucentError
        Where a process cannot start its work.
    """
    waiting = list(range(len(tasks)))[::-1]
    busy: dict[Connection, tuple[multiprocessing.Process, int | None]] = {}
    context = multiprocessing.get_context("spawn")
    try:
        with _one_thread_each():
            for _ in range(min(workers, len(tasks))):
                process, ours = _launched(context, start)
                busy[ours] = (process, None)
            while busy:
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    process, task = busy.pop(connection)
                    try:
                        kind, payload = connection.recv()
                    except (EOFError, OSError):
                        process.join()
                        if task is None:
                            raise RadiolucentError(
                                f"A worker died while it started (exit code {process.exitcode}); if memory ran out, "
                                "use fewer workers."
                            ) from None
                        yield Outcome(task, error=_death(process.exitcode))
                        if waiting:
                            process, ours = _launched(context, start)
                            busy[ours] = (process, None)
                        continue
                    if kind == "refused":
                        raise payload
                    if task is not None:
                        yield Outcome(task, payload) if kind == "done" else Outcome(task, error=payload)
                    if waiting:
                        following = waiting.pop()
                        connection.send(tasks[following])
                        busy[connection] = (process, following)
                    else:
                        connection.close()
                        process.join()
    finally:
        for process, _ in busy.values():
            process.terminate()
        for process, _ in busy.values():
            process.join()


def _launched(context: Any, start: Start) -> tuple[multiprocessing.Process, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, start), daemon=True)
    process.start()
    theirs.close()  # else the end of the process is not seen here
    return process, ours


def _serve(connection: Connection, start: Start) -> None:
    """A process: get ready, then run tasks until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    try:
        work = start()
    except Exception as error:
        connection.send(("refused", error if isinstance(error, RadiolucentError) else RadiolucentError(said(error))))
        return
    connection.send(("ready", None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            outcome = ("done", work(task))
        except Exception as error:
            outcome = ("failed", said(error))
        connection.send(outcome)


def said(error: Exception) -> str:
    """An error in one line: product errors by their message, others with their type."""
    return f"{type(error).__name__}: {error}"


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "The process was killed, most likely because memory ran out; use fewer workers."
    return f"The process ended unexpectedly with exit code {code}."


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started in the block take one thread each; more would wait for each other."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
