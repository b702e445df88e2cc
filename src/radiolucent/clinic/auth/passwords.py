"""Passwords: argon2id (RFC 9106), no default, none that is the login or a single repeated thing."""

from __future__ import annotations

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.errors import MalformedInput

SHORTEST, LONGEST = 12, 256  # ASVS 5.0, 6.2.1 and 6.2.9: length counts, not kinds of characters
AT_ONCE = 4  # hashes computed at the same time: each takes 64 MiB

_hasher = PasswordHasher()  # RFC 9106, second recommended option: t=3, 64 MiB, 4 lanes
_room = threading.BoundedSemaphore(AT_ONCE)
_NOBODY = PasswordHasher().hash("of no account")


def hashed(password: str, login: str = "") -> str:
    """The hash of a new password.

    Raises
    ------
    MalformedInput
        Where it is too short, too long, the login, or one thing repeated; the message never quotes it.
    """
    with _room:
        return _hasher.hash(_checked(password, login))


def matches(kept: str | None, password: str) -> bool:
    """Whether a password is the one whose hash is kept; takes as long where there is none."""
    with _room:
        try:
            return _hasher.verify(kept or _NOBODY, _normal(password)) and kept is not None
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Whether a hash was made with weaker parameters than today's, and should be made anew at the next login."""
    return _hasher.check_needs_rehash(kept)


def _checked(password: str, login: str) -> str:
    refuse_unclean(password, "The password")
    normal = _normal(password)
    if not SHORTEST <= len(normal) <= LONGEST:
        raise MalformedInput(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(normal)}. / "
            f"密码长度须为 {SHORTEST} 至 {LONGEST} 个字符。"
        )
    if len(set(normal)) < 5 or (login and normal.casefold() == login.casefold()):
        raise MalformedInput(
            "This password is too easily guessed: use more than four different characters, and not the login. / "
            "密码过于简单。"
        )
    return normal


def _normal(password: str) -> str:
    """One spelling, whichever keyboard wrote it (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
