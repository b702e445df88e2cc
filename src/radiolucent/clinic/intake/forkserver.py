"""A small process that has the parsers loaded and forks one confined child an upload; started by :mod:`.parse`.

One request at a time: two descriptors arrive, of the request (JSON: paths, limits) and of the file for the answer. The
server waits for its child, kills it past the wall clock, and reports how it ended. It ends itself when its parent's end
of the channel closes, however the parent ended; the child ends with the server (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from radiolucent.clinic.intake.parsed import Limits

READY = b"ready"
OUT_OF_MEMORY = 2
_TICK_S = 0.005


def main(descriptor: int) -> None:
    """Serve requests from a channel until it closes."""
    channel = socket.socket(fileno=descriptor)
    _warm()
    channel.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 64, 2)
        if not message or len(descriptors) != 2:
            return
        request_fd, answer_fd = descriptors
        with os.fdopen(request_fd, "rb") as stream:
            request = json.loads(stream.read())
        pid = os.fork()
        if pid == 0:
            channel.close()
            _child(request, answer_fd)
        os.close(answer_fd)
        ended = _watched(pid, float(request["limits"]["wall_s"]), channel)
        if ended is None:
            return
        channel.send(json.dumps(ended).encode("ascii"))


def _watched(pid: int, wall_s: float, channel: socket.socket) -> dict[str, Any] | None:
    """Wait for the child; None where the parent went away meanwhile."""
    started, timed_out = time.monotonic(), False
    channel.setblocking(False)
    try:
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                return {
                    "status": os.waitstatus_to_exitcode(status),
                    "timed_out": timed_out,
                    "seconds": time.monotonic() - started,
                    "peak_mb": usage.ru_maxrss / 1024,
                }
            if not timed_out and time.monotonic() - started > wall_s:
                timed_out = True
                os.kill(pid, signal.SIGKILL)
            try:
                gone = channel.recv(1) == b""
            except BlockingIOError:
                gone = False
            if gone:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return None
            time.sleep(_TICK_S)
    finally:
        channel.setblocking(True)


def _child(request: dict[str, Any], answer_fd: int) -> None:
    """Open the files, write the answer, end: never returns."""
    status = 1
    try:
        from radiolucent.clinic.intake.child import answer
        from radiolucent.clinic.intake.confinement import confine

        limits = Limits(**request["limits"])
        held = confine(limits)
        for part in answer([Path(path) for path in request["paths"]], limits, held):
            _write_all(answer_fd, part)
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    finally:
        os._exit(status)


def _write_all(descriptor: int, part: bytes | memoryview) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]


def _warm() -> None:
    """Load what a parse needs, so that a child starts with it; a decoder that is not installed is asked for later."""
    from PIL import Image
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

    import radiolucent.clinic.intake.child
    import radiolucent.clinic.intake.confinement  # noqa: F401

    Image.preinit()
    for syntax in (JPEGBaseline8Bit, JPEGLSLossless, JPEG2000, RLELossless):
        _ = get_decoder(syntax).available_plugins


if __name__ == "__main__":
    main(int(sys.argv[1]))
