"""What a worker does with each kind of job."""

from __future__ import annotations

from radiolucent.clinic.jobs.worker import Handler
from radiolucent.clinic.ops import pulling
from radiolucent.clinic.service import drafting, exporting
from radiolucent.clinic.store.engine import Store
from radiolucent.vlm.load import load_model


def handlers(store: Store) -> dict[str, Handler]:
    """Kind of job -> handler; one model is loaded once and shared."""
    return {
        drafting.KIND: drafting.draft_handler(store, drafting.loaded_once(load_model)),
        exporting.KIND: exporting.send_handler(),
        pulling.KIND: pulling.pull_handler(),
    }
