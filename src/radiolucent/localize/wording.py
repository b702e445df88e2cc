"""The sentences shown beside a box, a withheld map, and a place that is only estimated or cannot be right."""

from __future__ import annotations

from radiolucent.errors import Notice

BOX_CAPTION = Notice(
    "box_caption",
    "area the model relied on, not the lesion's outline; not for measurement",
    "模型依赖区域，非病灶轮廓，不可测量",
)
# Not "no image evidence found": that reads as "no disease".
WITHHELD = Notice(
    "withheld",
    "No region could be shown to support this sentence; this does not mean that the finding is absent.",
    "未能证实该描述依据的图像区域，不代表无此病变。",
)
OUTSIDE_ANATOMY = Notice(
    "outside_anatomy",
    "The evidence lies outside the anatomy allowed for this finding.",
    "依据区域位于该征象允许的解剖区域之外。",
)
OTHER_SIDE = Notice(
    "other_side",
    "The evidence lies on the patient's other side.",
    "依据区域位于患者的另一侧。",
)
ZONE_ESTIMATED = Notice(
    "zone_estimated",
    "zone estimated from the film's outline",
    "肺野分区由胸片轮廓估计",
)
LUNGS_NOT_FOUND = Notice(
    "lungs_not_found",
    "the lungs could not be outlined on this film; no zone is given",
    "未能在该片上勾画肺野，不给出分区",
)
SIDE_ASSUMED = Notice(
    "side_assumed",
    "side assumed, not verified",
    "左右未核实",
)
SIDE_UNKNOWN = Notice(
    "side_unknown",
    "side unknown",
    "左右未知",
)
NO_PLACE_ON_LATERAL = Notice(
    "lateral_view",
    "lateral view: no side or zone is given",
    "侧位片：不给出左右及分区",
)
BOX_AGREES = Notice(
    "box_agrees",
    "the model's own box and the area it relied on agree",
    "模型给出的框与其依赖区域一致",
)
BOX_DISAGREES = Notice(
    "box_disagrees",
    "the model's own box and the area it relied on disagree",
    "模型给出的框与其依赖区域不一致",
)
