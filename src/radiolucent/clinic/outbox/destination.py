"""Where objects may go: listed by an administrator, reached at the address that was looked at, never elsewhere."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydicom.dataset import Dataset

from radiolucent.clinic.outbox.envelope import is_demo
from radiolucent.errors import MalformedInput, RadiolucentError

CALLING_AET = "RADIOLUCENT"
_AE_TITLE = re.compile(r"[!-\[\]-~ ]{1,16}")  # PS3.5: printable ASCII without the backslash

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]*=*")


class DestinationRefused(RadiolucentError):
    """This object may not go to this destination."""


class SendFailed(RadiolucentError):
    """The destination did not take everything; what it took and what not is in the message. Trying again is safe."""


class PullFailed(RadiolucentError):
    """The archive did not give what was asked for."""


@dataclass(frozen=True)
class Destination:
    """A DICOMweb server or a DIMSE node.

    Parameters
    ----------
    kind
        ``stow``: ``url`` is the DICOMweb root (``https://pacs.example/dicom-web``); ``cstore``: host, port and aet.
    verify_tls
        Certificates are checked. It can be turned off for a loopback address only.
    ca_pem
        Certificates (PEM) to trust beside the system's; empty: the system's alone.
    token
        Sent as a Bearer token, over TLS or to a loopback address only.
    tls
        C-STORE over TLS.
    """

    name: str
    kind: Literal["stow", "cstore"]
    url: str = ""
    host: str = ""
    port: int = 0
    aet: str = ""
    calling_aet: str = CALLING_AET
    verify_tls: bool = True
    tls: bool = False
    ca_pem: str = ""
    token: str = field(default="", repr=False)
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.kind == "stow":
            checked_url(self.url)
        elif self.kind == "cstore":
            if not self.host or not 0 < self.port < 65536:
                raise MalformedInput(f"Destination {self.name!r} needs a host and a port between 1 and 65535.")
            for title in (self.aet, self.calling_aet):
                if not _AE_TITLE.fullmatch(title) or not title.strip():
                    raise MalformedInput(f"{title!r} is no AE title: 1 to 16 printable ASCII characters.")
        else:
            raise MalformedInput(f"Destination {self.name!r} is of kind {self.kind!r}; use 'stow' or 'cstore'.")
        if not _TOKEN.fullmatch(self.token):
            raise MalformedInput("This is no Bearer token: letters, digits and -._~+/= only (RFC 6750).")
        if self.ca_pem:
            try:
                ssl.create_default_context().load_verify_locations(cadata=self.ca_pem)
            except (ssl.SSLError, ValueError) as error:
                raise MalformedInput("The certificate authority is no PEM certificate.") from error


def checked_url(url: str) -> str:
    """The DICOMweb root without a slash at its end.

    Raises
    ------
    MalformedInput
        Where it is not http or https, holds credentials, a query or a fragment.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MalformedInput(f"{url!r} is no DICOMweb address; give http(s)://host/path.")
    if parts.username or parts.password or parts.query or parts.fragment or any(ord(letter) < 33 for letter in url):
        raise MalformedInput("A DICOMweb address holds no user name, password, query or fragment.")
    return url.rstrip("/")


def resolved(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a host.

    Raises
    ------
    DestinationRefused
        Where it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DestinationRefused(
            f"The host {host!r} was not found; check the destination. / 找不到目标主机。"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_loopback(addresses: Sequence[str]) -> bool:
    """Whether every address is this machine itself."""
    return bool(addresses) and all(
        (mapped if (mapped := getattr(one, "ipv4_mapped", None)) else one).is_loopback
        for one in (ipaddress.ip_address(address.split("%")[0]) for address in addresses)
    )


def admitted(datasets: Sequence[Dataset], destination: Destination) -> tuple[str, ...]:
    """The addresses that the objects may be sent to, looked up once; the sender connects to these and no others.

    Raises
    ------
    DestinationRefused
        A destination that is switched off; a demo model's object to another machine; unchecked TLS or a token in the
        clear to another machine.
    """
    if not destination.enabled:
        raise DestinationRefused(f"The destination {destination.name!r} is switched off. / 该目标已停用。")
    host, port, secure = destination.host, destination.port, destination.tls
    if destination.kind == "stow":
        parts = urlsplit(destination.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
    addresses = resolved(host, port)
    if not is_loopback(addresses):
        if any(map(is_demo, datasets)):
            raise DestinationRefused(
                "A demo model's objects never leave this machine: DEMO – not clinical. Use a real model, or a "
                "destination on a loopback address. / 演示模型的对象不得发送到其他机器。"
            )
        if not destination.verify_tls:
            raise DestinationRefused(
                "Certificates have to be checked for a destination on another machine; give its certificate "
                "authority instead. / "
                "发送到其他机器时必须校验证书，请提供其证书颁发机构。"
            )
        if destination.token and not secure:
            raise DestinationRefused("A token is not sent without TLS. / 未使用TLS，不发送令牌。")
    return addresses
