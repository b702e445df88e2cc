"""Who may do what: denied unless a role is named here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from radiolucent.clinic.errors import Forbidden
from radiolucent.clinic.store.actor import Actor

Task = Literal["see cases", "see identity", "submit", "review", "sign", "export", "administer"]

ROLES: Mapping[Task, frozenset[str]] = {
    "see cases": frozenset({"viewer", "radiologist", "admin", "service"}),
    "see identity": frozenset({"viewer", "radiologist", "service"}),
    "submit": frozenset({"radiologist", "admin", "service"}),
    "review": frozenset({"radiologist"}),
    "sign": frozenset({"radiologist"}),
    "export": frozenset({"radiologist", "admin", "service"}),
    "administer": frozenset({"admin"}),
}


def may(actor: Actor, task: Task) -> bool:
    """Whether the actor's role is among those named for the task."""
    return actor.role in ROLES[task]


def permit(actor: Actor, task: Task) -> None:
    """Pass, or refuse.

    Raises
    ------
    Forbidden
        Naming the roles that may.
    """
    if not may(actor, task):
        raise Forbidden(
            f"The role {actor.role!r} may not do this ({task}); it takes: {', '.join(sorted(ROLES[task]))}. / "
            "当前角色无此权限。"
        )
