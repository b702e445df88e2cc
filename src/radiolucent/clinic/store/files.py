"""Files on disk, each sealed with its patient's key under a name that says nothing."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.store.columns import new_id
from radiolucent.clinic.store.engine import Store, write_whole
from radiolucent.clinic.store.sealed import seal, unseal
from radiolucent.clinic.store.tables import StoredFile

FOLDER = "files"


def put_file(
    session: Session, store: Store, case_id: str, key: bytes, kind: str, content: bytes, position: int = 0
) -> StoredFile:
    """Seal a file and write it whole before its row is committed; one whose transaction fails is an orphan that
    nobody can open, see :func:`orphans`."""
    file_id = new_id()
    relative = f"{FOLDER}/{file_id[:2]}/{file_id}"
    path = store.path(relative)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, seal(key, content, f"file {file_id}"))
    row = StoredFile(
        id=file_id,
        case_id=case_id,
        kind=kind,
        path=relative,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        position=position,
    )
    session.add(row)
    session.flush()
    return row


def get_file(store: Store, row: StoredFile, key: bytes) -> bytes:
    """A file's content.

    Raises
    ------
    NotFound
        Where it is not on disk any more.
    KeysMismatch
        Where it was changed.
    """
    try:
        sealed = store.path(row.path).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            "A file of this case is not on disk; restore it from a backup. / 文件缺失，请从备份恢复。"
        ) from error
    return unseal(key, sealed, f"file {row.id}")


def files_of(session: Session, case_id: str, kind: str) -> list[StoredFile]:
    """A case's files of a kind in order."""
    found = select(StoredFile).where(StoredFile.case_id == case_id, StoredFile.kind == kind)
    return list(session.scalars(found.order_by(StoredFile.position, StoredFile.id)))


def remove(store: Store, rows: list[StoredFile]) -> int:
    """Delete files from disk; returns how many were there."""
    removed = 0
    for row in rows:
        path = store.path(row.path)
        if path.exists():
            path.unlink()
            removed += 1
    return removed


def orphans(store: Store, older_than_s: float = 86_400.0) -> list[Path]:
    """Files on disk that no row speaks of: of transactions that never ended. They may be deleted."""
    with store.read() as session:
        known = set(session.scalars(select(StoredFile.path)))
    root = store.settings.data / FOLDER
    limit = time.time() - older_than_s
    return [
        path
        for path in sorted(root.glob("*/*"))
        if path.is_file() and f"{FOLDER}/{path.parent.name}/{path.name}" not in known and path.stat().st_mtime < limit
    ]
