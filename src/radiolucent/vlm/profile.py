"""What a model must be told: token ids, grid, prompts, and which pictures of a study it is shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radiolucent.errors import MalformedInput, UnsupportedInput, UnsupportedModel
from radiolucent.study.types import Frame, Study
from radiolucent.vlm.types import Language, Prompt

Layout = Literal["film", "volume"]

MAX_SLICES = 85  # MedGemma 1.5 CT notebook
HU_WINDOWS = ((-1024.0, 1024.0), (-135.0, 215.0), (0.0, 80.0))  # red, green, blue; MedGemma 1.5 CT notebook
THINKING_SYSTEM = "SYSTEM INSTRUCTION: think silently if needed."  # MedGemma 1.5 model card
MAX_EDGE = 16_384  # pixels; a padded square of this edge takes 0.8 GB as a colour picture

VOLUME_INSTRUCTION: Mapping[str, str] = {
    "en": "You are shown a contiguous block of CT slices. Review the slices below carefully.",
    "zh": "以下是一组连续的CT层面图像，请仔细阅读。",
}
DEFAULT_QUESTION: Mapping[str, str] = {
    "en": "Describe the main findings of this chest X-ray.",
    "zh": "请分析这张胸部X光片，描述主要发现",
}
# MedGemma 1.5 localisation notebook: boxes on the padded square, 0 to 1000, sides the patient's
BOX_QUESTION: Mapping[str, str] = {
    "en": (
        "Where is each of these on the image: {}? A box is [y0, x0, y1, x1] with (y0, x0) its top left and (y1, x1) "
        "its bottom right corner, each number from 0 to 1000 of the image's edge. Left means the patient's left. "
        'Reason first, then give "Final Answer: X", where X is a JSON list of objects, each with the keys "box_2d" '
        'and "label".'
    ),
    "zh": (
        "下列征象各在图像的什么位置：{}？框的格式为 [y0, x0, y1, x1]，(y0, x0) 为左上角，(y1, x1) 为右下角，"
        '各数取图像边长的 0 至 1000。左指患者左侧。先推理，再给出 "Final Answer: X"，'
        'X 为 JSON 列表，每个对象含键 "box_2d" 与 "label"。'
    ),
}


@dataclass(frozen=True)
class Profile:
    """Facts of one model that everything above the adapter reads instead of guessing.

    Parameters
    ----------
    image_token, begin_image, end_image
        Ids of an image's soft token and of the tokens around an image.
    end_tokens
        Ids that end a generation.
    image_size, grid, cells
        Edge of the picture shown (pixels); token cells along an edge; cells an image (``grid ** 2``).
    layer_types
        ``global`` or ``sliding`` for each decoder layer; ``sliding_window`` in tokens.
    thinking_open, thinking_close, thinking_header
        Markers around a thought and the text that opens it; None where the vocabulary has none.
    box_format
        How the model writes boxes; ``box_2d`` is ``[y0, x0, y1, x1]``, 0 to 1000 on the padded square.
    domain
        ``phantom``: synthetic films only, its output is never clinical; ``clinical`` otherwise.
    """

    family: str
    image_token: int
    begin_image: int
    end_image: int
    end_tokens: tuple[int, ...]
    image_size: int
    grid: int
    cells: int
    layer_types: tuple[Literal["global", "sliding"], ...]
    sliding_window: int
    thinking_open: int | None = None
    thinking_close: int | None = None
    thinking_header: str = "thought\n"
    box_format: Literal["box_2d"] | None = "box_2d"
    default_question: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_QUESTION))
    domain: Literal["phantom", "clinical"] = "clinical"
    hu_windows: tuple[tuple[float, float], ...] = HU_WINDOWS
    max_slices: int = MAX_SLICES

    def question(self, language: Language) -> str:
        """The question asked where the user asks none."""
        return self.default_question[language]

    def box_question(self, names: Sequence[str], language: Language) -> str:
        """The question for boxes around named things, in the documented form.

        Raises
        ------
        UnsupportedModel
            Where the model writes no boxes.
        """
        if self.box_format is None:
            raise UnsupportedModel("This model writes no boxes; ask one that does, such as MedGemma 1.5.")
        joined = "、".join(names) if language == "zh" else ", ".join(names)
        return BOX_QUESTION[language].format(joined)


def read_declaration(folder: Path) -> dict[str, Any]:
    """The optional ``radiolucent.json`` beside the weights: ``domain``, ``default_question``, ``box_format``.

    Raises
    ------
    UnsupportedModel
        Where the file is not a JSON object or holds an unknown domain.
    """
    path = folder / "radiolucent.json"
    if not path.exists():
        return {}
    try:
        declared = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnsupportedModel(f"{path.name} beside the weights is not JSON: {error}. Repair or remove it.") from error
    if not isinstance(declared, dict):
        raise UnsupportedModel(f"{path.name} beside the weights must hold a JSON object.")
    if declared.get("domain", "clinical") not in ("phantom", "clinical"):
        raise UnsupportedModel(f"{path.name} declares domain {declared['domain']!r}; expected 'phantom' or 'clinical'.")
    known = {name: declared[name] for name in ("domain", "default_question", "box_format") if name in declared}
    questions = known.get("default_question", {})
    if not isinstance(questions, dict) or not all(isinstance(text, str) and text for text in questions.values()):
        raise UnsupportedModel(f"{path.name}: default_question must be an object of language to question.")
    if known.get("box_format") not in (None, "box_2d"):
        raise UnsupportedModel(f"{path.name}: box_format {known['box_format']!r} is unknown; use 'box_2d' or null.")
    return {**known, "default_question": {**DEFAULT_QUESTION, **questions}}


def layout_of(study: Study) -> Layout:
    """``volume`` for CT, whose slices are interleaved with their numbers; ``film`` otherwise."""
    return "volume" if study.modality == "CT" else "film"


def shown_frames(study: Study, profile: Profile) -> tuple[int, ...]:
    """Indices of the study's frames that the model is shown, in order.

    Up to ``max_slices`` slices of a volume, sampled at ``round(i / N * (n - 1))``, i = 1 … N, where it has more
    (MedGemma 1.5 CT notebook); every frame otherwise.
    """
    count = len(study.frames)
    if count == 0:
        raise MalformedInput("The study holds no frame; load at least one picture.")
    if count <= profile.max_slices:
        return tuple(range(count))
    if layout_of(study) != "volume":
        raise UnsupportedInput(
            f"The study holds {count} frames that are not CT slices; at most {profile.max_slices} pictures are shown."
        )
    n = profile.max_slices
    return tuple(round(i / n * (count - 1)) for i in range(1, n + 1))


def study_pictures(study: Study, profile: Profile) -> list[Image.Image]:
    """The pictures that the model's processor receives: uint8 RGB, square, one for each shown frame.

    A film is the displayed picture padded to a square with black; a CT slice carries its Hounsfield windows in the
    colour channels. The processor scales the square to ``profile.image_size``.

    Raises
    ------
    UnsupportedInput
        Where a CT slice holds no Hounsfield values, or a frame is too large to pad.
    """
    layout = layout_of(study)
    return [_picture(study.frames[index], layout, profile) for index in shown_frames(study, profile)]


def _picture(frame: Frame, layout: Layout, profile: Profile) -> Image.Image:
    if frame.geometry.edge > MAX_EDGE:
        raise UnsupportedInput(
            f"A frame of {frame.geometry.rows} x {frame.geometry.cols} pixels is too large; at most {MAX_EDGE} an edge."
        )
    colour = _windows(frame.values, profile.hu_windows) if layout == "volume" else _displayed(frame)
    return Image.fromarray(np.ascontiguousarray(frame.geometry.pad(colour).astype(np.uint8)), "RGB")


def _displayed(frame: Frame) -> NDArray[np.uint8]:
    picture = np.asarray(frame.picture(), dtype=np.float32)
    if not np.isfinite(picture).all():
        raise MalformedInput(f"Frame {frame.label!r} holds values that are not finite after display.")
    grey = np.rint(picture.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey


def _windows(values: NDArray[np.generic], windows: tuple[tuple[float, float], ...]) -> NDArray[np.uint8]:
    """Hounsfield values (rows, cols) to one window a colour channel, rounded to uint8."""
    if values.ndim != 2 or values.dtype == np.uint8:
        raise UnsupportedInput("A CT slice must hold Hounsfield values (rows, cols); this frame holds colours.")
    hounsfield = values.astype(np.float32)
    if not np.isfinite(hounsfield).all():
        raise MalformedInput("A CT slice holds Hounsfield values that are not finite.")
    channels = [np.rint((hounsfield.clip(low, high) - low) / (high - low) * 255.0) for low, high in windows]
    return np.stack(channels, axis=-1).astype(np.uint8)


def messages(prompt: Prompt, images: int, layout: Layout) -> list[dict[str, Any]]:
    """Chat messages for the processor's template, pictures as placeholders.

    Film: the pictures, then the question. Volume: the instruction, then each picture followed by "SLICE i", then
    the question (MedGemma 1.5 CT notebook). Thinking is switched on by a system message.
    """
    content: list[dict[str, Any]]
    if layout == "volume":
        content = [_text(VOLUME_INSTRUCTION[prompt.language])]
        for number in range(1, images + 1):
            content += [{"type": "image"}, _text(f"SLICE {number}")]
        content.append(_text(prompt.question))
    else:
        content = [{"type": "image"} for _ in range(images)] + [_text(prompt.question)]
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if prompt.thinking:
        turns.insert(0, {"role": "system", "content": [_text(THINKING_SYSTEM)]})
    return turns


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def grid_edge(cells: int) -> int:
    """Cells along an edge of a square grid.

    Raises
    ------
    UnsupportedModel
        Where the cells do not form a square.
    """
    edge = math.isqrt(cells)
    if edge * edge != cells:
        raise UnsupportedModel(f"{cells} tokens an image do not form a square grid; no map can be laid on the picture.")
    return edge
