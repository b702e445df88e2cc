from __future__ import annotations

from typing import Any

import pytest

from radiolucent.phantom import model


@pytest.fixture(scope="session")
def processor() -> Any:
    return model.build_processor()
