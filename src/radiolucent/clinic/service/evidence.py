"""What a case shows: frames as stored, maps, the bundle's page; opened in memory, never on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.loading import latest_run, seen
from radiolucent.clinic.service.presenting import frame_view
from radiolucent.clinic.service.views import FrameView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.files import files_of, get_file
from radiolucent.clinic.store.packed import bundle_member, unpack_explanation, unpack_study
from radiolucent.clinic.store.patients import case_key
from radiolucent.clinic.store.tables import Case, Run, StoredFile
from radiolucent.report.explanation import Explanation
from radiolucent.study.types import Frame, Study

T = TypeVar("T")

KEPT = 6  # opened studies and explanations kept in memory
WHITE = 65_535


@dataclass(frozen=True, eq=False)
class FramePixels:
    """A frame for a viewer.

    Parameters
    ----------
    pixels
        uint16 (rows, cols); the stored value is ``pixels * scale + offset``.
    low, high
        The display window in pixel units: black and white (before inversion).
    """

    pixels: NDArray[np.uint16]
    low: int
    high: int
    inverted: bool
    frame: FrameView
    scale: float
    offset: float


@dataclass(frozen=True, eq=False)
class MapPixels:
    """A map for a viewer.

    Parameters
    ----------
    pixels
        uint8 (frames, rows, cols) over the padded square; the value is ``low + pixels / 255 * (high - low)``.
    frames
        For each frame of the map the index of the case's frame it lies on.
    """

    key: str
    pixels: NDArray[np.uint8]
    low: float
    high: float
    claim: str
    method: str
    grade: str | None
    units: str
    frames: tuple[int, ...]


def study_of(store: Store, case_id: str) -> Study:
    """The study as it was taken in, with the side that a reader confirmed; not audited: for the worker and exports."""
    with store.read() as session:
        case = seen(session, case_id)
        row, key = _file(store, session, case, "frame")
    study = _opened(store, row, key, unpack_study)
    if case.side_confirmed_at is None:
        return study
    return replace(study, frames=tuple(_confirmed(one, case.frames[n]) for n, one in enumerate(study.frames)))


def explanation_of(store: Store, case_id: str) -> Explanation:
    """The explanation behind the latest draft; not audited.

    Raises
    ------
    NotFound
        Where there is no draft.
    """
    with store.read() as session:
        case = seen(session, case_id)
        row, key = _bundle(store, session, case)
    return _opened(store, row, key, unpack_explanation)


def original(store: Store, case_id: str, number: int = 0) -> bytes:
    """An uploaded file as it came (a DICOM preamble zeroed); not audited: exports copy its header."""
    with store.read() as session:
        case = seen(session, case_id)
        rows = files_of(session, case_id, "original")
        if not 0 <= number < len(rows):
            raise NotFound(f"The case has {len(rows)} original file(s); there is no number {number}.")
        key = case_key(store, session, case)
    return get_file(store, rows[number], key)


def frame(store: Store, actor: Actor, case_id: str, number: int) -> FramePixels:
    """One frame's pixels; the read is audited.

    Raises
    ------
    NotFound
        Where there is no such frame.
    """
    permit(actor, "see cases")
    with store.begin() as session:
        case = seen(session, case_id)
        if not 0 <= number < len(case.frames):
            raise NotFound(f"The case has {len(case.frames)} frame(s); there is no number {number}.")
        view = frame_view(case.frames[number])
        row, key = _file(store, session, case, "frame")
        note(store, session, actor, "case.frame_read", "case", case.id, frame=number)
    study = _opened(store, row, key, unpack_study)
    return _pixels(study.frames[number], view)


def maps(store: Store, actor: Actor, case_id: str) -> list[dict[str, Any]]:
    """The maps of the revealed draft: ``[{key, finding, claim, method, grade, withheld}]``; empty until then."""
    permit(actor, "see cases")
    with store.begin() as session:
        case = seen(session, case_id)
        run = latest_run(session, case_id)
        note(store, session, actor, "case.maps_listed", "case", case.id)
        return [] if run is None or case.revealed_at is None else list(run.maps)


def map_pixels(store: Store, actor: Actor, case_id: str, key: str) -> MapPixels:
    """One map's values: ``method:finding`` from :func:`maps`, or ``word:n`` from the trace.

    Raises
    ------
    NotFound
        Where there is none, it is withheld, or the AI is not revealed: none of them is told from the others.
    """
    permit(actor, "see cases")
    with store.begin() as session:
        case = seen(session, case_id)
        run = _revealed(session, case)
        entry = next((one for one in run.maps if one["key"] == key), None)
        word = key.removeprefix("word:")
        is_word = key.startswith("word:") and word.isascii() and word.isdigit() and len(word) < 7
        if (entry is None or entry["withheld"] or entry["grade"] == "not shown") and not is_word:
            raise _not_shown()
        row, data = _bundle(store, session, case)
        note(store, session, actor, "case.map_read", "case", case.id, map=key)
    explanation = _opened(store, row, data, unpack_explanation)
    frames = explanation.frame_numbers
    if is_word:
        words = () if explanation.trace is None else explanation.trace.words
        attended = words[int(word)].attended if int(word) < len(words) else None
        if attended is None:
            raise _not_shown()
        return _scaled(key, attended.mean(axis=0), "attended", "attention", None, "attention", frames)
    assert entry is not None
    made = explanation.maps[entry["method"], entry["finding"]]
    return _scaled(key, made.values, made.claim, made.method, entry["grade"], made.units, frames)


def report_html(store: Store, actor: Actor, case_id: str) -> bytes:
    """The bundle's interactive page, once the AI is revealed."""
    permit(actor, "see cases")
    with store.begin() as session:
        case = seen(session, case_id)
        _revealed(session, case)
        row, key = _bundle(store, session, case)
        note(store, session, actor, "case.page_read", "case", case.id)
    return bundle_member(get_file(store, row, key))


