"""The tiny model that most tests of the adapter share."""

from __future__ import annotations

import pytest
from small_gemma import tiny_model

from radiolucent.vlm.gemma3 import Gemma3Model


@pytest.fixture(scope="session")
def model() -> Gemma3Model:
    """One image of four cells, pooled; two groups of heads; window beyond the prompt."""
    return tiny_model()
