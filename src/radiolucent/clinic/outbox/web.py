"""DICOMweb requests: to the admitted address, certificates checked, redirects within the origin, sizes capped."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from urllib.parse import urljoin, urlsplit

import httpx

from radiolucent.clinic.outbox.destination import Destination, PullFailed, checked_url
from radiolucent.errors import RadiolucentError

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
CHUNK = 1 << 16


@contextmanager
def connection(destination: Destination, addresses: Sequence[str], timeout_s: float) -> Iterator[httpx.Client]:
    """A client that speaks to the admitted addresses, and no others, under the destination's name."""
    headers = {"Authorization": f"Bearer {destination.token}"} if destination.token else {}
    client = httpx.Client(
        headers=headers,
        timeout=timeout_s,
        verify=tls_context(destination),
        follow_redirects=False,
        trust_env=False,  # no proxy of the environment stands between
        transport=_Pinned(addresses, tls_context(destination)),
    )
    with client:
        yield client


def tls_context(destination: Destination) -> ssl.SSLContext:
    """Certificates of the system, and of the destination's own authority."""
    context = ssl.create_default_context()
    if destination.ca_pem:
        context.load_verify_locations(cadata=destination.ca_pem)
    if not destination.verify_tls:  # admitted for loopback alone
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Pinned(httpx.HTTPTransport):
    """Connects to given addresses; the name stays in the Host header and in the TLS handshake."""

    def __init__(self, addresses: Sequence[str], context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self._addresses = addresses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        request.extensions = {**request.extensions, "sni_hostname": name}
        *others, last = self._addresses
        for address in others:  # a host may have an address that nothing listens on
            request.url = request.url.copy_with(host=address)
            try:
                return super().handle_request(request)
            except httpx.ConnectError:
                continue
        request.url = request.url.copy_with(host=last)
        return super().handle_request(request)


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an address."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def same_origin(url: str, base: str) -> str:
    """A link that a server gave, made absolute.

    Raises
    ------
    PullFailed
        Where it leads to another scheme, host or port than the destination's.
    """
    absolute = urljoin(base + "/", url)
    if origin(absolute) != origin(base):
        raise PullFailed(
            "The archive points to another server for its data; that is not followed. / 归档指向其他服务器，不予跟随。"
        )
    return absolute


@contextmanager
def asked(
    client: httpx.Client, url: str, base: str, accept: str, parameters: dict[str, str] | None = None
) -> Iterator[httpx.Response]:
    """A GET whose redirects stay at the origin; the body is streamed.

    Raises
    ------
    PullFailed
        A redirect elsewhere, or too many.
    """
    address, query = url, parameters
    for _ in range(_MOST_REDIRECTS + 1):
        with client.stream("GET", address, params=query, headers={"Accept": accept}) as response:
            if response.status_code not in _REDIRECTS:
                yield response
                return
            address = same_origin(response.headers.get("location", ""), base)
            query = None
    raise PullFailed("The archive redirects in a circle. / 归档循环重定向。")


def body(response: httpx.Response, most: int, failure: type[RadiolucentError] = PullFailed) -> bytes:
    """The body of an answer.

    Raises
    ------
    PullFailed
        Where it is longer than ``most`` bytes, whatever its header says.
    """
    content = bytearray()
    for chunk in response.iter_bytes(CHUNK):
        content += chunk
        if len(content) > most:
            raise failure(
                f"The archive's answer is larger than {most >> 20} MB; it was cut off. / 归档返回的数据过大。"
            )
    return bytes(content)


def parts_of(content: bytes, content_type: str) -> list[bytes]:
    """The bodies of a multipart/related answer (RFC 2046); a plain application/dicom one is one part.

    Raises
    ------
    PullFailed
        Where there is no boundary.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        return [content]
    boundary = header.get_boundary("")
    if not header.get_content_type().startswith("multipart/") or not boundary:
        raise PullFailed("The archive did not answer with DICOM. / 归档返回的不是DICOM。")
    found = []
    line = rb"(?:\r\n|\A)--" + re.escape(boundary.encode("latin-1")) + rb"(?:--)?[ \t]*(?=\r\n|\Z)"
    for piece in re.split(line, content)[1:]:
        _, separator, inner = piece.partition(b"\r\n\r\n")
        if separator:
            found.append(inner)
    return found


def root(destination: Destination) -> str:
    """The destination's DICOMweb root."""
    return checked_url(destination.url)
