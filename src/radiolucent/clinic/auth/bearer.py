"""Random values that a person or program carries; only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """43 characters of 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Under which a carried value is kept and found: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
