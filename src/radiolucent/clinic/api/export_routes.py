"""Out: the objects made of a signed report, where they may go, and studies fetched from elsewhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import StringConstraints

from radiolucent.clinic.api.answers import answer, list_answer
from radiolucent.clinic.api.caller import SignedIn, TheStore
from radiolucent.clinic.api.problems import Refusal, documented
from radiolucent.clinic.api.shapes import DestinationBody, ExportBody, Items, PullBody, PullStarted
from radiolucent.clinic.api.texts import Id
from radiolucent.clinic.ops.destinations import (
    DestinationView,
    add_destination,
    destinations,
    remove_destination,
)
from radiolucent.clinic.ops.pulling import ask_for_studies
from radiolucent.clinic.service import exporting

routes = APIRouter(tags=["out"])
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$"), Path()]


@routes.get(
    "/cases/{case_id}/exports", operation_id="listExports", response_model=Items, responses=documented("not-found")
)
def listed(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Objects made of the case, and where each of them is."""
    return list_answer(exporting.exports(store, caller.actor, case_id))


@routes.post(
    "/cases/{case_id}/exports",
    operation_id="exportCase",
    status_code=202,
    response_model=Items,
    responses=documented("not-found", "conflict", "destination-refused", "malformed"),
)
def export(case_id: Id, caller: SignedIn, store: TheStore, body: ExportBody | None = None) -> Response:
    """Make the DICOM objects of the signed report and queue them for a destination. A demo model's objects are stamped
    and go nowhere but this machine."""
    wanted = body or ExportBody()
    made = exporting.export(store, caller.actor, case_id, wanted.destination, options=wanted.options)
    response = list_answer(made)
    response.status_code = 202
    return response


@routes.get(
    "/cases/{case_id}/exports/{export_id}",
    operation_id="downloadExport",
    response_class=Response,
    responses={
        200: {"description": "The DICOM file.", "content": {"application/dicom": {}}},
        **documented("not-found"),
    },
)
def download(case_id: Id, export_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """One object as a DICOM file."""
    content = exporting.export_file(store, caller.actor, case_id, export_id)
    return Response(
        content,
        media_type="application/dicom",
        headers={"Content-Disposition": f'attachment; filename="{export_id}.dcm"'},
    )


@routes.get("/destinations", operation_id="listDestinations", response_model=Items)
def known(caller: SignedIn, store: TheStore) -> Response:
    """Where objects may be sent."""
    return list_answer(destinations(store, caller.actor))


@routes.post(
    "/destinations",
    operation_id="addDestination",
    status_code=201,
    response_model=DestinationView,
    responses=documented("conflict"),
)
def add(body: DestinationBody, caller: SignedIn, store: TheStore) -> Response:
    """Add a destination: https beyond this machine, its certificate checked."""
    wanted = DestinationView(**body.model_dump(exclude={"token"}))
    return answer(add_destination(store, caller.actor, wanted, token=body.token), 201)


@routes.delete(
    "/destinations/{name}",
    operation_id="removeDestination",
    status_code=204,
    response_class=Response,
    responses=documented("not-found"),
)
def remove(name: Name, caller: SignedIn, store: TheStore) -> Response:
    """Take a destination away."""
    remove_destination(store, caller.actor, name)
    return Response(status_code=204)


@routes.post(
    "/pull",
    operation_id="pullStudies",
    status_code=202,
    response_model=PullStarted,
    responses=documented("not-found"),
)
def pull(body: PullBody, caller: SignedIn, store: TheStore) -> Response:
    """Fetch studies from a listed DICOMweb server, by Study Instance UID or by study date."""
    if (body.study_uid is None) == (body.date is None):
        raise Refusal("malformed", "Name either study_uid or date.")
    job = ask_for_studies(store, caller.actor, body.source, study_uid=body.study_uid, date=body.date)
    return answer({"job": job}, 202)
