"""One self-contained interactive page: film, words, maps and findings, with no network and nothing to install.

:class:`ViewerData` says what the page shows and knows nothing of how it was computed. :func:`render_html` inlines
the viewer built from ``web/``, its style sheet and the data, under a content policy that allows nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import zlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radiolucent.errors import MalformedInput

Language = Literal["en", "zh"]
Claim = Literal["attended", "sensitive", "relied_on", "plausible"]
Polarity = Literal["present", "absent", "uncertain"]
Grade = Literal["verified", "weak", "not shown"]
Quadrant = Literal["grounded", "unstable", "not image-based", "evidence elsewhere", "unreliable"]
Mark = Literal["seen", "guessed", "unknown"]
Stage = Literal["question", "looked", "named", "weighed", "concluded"]

LEVELS = 254  # quantised steps: an even number, so that 0 of a signed map has a code of its own (127)


@dataclass(frozen=True)
class Bilingual:
    """A sentence that people read, in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class FrameView:
    """One picture of the study.

    Parameters
    ----------
    png
        Bytes of a PNG of the displayed picture; it may have fewer pixels than ``rows`` x ``cols`` but shows all of
        them (see :func:`film_png`).
    rows, cols, model_size, grid, patient_right, side_source, spacing
        As in :class:`radiolucent.study.geometry.Geometry`.
    """

    png: bytes
    rows: int
    cols: int
    label: str = "film"
    model_size: int = 896
    grid: int = 16
    patient_right: Literal["left", "right"] | None = "left"
    side_source: Literal["orientation", "assumed", "array", "none"] = "assumed"
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True)
class WordView:
    """One generated word (or one Chinese character).

    Parameters
    ----------
    start, end
        Span [start, end) in the report, or in the thinking text where ``part`` is ``thinking``, in Python
        characters (code points).
    p, entropy
        Probability of the word as written, and entropy in nats; None where unknown.
    alternatives
        (text, probability), likeliest first.
    reliance
        Nats of log-probability lost with the image replaced; None where it was not measured.
    map
        Index into ``WordMaps.values``; None where the word has no map.
    kind
        What the word does in the report, for people; None for grammar and punctuation.
    mark
        Of a clinical word: whether it depends on the image; None otherwise.
    place
        Where the word attended; empty where not estimated.
    """

    text: str
    start: int
    end: int
    part: Literal["answer", "thinking"] = "answer"
    p: float | None = None
    entropy: float | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    reliance: float | None = None
    map: int | None = None
    kind: Bilingual | None = None
    mark: Mark | None = None
    place: str = ""


@dataclass(frozen=True)
class LayerView:
    """One stop of the layer slider.

    Parameters
    ----------
    index
        The layer's number (0-based), None for the mean over all layers.
    """

    index: int | None
    type: Literal["global", "sliding", "mean"]


@dataclass(frozen=True, eq=False)
class WordMaps:
    """What each word attended to.

    Parameters
    ----------
    values
        float32 (maps, layers, frames, grid, grid), not negative, over the padded square of each frame;
        the second axis runs along ``layers``.
    layers
        Stops of the layer slider, one for each entry of the second axis.
    """

    values: NDArray[np.floating]
    layers: tuple[LayerView, ...]
    units: str = "attention"
    method: str = "attention"


@dataclass(frozen=True)
class BoxView:
    """A box in source pixels of one frame: ``relied_on`` from a map, or ``model`` where the model itself drew it."""

    x0: float
    y0: float
    x1: float
    y1: float
    frame: int = 0
    origin: Literal["relied_on", "model"] = "relied_on"


@dataclass(frozen=True)
class ContourView:
    """A closed line; ``points`` are (column, row) in source pixels of one frame."""

    points: tuple[tuple[float, float], ...]
    frame: int = 0


