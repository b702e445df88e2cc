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
    measured, counted
        Whether a size in millimetres and a number mean anything for it.
    described
        Names of the attributes that it can have.
    """

    en: str
    zh: str
    sided: bool = True
    zoned: bool = False
    graded: bool = True
    shares_place: bool = False
    measured: bool = False
    counted: bool = False
    described: tuple[str, ...] = ()


_LESION = ("margin", "density", "vessels")

VOCABULARY: dict[str, Code] = {
    "enlarged_cardiomediastinum": Code("widened mediastinum", "纵隔增宽", sided=False),
    "cardiomegaly": Code("enlarged heart", "心影增大", sided=False),
    "lung_opacity": Code(
        "lung opacity", "肺内密度增高影", zoned=True, shares_place=True, measured=True, described=_LESION
    ),
    "nodule": Code(
        "nodule",
        "结节",
        zoned=True,
        graded=False,
        shares_place=True,
        measured=True,
        counted=True,
        described=_LESION,
    ),
    "mass": Code(
        "mass", "肿块", zoned=True, graded=False, shares_place=True, measured=True, counted=True, described=_LESION
    ),
    "edema": Code("pulmonary edema", "肺水肿", zoned=True, described=("vessels",)),
    "consolidation": Code("consolidation", "实变", zoned=True, shares_place=True, measured=True, described=_LESION),
    "pneumonia": Code("pneumonia", "肺炎", zoned=True, shares_place=True),
    "inflammation": Code("inflammation", "炎症", zoned=True, shares_place=True),
    "atelectasis": Code("atelectasis", "肺不张", zoned=True, shares_place=True),
    "pneumothorax": Code("pneumothorax", "气胸", shares_place=True, measured=True),
    "pleural_effusion": Code("pleural effusion", "胸腔积液", shares_place=True, measured=True),
    "pleural_other": Code("pleural thickening", "胸膜增厚", shares_place=True, measured=True),
    "fracture": Code("fracture", "骨折", graded=False, counted=True),
    "support_devices": Code("support device", "医疗置入物", graded=False, described=("kind",)),
    "fibrosis": Code("fibrosis", "纤维灶", zoned=True, shares_place=True, measured=True, described=("margin",)),
    "calcification": Code(
        "calcification",
        "钙化",
        zoned=True,
        graded=False,
        shares_place=True,
        measured=True,
        counted=True,
        described=("margin",),
    ),
    "hilar_enlargement": Code("enlarged hilum", "肺门增大", described=("margin",)),
    "hyperinflation": Code("hyperinflation", "肺过度充气"),
    "tuberculosis": Code("tuberculosis", "肺结核", zoned=True, graded=False, shares_place=True),
    "cavity": Code(
        "cavity",
        "空洞",
        zoned=True,
        graded=False,
        shares_place=True,
        measured=True,
        counted=True,
        described=("margin", "density"),
    ),
    "interstitial_change": Code("interstitial change", "间质性改变", zoned=True),
    "mediastinal_shift": Code("mediastinal shift", "纵隔移位"),
    "subdiaphragmatic_gas": Code("free gas under the diaphragm", "膈下游离气体"),
    "subcutaneous_emphysema": Code("subcutaneous emphysema", "皮下气肿"),
    "raised_diaphragm": Code("raised diaphragm", "膈肌抬高"),
    "increased_lung_markings": Code("increased lung markings", "肺纹理增多", zoned=True, described=("margin",)),
}

CODES: tuple[str, ...] = tuple(VOCABULARY)

ATTRIBUTES: dict[str, dict[str, tuple[str, str]]] = {
    "kind": {
        "endotracheal_tube": ("endotracheal tube", "气管插管"),
        "gastric_tube": ("gastric tube", "胃管"),
        "central_venous_catheter": ("central venous catheter", "中心静脉导管"),
        "chest_drain": ("chest drain", "胸腔引流管"),
        "pacemaker": ("pacemaker or defibrillator", "心脏起搏器或除颤器"),
        "sternal_wires": ("sternal wires", "胸骨钢丝"),
        "valve": ("heart valve prosthesis", "人工心脏瓣膜"),
        "other": ("other device", "其他置入物"),
    },
    "margin": {
        "well_defined": ("well defined", "边界清楚"),
        "ill_defined": ("ill defined", "边缘模糊"),
        "smooth": ("smooth", "边缘光滑"),
        "irregular": ("irregular", "边缘不规则"),
        "lobulated": ("lobulated", "分叶"),
        "spiculated": ("spiculated", "毛刺"),
    },
    "density": {
        "ground_glass": ("ground-glass type", "磨玻璃密度"),
        "part_solid": ("part solid", "部分实性"),
        "solid": ("solid", "实性"),
        "homogeneous": ("homogeneous", "密度均匀"),
        "heterogeneous": ("heterogeneous", "密度不均匀"),
    },
    "vessels": {
        "engorged": ("engorged vessels", "血管增粗"),
        "indistinct": ("indistinct vessels", "血管模糊"),
        "redistributed": ("upper zone redistribution", "上肺血管增粗"),
        "convergent": ("converging vessels", "血管集束"),
    },
}
"""Attribute -> value -> its name in English and Chinese."""
