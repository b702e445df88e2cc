"""What people must know about the model that drafts, one click away from every page."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from sqlalchemy import select

from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.switches import paused
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Run
from radiolucent.phantom.bundled import folder

INTENDED_USE = {
    "en": "Research on explaining a vision-language model's draft of a frontal chest film to a radiologist who has "
    "read the film. Not a medical device. AI-generated, not reviewed by a physician until it is signed.",
    "zh": "用于研究：向已亲自阅片的放射科医师解释视觉语言模型对正位胸片所写的草稿。非医疗器械。"
    "签发前为 AI 生成，未经医师审核。",
}
NOT_FOR = [
    {
        "en": "Diagnosis without a physician's own reading, triage that delays anybody, measurement.",
        "zh": "不得替代医师亲自阅片，不得用于导致延误的分诊，不得用于测量。",
    },
    {
        "en": "Anything but chest films: other body parts, FOR PROCESSING images and unknown modalities are refused.",
        "zh": "不用于胸片以外的影像；其他部位、未处理影像及未知类型将被拒绝。",
    },
    {
        "en": "Children under 18, supine or AP films and unknown views: a warning is shown, heart size is hedged.",
        "zh": "未满 18 岁、仰卧或前后位、体位未知：将提示，心影大小仅供参考。",
    },
]
LIMITS = [
    {
        "en": "“No finding” does not mean normal: what the draft does not name was not excluded.",
        "zh": "“未见异常”不等于正常：草稿未提及的并未被排除。",
    },
    {
        "en": "A box is the area that the model relied on, not the lesion's outline; not for measurement.",
        "zh": "方框为模型依赖区域，非病灶轮廓，不可测量。",
    },
    {
        "en": "A map that did no better than chance is withheld; this does not mean that the finding is absent.",
        "zh": "未能证实依据的热图不予显示，不代表无此病变。",
    },
    {
        "en": "A percentage is called a probability only where a calibration fits the model; else it is uncalibrated.",
        "zh": "仅在有适用校准时方称为概率，否则为未校准。",
    },
]


def model_facts(store: Store, actor: Actor) -> dict[str, Any]:
    """Name, hash of the weights, card, use, limits, versions, and why it is paused if it is."""
    permit(actor, "see cases")
    name = store.settings.model
    with store.read() as session:
        reason = paused(store, session, name)
        latest = session.scalars(select(Run).where(Run.model == name).order_by(Run.created_at.desc()).limit(1)).first()
        hashes = session.scalars(select(Run.weights_hash).where(Run.model == name).distinct()).all()
    bundled = folder(name)
    card = None if bundled is None else (bundled / "MODEL_CARD.md").read_text(encoding="utf-8")
    measured = None if bundled is None else json.loads((bundled / "card.json").read_text(encoding="utf-8"))
    return {
        "name": name,
        "demo": name == "demo",
        "level": store.settings.level,
        "weights_hash": None if latest is None else latest.weights_hash,
        "weights_hashes_seen": sorted(hashes),
        "card": card,
        "measured": measured,
        "intended_use": INTENDED_USE,
        "not_for": NOT_FOR,
        "limits": LIMITS,
        "paused": reason,
        "mode": store.settings.mode,
        "legal_basis": store.settings.legal_basis or None,
        "versions": {package: version(package) for package in ("radiolucent", "torch", "transformers", "pydicom")},
        "provenance": None if latest is None else latest.provenance,
    }