@dataclass(frozen=True, eq=False)
class FindingMapView:
    """One method's map for one finding.

    Parameters
    ----------
    values
        Signed float32 (frames, gh, gw) with gh == gw, over the padded square; None where the map is withheld
        (a withheld map's values never reach the page).
    caption
        Replaces the standard sentence about what the claim means.
    withheld_text
        Replaces the standard sentence shown instead of a withheld map.
    label
        The method's name for people; the viewer knows those of the built-in methods.
    """

    finding: str
    method: str
    claim: Claim
    values: NDArray[np.floating] | None
    units: str = ""
    caption: Bilingual | None = None
    boxes: tuple[BoxView, ...] = ()
    contours: tuple[ContourView, ...] = ()
    grade: Grade = "weak"
    withheld: bool = False
    withheld_text: Bilingual | None = None
    label: Bilingual | None = None


@dataclass(frozen=True)
class SampleCounts:
    """How many of ``n`` sampled reports state, hedge, deny or do not mention a finding."""

    present: int
    uncertain: int
    absent: int
    silent: int
    n: int


@dataclass(frozen=True)
class FindingRow:
    """One line of the findings table.

    Parameters
    ----------
    text
        The finding for people: name, side, zone and severity; the page adds the polarity or hedge.
    start, end
        Span [start, end) of its evidence in the report.
    interval
        (low, high) in [0, 1], 95 %, for the share of samples that agree with ``polarity``.
    """

    id: str
    text: Bilingual
    polarity: Polarity
    certainty: Literal["definite", "likely", "possible"] = "definite"
    side: Literal["left", "right", "bilateral", "midline"] | None = None
    zone: Literal["upper", "middle", "lower", "hilar", "diffuse"] | None = None
    severity: Literal["minimal", "mild", "moderate", "severe"] | None = None
    start: int = 0
    end: int = 0
    counts: SampleCounts | None = None
    interval: tuple[float, float] | None = None
    probability: float | None = None
    quadrant: Quadrant | None = None
    grade: Grade | None = None


@dataclass(frozen=True)
class LinkView:
    """What a step of the decision chain rests on; ``method`` and ``finding`` name a map, empty where there is none."""

    strength: Grade
    text: Bilingual
    method: str = ""
    finding: str = ""


@dataclass(frozen=True)
class StepView:
    """One step of the decision chain.

    Parameters
    ----------
    words
        Indices into ``ViewerData.words``.
    finding
        Id of the finding whose map it shows; empty for none.
    """

    stage: Stage
    text: Bilingual
    strength: Grade
    words: tuple[int, ...] = ()
    links: tuple[LinkView, ...] = ()
    finding: str = ""


@dataclass(frozen=True)
class ContrastView:
    """Why this and not that: the question, its answer, and the words and the finding that it speaks of."""

    ask: Bilingual
    answer: Bilingual
    strength: Grade
    words: tuple[int, ...] = ()
    finding: str = ""


@dataclass(frozen=True, eq=False)
class ViewerData:
    """Everything ``report.html`` shows.

    Parameters
    ----------
    language
        The language the page opens in; the reader can switch.
    domain
        ``phantom`` puts the demo banner on the page.
    chain, contrasts
        The decision chain and the contrast answers; empty where none were made.
    notices
        Sentences beside the two that are always on the page (not a medical device; AI-generated).
    confidence_note
        Shown under the table; by default that percentages are uncalibrated.
    provenance
        (name, value) lines: weights, versions, seed.
    font_base64
        A WOFF2 subset for machines without Chinese fonts; :func:`characters` says what it must cover.
    """

    report: str
    frames: tuple[FrameView, ...]
    language: Language = "en"
    title: Bilingual = Bilingual("Explained report", "报告与解释")
    model: str = ""
    domain: str = ""
    question: str = ""
    thinking: str = ""
    words: tuple[WordView, ...] = ()
    word_maps: WordMaps | None = None
    findings: tuple[FindingRow, ...] = ()
    maps: tuple[FindingMapView, ...] = ()
    chain: tuple[StepView, ...] = ()
    contrasts: tuple[ContrastView, ...] = ()
    notices: tuple[Bilingual, ...] = ()
    warnings: tuple[Bilingual, ...] = ()
    confidence_note: Bilingual | None = None
    provenance: tuple[tuple[Bilingual, str], ...] = ()
    font_base64: str | None = None


