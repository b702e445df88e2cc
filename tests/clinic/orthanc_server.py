"""A real Orthanc with its DICOMweb plugin on free loopback ports, in a temporary folder."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

PLUGINS = Path("/usr/share/orthanc/plugins")


@dataclass
class Orthanc:
    """A running server."""

    http: int
    dicom: int
    process: subprocess.Popen[bytes]

    @property
    def web(self) -> str:
        """Its DICOMweb root."""
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def get(self, path: str) -> bytes:
        """Orthanc's own REST interface."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=20) as answer:
            return bytes(answer.read())

    def file_of(self, sop_uid: str) -> bytes:
        """The object as it lies in the archive."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/tools/lookup", data=sop_uid.encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = [one for one in json.load(answer) if one["Type"] == "Instance"]
        assert len(found) == 1, f"{len(found)} instances of one UID"
        return self.get(found[0]["Path"] + "/file")


def available() -> bool:
    """Whether Orthanc and its plugin are installed."""
    return shutil.which("Orthanc") is not None and (PLUGINS / "libOrthancDicomWeb.so").exists()


def start(folder: Path) -> Orthanc:
    """Start a server and wait until it answers."""
    http, dicom = _free_port(), _free_port()
    settings = {
        "Name": "radiolucent tests",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "OverwriteInstances": True,
        "DefaultEncoding": "Utf8",
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Ssl": False, "Host": f"127.0.0.1:{http}"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(path)], stdout=log, stderr=log, cwd=folder)
    server = Orthanc(http, dicom, process)
    for _ in range(150):
        try:
            server.get("/system")
            return server
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
            time.sleep(0.1)
    process.kill()
    raise AssertionError("Orthanc did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
