"""COCO's run lengths: pixels counted down the columns, off and on in turn, from off.

The compressed form is a text of 6-bit groups from ``0`` (48) on: five bits of the number, lowest first, and a bit that
says that another group follows; the sign is the last group's top bit; from the fourth number on, the difference to the
number two before is written (``rleToString`` in cocoapi's ``maskApi.c``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.strict_json import listed, mapped, whole
from radiolucent.study.limits import check_size

_FIRST, _LAST = 48, 111
_MOST_GROUPS = 7  # 35 bits


def read_runs(value: Any, where: str) -> tuple[tuple[int, int], NDArray[np.int64]]:
    """(rows, cols) and the runs of a COCO object ``{"size": [rows, cols], "counts": text or list}``.

    Raises
    ------
    MalformedInput
        Sizes that are none or past the ceilings, text that is no run lengths, negative runs, runs that do not add up
        to the film's pixels.
    """
    fields = mapped(value, where)
    sides = listed(fields.get("size"), f"{where}, size")
    if len(sides) != 2:
        raise MalformedInput(f"{where}: size is [rows, cols]; found {len(sides)} values.")
    rows, cols = (whole(side, f"{where}, size") for side in sides)
    try:
        check_size(rows, cols)
    except MalformedInput as error:
        raise MalformedInput(f"{where}: {error}") from error
    counts = fields.get("counts")
    if isinstance(counts, str):
        runs = decompress(counts, where)
    else:
        written = [whole(run, f"{where}, counts") for run in listed(counts, f"{where}, counts")]
        runs = np.array([run if 0 <= run <= rows * cols else -1 for run in written], dtype=np.int64)
    if runs.size == 0 or runs.min() < 0 or runs.max() > rows * cols:
        raise MalformedInput(f"{where}: a run is missing, negative or longer than the film; the mask is damaged.")
    total = int(runs.sum())
    if total != rows * cols:
        raise MalformedInput(f"{where}: the runs add up to {total} pixels, the size {rows} x {cols} to {rows * cols}.")
    return (rows, cols), runs


def decompress(counts: str, where: str = "A mask") -> NDArray[np.int64]:
    """The runs of COCO's compressed text.

    Examples
    --------
    >>> decompress("52203").tolist()
    [5, 2, 2, 2, 5]
    """
    try:
        codes = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64)
    except UnicodeEncodeError as error:
        raise MalformedInput(f"{where}: counts holds characters that run lengths have not.") from error
    if codes.size == 0 or codes.min() < _FIRST or codes.max() > _LAST:
        raise MalformedInput(f"{where}: counts is empty or holds characters that run lengths have not.")
    groups = codes - _FIRST
    ends = np.flatnonzero(groups & 32 == 0)
    if ends.size == 0 or ends[-1] != groups.size - 1:
        raise MalformedInput(f"{where}: counts is cut short.")
    starts = np.r_[0, ends[:-1] + 1]
    lengths = ends - starts + 1
    if lengths.max() > _MOST_GROUPS:
        raise MalformedInput(f"{where}: counts holds a number too large to be a run.")
    place = np.arange(groups.size) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((groups & 31) << (5 * place), starts)
    negative = groups[ends] & 16 != 0
    numbers -= np.where(negative, 1 << (5 * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def fill_runs(size: tuple[int, int], runs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool (rows, cols)."""
    on = np.arange(runs.size) % 2 == 1
    return np.ascontiguousarray(np.repeat(on, runs).reshape(size, order="F"))


def is_empty(runs: NDArray[np.int64]) -> bool:
    """Whether no pixel is on."""
    return not runs[1::2].any()
