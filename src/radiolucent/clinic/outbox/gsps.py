"""Boxes and labels as a Grayscale Softcopy Presentation State, for viewers that lay them over the film itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.clinic.outbox.document import Box, SignedDocument
from radiolucent.clinic.outbox.envelope import UNICODE, edition_uid, equipment, finish, made_in, person_name
from radiolucent.clinic.outbox.text_sr import notices
from radiolucent.findings.names import code_name
from radiolucent.study.types import Frame

KIND = "gsps"


def gsps(
    document: SignedDocument, headers: Sequence[Dataset], frames: Sequence[Frame], places: Sequence[tuple[int, int]]
) -> list[Dataset]:
    """One presentation state for each grey source image that carries a box.

    The film's own window is stated; boxes are polylines in the source's pixels, each with its finding's name in both
    languages.
    """
    made: list[Dataset] = []
    for image in sorted({places[box.frame][0] for finding in document.findings for box in finding.boxes}):
        shown = [index for index, (file, _) in enumerate(places) if file == image]
        if all(frames[index].values.ndim == 2 for index in shown):
            made.append(_state(document, headers[image], frames, places, image, len(made) + 1))
    return made


def _state(
    document: SignedDocument,
    header: Dataset,
    frames: Sequence[Frame],
    places: Sequence[tuple[int, int]],
    image: int,
    number: int,
) -> Dataset:
    layer = GraphicLayer("FINDINGS", order=1, description="Findings of the signed report")
    several = int(header.get("NumberOfFrames") or 1) > 1
    annotations = []
    for index, (file, inside) in enumerate(places):
        boxes = [(finding, box) for finding in document.findings for box in finding.boxes if box.frame == index]
        if file != image or not boxes:
            continue
        annotations.append(
            GraphicAnnotation(
                referenced_images=[header],
                graphic_layer=layer,
                referenced_frame_number=inside + 1 if several else None,
                graphic_objects=[_outline(box) for _, box in boxes],
                text_objects=[
                    _label(f"{code_name(finding.code, 'en')} / {code_name(finding.code, 'zh')}", box)
                    for finding, box in boxes
                ]
                + [_notice(document, frames[index])],
            )
        )
    first = next(index for index, (file, _) in enumerate(places) if file == image)
    made: Dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=[header],
        series_instance_uid=edition_uid(document, KIND, "series"),
        series_number=9004,
        sop_instance_uid=edition_uid(document, KIND, "instance", number),
        instance_number=number,
        content_label="FINDINGS",
        content_description="Findings of the signed report",
        graphic_annotations=annotations,
        graphic_layers=[layer],
        institution_name=made_in(document),
        content_creator_name=person_name(document.last_signature),
        voi_lut_transformations=[_window(frames[first])],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    return finish(made, document, header, "overlay (GSPS)")


def _outline(box: Box) -> GraphicObject:
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x0, box.y0)]
    return GraphicObject(GraphicTypeValues.POLYLINE, np.array(corners, dtype=np.float64), AnnotationUnitsValues.PIXEL)


def _label(words: str, box: Box) -> TextObject:
    return TextObject(words, AnnotationUnitsValues.PIXEL, anchor_point=(box.x0, box.y0), anchor_point_visible=False)


def _notice(document: SignedDocument, frame: Frame) -> TextObject:
    """What everybody has to know, at the film's foot."""
    corner = (1.0, float(frame.geometry.rows - 1))
    return TextObject(
        "\r\n".join(notices(document)), AnnotationUnitsValues.PIXEL, anchor_point=corner, anchor_point_visible=False
    )


def _window(frame: Frame) -> SoftcopyVOILUTTransformation:
    low, high = frame.display.low, frame.display.high
    width = max(high - low + 1, 1.0)  # LINEAR: PS3.3 C.11.2.1.2
    return SoftcopyVOILUTTransformation(
        window_center=float(f"{low + width / 2:.8g}"), window_width=float(f"{width:.8g}")
    )
