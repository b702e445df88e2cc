"""Sealing: AES-256-GCM (NIST SP 800-38D) under a patient's own data key, which the master key wraps.

What is sealed names the place it belongs to (``context``, authenticated), so that a sealed value moved to another row
or file does not open there. Erasing a patient destroys the wrapped data key, and with it everything it sealed.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from radiolucent.clinic.errors import KeysMismatch
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.keys import KEY_BYTES

_MARK = b"RL1"
_NONCE = 12


def new_data_key() -> bytes:
    """A fresh data key of one patient."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, content: bytes, context: str) -> bytes:
    """``content`` under ``key``; opens only with the same ``context``."""
    nonce = os.urandom(_NONCE)
    return _MARK + nonce + AESGCM(key).encrypt(nonce, content, _MARK + context.encode())


def unseal(key: bytes, sealed: bytes, context: str) -> bytes:
    """What was sealed.

    Raises
    ------
    KeysMismatch
        Where the key or the context is another one, or the sealed value was changed.
    """
    if sealed[: len(_MARK)] != _MARK:
        raise KeysMismatch("A sealed value does not begin as one; it was damaged or written by something else.")
    body = sealed[len(_MARK) :]
    try:
        return AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _MARK + context.encode())
    except (InvalidTag, ValueError) as error:
        raise KeysMismatch(
            "A sealed value does not open: it was sealed with another key, belongs elsewhere, or was changed."
        ) from error


def seal_json(key: bytes, value: Any, context: str) -> bytes:
    """A JSON value of clean texts, sealed."""
    refuse_unclean(value)
    return seal(key, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"), context)


def unseal_json(key: bytes, sealed: bytes, context: str) -> Any:
    """See :func:`unseal`."""
    return json.loads(unseal(key, sealed, context))