def _revealed(session: Session, case: Case) -> Run:
    run = latest_run(session, case.id)
    if run is None or case.revealed_at is None:
        raise _not_shown()
    return run


def _not_shown() -> NotFound:
    return NotFound("This is not shown. / 不显示。")


def _file(store: Store, session: Session, case: Case, kind: str) -> tuple[StoredFile, bytes]:
    rows = files_of(session, case.id, kind)
    if not rows:
        raise NotFound("This case has no such file any more. / 文件已不存在。")
    return rows[0], case_key(store, session, case)


def _bundle(store: Store, session: Session, case: Case) -> tuple[StoredFile, bytes]:
    run = latest_run(session, case.id)
    if run is None or run.bundle_id is None:
        raise NotFound("There is no draft yet. / 尚无草稿。")
    return session.get_one(StoredFile, run.bundle_id), case_key(store, session, case)


_kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
_lock = threading.Lock()


def _opened(store: Store, row: StoredFile, key: bytes, unpack: Callable[[bytes], T]) -> T:
    """What a file holds; the latest ones stay in memory. The key was asked for first, so nothing erased is found."""
    name = (str(store.settings.data), row.id)
    with _lock:
        if name in _kept:
            _kept.move_to_end(name)
            return cast(T, _kept[name])
    made = unpack(get_file(store, row, key))
    with _lock:
        _kept[name] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def forget(store: Store) -> None:
    """Drop what was opened of this store from memory (after an erasure)."""
    with _lock:
        for name in [one for one in _kept if one[0] == str(store.settings.data)]:
            del _kept[name]


def _pixels(shown: Frame, view: FrameView) -> FramePixels:
    """Stored values as whole numbers where the window is a straight line; otherwise the picture as displayed."""
    display, values = shown.display, shown.values
    straight = values.ndim == 2 and display.lut is None and display.function != "SIGMOID"
    if not straight:
        picture = shown.picture()
        grey = picture.mean(axis=2) if picture.ndim == 3 else picture
        pixels = np.rint(np.clip(grey, 0, 1) * WHITE).astype(np.uint16)
        return FramePixels(pixels, 0, WHITE, False, view, 1.0 / WHITE, 0.0)
    inside = values if display.padding is None else values[~display.padding]
    offset, top = (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)
    whole = bool(np.array_equal(values, np.rint(values))) and top - offset <= WHITE
    scale = 1.0 if whole else max((top - offset) / WHITE, 1e-30)
    pixels = np.rint(np.clip((values.astype(np.float64) - offset) / scale, 0, WHITE)).astype(np.uint16)
    low, high = (
        int(np.clip(round((edge - offset) / scale), -WHITE, 2 * WHITE)) for edge in (display.low, display.high)
    )
    if display.padding is not None:
        pixels[display.padding] = WHITE if display.inverted else 0
    return FramePixels(pixels, low, max(high, low + 1), display.inverted, replace(view), scale, offset)


def _confirmed(frame: Frame, entry: dict[str, Any]) -> Frame:
    """An assumed side is, once confirmed, one that a person stated."""
    if frame.geometry.side_source != "assumed":
        return frame
    return replace(frame, geometry=replace(frame.geometry, patient_right=entry["patient_right"], side_source="array"))


def _scaled(
    key: str,
    values: NDArray[np.floating[Any]],
    claim: str,
    method: str,
    grade: str | None,
    units: str,
    frames: tuple[int, ...],
) -> MapPixels:
    finite = np.nan_to_num(values.astype(np.float64))
    low, high = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    span = high - low or 1.0
    pixels = np.rint((finite - low) / span * 255).astype(np.uint8)
    return MapPixels(key, pixels, low, high, claim, method, grade, units, frames)
