"""Objects go where an administrator said, and nowhere else: hostile archives, demo objects, certificates."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.dataset import Dataset
from signed_documents import phantom

from radiolucent.clinic.outbox import (
    DEMO_STAMP,
    Destination,
    DestinationRefused,
    PullFailed,
    PullLimits,
    SendFailed,
    as_file,
    find,
    pull,
    send,
)
from radiolucent.clinic.outbox import destination as looked_up
from radiolucent.errors import MalformedInput, RadiolucentError

STUDY = "2.25.7"
Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(
    handler: BaseHTTPRequestHandler, status: int, content: bytes, kind: str = "application/dicom+json", **headers: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A web server on a free port that answers everything by a function; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def log_message(self, *_: Any) -> None:
            return

    held = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        held.socket = context.wrap_socket(held.socket, server_side=True)
    thread = threading.Thread(target=held.serve_forever, daemon=True)
    thread.start()
    try:
        yield held.server_address[1]
    finally:
        held.shutdown()
        held.server_close()


def archive(port: int, **options: Any) -> Destination:
    return Destination("archive", "stow", url=f"http://127.0.0.1:{port}/web", **options)


def listing(*entries: dict[str, Any]) -> bytes:
    return json.dumps(entries).encode()


def entry(**values: str) -> dict[str, Any]:
    tags = {"study": "0020000D", "series": "0020000E", "instance": "00080018", "modality": "00080060"}
    return {tags[name]: {"vr": "UI", "Value": [value]} for name, value in values.items()}


def walk(handler: BaseHTTPRequestHandler, instance: Answer) -> None:
    """An archive with one film; the film itself is answered by a function."""
    path = handler.path.split("?")[0]
    if path.endswith("/series"):
        reply(handler, 200, listing(entry(series="2.25.8", modality="DX")))
    elif path.endswith("/instances"):
        reply(handler, 200, listing(entry(instance="2.25.9")))
    else:
        instance(handler)


def multipart(*parts: bytes) -> tuple[bytes, str]:
    body = b"".join(b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts)
    return body + b"--edge--\r\n", 'multipart/related; type="application/dicom"; boundary=edge'


def test_a_demo_models_object_never_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    made = phantom(SeriesDescription=f"{DEMO_STAMP} report text")
    reached: list[str] = []
    for addresses in (["192.0.2.7"], ["127.0.0.1", "192.0.2.7"], ["::ffff:192.0.2.7"], ["2001:db8::1"]):
        monkeypatch.setattr(looked_up, "resolved", lambda host, port, found=addresses: tuple(found))
        monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
        for target in (
            Destination("a", "stow", url="https://pacs.example/dicom-web"),
            Destination("b", "cstore", host="pacs.example", port=104, aet="PACS"),
        ):
            with pytest.raises(DestinationRefused, match="DEMO"):
                send([phantom(), made], target)
    assert reached == []


def test_loopback_is_looked_up_and_not_guessed_from_the_name() -> None:
    assert looked_up.is_loopback(["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    assert not looked_up.is_loopback(["127.0.0.1", "10.0.0.1"])
    assert not looked_up.is_loopback([])


def test_a_switched_off_destination_gets_nothing() -> None:
    with pytest.raises(DestinationRefused, match="switched off"):
        send([phantom()], Destination("a", "stow", url="http://127.0.0.1:1/web", enabled=False))


def test_unchecked_certificates_and_clear_tokens_stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_up, "resolved", lambda host, port: ("192.0.2.7",))
    with pytest.raises(DestinationRefused, match="Certificates"):
        send([phantom()], Destination("a", "stow", url="https://pacs.example/web", verify_tls=False))
    with pytest.raises(DestinationRefused, match="token"):
        send([phantom()], Destination("a", "stow", url="http://pacs.example/web", token="secret"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "stow", "url": "ftp://host/web"},
        {"kind": "stow", "url": "http://user:word@host/web"},
        {"kind": "stow", "url": "http://host/web?x=1"},
        {"kind": "stow", "url": "http://host/w eb"},
        {"kind": "cstore", "host": "h", "port": 0, "aet": "A"},
        {"kind": "cstore", "host": "h", "port": 104, "aet": "far too long a title"},
        {"kind": "email"},
    ],
)
def test_destinations_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedInput):
        Destination("a", **wrong)


def test_an_address_that_nothing_listens_on_is_said() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SendFailed, match="could not be reached"):
        send([phantom()], archive(port), timeout_s=3)
    with pytest.raises(SendFailed, match="could not be reached"):
        send([phantom()], Destination("b", "cstore", host="127.0.0.1", port=port, aet="PACS"), timeout_s=3)
    with pytest.raises(PullFailed, match="did not answer"):
        find(archive(port), date="20260101", limits=PullLimits(timeout_s=3))
    with pytest.raises(DestinationRefused, match="not found"):
        send([phantom()], Destination("c", "stow", url="http://no.such.host.invalid/web"))


def _partly(made: Dataset) -> bytes:
    said = Dataset()
    taken, failed = Dataset(), Dataset()
    taken.ReferencedSOPClassUID, taken.ReferencedSOPInstanceUID = made.SOPClassUID, "2.25.1"
    failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    failed.FailureReason = 0xA700
    said.ReferencedSOPSequence, said.FailedSOPSequence = [taken], [failed]
    return said.to_json().encode()


@pytest.mark.parametrize(
    ("status", "content", "match"),
    [
        (202, "partly", "0 of 1 objects .failure reasons A700"),
        (409, "partly", "HTTP 409"),
        (200, b"<html>", "DICOM JSON"),
        (200, b"[" * 100_000, "DICOM JSON"),
        (302, b"", "HTTP 302"),
        (500, b"", "HTTP 500"),
    ],
)
def test_what_was_not_taken_is_not_called_sent(status: int, content: Any, match: str) -> None:
    made = phantom()
    answer = _partly(made) if content == "partly" else content
    with (
        server(lambda handler: reply(handler, status, answer, Location="http://192.0.2.7/")) as port,
        pytest.raises(SendFailed, match=match),
    ):
        send([made], archive(port))


def test_a_redirect_to_another_server_is_not_followed() -> None:
    asked: list[str] = []
    with server(lambda handler: (asked.append(handler.path), reply(handler, 200, b"[]"))[1]) as other:
        for location in (f"http://127.0.0.1:{other}/steal", f"//127.0.0.1:{other}/steal", "file:///etc/passwd"):
            with (
                server(lambda handler, to=location: reply(handler, 302, b"", Location=to)) as port,
                pytest.raises(PullFailed, match="another server"),
            ):
                find(archive(port), study_uid=STUDY)
    assert asked == []


def test_a_redirect_within_the_archive_is_followed_but_not_for_ever() -> None:
    def once(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/web"):
            reply(handler, 307, b"", Location="/moved/studies")
        else:
            reply(handler, 200, listing(entry(study=STUDY)))

    with server(once) as port:
        assert [one.study_uid for one in find(archive(port), study_uid=STUDY)] == [STUDY]
    with (
        server(lambda handler: reply(handler, 302, b"", Location=handler.path)) as port,
        pytest.raises(PullFailed, match="circle"),
    ):
        find(archive(port), study_uid=STUDY)


@pytest.mark.parametrize(
    "link",
    [
        {"7FE00010": {"vr": "OW", "BulkDataURI": "http://192.0.2.7/pixels"}},
        {"00081190": {"vr": "UR", "Value": ["https://127.0.0.1/other/scheme"]}},
        {"00081115": {"vr": "SQ", "Value": [{"7FE00010": {"vr": "OW", "BulkDataURI": "ftp://127.0.0.1/x"}}]}},
    ],
)
def test_bulk_data_of_another_origin_is_refused(link: dict[str, Any]) -> None:
    with (
        server(lambda handler: reply(handler, 200, listing({**entry(study=STUDY), **link}))) as port,
        pytest.raises(PullFailed, match="another server"),
    ):
        find(archive(port), study_uid=STUDY)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b'{"a": 1}',
        b"[1]",
        listing(entry(study="../../admin")),
        listing(entry(study="1" * 65)),
        b"[" * 200_000,
    ],
)
def test_nonsense_from_an_archive_is_a_typed_error(content: bytes) -> None:
    with server(lambda handler: reply(handler, 200, content)) as port, pytest.raises(RadiolucentError):
        find(archive(port), study_uid=STUDY)


def test_answers_larger_than_the_limits_are_cut_off(tmp_path: Path) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        """No length, no end: what comes is counted."""
        handler.send_response(200)
        handler.send_header("Content-Type", "application/dicom")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 20))
        except OSError:  # the client hung up, as it should
            return

    limits = PullLimits(study_mb=2, answer_mb=2, timeout_s=20)
    with server(lambda handler: walk(handler, endless)) as port, pytest.raises(PullFailed, match="larger"):
        pull(archive(port), STUDY, tmp_path, limits=limits)
    with server(endless) as port, pytest.raises(PullFailed, match="larger"):
        find(archive(port), study_uid=STUDY, limits=limits)
    assert list(tmp_path.iterdir()) == []


def test_one_instance_is_one_object(tmp_path: Path) -> None:
    film = as_file(phantom())
    for parts in ((), (film, film)):
        content, kind = multipart(*parts)
        with (
            server(lambda handler, c=content, k=kind: walk(handler, lambda one: reply(one, 200, c, k))) as port,
            pytest.raises(PullFailed, match="objects where one"),
        ):
            pull(archive(port), STUDY, tmp_path)
    content, kind = multipart(film)
    with server(lambda handler: walk(handler, lambda one: reply(one, 200, content, kind))) as port:
        assert [path.read_bytes() for path in pull(archive(port), STUDY, tmp_path)] == [film]
    with (
        server(lambda handler: walk(handler, lambda one: reply(one, 200, film, "text/html"))) as port,
        pytest.raises(PullFailed, match="did not answer with DICOM"),
    ):
        pull(archive(port), STUDY, tmp_path)


def test_a_patients_id_is_never_asked_for(tmp_path: Path) -> None:
    """Addresses end up in the logs of servers and proxies."""
    asked: list[str] = []
    content, kind = multipart(as_file(phantom()))

    def noting(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if handler.path.split("?")[0].endswith("/studies"):
            reply(handler, 200, listing(entry(study=STUDY)))
        else:
            walk(handler, lambda one: reply(one, 200, content, kind))

    with server(noting) as port:
        find(archive(port), date="20260101")
        find(archive(port), study_uid=STUDY)
        pull(archive(port), STUDY, tmp_path)
    assert len(asked) == 5
    assert not any("Patient" in path or "0010" in path.split("?")[-1] for path in asked if "?" in path)


@pytest.mark.parametrize(
    "question", [{}, {"study_uid": "1.2", "date": "20260101"}, {"date": "today"}, {"study_uid": "1/2"}]
)
def test_only_a_study_uid_or_a_day_can_be_asked_for(question: dict[str, str]) -> None:
    with pytest.raises(MalformedInput):
        find(archive(1), **question)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificates_are_checked_against_the_name_and_not_the_address(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    assert ipaddress.ip_address("127.0.0.1").is_loopback
    with server(lambda handler: reply(handler, 200, listing(entry(study=STUDY))), context) as port:

        def asking(host: str, **options: Any) -> list[Any]:
            target = Destination("a", "stow", url=f"https://{host}:{port}/web", **options)
            return find(target, study_uid=STUDY, limits=PullLimits(timeout_s=10))

        assert len(asking("localhost", ca_pem=certificate.read_text())) == 1
        assert len(asking("localhost", verify_tls=False)) == 1
        with pytest.raises(PullFailed, match="certificate"):
            asking("localhost")
        with pytest.raises(PullFailed, match="certificate"):
            asking("127.0.0.1", ca_pem=certificate.read_text())


def test_c_store_over_tls_checks_the_certificate(certificate: Path) -> None:
    from pynetdicom import AE, evt

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    taken: list[str] = []

    def take(event: Any) -> int:
        taken.append(str(event.dataset.SOPInstanceUID))
        return 0

    made = phantom()
    node = AE(ae_title="NODE")
    node.add_supported_context(str(made.SOPClassUID))
    scp = node.start_server(("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, take)])
    try:
        port = scp.socket.getsockname()[1] if hasattr(scp, "socket") else scp.server_address[1]
        trusted = Destination(
            "node", "cstore", host="localhost", port=port, aet="NODE", tls=True, ca_pem=certificate.read_text()
        )
        assert send([made], trusted, timeout_s=10).sop_uids == (str(made.SOPInstanceUID),)
        with pytest.raises(SendFailed):
            send([made], Destination("node", "cstore", host="localhost", port=port, aet="NODE", tls=True), timeout_s=10)
    finally:
        scp.shutdown()
    assert taken == [str(made.SOPInstanceUID)]


def test_a_class_that_the_node_does_not_take_is_said() -> None:
    from pynetdicom import AE, evt

    node = AE(ae_title="NODE")
    node.add_supported_context("1.2.840.10008.5.1.4.1.1.7")  # Secondary Capture alone
    scp = node.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)])
    try:
        port = scp.socket.getsockname()[1] if hasattr(scp, "socket") else scp.server_address[1]
        film, other = phantom(), phantom(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="2.25.77")
        with pytest.raises(SendFailed, match=r"took [01] of 2"):
            send([other, film], Destination("node", "cstore", host="127.0.0.1", port=port, aet="NODE"), timeout_s=10)
    finally:
        scp.shutdown()
