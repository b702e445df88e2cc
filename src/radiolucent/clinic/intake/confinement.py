"""What holds the process that opens uploads: resource limits, and a filter on its system calls.

The filter (seccomp, Linux) refuses with EPERM whatever opening a picture never needs: sockets, starting programs,
signals to other processes, looking into them, and every way of writing to the file system. The result goes out through
one descriptor that was opened before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from dataclasses import dataclass

from radiolucent.clinic.intake.parsed import Limits

_MEGABYTE = 1 << 20
_OPEN_FILES = 256
_SLACK_BYTES = 64 * _MEGABYTE
_BYTES_A_PIXEL = 5  # float32 and a padding mask

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2
_KILL_PROCESS, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16  # struct seccomp_data
_X32 = 0x40000000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class _Calls:
    """System call numbers of an architecture."""

    audit: int
    refused: tuple[int, ...]
    opening: tuple[tuple[int, int], ...]  # (number, which argument holds the flags)


_CALLS = {
    "x86_64": _Calls(
        0xC000003E,
        (
            41, 42, 43, 44, 46, 49, 50, 53, 288,  # socket, connect, accept, sendto, sendmsg, bind, listen, socketpair
            59, 322, 62, 200, 234, 101, 310, 311,  # execve, execveat, kill, tkill, tgkill, ptrace, process_vm_*
            76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 133,  # truncate, rename, mkdir, creat, link, unlink, chmod…
            258, 259, 260, 263, 264, 265, 266, 268, 316,  # …at
            165, 166, 155, 161, 272, 308, 175, 313,  # mount, umount, pivot_root, chroot, unshare, setns, modules
            298, 321, 323, 425, 437,  # perf_event_open, bpf, userfaultfd, io_uring_setup, openat2
        ),
        ((2, 1), (257, 2)),
    ),
    "aarch64": _Calls(
        0xC00000B7,
        (
            198, 199, 200, 201, 202, 203, 206, 211, 242,
            221, 281, 129, 130, 131, 117, 270, 271,
            33, 34, 35, 36, 37, 38, 45, 52, 53, 54, 276,
            40, 39, 41, 51, 97, 268, 105, 273,
            241, 280, 282, 425, 437,
        ),
        ((56, 2),),
    ),
}  # fmt: skip


def confine(limits: Limits) -> tuple[str, ...]:
    """Limit this process for good; what could be put in force, in words.

    Raises
    ------
    OSError
        Where a resource limit is refused: then nothing may be opened.
    """
    held = ["wall clock"]
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_answer(limits),) * 2)
    held += ["cpu", "open files", "file size"]
    if sys.platform == "linux":  # elsewhere the address space of a process says little about its memory
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb * _MEGABYTE,) * 2)
        held.append("memory")
        if platform.machine() in _CALLS and _filter(_CALLS[platform.machine()]):
            held.append("system calls")
    return tuple(held)


def largest_answer(limits: Limits) -> int:
    """Bytes that an answer may have."""
    return limits.pixels * _BYTES_A_PIXEL + limits.upload_mb * _MEGABYTE + _SLACK_BYTES


def _filter(calls: _Calls) -> bool:
    """Put the filter in force; False where the kernel has none."""
    if not _control(_PR_SET_NO_NEW_PRIVS, 1):
        return False
    instructions = _program(calls)
    held = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in instructions))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(held)))
    return _control(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _program(calls: _Calls) -> list[tuple[int, int, int, int]]:
    """Classic BPF: (code, jump if true, jump if false, operand)."""
    body: list[tuple[int, int, int, int]] = [
        (_LOAD_WORD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, calls.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD_WORD, 0, 0, _AT_NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for number in calls.refused:
        body += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    for number, argument in calls.opening:
        body += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD_WORD, 0, 0, _AT_ARGUMENTS + 8 * argument),
            (_JUMP_ANY_BIT, 0, 1, _WRITING),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return [*body, (_RETURN, 0, 0, _ALLOW)]


def _control(option: int, value: int, pointer: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return int(libc.prctl(option, *arguments)) == 0
