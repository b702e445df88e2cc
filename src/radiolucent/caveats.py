"""What people must be told about a run: what the film, the level or the words do not allow to be known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import Notice
from radiolucent.faithfulness.types import MapGrade, MapKey
from radiolucent.findings import Finding
from radiolucent.findings.names import describe
from radiolucent.localize.film_places import FilmPlaces, other_side_notice, outside_notice, place_of_map
from radiolucent.phantom.likeness import looks_like_phantom
from radiolucent.study import Study
from radiolucent.vlm.types import Generation

NOT_A_PHANTOM = Notice(
    "not_a_phantom",
    "The demo model knows only synthetic phantom films, and this film does not look like one: what it says here means "
    "nothing about the patient.",
    "演示模型只认识合成的模体影像，而此片不像模体：其所述内容对患者没有任何意义。",
)
NOT_GRADED = Notice(
    "not_graded",
    "Level quick: the maps were not tested against controls; take none of them as evidence.",
    "快速级别：热图未经对照检验，均不可作为依据。",
)
NO_PRIOR = Notice(
    "no_prior",
    "The report speaks of change, but no earlier study was supplied: not knowable from the input.",
    "报告提及变化，但未提供既往影像：输入无依据。",
)
NOT_KNOWABLE: Mapping[str, Notice] = {
    "comparison": NO_PRIOR,
    "size": Notice(
        "no_spacing",
        "The report gives millimetres, but the picture has no valid spacing: not knowable from the input.",
        "报告给出了毫米数值，但图像没有有效的像素间距：输入无依据。",
    ),
    "history": Notice(
        "no_history",
        "The report speaks of the patient's history, but none was supplied: not knowable from the input.",
        "报告提及病史，但未提供病史：输入无依据。",
    ),
    "view": Notice(
        "no_other_view",
        "The report speaks of another view, but only one was supplied: not knowable from the input.",
        "报告提及其他体位，但仅提供了一个体位：输入无依据。",
    ),
}
NO_SIDE = Notice(
    "no_side",
    "The report names a side or zone, but this view or orientation does not tell sides: not knowable from the input.",
    "报告给出了左右或部位，但该体位或方向无法判断左右：输入无依据。",
)
NOTHING_WRITTEN = Notice("nothing_written", "The model wrote nothing.", "模型未输出任何文字。")
CUT_SHORT = Notice(
    "cut_short",
    "The report reached the length limit and may end in mid-sentence.",
    "报告达到长度上限，可能在句中截断。",
)
NOTHING_SHOWN = Notice(
    "nothing_shown",
    "The film shows nothing: it is of one grey all over. What is said of it has no support in the image.",
    "图像无内容：全片灰度均匀。所述内容均无图像依据。",
)
NO_BOXES = Notice("no_boxes", "This model draws no boxes of its own.", "该模型不输出定位框。")
PARTIAL = Notice(
    "partial",
    "The run was interrupted: parts of this explanation are missing, and what is missing was not tested.",
    "运行被中断：本解释不完整，缺失部分未经检验。",
)


def no_target(error: Exception, finding: Finding) -> Notice:
    """A finding whose words could not be found among the tokens."""
    return Notice("no_target", str(error), f"无法定位对应文字：{finding.words}")


def empty_map(method: str, reason: Exception, label: str) -> Notice:
    """A method that found nothing for a finding; no map is made up in its place."""
    return Notice("empty_map", f"{method}: {reason}", f"{method}：对“{label}”没有得到任何图像区域。")


def no_confidence(error: Exception) -> Notice:
    """Samples that cannot carry a confidence."""
    return Notice("no_confidence", f"No confidence: {error}", "采样退化，无法给出置信度。")


def caveats(
    study: Study, generation: Generation, findings: Sequence[Finding], *, demo_model: bool, graded: bool, mapped: bool
) -> Iterator[Notice]:
    """About the film and the words.

    Parameters
    ----------
    findings
        Those that are not absent.
    graded, mapped
        Whether the level tests maps, and whether there are any.
    """
    frame = study.frames[0]
    if demo_model and not looks_like_phantom(frame.picture()):
        yield NOT_A_PHANTOM
    if not generation.words:
        yield NOTHING_WRITTEN
    if generation.finish == "length":
        yield CUT_SHORT
    if mapped and not graded:
        yield NOT_GRADED
    for kind, notice in NOT_KNOWABLE.items():
        if any(kind in finding.not_knowable for finding in findings):
            yield notice
    if frame.geometry.patient_right is None and any(finding.side or finding.zone for finding in findings):
        yield NO_SIDE


def place_caveats(
    findings: Sequence[Finding],
    maps: Mapping[MapKey, AttributionMap],
    grades: Mapping[MapKey, MapGrade],
    places: Sequence[FilmPlaces],
) -> Iterator[Notice]:
    """About evidence that lies where the finding cannot be, or on the other side than the words say.

    Parameters
    ----------
    places
        One for each frame of the maps.
    """
    for (name, finding_id), made in maps.items():
        grade = grades.get((name, finding_id))
        if made.claim != "relied_on" or grade is None or grade.withheld:
            continue
        finding = next(one for one in findings if one.id == finding_id)
        names = describe(finding, "en"), describe(finding, "zh")
        if grade.other_side:
            yield other_side_notice(*names)
        elif grade.outside:
            yield outside_notice(*names)
        elif grade.other_side is None:  # sides were not held against the anatomy
            place = place_of_map(places, made)
            if place is not None and {place.side, finding.side} == {"left", "right"}:
                yield other_side_notice(*names)
