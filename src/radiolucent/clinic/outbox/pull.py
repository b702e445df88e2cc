"""Fetch studies from an archive: found by QIDO-RS under a Study UID or a date, retrieved by WADO-RS.

A patient's ID is never asked for: addresses end up in logs. Every link is made here from checked UIDs, never taken
from the archive; what it links to has to be at its own origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from radiolucent.clinic.outbox.destination import Destination, PullFailed, admitted
from radiolucent.clinic.outbox.web import asked, body, connection, parts_of, root, same_origin
from radiolucent.errors import MalformedInput

MODALITIES = ("CR", "DX", "RG", "CT")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_DAY = re.compile(r"\d{8}")
_STUDY, _SERIES, _INSTANCE, _MODALITY = "0020000D", "0020000E", "00080018", "00080060"
_JSON = "application/dicom+json"
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class PullLimits:
    """What one pull may bring.

    Parameters
    ----------
    study_mb, answer_mb
        Bytes of a study's objects; of one list.
    instances, studies
        Objects of a study; studies of a list.
    timeout_s
        Of each request.
    """

    study_mb: int = 512
    answer_mb: int = 16
    instances: int = 4096
    studies: int = 200
    timeout_s: float = 60.0


@dataclass(frozen=True)
class FoundStudy:
    """A study that the archive holds."""

    study_uid: str
    modalities: tuple[str, ...]
    instances: int


def find(
    archive: Destination, *, study_uid: str | None = None, date: str | None = None, limits: PullLimits | None = None
) -> list[FoundStudy]:
    """Studies with an image that may be explained.

    Parameters
    ----------
    archive
        A destination of kind ``stow``: the same DICOMweb root.
    study_uid, date
        Exactly one of them; a day as ``YYYYMMDD``.

    Raises
    ------
    PullFailed, DestinationRefused
        Where the archive is not reached, redirects elsewhere, or answers nonsense.
    """
    limits = limits or PullLimits()
    if (study_uid is None) == (date is None):
        raise MalformedInput("Ask for a Study Instance UID or for a date, one of them.")
    if study_uid is not None:
        query = {"StudyInstanceUID": _checked_uid(study_uid)}
    else:
        if not _DAY.fullmatch(date or ""):
            raise MalformedInput(f"{date!r} is no day; give YYYYMMDD.")
        query = {"StudyDate": str(date)}
    query |= {"includefield": "00080061,00201208", "limit": str(limits.studies)}
    with _client(archive, limits) as (client, base):
        found = _list(client, f"{base}/studies", base, limits, query)
    studies = [
        FoundStudy(
            _checked_uid(_value(one, _STUDY)), tuple(_values(one, "00080061")), int(_value(one, "00201208") or 0)
        )
        for one in found[: limits.studies]
    ]
    return [one for one in studies if not one.modalities or set(one.modalities) & set(MODALITIES)]


def pull(archive: Destination, study_uid: str, folder: Path, *, limits: PullLimits | None = None) -> list[Path]:
    """Retrieve a study's images.

    Parameters
    ----------
    folder
        Where files are written, under names that say nothing. They are to be opened by
        :func:`radiolucent.clinic.intake.parse`, since nothing of them is trusted.

    Returns
    -------
    Files in the archive's order; images of other modalities, reports and the like are left there.

    Raises
    ------
    PullFailed
        Where the study is not there, has no such image, or is larger than the limits.
    """
    limits = limits or PullLimits()
    uid = _checked_uid(study_uid)
    paths: list[Path] = []
    room = limits.study_mb << 20
    with _client(archive, limits) as (client, base):
        for series in _list(client, f"{base}/studies/{uid}/series", base, limits, {"includefield": _MODALITY}):
            if _value(series, _MODALITY) not in MODALITIES:
                continue
            series_uid = _checked_uid(_value(series, _SERIES))
            for instance in _list(client, f"{base}/studies/{uid}/series/{series_uid}/instances", base, limits):
                if len(paths) >= limits.instances:
                    raise PullFailed(f"The study has more than {limits.instances} images. / 检查图像过多。")
                sop_uid = _checked_uid(_value(instance, _INSTANCE))
                address = f"{base}/studies/{uid}/series/{series_uid}/instances/{sop_uid}"
                content = _retrieve(client, address, base, room)
                room -= len(content)
                path = folder / f"{len(paths):05d}.dcm"
                path.write_bytes(content)
                paths.append(path)
    if not paths:
        raise PullFailed("The archive holds no chest film or CT under this study. / 归档中未找到该检查的图像。")
    return paths


@contextmanager
def _client(archive: Destination, limits: PullLimits) -> Iterator[tuple[httpx.Client, str]]:
    """A client to the archive, and its root."""
    if archive.kind != "stow":
        raise MalformedInput(f"{archive.name!r} is no DICOMweb archive; studies are pulled by QIDO-RS and WADO-RS.")
    try:
        with connection(archive, admitted((), archive), limits.timeout_s) as client:
            yield client, root(archive)
    except httpx.HTTPError as error:
        raise PullFailed(
            f"The archive {archive.name!r} did not answer ({type(error).__name__}); check that it runs, and its "
            "certificate. / 归档无响应，请检查其是否运行及证书。"
        ) from error


def _list(
    client: httpx.Client, url: str, base: str, limits: PullLimits, query: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    with asked(client, url, base, _JSON, query) as response:
        if response.status_code == 204:
            return []
        if response.status_code != 200:
            raise PullFailed(f"The archive refused the search (HTTP {response.status_code}). / 归档拒绝查询。")
        content = body(response, limits.answer_mb << 20)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PullFailed("The archive answered something else than DICOM JSON. / 归档返回的不是DICOM JSON。") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PullFailed("The archive answered something else than a list of DICOM JSON. / 归档返回格式错误。")
    for one in found:
        _check_links(one, base)
    return found


def _retrieve(client: httpx.Client, address: str, base: str, room: int) -> bytes:
    with asked(client, address, base, _DICOM) as response:
        if response.status_code != 200:
            raise PullFailed(f"The archive did not give an image (HTTP {response.status_code}). / 归档未返回图像。")
        if int(response.headers.get("content-length") or 0) > room:
            raise PullFailed("The study is larger than this site takes. / 检查数据超出本站上限。")
        parts = parts_of(body(response, room), response.headers.get("content-type", ""))
    if len(parts) != 1:
        raise PullFailed(f"The archive gave {len(parts)} objects where one was asked for. / 归档返回的对象数不符。")
    return parts[0]


def _check_links(entry: Any, base: str, depth: int = 0) -> None:
    """Refuse an answer whose bulk data or retrieve addresses lie at another origin."""
    if depth > 20:
        raise PullFailed("The archive's answer is nested too deeply. / 归档返回嵌套过深。")
    if isinstance(entry, dict):
        if "BulkDataURI" in entry:
            same_origin(str(entry["BulkDataURI"]), base)
        for tag, value in entry.items():
            if tag == "00081190" and isinstance(value, dict):  # Retrieve URL
                for link in value.get("Value") or []:
                    same_origin(str(link), base)
            _check_links(value, base, depth + 1)
    elif isinstance(entry, list):
        for one in entry:
            _check_links(one, base, depth + 1)


def _values(entry: dict[str, Any], tag: str) -> list[str]:
    held = entry.get(tag)
    values = held.get("Value") if isinstance(held, dict) else None
    return [str(one) for one in values] if isinstance(values, list) else []


def _value(entry: dict[str, Any], tag: str) -> str:
    return (_values(entry, tag) or [""])[0]


def _checked_uid(uid: str) -> str:
    if not _UID.fullmatch(uid) or len(uid) > 64:
        raise MalformedInput("That is no DICOM UID: digits and dots, at most 64 characters.")
    return uid
