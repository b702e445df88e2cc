"""``ClinicalAIAssistant``: cases in, drafts out, and a review that is kept, from a few lines of Python.

It works on the same store, with the same rules, as the service with its review page: a case taken in here can be
signed there, and the other way round.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.service import cases, evidence, exporting, intake, review, signing
from radiolucent.clinic.service.drafting import KIND, draft_handler, loaded_once
from radiolucent.clinic.service.loading import as_drafted, findings_of, latest_run, seen
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.settings import Settings, from_env
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.patients import find, identity_of
from radiolucent.clinic.store.tables import AiFinding, Case, Patient, Run
from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.findings.names import describe
from radiolucent.report.explanation import Explanation
from radiolucent.vlm.load import load_model

WAIT_S = 0.2  # between two looks at a draft that another worker is making

REVIEW_STATUS = {
    "queued": "pending",
    "drafted": "pending",
    "failed": "pending",
    "in_review": "in review",
    "reported": "reported",
    "signed": "signed",
    "amended": "amended",
    "rejected": "rejected",
}
"""State of a case -> ``review_status``."""

Ruling = str | Mapping[str, Any]


class DraftFailed(RadiolucentError):
    """No draft could be made; the case is kept and can be reported by hand."""


class ClinicalAIAssistant:
    """Takes in cases, drafts them, and keeps their review.

    Parameters
    ----------
    store
        A store, settings, or a folder for the data; by default the site's own (``RADIOLUCENT_*``, otherwise SQLite in
        the user's data folder).
    model
        In the settings' place: hub id, folder of weights or ``demo``.
    user
        Name under which cases are taken in, reviewed and signed; the account's name on this machine by default.

    Examples
    --------
    ::

        assistant = ClinicalAIAssistant()
        result = assistant.process_new_case("P202401001", "chest_xray.jpg", "请分析这张胸部X光片，描述主要发现")
        result["key_findings"]
        assistant.case_history["P202401001"]["review_status"]      # "pending"
    """

    def __init__(
        self,
        store: Store | Settings | str | Path | None = None,
        *,
        model: str | None = None,
        user: str | None = None,
    ) -> None:
        if isinstance(store, Store):
            if model not in (None, store.settings.model):
                raise MalformedInput("A store brings its model along; give settings or a folder to choose another.")
            self.store = store
        else:
            settings = _settings(store)
            self.store = open_store(settings if model is None else settings.with_(model=model))
        name = user or getpass.getuser()
        self.actor = Actor(f"local:{name}", "radiologist", name)
        self._worker = Worker(self.store, {KIND: draft_handler(self.store, loaded_once(load_model))})

    def process_new_case(
        self,
        patient_id: str,
        image_path: str | Path | Sequence[str | Path],
        clinical_question: str | None = None,
        *,
        language: str | None = None,
        clinical_information: str | None = None,
        idempotency_key: str | None = None,
        due_at: datetime | None = None,
    ) -> dict[str, Any]:
        """Take in a case, draft it, and wait for the draft.

        Parameters
        ----------
        image_path
            DICOM or a picture; several files of one study.

        Returns
        -------
        Exactly six entries:

        ``patient_id``
            As given.
        ``ai_report``
            The draft as written.
        ``clinical_summary``
            What the draft states in the case's language, the question first, and what to re-check.
        ``confidence_score``
            The lowest confidence among the findings that the summary states: a calibrated probability where a
            calibration fits, otherwise the share of samples that agree; None where there is none.
        ``key_findings``
            The findings stated, one phrase each.
        ``attention_focus``
            Where the evidence lies, in words with the patient's side, or that no region could be shown.

        Raises
        ------
        DraftFailed
            Where no draft could be made; the case is kept.
        MalformedInput, UnsupportedInput
            Where the files are refused; no case is kept.
        """
        paths = [image_path] if isinstance(image_path, str | Path) else list(image_path)
        case = intake.new_case(
            self.store,
            self.actor,
            [Path(path) for path in paths],
            question=clinical_question,
            language=language,
            patient_id=patient_id,
            clinical_information=clinical_information,
            idempotency_key=idempotency_key,
            due_at=due_at,
            source="assistant",
        )
        self._drafted(case.id)
        return self._result(patient_id, case.id)

    @property
    def case_history(self) -> Mapping[str, dict[str, Any]]:
        """Patient's ID -> the latest case: ``case_id``, ``report``, ``explanations``, ``timestamp`` (UTC, aware) and
        ``review_status``. Read from the store at each look, so it outlives this object."""
        return _History(self)

    def cases(self, patient_id: str) -> tuple[dict[str, Any], ...]:
        """Every case of a patient, the oldest first, each as in :attr:`case_history`."""
        with self.store.read() as session:
            patient = find(session, self.store, patient_id)
            if patient is None:
                return ()
            found = select(Case.id).where(Case.patient_id == patient.id).order_by(Case.created_at, Case.number)
            ids = list(session.scalars(found))
        return tuple(self._record(case_id) for case_id in ids)

    def explanation(self, case_id: str) -> Explanation:
        """The whole explanation behind a case's latest draft; the read is audited."""
        with self.store.begin() as session:
            seen(session, case_id)
            note(self.store, session, self.actor, "case.explanation_read", "case", case_id)
        return evidence.explanation_of(self.store, case_id)

    def review(
        self,
        case_id: str,
        rulings: Mapping[str | None, Ruling] | None = None,
        *,
        added: Sequence[Mapping[str, Any]] = (),
        findings_text: str | None = None,
        impression_text: str | None = None,
        own_impression: str | None = None,
        patient_right: str | None = None,
    ) -> CaseView:
        """Open a case, look at the AI's draft, and decide; returns the case with what still blocks its signature.

        Parameters
        ----------
        rulings
            Finding's id -> ``"accept"``, ``"reject"``, ``"keep"``, ``"drop"``, or ``{"decision": "change", ...}`` with
            the fields of :func:`radiolucent.clinic.service.review.rule`. One by one: there is no way to accept all.
        added
            Findings that the AI does not have: ``{"code": "nodule", "side": "left", ...}``.
        findings_text, impression_text
            The report; composed from the rulings where both are None and something was decided.
        own_impression
            Saved before the AI is shown; asked for in reader-first mode.
        patient_right
            ``left`` or ``right``: the picture's side on which the patient's right lies, where that was only assumed.
        """
        case = review.open_case(self.store, self.actor, case_id)
        if own_impression is not None:
            case = review.own_impression(self.store, self.actor, case_id, case.version, own_impression)
        if case.drafted and not case.revealed:
            case = review.reveal_ai(self.store, self.actor, case_id)
        if patient_right is not None:
            case = review.confirm_side(self.store, self.actor, case_id, case.version, patient_right)
        for finding_id, ruling in (rulings or {}).items():
            fields = {"decision": ruling} if isinstance(ruling, str) else dict(ruling)
            case = review.rule(self.store, self.actor, case_id, case.version, finding_id, **fields)
        for one in added:
            case = review.rule(self.store, self.actor, case_id, case.version, None, "add", **dict(one))
        if findings_text is None and impression_text is None and (rulings or added):
            text = review.suggest_text(self.store, self.actor, case_id)
            findings_text, impression_text = text["findings"], text["impression"]
        if findings_text is not None or impression_text is not None:
            working = case.texts.working
            case = review.save_text(
                self.store,
                self.actor,
                case_id,
                case.version,
                findings_text if findings_text is not None else "" if working is None else working.findings,
                impression_text if impression_text is not None else "" if working is None else working.impression,
            )
        return case

    def sign(self, case_id: str, *, attestation: bool) -> CaseView:
        """Sign a reviewed case; ``attestation`` affirms :data:`radiolucent.clinic.service.signing.ATTESTATION`.

        Raises
        ------
        Blocked
            With everything that has to be dealt with first.
        """
        version = cases.case(self.store, self.actor, case_id).version
        return signing.sign(
            self.store,
            self.actor,
            case_id,
            version,
            password_checked_at=self.store.now(),
            attestation=attestation,
        )

    def reject(self, case_id: str, reason: str | None = None) -> CaseView:
        """Reject a case; a signed one is withdrawn and needs a reason."""
        version = cases.case(self.store, self.actor, case_id).version
        return signing.reject(self.store, self.actor, case_id, version, reason)

    def amend(self, case_id: str, reason: str) -> CaseView:
        """Open a signed report again, to be signed as a new edition."""
        version = cases.case(self.store, self.actor, case_id).version
        return signing.amend(self.store, self.actor, case_id, version, reason)

    def export(
        self, case_id: str, folder: str | Path | None = None, *, destination: str | None = None
    ) -> tuple[Path, ...]:
        """Make the signed report's DICOM objects; write them to a folder, or queue them for a destination.

        The files hold the patient's name and ID, as DICOM does; their names hold neither.

        Returns
        -------
        The files written; none without a folder.

        Raises
        ------
        WrongState
            Where nothing is signed.
        """
        made = exporting.export(self.store, self.actor, case_id, destination)
        if folder is None:
            return ()
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        written = []
        for number, one in enumerate(made, start=1):
            path = target / f"{number:02d}_{one.kind}.dcm"
            path.write_bytes(exporting.export_file(self.store, self.actor, case_id, one.id))
            written.append(path)
        return tuple(written)

    def close(self) -> None:
        """Close the connections; everything is kept."""
        self.store.dispose()

    def _drafted(self, case_id: str) -> None:
        """Work on the queue until this case's draft has ended; another worker may be the one that makes it."""
        while True:
            told = cases.progress(self.store, self.actor, case_id)
            if told["state"] == "dead":
                raise DraftFailed(f"No draft could be made: {told['error']} The case is kept (case_id {case_id}).")
            if told["state"] == "done":
                return
            if not self._worker.step():
                time.sleep(WAIT_S)

    def _result(self, patient_id: str, case_id: str) -> dict[str, Any]:
        run, findings, case = self._draft(case_id)
        if run is None:
            raise DraftFailed(f"The case was closed before it was drafted (case_id {case_id}).")
        chosen = "zh" if case.language == "zh" else "en"
        return {
            "patient_id": patient_id,
            "ai_report": run.report,
            "clinical_summary": run.summary[chosen],
            "confidence_score": None if run.confidence is None else run.confidence["value"],
            "key_findings": [_phrase(row, chosen) for row in findings if row.polarity in ("present", "uncertain")],
            "attention_focus": run.attention[chosen],
        }

    def _draft(self, case_id: str) -> tuple[Run | None, list[AiFinding], Case]:
        with self.store.begin() as session:
            case = seen(session, case_id)
            run = latest_run(session, case_id)
            note(self.store, session, self.actor, "case.read", "case", case_id)
            return run, findings_of(session, run), case

    def _record(self, case_id: str) -> dict[str, Any]:
        run, _, case = self._draft(case_id)
        return {
            "case_id": case_id,
            "report": None if run is None else run.report,
            "explanations": Explanations(lambda: self.explanation(case_id), run is not None),
            "timestamp": case.created_at if run is None else run.created_at,
            "review_status": REVIEW_STATUS[case.state],
        }


