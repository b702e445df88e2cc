"""radiolucent: what a medical vision-language model saw, what it relied on, how sure it is.

Names are loaded when first used, so that ``import radiolucent`` and ``radiolucent --help`` stay quick.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radiolucent import attribution
    from radiolucent.attribution.registry import attribute
    from radiolucent.clinic.assistant import ClinicalAIAssistant
    from radiolucent.explain import explain
    from radiolucent.facade import ExplainableMedGemma
    from radiolucent.findings import Finding, extract_findings
    from radiolucent.report.bundle import load_explanation
    from radiolucent.report.explanation import Explanation
    from radiolucent.study import Study, load_study
    from radiolucent.trace.contrast import contrast
    from radiolucent.vlm.load import load_model
    from radiolucent.vlm.target import find_target
    from radiolucent.vlm.types import Prompt, Target

_HOMES = {
    "ClinicalAIAssistant": "radiolucent.clinic.assistant",
    "ExplainableMedGemma": "radiolucent.facade",
    "Explanation": "radiolucent.report.explanation",
    "Finding": "radiolucent.findings",
    "Prompt": "radiolucent.vlm.types",
    "Study": "radiolucent.study",
    "Target": "radiolucent.vlm.types",
    "attribute": "radiolucent.attribution.registry",
    "contrast": "radiolucent.trace.contrast",
    "explain": "radiolucent.explain",
    "extract_findings": "radiolucent.findings",
    "find_target": "radiolucent.vlm.target",
    "load_explanation": "radiolucent.report.bundle",
    "load_model": "radiolucent.vlm.load",
    "load_study": "radiolucent.study",
}

__all__ = [
    "ClinicalAIAssistant",
    "ExplainableMedGemma",
    "Explanation",
    "Finding",
    "Prompt",
    "Study",
    "Target",
    "attribute",
    "attribution",
    "contrast",
    "explain",
    "extract_findings",
    "find_target",
    "load_explanation",
    "load_model",
    "load_study",
]


def __getattr__(name: str) -> Any:
    if name == "attribution":
        return importlib.import_module("radiolucent.attribution")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'radiolucent' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps ``radiolucent.explain`` the function: importing the file of that name would bind the module instead."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
