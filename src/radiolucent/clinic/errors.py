"""What the clinic refuses, as types: each says what was found, what was expected and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import DontWrapMixin

from radiolucent.errors import MalformedInput, Notice, RadiolucentError


class NotFound(RadiolucentError):
    """There is no such thing, or this person may not know that there is."""


class Forbidden(RadiolucentError):
    """This role may not do this."""


class Conflict(RadiolucentError):
    """Somebody else was faster.

    Parameters
    ----------
    version
        The case's version now; None where the conflict is not about a version.
    """

    def __init__(self, message: str, *, version: int | None = None) -> None:
        super().__init__(message)
        self.version = version


class WrongState(Conflict):
    """The case is in a state in which this cannot be done."""


class Blocked(RadiolucentError):
    """Rules of the review stand against it; every one of them is named.

    Parameters
    ----------
    reasons
        In the order in which they should be dealt with; never empty.
    """

    def __init__(self, reasons: Sequence[Notice]) -> None:
        super().__init__(" ".join(reason.en for reason in reasons))
        self.reasons = tuple(reasons)


class Paused(RadiolucentError):
    """The model is paused on this site."""


class LeaseLost(RadiolucentError):
    """The job was handed to another worker in the meantime; nothing of this one's result was kept."""


class AuditBroken(RadiolucentError):
    """The audit trail does not reach its checkpoint; nothing is written until an administrator has looked."""


class KeysMismatch(RadiolucentError):
    """The keys are not those that this database was made with, or are not keys at all."""


class Erased(NotFound):
    """The patient's key was destroyed; what it sealed cannot be read again."""


class UncleanText(MalformedInput, DontWrapMixin):
    """A text holds a NUL character or a lone surrogate, which databases and people treat differently."""
