"""Who does something: every use case is told, and every audit entry says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "radiologist", "admin", "service"]


@dataclass(frozen=True)
class Actor:
    """A person or a program.

    Parameters
    ----------
    user_id
        Of the account; ``system`` for the program itself.
    name
        As people read it, such as in a signature.
    """

    user_id: str
    role: Role
    name: str


SYSTEM = Actor("system", "service", "radiolucent")
"""The worker and the program's own upkeep."""
