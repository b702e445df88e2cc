"""What did not fit between films and annotations, in English and Chinese; nothing is left out without a word."""

from __future__ import annotations

from radiolucent.errors import Notice

_TEXTS: dict[str, tuple[str, str]] = {
    "films_without_annotation": (
        "{count} of {total} films have no annotation; they are left out.",
        "{total} 张影像中有 {count} 张没有标注，已略过。",
    ),
    "annotations_without_film": (
        "{count} of {total} annotated images are not among the films; they are left out.",
        "{total} 幅有标注的图像中有 {count} 幅在影像中找不到，已略过。",
    ),
    "films_without_lesion": (
        "{count} films are annotated as without a lesion; they are left out, as there is nothing to point at.",
        "{count} 张影像标注为无病灶，无可指示的区域，已略过。",
    ),
    "categories_unknown": (
        "Categories that are no finding, with the areas left out: {names}. A categories mapping can name their codes.",
        "以下类别不是已知征象，其区域已略过：{names}。可用类别映射指定对应的征象代码。",
    ),
    "categories_left_out": (
        "Categories that the mapping leaves out, with their areas: {names}.",
        "类别映射指定略过的类别及其区域数：{names}。",
    ),
    "films_without_known_category": (
        "{count} films have areas only of categories that are left out; they are left out too.",
        "{count} 张影像仅含被略过的类别，已一并略过。",
    ),
    "boxes_filled": (
        "{count} of {total} areas are boxes, filled as they are: a box holds more than the lesion, so that hits are "
        "easier.",
        "{total} 个区域中有 {count} 个为矩形框，按整框计：框大于病灶，命中率会偏高。",
    ),
    "files_ignored": (
        "{count} files in the folder of films are not films; they are left out.",
        "影像文件夹中有 {count} 个文件不是影像，已略过。",
    ),
}

CODES = frozenset(_TEXTS)


def annotation_notice(code: str, **values: object) -> Notice:
    """The notice of that code, its numbers filled in."""
    en, zh = _TEXTS[code]
    return Notice(code, en.format(**values), zh.format(**values))
