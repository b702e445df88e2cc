"""A multipart upload, written to disk as it comes in and never held in memory; opened only by the confined child."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from radiolucent.clinic.api.problems import Refusal
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.columns import refuse_unclean

FIELDS = {"question": 2_000, "language": 2, "patient_id": 64, "clinical_information": 10_000, "due_at": 40}
"""Form fields and their longest texts in characters."""
MOST_FILES = 2_000
LONGEST_HEADER = 4_096
AT_ONCE = 1024 * 1024  # bytes handed to the disk together


@dataclass
class Upload:
    """What came in.

    Parameters
    ----------
    files
        Under names that say nothing, in the order in which they came.
    """

    files: list[Path] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def received(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The upload of a request; its files are deleted afterwards, however that goes.

    Raises
    ------
    Refusal
        400 where it is not multipart, 413 where it is too large, 422 where a field does not fit.
    """
    limit = settings.upload_limit_mb * 1024 * 1024
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(settings)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise Refusal("bad-request", "The multipart boundary is missing.")
    folder = settings.incoming / secrets.token_hex(16)
    await run_in_threadpool(folder.mkdir, 0o700, True)
    try:
        reader = _Reader(folder)
        parser = MultipartParser(boundary, reader.callbacks())
        seen, held = 0, bytearray()
        try:
            async for chunk in request.stream():
                seen += len(chunk)
                if seen > limit:
                    raise _too_large(settings)
                held += chunk
                if len(held) >= AT_ONCE:
                    await run_in_threadpool(parser.write, bytes(held))
                    held.clear()
            await run_in_threadpool(parser.write, bytes(held))
            await run_in_threadpool(parser.finalize)
        except MultipartParseError as error:
            raise Refusal("bad-request", "The body is not what multipart/form-data looks like.") from error
        finally:
            reader.close()
        yield reader.upload()
    finally:
        await run_in_threadpool(shutil.rmtree, folder, True)


def _too_large(settings: Settings) -> Refusal:
    return Refusal(
        "too-large",
        f"An upload holds {settings.upload_limit_mb:,} MB at most (RADIOLUCENT_UPLOAD_LIMIT_MB). / 上传超过大小限制。",
    )


class _Reader:
    """Callbacks of the parser: file parts go to disk, fields into memory up to their longest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self.fields: dict[str, str] = {}
        self.ended = False
        self._open: IO[bytes] | None = None
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._field = "", bytearray()

    def callbacks(self) -> Any:
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def upload(self) -> Upload:
        """What was read.

        Raises
        ------
        Refusal
            Where it was cut off or holds no file.
        """
        if not self.ended:
            raise Refusal("bad-request", "The upload ends before its last boundary; send it again.")
        if not self.files:
            raise Refusal("malformed", "There is no file in the upload; send one or more parts named files.")
        return Upload(self.files, self.fields)

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _begin(self) -> None:
        self._headers.clear()
        self._field.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._short(self._header)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._short(self._value)

    def _short(self, held: bytearray) -> None:
        if len(held) > LONGEST_HEADER or len(self._headers) > 20:
            raise Refusal("bad-request", "The headers of a part are too long.")

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:  # the name itself may be a patient's: it is not kept
            if self._name not in ("files", "files[]"):
                raise Refusal("malformed", "Files are sent in parts named files.")
            if len(self.files) >= MOST_FILES:
                raise Refusal("too-large", f"An upload holds {MOST_FILES:,} files at most.")
            path = self.folder / f"{len(self.files):04d}"
            self._open = path.open("xb")
            self.files.append(path)
        elif self._name not in FIELDS:
            raise Refusal("malformed", f"The fields of an upload are files, {', '.join(FIELDS)}.")
        elif self._name in self.fields:
            raise Refusal("malformed", f"{self._name} is given twice.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(data[start:end])
            return
        self._field += data[start:end]
        if len(self._field) > 4 * FIELDS[self._name]:
            raise Refusal("malformed", f"{self._name} is too long: {FIELDS[self._name]:,} characters are taken.")

    def _end(self) -> None:
        if self._open is not None:
            self.close()
            return
        try:
            text = self._field.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refusal("malformed", f"{self._name} is not UTF-8.") from error
        refuse_unclean(text, self._name)
        if len(text) > FIELDS[self._name]:
            raise Refusal("malformed", f"{self._name} is too long: {FIELDS[self._name]:,} characters are taken.")
        self.fields[self._name] = text

    def _finish(self) -> None:
        self.ended = True
