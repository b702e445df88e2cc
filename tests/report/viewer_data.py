"""Synthetic reports for the viewer: maps whose hot cells are known, on a film that is not square."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.report.html import (
    Bilingual,
    BoxView,
    ContourView,
    FindingMapView,
    FindingRow,
    FrameView,
    LayerView,
    SampleCounts,
    ViewerData,
    WordMaps,
    WordView,
    film_png,
)
from radiolucent.study.geometry import Geometry

GRID = 16
ENGLISH = (
    "PA view of the chest. There is a moderate right pleural effusion with blunting of the costophrenic angle. "
    "Patchy opacity in the left lower zone, possibly consolidation. Heart size is normal. No pneumothorax."
)
CHINESE = "胸部正位片。右侧中等量胸腔积液，肋膈角变钝。左下肺野见斑片影，实变不除外。心影不大。未见气胸。"
EFFUSION = {"en": "moderate right pleural effusion", "zh": "右侧中等量胸腔积液"}
CONSOLIDATION = {"en": "possibly consolidation", "zh": "实变不除外"}
PNEUMOTHORAX = {"en": "No pneumothorax", "zh": "未见气胸"}
LAYERS = (
    LayerView(None, "mean"),
    *(LayerView(index, "global" if index % 6 == 5 else "sliding") for index in range(12)),
)


def drawn_film(rows: int, cols: int) -> NDArray[np.float64]:
    """A soft grey chest-like picture in [0, 1]."""
    y, x = np.mgrid[0:rows, 0:cols] / np.array([rows, cols])[:, None, None]
    body = np.clip(1.15 - ((x - 0.5) / 0.52) ** 4 - ((y - 0.6) / 0.75) ** 6, 0, 1) * 0.62
    for centre in (0.29, 0.71):
        body -= 0.42 / (1 + np.exp(14 * (((x - centre) / 0.16) ** 2 + ((y - 0.45) / 0.34) ** 2 - 1)))
    body += 0.28 / (1 + np.exp(14 * (((x - 0.54) / 0.13) ** 2 + ((y - 0.6) / 0.2) ** 2 - 1)))
    return np.clip(body, 0, 1)


def bump(geometry: Geometry, column: float, row: float, width: float = 1.4) -> NDArray[np.float64]:
    """(GRID, GRID) with a smooth peak of 1 at a source place given as a share of (cols, rows)."""
    at = geometry.to_grid(np.array([column * geometry.cols, row * geometry.rows]))
    r, c = np.mgrid[0:GRID, 0:GRID] + 0.5
    return np.exp(-((c - at[0]) ** 2 + (r - at[1]) ** 2) / (2 * width**2))


def single_cell(row: int, col: int, value: float = 1.0) -> NDArray[np.float64]:
    values = np.zeros((GRID, GRID))
    values[row, col] = value
    return values


def split_words(text: str, language: str) -> list[tuple[str, int, int]]:
    """(word, start, end) in code points: by spaces in English, by character in Chinese."""
    if language == "zh":
        return [(letter, i, i + 1) for i, letter in enumerate(text) if letter not in "，。"]
    out, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        core = word.rstrip(".,")
        out.append((core, start, start + len(core)))
        at = start + len(word)
    return out


def tiny(word_cells: dict[int, tuple[int, int]] | None = None, **changes: object) -> ViewerData:
    """Three words on a wide film (padded above and below); each word's mean map has one hot cell.

    Layer k > 0 has the hot cell k columns to the right, so that a change of layer can be seen.
    """
    rows, cols = 240, 320
    cells = word_cells or {0: (5, 3), 1: (10, 12), 2: (5, 3)}
    text = "alpha beta gamma."
    words = []
    for i, (name, start, end) in enumerate(split_words(text, "en")):
        words.append(WordView(name, start, end, p=0.9 - 0.2 * i, entropy=0.4, alternatives=(("delta", 0.05),), map=i))
    layers = (LayerView(None, "mean"), LayerView(0, "sliding"), LayerView(1, "global"))
    values = np.zeros((3, 3, 1, GRID, GRID))
    for i, (row, col) in cells.items():
        for layer in range(3):
            values[i, layer, 0, row, col + layer] = (i + 1) * 0.01
    signed = single_cell(8, 2, 2.0) - single_cell(8, 13, 1.0)
    given: dict[str, object] = {
        "report": text,
        "frames": (FrameView(film_png(np.full((rows, cols), 0.5)), rows, cols),),
        "words": tuple(words),
        "word_maps": WordMaps(values, layers),
        "findings": (
            FindingRow(
                "nodule.left", Bilingual("Left nodule", "左肺结节"), "present", start=0, end=5, grade="verified"
            ),
            FindingRow("mass", Bilingual("Mass", "肿块"), "uncertain", start=6, end=10, grade="not shown"),
            FindingRow("edema", Bilingual("Edema", "水肿"), "absent", start=11, end=16),
        ),
        "maps": (
            FindingMapView("nodule.left", "token_ablation", "relied_on", signed[None], "nats", grade="verified"),
            FindingMapView("nodule.left", "saliency", "sensitive", single_cell(9, 7)[None], "gradient"),
            FindingMapView("nodule.left", "attention", "attended", single_cell(4, 4)[None], "attention"),
            FindingMapView("mass", "token_ablation", "relied_on", None, "nats", grade="not shown", withheld=True),
        ),
    }
    given.update(changes)
    return ViewerData(**given)  # type: ignore[arg-type]


def full(
    language: str = "en",
    picture: NDArray[np.float64] | None = None,
    frames: int = 1,
    domain: str = "phantom",
    side_source: str = "assumed",
) -> ViewerData:
    """A whole report with every part of the page filled."""
    film = drawn_film(620, 760) if picture is None else picture
    rows, cols = film.shape
    geometry = Geometry(rows=rows, cols=cols)
    text = CHINESE if language == "zh" else ENGLISH
    rng = np.random.default_rng(0)
    places = {"effusion": (0.2, 0.78), "consolidation": (0.76, 0.7)}

    def span(phrase: str) -> tuple[int, int]:
        return text.index(phrase), text.index(phrase) + len(phrase)

    effusion, consolidation = span(EFFUSION[language]), span(CONSOLIDATION[language])
    words, maps = [], []
    for i, (name, start, end) in enumerate(split_words(text, language)):
        noise = rng.gamma(0.6, 0.0012, (len(LAYERS), frames, GRID, GRID))
        strong = 0.0
        for (first, last), key in ((effusion, "effusion"), (consolidation, "consolidation")):
            if first <= start < last:
                strong = 1.6 + 0.9 * rng.random()
                weight = rng.uniform(0.4, 1.0, len(LAYERS))[:, None, None, None]
                noise = noise + 0.02 * weight * bump(geometry, *places[key])
        maps.append(noise)
        p = float(np.clip(rng.beta(8, 1.5), 0.05, 0.999))
        others = (("the", 0.6 * (1 - p)), ("small", 0.2 * (1 - p)), ("large", 0.1 * (1 - p)))
        if language == "zh":
            others = (("少", 0.6 * (1 - p)), ("大", 0.2 * (1 - p)), ("见", 0.1 * (1 - p)))
        reliance = float(strong + rng.gamma(1, 0.12))
        words.append(
            WordView(name, start, end, p=p, entropy=-float(np.log(p)), alternatives=others, reliance=reliance, map=i)
        )
    thinking = "先看肺野，再看心影和肋膈角。" if language == "zh" else "First the lung fields, then heart and angles."
    words += [
        WordView(name, a, b, part="thinking", p=0.8, entropy=0.7) for name, a, b in split_words(thinking, language)
    ]

    def finding_map(key: str, seed: int, scale: float, speckle: float) -> NDArray[np.float64]:
        noise = np.random.default_rng(seed).normal(0, speckle, (frames, GRID, GRID))
        return scale * (bump(geometry, *places[key], width=1.7)[None] + noise)

    def outline(key: str) -> tuple[tuple[ContourView, ...], tuple[BoxView, ...]]:
        x, y = places[key][0] * cols, places[key][1] * rows
        turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        wave = 1 + 0.08 * np.sin(3 * turn)
        reach = geometry.edge / GRID
        ring = np.stack([x + 1.9 * reach * wave * np.cos(turn), y + 2.1 * reach * wave * np.sin(turn)], axis=1)
        low, high = ring.min(axis=0), ring.max(axis=0)
        return (ContourView(tuple(map(tuple, ring.tolist()))),), (BoxView(*low.tolist(), *high.tolist()),)

    lines, boxes = outline("effusion")
    lines_2, boxes_2 = outline("consolidation")
    own = BoxView(cols * 0.1, rows * 0.66, cols * 0.31, rows * 0.93, origin="model")
    return ViewerData(
        language=language,  # type: ignore[arg-type]
        title=Bilingual("Explained report", "报告与解释"),
        model="radiolucent demo (3.3 M parameters)" if domain else "google/medgemma-1.5-4b-it",
        domain=domain,
        question="请分析这张胸部X光片，描述主要发现"
        if language == "zh"
        else "Describe the main findings on this chest film.",
        report=text,
        thinking=thinking,
        frames=tuple(
            FrameView(
                film_png(film * (1 - 0.08 * i)),
                rows,
                cols,
                label=f"slice {i + 1}" if frames > 1 else "film",
                side_source=side_source,  # type: ignore[arg-type]
            )
            for i in range(frames)
        ),
        words=tuple(words),
        word_maps=WordMaps(np.stack(maps), LAYERS),
        findings=(
            FindingRow(
                "pleural_effusion.right",
                Bilingual("Right pleural effusion, moderate", "右侧中等量胸腔积液"),
                "present",
                side="right",
                severity="moderate",
                start=effusion[0],
                end=effusion[1],
                counts=SampleCounts(14, 1, 0, 1, 16),
                interval=(0.66, 0.97),
                quadrant="grounded",
                grade="verified",
            ),
            FindingRow(
                "consolidation.left",
                Bilingual("Consolidation, left lower zone", "左下肺野实变"),
                "uncertain",
                certainty="possible",
                side="left",
                zone="lower",
                start=consolidation[0],
                end=consolidation[1],
                counts=SampleCounts(3, 6, 2, 5, 16),
                interval=(0.17, 0.62),
                quadrant="unstable",
                grade="weak",
            ),
            FindingRow(
                "cardiomegaly",
                Bilingual("Cardiomegaly", "心影增大"),
                "uncertain",
                certainty="likely",
                counts=SampleCounts(0, 12, 4, 0, 16),
                interval=(0.51, 0.91),
                quadrant="not image-based",
                grade="not shown",
            ),
            FindingRow(
                "pneumothorax",
                Bilingual("Pneumothorax", "气胸"),
                "absent",
                start=span(PNEUMOTHORAX[language])[0],
                end=span(PNEUMOTHORAX[language])[1],
                counts=SampleCounts(0, 0, 15, 1, 16),
                interval=(0.73, 0.99),
                quadrant="unreliable",
            ),
        ),
        maps=(
            FindingMapView(
                "pleural_effusion.right",
                "propose_and_verify",
                "relied_on",
                finding_map("effusion", 1, 2.4, 0.015),
                "nats",
                boxes=(*boxes, own),
                contours=lines,
                grade="verified",
            ),
            FindingMapView(
                "pleural_effusion.right",
                "token_ablation",
                "relied_on",
                finding_map("effusion", 2, 1.1, 0.08),
                "nats",
                boxes=boxes,
                contours=lines,
                grade="verified",
            ),
            FindingMapView(
                "pleural_effusion.right",
                "saliency",
                "sensitive",
                np.abs(finding_map("effusion", 3, 0.6, 0.2)),
                "gradient",
            ),
            FindingMapView(
                "pleural_effusion.right",
                "attention",
                "attended",
                np.abs(finding_map("effusion", 4, 0.02, 0.1)),
                "attention",
            ),
            FindingMapView(
                "consolidation.left",
                "token_ablation",
                "relied_on",
                finding_map("consolidation", 5, 0.7, 0.16),
                "nats",
                boxes=boxes_2,
                contours=lines_2,
                grade="weak",
            ),
            FindingMapView(
                "cardiomegaly", "token_ablation", "relied_on", None, "nats", grade="not shown", withheld=True
            ),
            FindingMapView(
                "cardiomegaly", "attention", "attended", np.abs(finding_map("consolidation", 6, 0.02, 0.3)), "attention"
            ),
        ),
        warnings=(
            Bilingual(
                "This film does not look like the phantoms the demo model was trained on.",
                "此影像不像演示模型训练所用的模拟胸片。",
            ),
        ),
        provenance=(
            (Bilingual("Weights, SHA-256", "权重 SHA-256"), "9f2c41d8a07be3315c6e0f7a4b90d8e2f6a13c57"),
            (Bilingual("Software", "软件"), "radiolucent 0.1.0, torch 2.13, transformers 5.23"),
            (Bilingual("Seed", "随机种子"), "0"),
        ),
    )