def render_html(data: ViewerData) -> str:
    """The page as one string; write it as UTF-8 and open it from anywhere.

    Raises
    ------
    MalformedInput
        Where maps, words and frames do not fit together, or a map holds NaN or infinity.
    """
    script, style = bundle()
    blob = json.dumps(payload(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    notice = "Not a medical device. AI-generated, not reviewed by a physician. / 非医疗器械。AI生成，未经医师审核。"
    title = data.title.zh if data.language == "zh" else data.title.en
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if data.language == "zh" else "en"}" data-theme="dark">\n<head>\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="generator" content="radiolucent; AI-generated, not reviewed by a physician">\n'
        f"<title>{html.escape(title)} · radiolucent</title>\n"
        '<link rel="icon" href="data:,">\n'
        f"<style>{style}</style>\n</head>\n<body>\n"
        f'<div id="app"><noscript><p>{notice}</p><pre>{html.escape(data.report)}</pre></noscript></div>\n'
        f'<script type="application/json" id="data">{_inert(blob)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def bundle() -> tuple[str, str]:
    """The built viewer: (script, style sheet).

    Raises
    ------
    MalformedInput
        Where the built files could end the element that holds them; rebuild them from ``web/``.
    """
    folder = files("radiolucent.report") / "viewer"
    script = (folder / "viewer.js").read_text(encoding="utf-8")
    style = (folder / "viewer.css").read_text(encoding="utf-8")
    for name, text, fatal in (("viewer.js", script, ("</script", "<!--")), ("viewer.css", style, ("</style",))):
        if any(mark in text.lower() for mark in fatal):
            raise MalformedInput(f"{name} holds {' or '.join(fatal)}, which would end its element; rebuild web/.")
    return script, style


def characters(data: ViewerData) -> str:
    """Every character the page can show in either language, sorted: what an embedded font must cover."""
    script, _ = bundle()
    text = json.dumps(payload(data, arrays=False), ensure_ascii=False)
    return "".join(sorted({character for character in script + text if character.isprintable()}))


def film_png(picture: NDArray[np.floating], longest_edge: int = 1400) -> bytes:
    """A displayed picture as PNG, small enough for a page.

    Parameters
    ----------
    picture
        [0, 1], (rows, cols) or (rows, cols, 3).
    longest_edge
        Pixels; a larger picture is reduced (the page keeps its source coordinates), a smaller one left alone.
    """
    values = np.asarray(picture, dtype=np.float64)
    if values.ndim not in (2, 3) or not np.isfinite(values).all():
        raise MalformedInput(f"A picture is finite, (rows, cols) or (rows, cols, 3); got shape {values.shape}.")
    image = Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))
    if max(image.size) > longest_edge:
        image.thumbnail((longest_edge, longest_edge), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def quantise(
    values: NDArray[np.floating], axes: tuple[int, ...], signed: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Codes 0 to :data:`LEVELS` and the range they span: ``low + code / LEVELS * (high - low)``.

    Parameters
    ----------
    axes
        The axes that share one range.
    signed
        The range is symmetric, so that 0 is exact; otherwise it starts at the smaller of 0 and the minimum.

    Returns
    -------
    uint8 codes of ``values``' shape; ``low`` and ``high`` with ``axes`` removed. The error is at most half a step.
    """
    exact = np.asarray(values, dtype=np.float64)
    if not np.isfinite(exact).all():
        raise MalformedInput("A map holds NaN or infinity; every value of a map must be finite.")
    high = np.maximum(exact.max(axis=axes, keepdims=True), 0.0)
    low = np.minimum(exact.min(axis=axes, keepdims=True), 0.0)
    if signed:
        high = np.maximum(high, -low)
        low = -high
    span = np.where(high > low, high - low, 1.0)
    codes = np.rint((exact - low) / span * LEVELS).clip(0, LEVELS).astype(np.uint8)
    flat: tuple[NDArray[np.float64], NDArray[np.float64]] = (low.squeeze(axes), high.squeeze(axes))
    return codes, *flat


def payload(data: ViewerData, arrays: bool = True) -> dict[str, object]:
    """What the viewer reads (``web/src/data.ts`` declares the same shape). ``arrays=False`` leaves out the bulk."""
    _check(data)
    return {
        "language": data.language,
        "title": _both(data.title),
        "model": data.model,
        "domain": data.domain,
        "question": data.question,
        "report": data.report,
        "thinking": data.thinking,
        "notices": [_both(notice) for notice in data.notices],
        "warnings": [_both(warning) for warning in data.warnings],
        "confidenceNote": _both(data.confidence_note),
        "provenance": [[_both(name), value] for name, value in data.provenance],
        "font": data.font_base64 if arrays else None,
        "frames": [
            {
                "label": frame.label,
                "png": _base64(frame.png) if arrays else "",
                "rows": frame.rows,
                "cols": frame.cols,
                "modelSize": frame.model_size,
                "grid": frame.grid,
                "patientRight": frame.patient_right,
                "sideSource": frame.side_source,
                "spacing": frame.spacing,
            }
            for frame in data.frames
        ],
        "words": [
            {
                "text": word.text,
                "start": word.start,
                "end": word.end,
                "part": word.part,
                "p": _short(word.p),
                "entropy": _short(word.entropy),
                "alternatives": [[text, _short(p)] for text, p in word.alternatives],
                "reliance": _short(word.reliance),
                "map": word.map,
                "kind": _both(word.kind),
                "mark": word.mark,
                "place": word.place,
            }
            for word in data.words
        ],
        "wordMaps": None if data.word_maps is None else _word_maps(data.word_maps, arrays),
        "maps": [_finding_map(view, arrays) for view in data.maps],
        "chain": [
            {
                "stage": step.stage,
                "text": _both(step.text),
                "strength": step.strength,
                "words": step.words,
                "finding": step.finding,
                "links": [
                    {
                        "strength": link.strength,
                        "text": _both(link.text),
                        "method": link.method,
                        "finding": link.finding,
                    }
                    for link in step.links
                ],
            }
            for step in data.chain
        ],
        "contrasts": [
            {
                "ask": _both(one.ask),
                "answer": _both(one.answer),
                "strength": one.strength,
                "words": one.words,
                "finding": one.finding,
            }
            for one in data.contrasts
        ],
        "findings": [
            {
                "id": row.id,
                "text": _both(row.text),
                "polarity": row.polarity,
                "certainty": row.certainty,
                "side": row.side,
                "zone": row.zone,
                "severity": row.severity,
                "start": row.start,
                "end": row.end,
                "counts": None if row.counts is None else vars(row.counts),
                "interval": row.interval,
                "probability": row.probability,
                "quadrant": row.quadrant,
                "grade": row.grade,
            }
            for row in data.findings
        ],
    }


def _word_maps(maps: WordMaps, arrays: bool) -> dict[str, object]:
    codes, low, high = quantise(maps.values, axes=(2, 3, 4), signed=False)
    return {
        "shape": maps.values.shape,
        "codes": _deflate(codes) if arrays else "",
        "low": [[_short(value) for value in line] for line in low],
        "high": [[_short(value) for value in line] for line in high],
        "layers": [{"index": layer.index, "type": layer.type} for layer in maps.layers],
        "units": maps.units,
        "method": maps.method,
    }


def _finding_map(view: FindingMapView, arrays: bool) -> dict[str, object]:
    shown: dict[str, object] = {"shape": None, "codes": "", "low": 0.0, "high": 0.0, "signed": False}
    if view.values is not None and not view.withheld:
        signed = bool((np.asarray(view.values) < 0).any())
        codes, low, high = quantise(view.values, axes=(0, 1, 2), signed=signed)
        shown = {
            "shape": view.values.shape,
            "codes": _deflate(codes) if arrays else "",
            "low": _short(float(low)),
            "high": _short(float(high)),
            "signed": signed,
        }
    return {
        "finding": view.finding,
        "method": view.method,
        "claim": view.claim,
        "units": view.units,
        "caption": _both(view.caption),
        "label": _both(view.label),
        "grade": view.grade,
        "withheld": view.withheld,
        "withheldText": _both(view.withheld_text),
        "boxes": [] if view.withheld else [vars(box) for box in view.boxes],
        "contours": []
        if view.withheld
        else [
            {"frame": line.frame, "points": [[round(x, 1), round(y, 1)] for x, y in line.points]}
            for line in view.contours
        ],
        **shown,
    }


def _check(data: ViewerData) -> None:
    if not data.frames:
        raise MalformedInput("The page has no frame to show; give at least one.")
    maps = 0
    if data.word_maps is not None:
        shape = data.word_maps.values.shape
        if len(shape) != 5 or shape[1:3] != (len(data.word_maps.layers), len(data.frames)) or shape[3] != shape[4]:
            raise MalformedInput(
                f"Word maps are (maps, {len(data.word_maps.layers)} layers, {len(data.frames)} frames, g, g); "
                f"got {shape}."
            )
        maps = shape[0]
    lengths = {"answer": len(data.report), "thinking": len(data.thinking)}
    for word in data.words:
        if not 0 <= word.start < word.end <= lengths[word.part]:
            raise MalformedInput(
                f"Word {word.text!r} spans [{word.start}, {word.end}), outside the {lengths[word.part]} characters "
                f"of the {word.part}."
            )
        if word.map is not None and not 0 <= word.map < maps:
            raise MalformedInput(f"Word {word.text!r} points at map {word.map}; there are {maps}.")
    known = {row.id: row for row in data.findings}
    told: list[StepView | ContrastView] = [*data.chain, *data.contrasts]
    for said in told:
        strays = any(not 0 <= index < len(data.words) for index in said.words)
        if strays or (said.finding and said.finding not in known):
            raise MalformedInput(
                f"A step or contrast points at words {said.words} and the finding {said.finding!r}; there are "
                f"{len(data.words)} words and the findings {', '.join(known) or 'none'}."
            )
    for view in data.maps:
        if view.finding not in known:
            raise MalformedInput(f"A {view.method} map belongs to {view.finding!r}, which is not in the table.")
        if known[view.finding].polarity == "absent":
            raise MalformedInput(f"{view.finding!r} is absent; absent findings get no map.")
        if view.values is None:
            if not view.withheld:
                raise MalformedInput(f"The {view.method} map of {view.finding!r} has no values and is not withheld.")
        elif view.values.ndim != 3 or len(view.values) != len(data.frames) or len(set(view.values.shape[1:])) != 1:
            raise MalformedInput(
                f"The {view.method} map of {view.finding!r} is ({len(data.frames)} frames, g, g) over the padded "
                f"square; got {view.values.shape}."
            )


def _both(text: Bilingual | None) -> dict[str, str] | None:
    return None if text is None else {"en": text.en, "zh": text.zh}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{float(value):.5g}")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _deflate(codes: NDArray[np.uint8]) -> str:
    return _base64(zlib.compress(codes.tobytes(), 9))


def _digest(text: str) -> str:
    return "sha256-" + _base64(hashlib.sha256(text.encode("utf-8")).digest())


def _inert(blob: str) -> str:
    """JSON that cannot end its script element, whatever the model wrote (HTML standard, 4.12.1.3)."""
    return blob.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
