"""The weights that ship inside the package."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
NAMES = {"demo": "demo", "demo-shortcut": "shortcut"}


def folder(name: str) -> Path | None:
    """Folder of a bundled model's weights, or None where no bundled model has this name."""
    return WEIGHTS / NAMES[name] if name in NAMES else None
