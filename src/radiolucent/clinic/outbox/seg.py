"""The areas that the model relied on as a binary segmentation, cut at the threshold that their grade tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence, PixelMeasuresSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.attribution.cells import cell_means, in_picture
from radiolucent.attribution.regions import top_region
from radiolucent.clinic.outbox import concepts
from radiolucent.clinic.outbox.document import Overlay, SignedDocument
from radiolucent.clinic.outbox.envelope import UNICODE, edition_uid, equipment, finish, person_name
from radiolucent.study.types import Frame

KIND = "seg"
_CATEGORY = Code("49755003", "SCT", "Morphologically Altered Structure")
_UNKNOWN_SPACING_MM = 1.0


def seg(
    document: SignedDocument, headers: Sequence[Dataset], frames: Sequence[Frame], places: Sequence[tuple[int, int]]
) -> list[Dataset]:
    """One segmentation for each single-frame source image that has an overlay; a segment a finding.

    A segment is the token cells of :func:`radiolucent.attribution.regions.top_region`, the rule that the map's grade
    tests, as far as they are above 0, at the source's size. Pixel measures are stated: the film's own spacing, or 1 mm
    with a description that says that no spacing is known.
    """
    made: list[Dataset] = []
    for image in sorted({places[overlay.frame][0] for overlay in document.overlays}):
        overlays = [one for one in document.overlays if places[one.frame][0] == image]
        if int(headers[image].get("NumberOfFrames") or 1) == 1:
            made.append(_segmentation(document, headers[image], overlays, frames, len(made) + 1))
    return made


def _segmentation(
    document: SignedDocument, header: Dataset, overlays: Sequence[Overlay], frames: Sequence[Frame], number: int
) -> Dataset:
    frame = frames[overlays[0].frame]
    masks = np.stack([region(one, frame) for one in overlays], axis=-1)[None].astype(np.uint8)
    spacing = frame.geometry.spacing or (_UNKNOWN_SPACING_MM, _UNKNOWN_SPACING_MM)
    codes = {finding.id: concepts.finding_code(finding) for finding in document.findings}
    name = document.algorithm.name if document.algorithm else "not stated"
    algorithm = AlgorithmIdentificationSequence(
        name=name,
        family=concepts.ARTIFICIAL_INTELLIGENCE,
        version=document.algorithm.version if document.algorithm else "0",
    )
    segments = [
        SegmentDescription(
            segment_number=place,
            segment_label=f"relied on: {codes[one.finding].meaning}"[:64],
            segmented_property_category=_CATEGORY,
            segmented_property_type=codes[one.finding],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for place, one in enumerate(overlays, start=1)
    ]
    source = _with_shape(header)
    made: Dataset = Segmentation(
        source_images=[source],
        pixel_array=masks,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=edition_uid(document, KIND, "series"),
        series_number=9005,
        sop_instance_uid=edition_uid(document, KIND, "instance", number),
        instance_number=number,
        content_description="Areas the model relied on" + ("" if frame.geometry.spacing else "; no spacing known"),
        content_creator_name=person_name(document.last_signature),
        pixel_measures=PixelMeasuresSequence(pixel_spacing=spacing, slice_thickness=None),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    organisation = edition_uid(document, KIND, "dimensions", number)  # drawn by chance by highdicom
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    return finish(made, document, header, "areas (SEG)")


def region(overlay: Overlay, frame: Frame) -> NDArray[np.bool_]:
    """The overlay's region at the source's size: bool (rows, cols)."""
    geometry = frame.geometry
    values = np.asarray(overlay.values, dtype=np.float64)
    grid = values if values.shape[0] == geometry.grid else cell_means(values, geometry.grid)
    cells = top_region(grid[None], in_picture(geometry)[None])[0] & (grid > 0)
    columns, rows = np.arange(geometry.cols) + 0.5, np.arange(geometry.rows) + 0.5
    across = geometry.to_grid(np.stack([columns, np.zeros(geometry.cols)], axis=-1))[:, 0]
    down = geometry.to_grid(np.stack([np.zeros(geometry.rows), rows], axis=-1))[:, 1]
    last = cells.shape[0] - 1
    picked: NDArray[np.bool_] = cells[np.ix_(down.astype(int).clip(0, last), across.astype(int).clip(0, last))]
    return picked


def _with_shape(header: Dataset) -> Dataset:
    """The reference header as a source that highdicom takes: its form, without pixels."""
    source = Dataset()
    source.update(header)
    return source
