"""A user's own films with their annotated lesions, as cases with truth: COCO, CheXlocalize, DICOM SEG, PNG masks."""

from radiolucent.faithfulness.annotations.cases import AnnotatedCases, annotated_cases

__all__ = ["AnnotatedCases", "annotated_cases"]
