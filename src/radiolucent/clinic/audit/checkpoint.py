"""How far the trail reached, kept outside the database and signed: without it a cut-off end would go unseen.

The file stands beside the keys. It names the last entry (``head``) and, after a restore that an administrator
confirmed, the heads that were given up (``breaks``).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radiolucent.clinic.audit.chain import GENESIS, canonical
from radiolucent.clinic.errors import AuditBroken
from radiolucent.clinic.store.engine import Store, write_whole

NAME = "audit.checkpoint"


@dataclass(frozen=True)
class Head:
    """An entry that the trail must hold; seq 0 is the trail before its first entry."""

    seq: int = 0
    digest: str = GENESIS


@dataclass(frozen=True)
class Checkpoint:
    """What the file says."""

    head: Head
    breaks: tuple[Head, ...] = ()


def checkpoint_path(store: Store) -> Path:
    """Where the checkpoint lies: beside the keys."""
    return store.settings.keys / NAME


def read_checkpoint(store: Store) -> Checkpoint | None:
    """The checkpoint; None where there is no file.

    Raises
    ------
    AuditBroken
        Where the file is damaged or was not signed with this site's key.
    """
    try:
        raw = checkpoint_path(store).read_bytes()
    except FileNotFoundError:
        return None
    try:
        held: dict[str, Any] = json.loads(raw)
        body = {"head": held["head"], "breaks": held["breaks"]}
        signed = hmac.compare_digest(_mac(store, body), held["mac"])
        found = Checkpoint(Head(**held["head"]), tuple(Head(**one) for one in held["breaks"]))
    except (ValueError, KeyError, TypeError) as error:
        raise AuditBroken("The audit checkpoint cannot be read; put back the one from the keys' backup.") from error
    if not signed:
        raise AuditBroken("The audit checkpoint was not written with this site's audit key; it was forged or moved.")
    return found


def advance(store: Store, head: Head) -> None:
    """Move the checkpoint forward to ``head``; never back, whichever process is slower."""
    with _locked(store):
        known = read_checkpoint(store)
        if known is None:
            _write(store, Checkpoint(head))
        elif head.seq > known.head.seq:
            _write(store, Checkpoint(head, known.breaks))


def reanchor(store: Store, head: Head) -> Head | None:
    """Put the checkpoint on ``head`` wherever it was, keeping the old one as a break; returns the old one."""
    with _locked(store):
        known = read_checkpoint(store)
        if known is None:
            _write(store, Checkpoint(head))
            return None
        _write(store, Checkpoint(head, (*known.breaks, known.head)))
        return known.head


def _mac(store: Store, body: dict[str, Any]) -> str:
    return hmac.new(store.keys.audit, b"checkpoint " + canonical(body).encode(), hashlib.sha256).hexdigest()


def _write(store: Store, checkpoint: Checkpoint) -> None:
    body = {"head": checkpoint.head.__dict__, "breaks": [one.__dict__ for one in checkpoint.breaks]}
    content = canonical({**body, "mac": _mac(store, body)}).encode("utf-8")
    write_whole(checkpoint_path(store), content, prefix=".checkpoint.")


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    folder = store.settings.keys
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".checkpoint.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
