"""Quick hashes, as at the door."""

from __future__ import annotations

import pytest
from clinic_door import quick_hashes


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_hashes(monkeypatch)
