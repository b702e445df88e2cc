"""Maps to places: regions, lung fields, anatomy words, and the model's own boxes."""

from radiolucent.localize.anatomy import ALLOWED, Anatomy, allowed_mask
from radiolucent.localize.boxes import Agreement, BoxAnswer, BoxFault, ModelBox, box_iou, compare, parse_boxes
from radiolucent.localize.lungs import LungFields, estimate_lung_fields
from radiolucent.localize.regions import Region, Regions, find_regions, peak_point
from radiolucent.localize.wording import BOX_CAPTION, WITHHELD, ZONE_ESTIMATED
from radiolucent.localize.words import Place, place_of, place_of_region

__all__ = [
    "ALLOWED",
    "BOX_CAPTION",
    "WITHHELD",
    "ZONE_ESTIMATED",
    "Agreement",
    "Anatomy",
    "BoxAnswer",
    "BoxFault",
    "LungFields",
    "ModelBox",
    "Place",
    "Region",
    "Regions",
    "allowed_mask",
    "box_iou",
    "compare",
    "estimate_lung_fields",
    "find_regions",
    "parse_boxes",
    "peak_point",
    "place_of",
    "place_of_region",
]
