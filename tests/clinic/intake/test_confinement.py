"""What holds the process that opens uploads: it can do nothing but read and answer, and its death hurts nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from radiolucent.clinic.intake import DamagedUpload, Limits, parse, prewarm
from radiolucent.phantom.dicom import build_dataset
from radiolucent.phantom.film import draw_case

PARSE = sys.modules["radiolucent.clinic.intake.parse"]

INSIDE = """
import json, os, socket, subprocess, sys
sys.path[:0] = {path!r}
from radiolucent.clinic.intake.parsed import Limits
from radiolucent.clinic.intake.confinement import confine
fd = os.open({target!r} + "/existing", os.O_RDONLY)
held = confine(Limits(memory_mb=1024, cpu_s=5))
def tried(action):
    try:
        action()
        return "allowed"
    except BaseException as error:
        return type(error).__name__
print(json.dumps({{
    "held": held,
    "socket": tried(lambda: socket.socket()),
    "program": tried(lambda: os.execv("/bin/true", ["true"])),
    "write": tried(lambda: open({target!r} + "/new", "w")),
    "delete": tried(lambda: os.unlink({target!r} + "/existing")),
    "rename": tried(lambda: os.rename({target!r} + "/existing", {target!r} + "/other")),
    "signal": tried(lambda: os.kill(os.getppid(), 0)),
    "read": tried(lambda: open({target!r} + "/existing").read()),
    "memory": tried(lambda: bytearray(2 << 30)),
}}))
"""


def film(path: Path, seed: int = 3) -> Path:
    build_dataset(draw_case(seed)).save_as(path, enforce_file_format=True)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux")
def test_a_confined_process_can_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "existing").write_text("here")
    code = INSIDE.format(path=sys.path, target=str(tmp_path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    said = json.loads(run.stdout)
    assert {"memory", "cpu", "file size", "open files", "wall clock", "system calls"} <= set(said.pop("held"))
    assert said.pop("read") == "allowed"
    assert said.pop("memory") == "MemoryError"
    assert set(said.values()) == {"PermissionError"}, said
    assert [path.name for path in tmp_path.iterdir()] == ["existing"]


def test_every_parse_says_what_held_it(tmp_path: Path) -> None:
    parsed = parse([film(tmp_path / "a.dcm")])
    assert {"memory", "cpu", "file size", "open files", "wall clock"} <= set(parsed.confined_by)


def test_a_film_opens_quickly_once_the_server_is_warm(tmp_path: Path) -> None:
    """The goal is 1 to 2 s for 2 megapixels; measured alone: 0.15 s for 3.6."""
    import numpy as np

    header = build_dataset(draw_case(3))
    rows, cols = 1600, 1300
    header.Rows, header.Columns, header.BitsAllocated, header.BitsStored, header.HighBit = rows, cols, 16, 12, 11
    header.PixelData = (np.arange(rows * cols, dtype=np.uint32) % 4096).astype(np.uint16).tobytes()
    header.ImagerPixelSpacing = ["0.2", "0.2"]
    header.save_as(tmp_path / "large.dcm", enforce_file_format=True)
    prewarm()
    best = min(_timed(tmp_path / "large.dcm") for _ in range(3))
    assert best < 2.0


def _timed(path: Path) -> float:
    began = time.monotonic()
    assert parse([path]).study.frames[0].values.shape == (1600, 1300)
    return time.monotonic() - began


def test_the_wall_clock_stops_a_parse(tmp_path: Path) -> None:
    with pytest.raises(DamagedUpload) as refused:
        parse([film(tmp_path / "a.dcm")], Limits(wall_s=0.0))
    assert refused.value.reason.code == "time"


@pytest.mark.parametrize("killed", ["server", "child"])
def test_a_killed_process_costs_nobody_else_anything(killed: str, tmp_path: Path) -> None:
    path = film(tmp_path / "a.dcm")
    prewarm()
    pids = [place._process.pid for place in PARSE._PLACES if place._process is not None]
    assert len(pids) == PARSE.SERVERS
    if killed == "server":
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    else:
        stop = threading.Event()
        hunter = threading.Thread(target=_kill_children, args=(pids, stop), daemon=True)
        hunter.start()
        for _ in range(3):
            try:
                parse([path])
            except DamagedUpload as refused:
                assert refused.reason.code in ("memory", "crashed")
        stop.set()
        hunter.join()
    assert parse([path]).study.frames[0].geometry.rows == 512


def _kill_children(pids: list[int], stop: threading.Event) -> None:
    while not stop.is_set():
        for pid in pids:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            for child in children.read_text().split() if children.exists() else []:
                try:
                    os.kill(int(child), signal.SIGKILL)
                except ProcessLookupError:
                    continue
        time.sleep(0.002)


def test_servers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom radiolucent.clinic.intake import prewarm\n"
        "prewarm()\nparse = sys.modules['radiolucent.clinic.intake.parse']\n"
        "print(*[place._process.pid for place in parse._PLACES], flush=True)\ntime.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout is not None
    pids = [int(word) for word in run.stdout.readline().split()]
    assert pids
    run.kill()
    run.wait()
    for _ in range(200):
        if not any(_runs(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError("a server outlived its parent")


def _runs(pid: int) -> bool:
    try:
        return "radiolucent" in Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return False


def test_many_uploads_at_once_are_each_their_own(tmp_path: Path) -> None:
    paths = [film(tmp_path / f"{seed}.dcm", seed) for seed in range(1, 7)]
    alone = [parse([path]).study.source.sha256 for path in paths]
    together: dict[int, str] = {}

    def open_one(index: int) -> None:
        together[index] = parse([paths[index]]).study.source.sha256

    threads = [threading.Thread(target=open_one, args=(index,)) for index in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[index] for index in range(len(paths))] == alone


def test_secrets_of_the_server_do_not_reach_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RADIOLUCENT_MASTER_KEY", "secret")
    PARSE._close_all()
    prewarm()
    for place in PARSE._PLACES:
        assert b"secret" not in Path(f"/proc/{place._process.pid}/environ").read_bytes()


def test_a_lying_answer_is_refused(tmp_path: Path) -> None:
    """What comes from the confined process is as little trusted as the file."""
    from radiolucent.clinic.intake.wire import Broken, read, read_study, study_entry, written
    from radiolucent.study import load_study

    study = load_study(film(tmp_path / "a.dcm"))
    blocks: list[bytes | memoryview] = []
    entry = study_entry(study, blocks)
    answer = b"".join(bytes(part) for part in written({"study": entry}, blocks))
    found, parts = read(memoryview(answer))
    again = read_study(found["study"], parts)
    assert (again.frames[0].values == study.frames[0].values).all()
    assert again.frames[0].geometry == study.frames[0].geometry
    assert again.warnings == study.warnings
    for cut in (0, 3, 11, 40, len(answer) // 2, len(answer) - 1):
        with pytest.raises((Broken, ValueError)):
            cut_entry, cut_parts = read(memoryview(answer[:cut]))
            read_study(cut_entry["study"], cut_parts)
    for change in ({"rows": 511}, {"patient_right": "up"}, {"side_source": "guess"}, {"function": "exec"}):
        lie = {**found["study"], "frames": [{**found["study"]["frames"][0], **change}]}
        with pytest.raises(Broken):
            read_study(lie, parts)
    with pytest.raises(Broken):
        read_study({**found["study"], "warnings": ["<script>"]}, parts)


def test_texts_of_a_header_reach_nobody_through_an_error(tmp_path: Path) -> None:
    header: Dataset = build_dataset(draw_case(3))
    header.PatientName, header.Modality = "Secret^Name", "MR"
    header.save_as(tmp_path / "secretname.dcm", enforce_file_format=True)
    with pytest.raises(Exception, match="Modality") as refused:
        parse([tmp_path / "secretname.dcm"])
    assert "Secret" not in str(refused.value) and "secretname" not in str(refused.value)
