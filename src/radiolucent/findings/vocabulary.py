"""The fixed vocabulary: every code, what can be said of it, and its name in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """One entry of the vocabulary.

    Parameters
    ----------
    en, zh
        The name shown to people.
    sided, zoned, graded
        Whether a side, a lung zone and a severity mean anything for it. Nodules and masses are measured, never
        graded.
    shares_place
        Whether "right X and Y" also places Y on the right: true of things seen in one place, not of whole-body
        or two-sided conditions such as oedema.
    """

    en: str
    zh: str
    sided: bool = True
    zoned: bool = False
    graded: bool = True
    shares_place: bool = False


VOCABULARY: dict[str, Code] = {
    "enlarged_cardiomediastinum": Code("widened mediastinum", "纵隔增宽", sided=False),
    "cardiomegaly": Code("enlarged heart", "心影增大", sided=False),
    "lung_opacity": Code("lung opacity", "肺内密度增高影", zoned=True, shares_place=True),
    "nodule": Code("nodule", "结节", zoned=True, graded=False, shares_place=True),
    "mass": Code("mass", "肿块", zoned=True, graded=False, shares_place=True),
    "edema": Code("pulmonary edema", "肺水肿", zoned=True),
    "consolidation": Code("consolidation", "实变", zoned=True, shares_place=True),
    "pneumonia": Code("pneumonia", "肺炎", zoned=True, shares_place=True),
    "inflammation": Code("inflammation", "炎症", zoned=True, shares_place=True),
    "atelectasis": Code("atelectasis", "肺不张", zoned=True, shares_place=True),
    "pneumothorax": Code("pneumothorax", "气胸", shares_place=True),
    "pleural_effusion": Code("pleural effusion", "胸腔积液", shares_place=True),
    "pleural_other": Code("pleural thickening", "胸膜增厚", shares_place=True),
    "fracture": Code("fracture", "骨折", graded=False),
    "support_devices": Code("support device", "医疗置入物", graded=False),
    "fibrosis": Code("fibrosis", "纤维灶", zoned=True, shares_place=True),
    "calcification": Code("calcification", "钙化", zoned=True, graded=False, shares_place=True),
    "hilar_enlargement": Code("enlarged hilum", "肺门增大"),
    "hyperinflation": Code("hyperinflation", "肺过度充气"),
    "tuberculosis": Code("tuberculosis", "肺结核", zoned=True, graded=False, shares_place=True),
    "cavity": Code("cavity", "空洞", zoned=True, graded=False, shares_place=True),
    "interstitial_change": Code("interstitial change", "间质性改变", zoned=True),
    "mediastinal_shift": Code("mediastinal shift", "纵隔移位"),
    "subdiaphragmatic_gas": Code("free gas under the diaphragm", "膈下游离气体"),
    "subcutaneous_emphysema": Code("subcutaneous emphysema", "皮下气肿"),
    "raised_diaphragm": Code("raised diaphragm", "膈肌抬高"),
    "increased_lung_markings": Code("increased lung markings", "肺纹理增多", zoned=True),
}

CODES: tuple[str, ...] = tuple(VOCABULARY)
