"""A run's progress on the terminal: the plan beforehand where it is long, then a bar with the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from radiolucent.levels import ANNOUNCED, Estimate, Plan, described

Progress = Callable[[str, float], None]
"""Called with what is being done now and the share done, in [0, 1]."""

TICK = 0.5  # seconds between two movements of the bar inside a step
CAUTION = 0.95  # of a step's room is filled while it runs longer than expected


class Clock:
    """How far a run is, by the seconds that each step was expected to take.

    Parameters
    ----------
    say
        Told at the start of each step; between them :meth:`tick` can be called at any time.
    """

    def __init__(self, say: Progress) -> None:
        self._say = say
        self._expected: Estimate | None = None
        self._step, self._began, self._shown = "", time.monotonic(), 0.0

    def expect(self, expected: Estimate) -> None:
        """Go by another estimate from here on; the share never goes back."""
        self._expected = expected

    def start(self, step: str) -> None:
        """A step of the plan begins."""
        self._step, self._began = step, time.monotonic()
        self._tell(0.0 if self._expected is None else self._expected.before(step))

    def tick(self) -> None:
        """Move the share by the time that the running step has taken."""
        if self._expected is None or not self._step:
            return
        room = self._expected.of(self._step)
        inside = min(time.monotonic() - self._began, CAUTION * room)
        self._tell(self._expected.before(self._step) + inside / max(self._expected.seconds, 1e-9))

    def done(self) -> None:
        """Everything is over."""
        self._step = "done"
        self._say("done", 1.0)

    def _tell(self, share: float) -> None:
        self._shown = max(self._shown, min(share, 1.0))
        self._say(self._step, self._shown)


class Announced:
    """What a run tells: its plan, once, and its clock."""

    def __init__(self, say: Progress, show: Callable[[str], None] | None) -> None:
        self.clock = Clock(say)
        self._show = show

    def plan(self, plan: Plan, expected: Estimate, language: str) -> None:
        """Show the plan where it is expected to be long."""
        self.clock.expect(expected)
        if self._show is not None and expected.seconds > ANNOUNCED:
            self._show(described(plan, expected, language))


@contextmanager
def announced(progress: bool | Progress) -> Iterator[Announced]:
    """Where a run reports to: nowhere (False), the terminal's error stream (True) or a function.

    The bar is drawn on a terminal only; a long plan is printed in any case.
    """
    if callable(progress):
        yield Announced(progress, None)
        return
    if not progress:
        yield Announced(lambda what, share: None, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, soft_wrap=True)
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        run = Announced(
            lambda what, share: bar.update(task, description=what, completed=share),
            lambda text: console.print(text, markup=False, highlight=False),
        )
        with _ticking(run.clock):
            yield run
        bar.update(task, completed=1.0)


@contextmanager
def _ticking(clock: Clock) -> Iterator[None]:
    over = threading.Event()

    def tick() -> None:
        while not over.wait(TICK):
            clock.tick()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
