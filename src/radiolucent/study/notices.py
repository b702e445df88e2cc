"""The warnings a study can carry, each in English and Chinese; a code names one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from radiolucent.errors import Notice

_TEXTS: dict[str, tuple[str, str]] = {
    # Side and view of the input.
    "side_assumed": ("Side assumed, not verified.", "左右未核实。"),
    "mirrored": (
        "The film is stored mirrored: the patient's right is on the right of the picture.",
        "图像为镜像存储：患者右侧位于图像右侧。",
    ),
    "orientation_unclear": (
        "The header's orientation is not that of an upright frontal film; no side or zone is given.",
        "文件头的方位不是直立正位；不给出左右和肺野分区。",
    ),
    "slice_turned": (
        "The slices are not stored with the patient's front at the top of the picture; sides are read from the header.",
        "断层图像存储方位并非前方朝上；左右依据文件头。",
    ),
    "one_sided": (
        "The header says that one side of the body is shown; no side or zone is given.",
        "文件头注明仅为身体单侧；不给出左右和肺野分区。",
    ),
    "lateral_view": ("Lateral view: no side or zone is given.", "侧位片：不给出左右和肺野分区。"),
    "view_unknown": (
        "View unknown (PA, AP or lateral); heart size and sides need care.",
        "投照体位未知（后前位、前后位或侧位）；心影大小和左右须谨慎判断。",
    ),
    "view_conflict": (
        "The header's view position and its patient orientation contradict each other; no side or zone is given.",
        "文件头的投照体位与患者方位相互矛盾；不给出左右和肺野分区。",
    ),
    "view_ap": ("AP view: the heart looks larger than it is.", "前后位投照：心影会被放大。"),
    "supine": (
        "Supine or lying film: heart size, effusion and pneumothorax look different.",
        "卧位片：心影大小、胸腔积液和气胸表现与立位不同。",
    ),
    "paediatric": (
        "The patient is younger than 18; the model is not meant for children.",
        "患者未满18岁；模型不适用于儿童。",
    ),
    # What the file leaves open.
    "body_part_unknown": ("The header does not say that this is a chest.", "文件头未注明检查部位为胸部。"),
    "modality_unknown": (
        'The file does not say what its values are; pass modality="CT" where they are Hounsfield units.',
        '文件未注明数值含义；如为CT值（HU），请指定 modality="CT"。',
    ),
    "burned_in_unknown": (
        "Text in the pixels was not removed; it may name the patient.",
        "未去除图像像素内的文字，其中可能含患者信息。",
    ),
    "pixels_not_square": (
        "Pixels are not square: shapes look stretched as shown.",
        "像素非正方形：显示的形状有拉伸。",
    ),
    "slices_uneven": (
        "The slices are not evenly spaced; some may be missing.",
        "层间距不均匀，可能缺少层面。",
    ),
    "files_ignored": (
        "Files in the folder that are not pictures were left out.",
        "已略过文件夹中非图像的文件。",
    ),
    # How the picture is shown.
    "window_from_data": (
        "The file states no display window; shown from the 0.5th to the 99.5th percentile of its values.",
        "文件未给出窗宽窗位；按像素值第0.5至第99.5百分位显示。",
    ),
    "no_contrast": ("The picture has no contrast: every pixel looks the same.", "图像无对比度：所有像素显示相同。"),
    "polarity_conflict": (
        "The header contradicts itself on polarity (black and white); check that bone is bright.",
        "文件头关于黑白极性的描述矛盾；请核对骨骼是否为亮。",
    ),
    "exif_turned": (
        "The picture was turned as its EXIF tag asks; check that it is upright and not mirrored.",
        "已按EXIF标记旋转图像；请核对图像是否正立且非镜像。",
    ),
    "transparency_flattened": (
        "The picture had transparent pixels; they are shown on black.",
        "图像含透明像素；已以黑色背景显示。",
    ),
}

CODES = frozenset(_TEXTS)


def notice(code: str) -> Notice:
    """The notice of that code."""
    en, zh = _TEXTS[code]
    return Notice(code, en, zh)


def once(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """The notices in their order, each code once."""
    return tuple({entry.code: entry for entry in notices}.values())
