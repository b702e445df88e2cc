"""Model adapters: load, encode, write, replay, capture, perturb."""

from radiolucent.vlm.answers import answer_logprobs
from radiolucent.vlm.decode import Prefill
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import FAMILIES, load_model, register_bundled
from radiolucent.vlm.parity import check_parity
from radiolucent.vlm.perturb import blank_features, hide_pixels, replace_cells
from radiolucent.vlm.profile import Profile, study_pictures
from radiolucent.vlm.target import find_target, target_scores
from radiolucent.vlm.types import (
    Alternative,
    AttentionRows,
    Features,
    Generation,
    Prompt,
    PromptInputs,
    Replay,
    Target,
    Word,
)

__all__ = [
    "FAMILIES",
    "Alternative",
    "AttentionRows",
    "Features",
    "Gemma3Model",
    "Generation",
    "Prefill",
    "Profile",
    "Prompt",
    "PromptInputs",
    "Replay",
    "Target",
    "Word",
    "answer_logprobs",
    "blank_features",
    "check_parity",
    "find_target",
    "hide_pixels",
    "load_model",
    "register_bundled",
    "replace_cells",
    "study_pictures",
    "target_scores",
]
