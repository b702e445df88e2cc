"""The faithfulness lab's measures, on arrays alone: no model is needed to use or to test them.

What a map is held against decides the file: a lesion's mask (``localisation``, ``overlap``, and
:mod:`radiolucent.faithfulness.pointing`), the model's own scores with cells hidden (``perturbation_curves``, ``road``,
``sensitivity``, ``necessity``), or other maps (``similarity``, ``sanity``, ``agreement``). ``intervals`` says how sure
a number over many films is.
"""

from radiolucent.faithfulness.metrics.agreement import Agreement, method_agreement
from radiolucent.faithfulness.metrics.inputs import Cells, ScoreHidden
from radiolucent.faithfulness.metrics.intervals import (
    Interval,
    auroc,
    auroc_interval,
    bootstrap,
    interval,
    paired_difference,
)
from radiolucent.faithfulness.metrics.localisation import average_precision, rank_accuracy
from radiolucent.faithfulness.metrics.necessity import NecessityAndSufficiency, necessity_and_sufficiency
from radiolucent.faithfulness.metrics.overlap import iou_best, iou_ceiling, iou_of_cells, iou_otsu
from radiolucent.faithfulness.metrics.perturbation_curves import PerturbationCurves, removal_curves
from radiolucent.faithfulness.metrics.road import impute, imputed_score, road_curves
from radiolucent.faithfulness.metrics.sanity import (
    CascadeVerdict,
    Repeatability,
    cascade_verdict,
    random_pair_bar,
    repeatability,
)
from radiolucent.faithfulness.metrics.sensitivity import Infidelity, infidelity, sensitivity_n
from radiolucent.faithfulness.metrics.similarity import Similarity, compare_maps, rank_correlation, ssim
from radiolucent.faithfulness.pointing import chance, energy_in_mask, pointing_hit, rank_auc

__all__ = [
    "Agreement",
    "CascadeVerdict",
    "Cells",
    "Infidelity",
    "Interval",
    "NecessityAndSufficiency",
    "PerturbationCurves",
    "Repeatability",
    "ScoreHidden",
    "Similarity",
    "auroc",
    "auroc_interval",
    "average_precision",
    "bootstrap",
    "cascade_verdict",
    "chance",
    "compare_maps",
    "energy_in_mask",
    "impute",
    "imputed_score",
    "infidelity",
    "interval",
    "iou_best",
    "iou_ceiling",
    "iou_of_cells",
    "iou_otsu",
    "method_agreement",
    "necessity_and_sufficiency",
    "paired_difference",
    "pointing_hit",
    "random_pair_bar",
    "rank_accuracy",
    "rank_auc",
    "rank_correlation",
    "removal_curves",
    "repeatability",
    "road_curves",
    "sensitivity_n",
    "ssim",
]
