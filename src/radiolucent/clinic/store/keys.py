"""The site's three keys, kept outside the database: one seals, one signs the audit trail, one finds patients."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from radiolucent.clinic.errors import KeysMismatch

KEY_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """Secrets of 32 bytes each; they are never printed.

    Parameters
    ----------
    master
        Wraps each patient's data key.
    audit
        Of the audit trail's HMAC.
    index
        Of the HMAC under which a patient is found by ID.
    """

    master: bytes = field(repr=False)
    audit: bytes = field(repr=False)
    index: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if any(len(key) != KEY_BYTES for key in (self.master, self.audit, self.index)):
            raise KeysMismatch(f"A key has {KEY_BYTES} bytes; check the key files and RADIOLUCENT_MASTER_KEY.")

    def lookup(self, patient_id: str) -> str:
        """HMAC-SHA256 of a patient's ID: finds a patient again without storing the ID in the clear."""
        return hmac.new(self.index, patient_id.strip().encode("utf-8"), hashlib.sha256).hexdigest()

    def derived(self, purpose: bytes) -> bytes:
        """A key for one purpose, from the master key."""
        return hmac.new(self.master, purpose, hashlib.sha256).digest()

    def fingerprint(self) -> str:
        """Says whether these are the keys that a database was made with, and nothing about them."""
        digest = hashlib.sha256()
        for key in (self.master, self.audit, self.index):
            digest.update(hmac.new(key, b"radiolucent key check 1", hashlib.sha256).digest())
        return digest.hexdigest()


def load_keys(folder: Path, environment: Mapping[str, str] | None = None) -> Keys:
    """The keys of a folder, made on first use with mode 0600; ``RADIOLUCENT_MASTER_KEY`` (base64 of 32 bytes),
    ``RADIOLUCENT_AUDIT_KEY`` and ``RADIOLUCENT_INDEX_KEY`` stand above the files.

    Raises
    ------
    KeysMismatch
        Where a key file or variable is not a key, or can be read by other users.
    """
    values = os.environ if environment is None else environment
    found = {}
    for name in ("master", "audit", "index"):
        given = values.get(f"RADIOLUCENT_{name.upper()}_KEY", "")
        found[name] = (
            _decoded(given, f"RADIOLUCENT_{name.upper()}_KEY") if given else _from_file(folder / f"{name}.key")
        )
    return Keys(**found)


def _from_file(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise KeysMismatch(f"The key file {path.name} can be read by other users; run chmod 600 on it.")
    return _decoded(path.read_text(encoding="ascii", errors="replace").strip(), f"The key file {path.name}")


def _make(path: Path) -> None:
    """Of two processes that make the key at once, one wins and both read the winner's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        os.unlink(temporary)


def _decoded(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeysMismatch(f"{name} is not base64; it must hold {KEY_BYTES} random bytes in base64.") from error
    if len(key) != KEY_BYTES:
        raise KeysMismatch(f"{name} holds {len(key)} bytes; a key has {KEY_BYTES}.")
    return key
