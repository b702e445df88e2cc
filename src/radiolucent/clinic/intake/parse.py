"""Open an upload in a confined process.

The parent never decodes anything: it hands paths over, waits, and reads an answer whose every size it checks. A few
fork servers are kept ready (``prewarm`` starts them); each handles one upload at a time, so that the memory that all
parsing may take together is bounded too.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from radiolucent.clinic.intake.cleaned import cleaned
from radiolucent.clinic.intake.confinement import largest_answer
from radiolucent.clinic.intake.forkserver import OUT_OF_MEMORY, READY
from radiolucent.clinic.intake.parsed import DamagedUpload, Limits, Parsed, UnfitUpload
from radiolucent.clinic.intake.reasons import reason_of, refused
from radiolucent.clinic.intake.wire import Broken, read, read_facts, read_identifiers, read_notice, read_study
from radiolucent.errors import MalformedInput, Notice, RadiolucentError
from radiolucent.study.limits import check_file

SERVERS = 2
_START_S, _GRACE_S = 60.0, 15.0
# The child gets no secret that the server was started with (keys, database URLs).
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class ParserUnavailable(RadiolucentError):
    """The confined process could not be started, or died twice without an answer."""


def parse(paths: Sequence[Path], limits: Limits | None = None) -> Parsed:
    """Open one case's files.

    Parameters
    ----------
    paths
        DICOM files of one study, or PNG or JPEG pictures of one case.
    limits
        See :class:`Limits`.

    Raises
    ------
    DamagedUpload, UnfitUpload
        Where they are refused, with a reason in both languages; subclasses of MalformedInput and UnsupportedInput.
    ParserUnavailable
        Where no confined process can be had.
    """
    limits = limits or Limits()
    found = [Path(path).absolute() for path in paths]
    _check(found, limits)
    with _unnamed_file() as answer:
        ended = _run(found, limits, answer.fileno())
        try:
            return _result(found, limits, ended, answer)
        except (DamagedUpload, UnfitUpload) as refusal:
            refusal.seconds, refusal.peak_mb = float(ended["seconds"]), float(ended["peak_mb"])
            raise


def prewarm() -> None:
    """Start the fork servers now, so that the first upload does not wait for them."""
    taken = [_SERVERS.get() for _ in range(SERVERS)]
    try:
        for place in taken:
            place.server()
    finally:
        for place in taken:
            _SERVERS.put(place)


def _check(paths: Sequence[Path], limits: Limits) -> None:
    if not paths:
        raise refused("no_files")
    if len(paths) > limits.files:
        raise refused("too_many_files")
    total = 0
    for number, path in enumerate(paths, start=1):
        if "\x00" in str(path):
            raise _typed(MalformedInput("The path holds a NUL character; check where it was put together."))
        try:
            check_file(path, "The file" if len(paths) == 1 else f"File {number} of {len(paths)}")
        except MalformedInput as error:
            raise _typed(error) from error
        total += path.stat().st_size
    if total > limits.upload_mb << 20:
        raise refused("upload_too_large")


def _run(paths: Sequence[Path], limits: Limits, answer_fd: int) -> dict[str, Any]:
    """How the child ended."""
    request = json.dumps({"paths": [str(path) for path in paths], "limits": asdict(limits)}).encode("utf-8")
    place = _SERVERS.get()
    try:
        for _ in range(2):  # a server that was killed from outside is replaced once
            os.ftruncate(answer_fd, 0)
            os.lseek(answer_fd, 0, os.SEEK_SET)
            ended = place.ask(request, answer_fd, limits.wall_s + _GRACE_S)
            if ended is not None:
                return ended
    finally:
        _SERVERS.put(place)
    raise ParserUnavailable(
        "The process that opens uploads ended without an answer twice; try again, and look at the machine's memory. / "
        "解析进程两次异常退出，请稍后重试并检查内存。"
    )


def _result(paths: Sequence[Path], limits: Limits, ended: dict[str, Any], answer: IO[bytes]) -> Parsed:
    status = int(ended["status"])
    if ended["timed_out"] or status == -signal.SIGXCPU:
        raise refused("time")
    if status in (OUT_OF_MEMORY, -signal.SIGKILL):  # killed, and not by us: the machine ran out of memory
        raise refused("memory")
    if status != 0 or os.fstat(answer.fileno()).st_size > largest_answer(limits):
        raise refused("crashed")
    answer.seek(0)
    content = memoryview(answer.read())
    try:
        entry, blocks = read(content)
        if "refused" in entry:
            said = entry["refused"]
            reason = Notice(str(said["code"]), str(said["en"]), str(said["zh"]))
            raise (UnfitUpload if said["kind"] == "unfit" else DamagedUpload)(reason)
        form = str(entry["format"])
        originals = (
            [cleaned(path.read_bytes(), "dicom") for path in paths]
            if form == "dicom"
            else [bytes(blocks[int(index)]) for index in entry["originals"]]
        )
        return Parsed(
            format=form,
            study=read_study(entry["study"], blocks),
            identifiers=read_identifiers(entry["identifiers"]),
            facts=read_facts(entry["facts"]),
            notices=tuple(read_notice(code) for code in entry["notices"]),
            originals=tuple(originals),
            seconds=float(ended["seconds"]),
            peak_mb=float(ended["peak_mb"]),
            confined_by=tuple(str(one) for one in entry["confined_by"]),
        )
    except (Broken, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise refused("crashed") from error


def _typed(error: RadiolucentError) -> DamagedUpload | UnfitUpload:
    kind, reason = reason_of(error)
    return UnfitUpload(reason) if kind == "unfit" else DamagedUpload(reason)


def _unnamed_file() -> IO[bytes]:
    """A file without a name, in memory where there is such a thing: a patient's pixels are left nowhere."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("upload", os.MFD_CLOEXEC), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


class _Place:
    """Room for one parse at a time: a fork server, started when first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def server(self) -> socket.socket:
        """The channel to a living server.

        Raises
        ------
        ParserUnavailable
            Where none can be started.
        """
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-P", "-m", "radiolucent.clinic.intake.forkserver", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._channel = ours
        ours.settimeout(_START_S)
        try:
            ready = ours.recv(len(READY)) == READY
        except TimeoutError:
            ready = False
        if not ready:
            self.close()
            raise ParserUnavailable(
                "The process that opens uploads did not start; check the installation. / 解析进程未能启动，请检查安装。"
            )
        return ours

    def ask(self, request: bytes, answer_fd: int, timeout_s: float) -> dict[str, Any] | None:
        """How the child of a request ended; None where the server died."""
        channel = self.server()
        with _unnamed_file() as asked:
            asked.write(request)
            asked.seek(0)
            channel.settimeout(timeout_s)
            try:
                socket.send_fds(channel, [b"parse"], [asked.fileno(), answer_fd])
                reply = channel.recv(4096)
            except (OSError, TimeoutError):
                reply = b""
        if not reply:
            self.close()
            return None
        ended: dict[str, Any] = json.loads(reply)
        return ended

    def close(self) -> None:
        """End the server and its child."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


_SERVERS: queue.LifoQueue[_Place] = queue.LifoQueue()
_PLACES: list[_Place] = []


def _fill() -> None:
    """Fresh places: at import, and in a forked process, whose parent's servers are not its own."""
    global _SERVERS
    _SERVERS = queue.LifoQueue()
    _PLACES[:] = [_Place() for _ in range(SERVERS)]
    for place in _PLACES:
        _SERVERS.put(place)


def _close_all() -> None:
    for place in _PLACES:
        place.close()


_fill()
os.register_at_fork(after_in_child=_fill)
atexit.register(_close_all)
