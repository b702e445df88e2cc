"""Where objects may be sent and studies fetched from: listed by an administrator, nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from urllib.parse import urlsplit

from sqlalchemy import select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import Conflict, NotFound
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.exporting import as_destination, sealed_token
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Destination
from radiolucent.errors import MalformedInput


@dataclass(frozen=True)
class DestinationView:
    """A destination; ``url`` of DICOMweb, or ``host``, ``port`` and ``aet`` of a C-STORE peer.

    Parameters
    ----------
    calling_aet
        Our own AE title there; None: RADIOLUCENT.
    tls
        C-STORE over TLS.
    ca_pem
        The site's own certificate authority, beside the system's.
    has_token
        A Bearer token is kept for it; it is never handed out again.
    """

    name: str
    kind: str
    url: str | None
    host: str | None
    port: int | None
    aet: str | None
    verify_tls: bool
    enabled: bool
    calling_aet: str | None = None
    tls: bool = False
    ca_pem: str | None = None
    has_token: bool = False


def destinations(store: Store, actor: Actor) -> list[DestinationView]:
    """All of them by name."""
    permit(actor, "export")
    with store.read() as session:
        return [_view(row) for row in session.scalars(select(Destination).order_by(Destination.name))]


def add_destination(
    store: Store, actor: Actor, wanted: DestinationView, *, token: str | None = None
) -> DestinationView:
    """Add one.

    Parameters
    ----------
    token
        Sent as a Bearer token to a DICOMweb server; sealed where it is kept.

    Raises
    ------
    MalformedInput
        Where the address does not fit the kind, holds a password, or goes unencrypted beyond this machine.
    Conflict
        Where the name is taken.
    """
    permit(actor, "administer")
    refuse_unclean([*vars(wanted).values(), token], "The destination")
    wanted = replace(wanted, has_token=bool(token))
    _check(wanted)
    row = Destination(**{name: value for name, value in vars(wanted).items() if name != "has_token"})
    row.created_at, row.sealed_token = store.now(), sealed_token(store.keys, wanted.name, token)
    as_destination(store.keys, row)  # what the outbox refuses of it is refused here
    with store.begin() as session:
        if session.get(Destination, wanted.name) is not None:
            raise Conflict("This name is taken; remove the destination first. / 名称已被使用。")
        session.add(row)
        note(store, session, actor, "destination.added", "destination", wanted.name, kind=wanted.kind)
    return wanted


def remove_destination(store: Store, actor: Actor, name: str) -> None:
    """Take one away; what was sent there stays on record.

    Raises
    ------
    NotFound
        Where there is none.
    """
    permit(actor, "administer")
    with store.begin() as session:
        row = session.get(Destination, name)
        if row is None:
            raise NotFound("There is no such destination. / 无此目的地。")
        session.delete(row)
        note(store, session, actor, "destination.deleted", "destination", name)


def _check(wanted: DestinationView) -> None:
    if wanted.kind == "cstore":
        if wanted.url is not None or not (wanted.host and wanted.port and wanted.aet):
            raise MalformedInput("A C-STORE destination has host, port and aet, and no url.")
        if wanted.has_token or (wanted.ca_pem and not wanted.tls):
            raise MalformedInput("A C-STORE destination takes no token, and an authority only with TLS.")
        return
    if wanted.tls or wanted.calling_aet:
        raise MalformedInput("TLS and our AE title are said of a C-STORE destination; DICOMweb goes by its url.")
    if wanted.host or wanted.port or wanted.aet or not wanted.url:
        raise MalformedInput("A DICOMweb destination has a url, and neither host, port nor aet.")
    try:
        parts = urlsplit(wanted.url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise MalformedInput("The url cannot be read.") from error
    if not host or port == 0 or "@" in parts.netloc or parts.query or parts.fragment:
        raise MalformedInput("The url is a scheme, a host and a path: no user, password, query or fragment.")
    if parts.scheme != "https" and host not in ("localhost", "127.0.0.1", "::1"):
        raise MalformedInput("Beyond this machine objects go by https only. / 非本机地址须使用 https。")
    if not wanted.verify_tls and host not in ("localhost", "127.0.0.1", "::1"):
        raise MalformedInput("Certificates are checked beyond this machine; install the site's own authority instead.")


def _view(row: Destination) -> DestinationView:
    shown = {one.name: getattr(row, one.name) for one in fields(DestinationView) if one.name != "has_token"}
    return DestinationView(**shown, has_token=row.sealed_token is not None)
