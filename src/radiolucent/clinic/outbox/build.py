"""All objects of a signed document."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from radiolucent.clinic.outbox.document import SignedDocument, Subject
from radiolucent.clinic.outbox.envelope import NotExportable, reference
from radiolucent.clinic.outbox.gsps import gsps
from radiolucent.clinic.outbox.measurement_sr import measurement_sr
from radiolucent.clinic.outbox.original import original
from radiolucent.clinic.outbox.picture import picture
from radiolucent.clinic.outbox.seg import seg
from radiolucent.clinic.outbox.text_sr import text_sr
from radiolucent.errors import MalformedInput
from radiolucent.study.types import Frame

ALWAYS = ("text_sr", "measurement_sr", "picture")
OPTIONAL = ("gsps", "seg")
_SERIES = {9001: "text_sr", 9002: "measurement_sr", 9003: "picture", 9004: "gsps", 9005: "seg", 9006: "rejection_note"}


def build(
    document: SignedDocument,
    sources: Sequence[Dataset],
    frames: Sequence[Frame],
    *,
    places: Sequence[tuple[int, int]] | None = None,
    subject: Subject | None = None,
    options: Sequence[str] = (),
) -> list[Dataset]:
    """The DICOM objects of a signed document.

    Parameters
    ----------
    document
        What was signed.
    sources
        Data sets of the original images; their pixels are not looked at. Empty where the originals are pictures
        (PNG, JPEG): then a Secondary Capture of each is made first, in a new study, and referred to.
    frames
        The study's frames, in the order that boxes count them.
    places
        (source, frame inside it from 0) of each frame; by default each source's frames in turn.
    subject
        Who the pictures are of; only where there are no sources.
    options
        Of ``gsps`` and ``seg``.

    Returns
    -------
    A text report (TID 2000), a measurement report (TID 1500; none where there is no finding), pictures (Secondary
    Capture), and what is asked for; of pictures without a header the made originals stand first. :func:`kind_of` tells
    them apart. The same document gives the same UIDs.

    Raises
    ------
    NotExportable
        Where a source has no valid UIDs, or there is neither a source nor a subject.
    MalformedInput
        Where a box lies outside its film.
    """
    unknown = set(options) - set(OPTIONAL)
    if unknown:
        raise MalformedInput(f"{', '.join(sorted(unknown))}: no such object; the options are {', '.join(OPTIONAL)}.")
    made: list[Dataset] = []
    if not sources:
        if subject is None:
            raise NotExportable("A picture without a DICOM header needs a subject; give who it is of.")
        made = original(document, frames, subject)
        sources = list(made)
    headers = [reference(one) for one in sources]
    where = list(places) if places is not None and len(places) == len(frames) else _in_turn(headers)
    if len(where) != len(frames):
        raise MalformedInput(f"The sources hold {len(where)} frames; the study has {len(frames)}.")
    _check_boxes(document, frames)
    made.append(text_sr(document, headers))
    if document.findings:  # a measurement report holds at least one group
        made.append(measurement_sr(document, headers, where))
    made += picture(document, headers, frames, where, sources)
    if "gsps" in options:
        made += gsps(document, headers, frames, where)
    if "seg" in options:
        made += seg(document, headers, frames, where)
    return made


def kind_of(made: Dataset) -> str:
    """``text_sr``, ``measurement_sr``, ``picture``, ``gsps``, ``seg``, ``rejection_note`` or ``original``."""
    return _SERIES.get(int(made.SeriesNumber), "original")


def _check_boxes(document: SignedDocument, frames: Sequence[Frame]) -> None:
    for box in (box for finding in document.findings for box in finding.boxes):
        if not 0 <= box.frame < len(frames):
            raise MalformedInput(f"A box lies on frame {box.frame}; the study has {len(frames)}.")
        geometry = frames[box.frame].geometry
        if not (0 <= box.x0 < box.x1 <= geometry.cols and 0 <= box.y0 < box.y1 <= geometry.rows):
            raise MalformedInput(
                f"A box from ({box.x0:g}, {box.y0:g}) to ({box.x1:g}, {box.y1:g}) does not lie inside its film of "
                f"{geometry.cols} x {geometry.rows} pixels; boxes are in source pixels."
            )


def _in_turn(headers: Sequence[Dataset]) -> list[tuple[int, int]]:
    return [
        (file, frame) for file, header in enumerate(headers) for frame in range(int(header.get("NumberOfFrames") or 1))
    ]
