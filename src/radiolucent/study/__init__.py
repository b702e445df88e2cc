"""Pictures and volumes in, with their geometry, display and the patient's sides; no patient identifiers."""

from radiolucent.study.display import apply_display
from radiolucent.study.geometry import Geometry
from radiolucent.study.load import load_study
from radiolucent.study.types import Display, Frame, Source, Study

__all__ = ["Display", "Frame", "Geometry", "Source", "Study", "apply_display", "load_study"]
