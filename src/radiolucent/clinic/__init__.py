"""The clinical assistant: cases, review, signature, and what leaves for the hospital."""

from __future__ import annotations

from importlib.util import find_spec

from radiolucent.errors import RadiolucentError

NEEDED = ("sqlalchemy", "alembic", "cryptography")


class MissingPackage(RadiolucentError, ImportError):
    """The clinic's packages are not installed."""


if _absent := [name for name in NEEDED if find_spec(name) is None]:
    raise MissingPackage(
        f"The clinic needs {', '.join(_absent)}, which is not installed; run: pip install 'radiolucent[clinic]'."
    )
