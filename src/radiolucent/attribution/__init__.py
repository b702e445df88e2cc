"""Which part of the picture bears on which words: one file a method, one registry.

Names are loaded when first used, so that reading a bundle's maps does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from radiolucent.attribution.types import AttributionMap, Claim

if TYPE_CHECKING:
    from radiolucent.attribution.maps import EmptyMap
    from radiolucent.attribution.method import Method
    from radiolucent.attribution.registry import attribute, attribute_all, method, methods
    from radiolucent.attribution.targets import finding_target

__all__ = [
    "AttributionMap",
    "Claim",
    "EmptyMap",
    "Method",
    "attribute",
    "attribute_all",
    "finding_target",
    "method",
    "methods",
]

_HOME = {
    "EmptyMap": "maps",
    "Method": "method",
    "attribute": "registry",
    "attribute_all": "registry",
    "finding_target": "targets",
    "method": "registry",
    "methods": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