class Explanations(Mapping[str, Any]):
    """What the model saw, relied on and was sure of: ``findings``, ``maps``, ``trace``, ``confidence``,
    ``faithfulness``, ``warnings`` and ``provenance`` of the explanation, opened when first asked for."""

    _NAMES = ("findings", "maps", "trace", "confidence", "faithfulness", "warnings", "provenance")

    def __init__(self, load: Callable[[], Explanation], there: bool) -> None:
        self._load, self._names = load, self._NAMES if there else ()
        self._held: Explanation | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if self._held is None:
            self._held = self._load()
        return getattr(self._held, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _History(Mapping[str, dict[str, Any]]):
    """The store as a mapping from the patients' IDs to their latest cases."""

    def __init__(self, assistant: ClinicalAIAssistant) -> None:
        self._assistant = assistant

    def __getitem__(self, patient_id: str) -> dict[str, Any]:
        found = self._assistant.cases(patient_id)
        if not found:
            raise KeyError(patient_id)
        return found[-1]

    def __iter__(self) -> Iterator[str]:
        return iter(known_ids(self._assistant.store))

    def __len__(self) -> int:
        return len(known_ids(self._assistant.store))


def known_ids(store: Store) -> list[str]:
    """The IDs of every patient who has one and was not erased, in the order in which they came."""
    with store.read() as session:
        found = select(Patient).where(Patient.lookup.is_not(None)).order_by(Patient.created_at, Patient.id)
        return [identity_of(store, patient).id for patient in session.scalars(found)]


def _settings(given: Settings | str | Path | None) -> Settings:
    if isinstance(given, Settings):
        return given
    return from_env() if given is None else from_env(None, data=Path(given))


def _phrase(row: AiFinding, language: str) -> str:
    stated = as_drafted(row).stated
    return row.words if stated is None else describe(stated.as_finding(), language)
