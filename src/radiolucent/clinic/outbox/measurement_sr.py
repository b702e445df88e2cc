"""The findings as they were decided: TID 1500, Measurement Report (PS3.16), with a region for every box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from radiolucent.clinic.outbox import concepts
from radiolucent.clinic.outbox.document import Algorithm, Box, SignedDocument, SignedFinding
from radiolucent.clinic.outbox.envelope import MANUFACTURER, finish, made_in, person_name, uid_of
from radiolucent.clinic.outbox.text_sr import notices, sr_object

KIND = "measurement_sr"
Places = Sequence[tuple[int, int]]


def measurement_sr(document: SignedDocument, headers: Sequence[Dataset], places: Places) -> Dataset:
    """Every accepted, changed and added finding as coded groups.

    Parameters
    ----------
    headers
        :func:`radiolucent.clinic.outbox.envelope.reference` of each source image.
    places
        (image, frame inside it from 0) of each frame of the study.

    Returns
    -------
    A Comprehensive SR. A finding with boxes is one group a box (TID 1410, SCOORD in the source's own pixels), one
    without is a group without region (TID 1501). The algorithm (TID 4019) stands in groups that it proposed, not in
    those that a person added.
    """
    groups = [group for finding in document.findings for group in _groups(document, finding, headers, places)]
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=ObserverContext(
                concepts.PERSON,
                PersonObserverIdentifyingAttributes(
                    person_name(document.last_signature),
                    organization_name=document.last_signature.organisation or made_in(document),
                ),
            )
        ),
        procedure_reported=concepts.TOMOGRAPHY if headers[0].get("Modality") == "CT" else concepts.RADIOGRAPHY,
        imaging_measurements=groups,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            concepts.LANGUAGES[document.language]
        ),
    )
    for said in notices(document):  # TID 1500 has no place for narrative, but may be extended
        report[0].ContentSequence.append(TextContentItem(concepts.COMMENT, said, RelationshipTypeValues.CONTAINS))
    made = sr_object(ComprehensiveSR, document, headers, report, KIND, series_number=9002)
    return finish(made, document, headers[0], "findings")


def _groups(document: SignedDocument, finding: SignedFinding, headers: Sequence[Dataset], places: Places) -> list[Any]:
    common: dict[str, Any] = {
        "finding_type": concepts.finding_code(finding),
        "finding_sites": [_site(finding)],
        "algorithm_id": _algorithm(document.algorithm) if finding.from_ai and document.algorithm else None,
        "measurements": [
            Measurement(name=concepts.LENGTH, value=float(length), unit=concepts.MILLIMETRE)
            for length in finding.size_mm
        ]
        or None,
    }
    said = [QualitativeEvaluation(concepts.PRESENCE, concepts.presence_code(finding))]
    if finding.severity is not None:
        said.append(QualitativeEvaluation(concepts.SEVERITY, concepts.SEVERITIES[finding.severity]))
    said.append(QualitativeEvaluation(concepts.DECISION, concepts.DECISIONS[finding.decision]))
    if not finding.boxes:
        header = headers[places[0][0]]
        image = SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)
        return [
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(document, finding, 0),
                qualitative_evaluations=said,
                source_images=[image],
                **common,
            )
        ]
    return [
        PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(document, finding, number),
            referenced_region=_region(box, headers, places),
            qualitative_evaluations=[*said, QualitativeEvaluation(concepts.REGION, concepts.REGIONS[box.origin])],
            **common,
        )
        for number, box in enumerate(finding.boxes)
    ]


def _tracking(document: SignedDocument, finding: SignedFinding, number: int) -> TrackingIdentifier:
    """The same for the same finding in every edition, so that viewers can follow it."""
    uid = uid_of(MANUFACTURER, document.case_id, "finding", finding.id, number)
    return TrackingIdentifier(uid=uid, identifier=f"{finding.code} {finding.id[:8]} {number + 1}")


def _region(box: Box, headers: Sequence[Dataset], places: Places) -> ImageRegion:
    image, frame = places[box.frame]
    header = headers[image]
    corners = np.array(
        [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x0, box.y0)], dtype=np.float64
    )
    source = SourceImageForRegion(
        header.SOPClassUID,
        header.SOPInstanceUID,
        [frame + 1] if int(header.get("NumberOfFrames") or 1) > 1 else None,
    )
    return ImageRegion(GraphicTypeValues.POLYLINE, corners, source)


def _site(finding: SignedFinding) -> FindingSite:
    place, side, modifier = concepts.site_of(finding)
    return FindingSite(anatomic_location=place, laterality=side, topographical_modifier=modifier)


def _algorithm(algorithm: Algorithm) -> AlgorithmIdentification:
    parameters = [f"weights {algorithm.weights_hash}"] if algorithm.weights_hash else None
    return AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version or "not stated",
        parameters=parameters,
        family=concepts.ARTIFICIAL_INTELLIGENCE,
        manufacturer=algorithm.manufacturer,
    )
