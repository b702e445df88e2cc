"""Why an upload is refused, and what its header left unclear: every sentence in English and Chinese."""

from __future__ import annotations

import re

from radiolucent.clinic.intake.parsed import DamagedUpload, UnfitUpload
from radiolucent.errors import Notice, RadiolucentError, UnsupportedInput

# Refusals that arise around the parser: (English, Chinese).
_LIMITS: dict[str, tuple[str, str]] = {
    "no_files": ("No file was given; give at least one.", "未提供文件；请至少提供一个。"),
    "too_many_files": (
        "More files were given than one case may have; give one study.",
        "文件数超出限制；请提供一次检查。",
    ),
    "upload_too_large": (
        "The files together are larger than this site takes; give fewer, or ask the administrator.",
        "文件总大小超出本站限制；请减少文件或联系管理员。",
    ),
    "too_many_pixels": (
        "The files declare more pixels than this site opens at once; give fewer images.",
        "文件声明的像素数超出本站上限；请减少图像。",
    ),
    "memory": (
        "Opening the file took more memory than is allowed, so it was stopped; the file is damaged or far too large.",
        "打开文件所需内存超出上限，已停止；文件可能已损坏或过大。",
    ),
    "time": (
        "Opening the file took longer than is allowed, so it was stopped; the file is damaged or far too large.",
        "打开文件耗时超出上限，已停止；文件可能已损坏或过大。",
    ),
    "crashed": (
        "The file made its reader fail, so it was stopped; nothing else was affected. Export it again.",
        "读取该文件时程序异常，已停止，其他数据未受影响；请重新导出。",
    ),
    "format_not_taken": (
        "Files of this kind are not taken here; give DICOM, PNG or JPEG.",
        "此处不接收该格式；请提供 DICOM、PNG 或 JPEG。",
    ),
}
_UNFIT = frozenset({"format_not_taken"})

# What the study layer's English sentences are about; the first that fits is taken.
_SPOKEN: tuple[tuple[str, str, str], ...] = (
    (r"is empty \(0 bytes\)", "empty", "文件为空（0字节）；请重新导出或复制。"),
    (r"does not exist|not a regular file", "not_a_file", "文件不存在或不是普通文件。"),
    (r"DICOMDIR", "dicomdir", "不打开 DICOMDIR；请提供存放图像的文件本身。"),
    (
        r"transfer syntax .* is not read|No decoder for",
        "transfer_syntax",
        "不支持该传输语法；请转换为 Explicit VR Little Endian。",
    ),
    (
        r"without its file header|states no transfer syntax",
        "no_file_header",
        "缺少 DICOM 文件头，传输语法未知；请另存为 DICOM Part 10 文件。",
    ),
    (r"first bytes are those of no", "not_a_picture", "文件不是 DICOM、PNG 或 JPEG 图像。"),
    (r"export the picture as DICOM", "format_not_taken", "此处不接收该格式；请提供 DICOM、PNG 或 JPEG。"),
    (r"several formats", "mixed_formats", "文件格式不一致；请提供同一次检查的文件。"),
    (r"FOR PROCESSING", "raw_detector", "该图像为探测器原始数据（FOR PROCESSING）；请提供 FOR PRESENTATION 图像。"),
    (r"describes an animal", "animal", "文件头描述的是动物；请提供人体胸部影像。"),
    (r"CT scout", "ct_scout", "该图像为CT定位像；请仅提供轴位图像。"),
    (r"names another body part", "body_part", "文件头标明为其他部位；请提供胸部影像。"),
    (
        r"Modality .* is not explained|states no modality",
        "modality",
        "不支持该检查类型；请提供胸部X线片（CR、DX）或胸部CT。",
    ),
    (r"mix modalities|several series|differ in size", "several_series", "文件不属于同一序列；请提供一个序列。"),
    (r"of different patients", "several_patients", "文件属于不同患者或无法确认为同一患者。"),
    (
        r"put in order|different directions|at the same place",
        "slice_order",
        "层面无法排序或位置重复；请重新导出该序列。",
    ),
    (
        r"at most \d+ pixels a frame|bytes of pixels|far more pixels|\d+ frames; at most",
        "too_many_pixels",
        "声明的图像尺寸超出上限，未打开。",
    ),
    (r"there is no picture|holds no picture|holds no pixel data", "no_picture", "文件中没有图像数据。"),
    (
        r"Photometric Interpretation .* is not read|bits a sample are not read|colour palette",
        "pixel_type",
        "不支持该像素类型。",
    ),
    (r"is an animation", "animation", "该图片为动画；请提供静态图像。"),
    (
        r"compressed frame|RLE|compressed ones were found",
        "compressed_frame",
        "压缩图像数据与文件头不符或已损坏；请重新导出。",
    ),
    (r"Hounsfield|Rescale", "no_rescale", "缺少有效的 Rescale 参数，像素值无法换算。"),
    (r"NIfTI|TIFF", "format_not_taken", "此处不接收该格式；请提供 DICOM、PNG 或 JPEG。"),
)
_DAMAGED_ZH = "文件已损坏或不完整，无法打开；请重新导出。"
_UNFIT_ZH = "该文件不在本产品支持的范围内；请提供胸部X线片或胸部CT。"

# Notices of the header's texts: not refusals.
_NOTICES: dict[str, tuple[str, str]] = {
    "charset_assumed": (
        "The file does not declare its character set, so names and texts were read as UTF-8 or GB18030; check them.",
        "文件未声明字符集，姓名及文字按UTF-8或GB18030读取；请核对。",
    ),
    "charset_damaged": (
        "Some characters of the header's names or texts could not be read; check the patient.",
        "文件头中部分字符无法识别；请核对患者信息。",
    ),
    "study_time_site_zone": (
        "The file states no time zone; this site's was taken for the study time.",
        "文件未声明时区，检查时间按本站时区处理。",
    ),
    "uid_invalid": (
        "A UID of the header is missing or invalid, so exported objects cannot refer to this image.",
        "文件头中的UID缺失或无效，导出对象无法引用该图像。",
    ),
}
NOTICE_CODES = frozenset(_NOTICES)
REASON_CODES = frozenset(_LIMITS) | {code for _, code, _ in _SPOKEN} | {"damaged", "unfit"}


def header_notice(code: str) -> Notice:
    """A notice of the header's texts."""
    return Notice(code, *_NOTICES[code])


def refused(code: str) -> DamagedUpload | UnfitUpload:
    """The refusal for a limit or for what happened to the parser."""
    return (UnfitUpload if code in _UNFIT else DamagedUpload)(Notice(code, *_LIMITS[code]))


def reason_of(error: RadiolucentError) -> tuple[str, Notice]:
    """(``damaged`` or ``unfit``, reason) of an error of the study layer: its sentence, and the Chinese of its kind."""
    said = " ".join(str(error).split())
    unfit = isinstance(error, UnsupportedInput)
    for pattern, code, chinese in _SPOKEN:
        if re.search(pattern, said):
            return "unfit" if unfit else "damaged", Notice(code, said, chinese)
    return ("unfit", Notice("unfit", said, _UNFIT_ZH)) if unfit else ("damaged", Notice("damaged", said, _DAMAGED_ZH))
