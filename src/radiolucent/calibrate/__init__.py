"""Confidence against truth: a model reports on films whose findings are known; each of its findings is right or not.

What is observed serves two ends: fitting a calibration, and holding one against films that it was not fitted on. The
comparison of confidence scores with each other (sampling frequency, sequence probability, P(True), semantic entropy)
is measured in the same run.
"""

from radiolucent.calibrate.cases import TrueCase, is_right, listed_cases, phantom_cases
from radiolucent.calibrate.compare import Calibrated, calibrate, compared
from radiolucent.calibrate.held_out import Checked, check
from radiolucent.calibrate.observations import Observations, Observed, observe
from radiolucent.calibrate.standing import Standing, standings

__all__ = [
    "Calibrated",
    "Checked",
    "Observations",
    "Observed",
    "Standing",
    "TrueCase",
    "calibrate",
    "check",
    "compared",
    "is_right",
    "listed_cases",
    "observe",
    "phantom_cases",
    "standings",
]
