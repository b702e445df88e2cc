"""The corpus script as a module."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "malformed_corpus.py"


def corpus() -> ModuleType:
    """``scripts/malformed_corpus.py``."""
    spec = importlib.util.spec_from_file_location("malformed_corpus", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["malformed_corpus"] = module
    spec.loader.exec_module(module)
    return module
