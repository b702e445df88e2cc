"""Send objects to a destination: STOW-RS (PS3.18 10.5) or C-STORE (PS3.4 B)."""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from radiolucent.clinic.outbox.destination import Destination, SendFailed, admitted
from radiolucent.clinic.outbox.web import body, connection, root, tls_context

TIMEOUT_S = 60.0
_MOST_ANSWER = 8 << 20
_STORED, _WARNINGS = 0x0000, range(0xB000, 0xC000)


@dataclass(frozen=True)
class Sent:
    """What the destination said.

    Parameters
    ----------
    sop_uids
        Of the objects that it took.
    warnings
        What it remarked on, without identifiers.
    """

    sop_uids: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def send(datasets: Sequence[Dataset], destination: Destination, *, timeout_s: float = TIMEOUT_S) -> Sent:
    """Send every object; either all are taken or it has failed.

    Sending again is safe: the objects' UIDs are the same, and an archive that holds them already takes them for what
    they are.

    Raises
    ------
    DestinationRefused
        Before anything is sent; a demo model's object to another machine among the reasons.
    SendFailed
        Where the destination cannot be reached, or did not take all of them.
    """
    addresses = admitted(datasets, destination)
    if not datasets:
        return Sent(())
    try:
        return (_stow if destination.kind == "stow" else _cstore)(datasets, destination, addresses, timeout_s)
    except (httpx.ConnectError, ConnectionError) as error:
        raise SendFailed(
            f"The destination {destination.name!r} could not be reached ({type(error).__name__}); check that it runs, "
            "and its certificate. / 无法连接目标，请检查其是否运行及证书。"
        ) from error


def as_file(made: Dataset) -> bytes:
    """The object as a DICOM file (PS3.10)."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _stow(datasets: Sequence[Dataset], destination: Destination, addresses: Sequence[str], timeout_s: float) -> Sent:
    boundary = secrets.token_hex(16)
    content = b"".join(
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), as_file(made))
        for made in datasets
    )
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    try:
        with connection(destination, addresses, timeout_s) as client:
            request = client.build_request(
                "POST",
                f"{root(destination)}/studies",
                content=content + b"--%b--\r\n" % boundary.encode(),
                headers=headers,
            )
            response = client.send(request, stream=True)
            try:
                answer = body(response, _MOST_ANSWER, SendFailed)
            finally:
                response.close()
    except httpx.ConnectError:
        raise
    except httpx.HTTPError as error:
        raise SendFailed(
            f"The destination {destination.name!r} did not answer ({type(error).__name__}). / 目标无响应。"
        ) from error
    if response.status_code not in (200, 202):
        raise SendFailed(
            f"The destination {destination.name!r} refused the objects (HTTP {response.status_code}); ask its "
            "administrator. / 目标拒绝接收对象。"
        )
    return _stored(datasets, destination, answer)


def _stored(datasets: Sequence[Dataset], destination: Destination, answer: bytes) -> Sent:
    """What the Store Instances Response (PS3.18 10.5.3) lists."""
    try:
        said = Dataset.from_json(answer.decode("utf-8"))
    except Exception as error:  # pydicom raises many kinds on what is not DICOM JSON
        raise SendFailed(f"The destination {destination.name!r} answered something else than DICOM JSON.") from error
    taken = {str(item.get("ReferencedSOPInstanceUID")) for item in said.get("ReferencedSOPSequence") or []}
    missing = [made for made in datasets if str(made.SOPInstanceUID) not in taken]
    if missing:
        reasons = {f"{int(item.get('FailureReason') or 0):04X}" for item in said.get("FailedSOPSequence") or []}
        raise SendFailed(
            f"The destination {destination.name!r} took {len(datasets) - len(missing)} of {len(datasets)} objects "
            f"(failure reasons {', '.join(sorted(reasons)) or 'not stated'}). / 目标未接收全部对象。"
        )
    remarks = {
        f"{int(item.get('WarningReason')):04X}"
        for item in said.get("ReferencedSOPSequence") or []
        if item.get("WarningReason")
    }
    return Sent(tuple(str(made.SOPInstanceUID) for made in datasets), tuple(sorted(remarks)))


def _cstore(datasets: Sequence[Dataset], destination: Destination, addresses: Sequence[str], timeout_s: float) -> Sent:
    from pynetdicom import AE, evt
    from pynetdicom.pdu import A_ASSOCIATE_RJ

    # The association's own flag is lost where the refusal comes before its thread looks whether it has connected.
    refusals: list[object] = []

    def hear(event: Any) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            refusals.append(event.pdu)

    entity = AE(ae_title=destination.calling_aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = timeout_s
    for sop_class in dict.fromkeys(str(made.SOPClassUID) for made in datasets):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    secure = {"tls_args": (tls_context(destination), destination.host)} if destination.tls else {}
    for address in addresses:
        association = entity.associate(
            address, destination.port, ae_title=destination.aet, evt_handlers=[(evt.EVT_PDU_RECV, hear)], **secure
        )
        if association.is_established:
            return _stored_one_by_one(datasets, destination, association)
        if refusals:
            raise SendFailed(
                f"The destination {destination.name!r} rejects the association; check the AE titles "
                f"({destination.calling_aet} to {destination.aet}). / 目标拒绝关联，请核对AE名称。"
            )
    raise ConnectionError("no association")


def _stored_one_by_one(datasets: Sequence[Dataset], destination: Destination, association: Any) -> Sent:
    taken: list[str] = []
    remarks: list[str] = []
    failed: list[str] = []
    try:
        for made in datasets:
            answer = association.send_c_store(made)
            status = int(answer.get("Status", 0xFFFF)) if answer else 0xFFFF
            if status == _STORED or status in _WARNINGS:
                taken.append(str(made.SOPInstanceUID))
                remarks += [] if status == _STORED else [f"{status:04X}"]
            else:
                failed.append(f"{status:04X}")
    except (ValueError, RuntimeError) as error:  # a class that the destination does not take; an association that ended
        failed.append(type(error).__name__)
    finally:
        association.release()
    if len(taken) < len(datasets):
        raise SendFailed(
            f"The destination {destination.name!r} took {len(taken)} of {len(datasets)} objects "
            f"({', '.join(sorted(set(failed)))}). / 目标未接收全部对象。"
        )
    return Sent(tuple(taken), tuple(sorted(set(remarks))))
