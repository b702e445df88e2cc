"""Why this and not that: by how much the model preferred what it wrote, and whether the picture, and where, made it so.

The preference at the word where the two part is measured as written, with a blank picture, with another patient's film,
with the region hidden that the finding was shown to rely on, and with that region's control hidden. All choices of a
report, and the reliance of all its words, come from the same passes: one for each of these pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.control_regions import control_of
from radiolucent.attribution.interventions import intervention
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.model import blank_features
from radiolucent.attribution.propose_and_verify import propose_and_verify
from radiolucent.attribution.targets import in_single_precision, soft_rows
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.attribution.verification import LEAST_NATS, NECESSARY, SPECIFIC
from radiolucent.findings.types import Finding
from radiolucent.localize.film_places import place_of_map, study_places
from radiolucent.study.types import Study
from radiolucent.trace.reliance import Reliance, check_fits, drawn_film
from radiolucent.trace.rivals import About, Rival, rivals_of
from radiolucent.trace.types import Contrast, Strength
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation


@dataclass(frozen=True, eq=False)
class Hidden:
    """A region of a finding and its control: bool (frames, g, g); ``place`` names it in the prompt's language."""

    region: NDArray[np.bool_]
    control: NDArray[np.bool_] | None = None
    place: str | None = None


def hidden_of(made: AttributionMap | None, place: str | None = None) -> Hidden | None:
    """The region that a map was verified by, with its first control; None where the map was not verified."""
    test: RegionTest | None = next((test for test in made.tests if test.verified), None) if made is not None else None
    if test is None:
        return None
    return Hidden(test.region, test.controls[0] if len(test.controls) else None, place)


def contrasted(
    model: Gemma3Model,
    features: Features,
    generation: Generation,
    rivals: Sequence[Rival],
    *,
    other: Features | None = None,
    regions: Mapping[str, Hidden] | None = None,
) -> tuple[Reliance, tuple[Contrast, ...]]:
    """What every word loses without the picture, and the contrasts: one pass a replaced or hidden picture for all.

    Parameters
    ----------
    rivals
        Of any findings; of those that contrast the same thing the likeliest is kept.
    other
        Another patient's film, of as many images.
    regions
        Finding's id -> what to hide for its contrasts.

    Raises
    ------
    MalformedInput
        Where ``other`` does not fit the study.
    """
    regions = {name: hidden for name, hidden in (regions or {}).items() if any(r.finding == name for r in rivals)}
    pictures = [soft_rows(features), _row(blank_features(model, features))]
    places = {("seen", ""): 0, ("blank", ""): 1}
    if other is not None:
        check_fits(other, features)
        places["other", ""] = len(pictures)
        pictures.append(_row(other))
    masks = [
        (kind, name, mask)
        for name, hidden in regions.items()
        for kind, mask in (("hidden", hidden.region), ("control", hidden.control))
        if mask is not None
    ]
    if masks:
        shown = intervention(model, features)(np.stack([mask for _, _, mask in masks]))
        for row, (kind, name, _) in zip(shown, masks, strict=True):
            places[kind, name] = len(pictures)
            pictures.append(row[None])
    tokens = [int(token) for token in generation.token_ids]
    known = all(rival.rival in _known(generation, rival.token) for rival in rivals)
    choices = list(enumerate(tokens)) + [(rival.token, rival.rival) for rival in rivals]
    rows = torch.cat([picture.to(pictures[0]) for picture in pictures[1 if known else 0 :]])
    scored = model.choice_logprobs(generation.prompt_inputs, tokens, rows, choices).double().cpu().numpy()
    written = generation.logprobs.astype(np.float64)
    if known:  # the report's own distributions hold every rival: nothing is run for the picture as it is
        seen = [_known(generation, rival.token)[rival.rival] for rival in rivals]
        scored = np.concatenate([np.concatenate([written, seen])[None], scored])
    losses = written - scored[:, : len(tokens)]
    reliance = Reliance(losses[1], losses[places["other", ""]] if other is not None else None)

    def margin(number: int, rival: Rival, kind: str) -> float | None:
        at = places.get((kind, rival.finding if kind in ("hidden", "control") else ""))
        return None if at is None else float(scored[at, rival.token] - scored[at, len(tokens) + number])

    best: dict[tuple[str, str], Contrast] = {}
    for number, rival in enumerate(rivals):
        seen_margin = margin(number, rival, "seen")
        assert seen_margin is not None
        key = (rival.finding, rival.about)
        if key in best and best[key].margin <= seen_margin:
            continue
        hidden = regions.get(rival.finding)
        best[key] = Contrast(
            finding=rival.finding,
            about=rival.about,
            said=rival.said,
            foil=rival.foil,
            token=rival.token,
            foil_ids=(rival.rival,),
            chars=rival.chars,
            margin=seen_margin,
            margin_blank=margin(number, rival, "blank"),
            margin_other=margin(number, rival, "other"),
            margin_hidden=margin(number, rival, "hidden"),
            margin_control=margin(number, rival, "control"),
            region=None if hidden is None else hidden.region,
            place=None if hidden is None else hidden.place,
        )
    return reliance, tuple(_told(one) for one in best.values())


def contrast(
    model: Gemma3Model,
    study: Study,
    generation: Generation,
    finding: Finding,
    others: Sequence[Finding] = (),
    *,
    about: About = "presence",
    foil: str = "",
    other: Study | None = None,
    seed: int = 0,
) -> Contrast:
    """Why this and not that, for any finding and foil, with the region that carries the choice searched for anew.

    A denied finding gets no region, as it gets no map.

    Parameters
    ----------
    others
        Findings of the same answer.
    about
        ``presence``: there or not; ``side``: left or right; ``words``: ``foil`` in the place of the finding's words.
    other
        Another patient's film; the packaged drawing where None.
    seed
        Of the control's place.

    Raises
    ------
    TargetNotFound
        Where the foil cannot be written in the finding's place.
    """
    features = model.encode(study)
    stranger = drawn_film(model, features) if other is None else model.encode(other)
    rivals = rivals_of(model, generation, finding, others, about=about, foil=foil)
    _, answers = contrasted(model, features, generation, rivals, other=stranger)
    if finding.polarity == "absent":
        return answers[0]
    likeliest = next(rival for rival in rivals if rival.rival == answers[0].foil_ids[0])
    places = study_places(study, features)
    control = control_of(finding)
    try:
        made = propose_and_verify(
            model, features, generation, likeliest.target, control=control, midline=places[0].midline, seed=seed
        )
    except EmptyMap:
        return answers[0]
    found = place_of_map(places, made)
    hidden = hidden_of(made, None if found is None else found.text(generation.prompt.language) or None)
    regions = {} if hidden is None else {finding.id: hidden}
    return contrasted(model, features, generation, [likeliest], other=stranger, regions=regions)[1][0]


def _row(features: Features) -> torch.Tensor:
    return in_single_precision(features.soft_tokens.detach()).flatten(0, 1).unsqueeze(0)


def _known(generation: Generation, token: int) -> dict[int, float]:
    return {other.token_id: float(other.logprob) for other in generation.alternatives[token]}


def strength_of(contrast: Contrast) -> Strength:
    """``verified``, ``weak`` or ``not shown``, see :class:`radiolucent.trace.types.Contrast`.

    The rule of the region tests: the region carries the margin where hiding it takes at least ``NECESSARY`` of the
    margin and of what a blank picture takes, at least ``LEAST_NATS``, and ``SPECIFIC`` times what its control takes.
    """
    replaced = [value for value in (contrast.margin_blank, contrast.margin_other) if value is not None]
    if contrast.margin <= 0 or not replaced or contrast.margin - min(replaced) < LEAST_NATS:
        return "not shown"
    if contrast.margin_hidden is None or contrast.margin_control is None or contrast.margin_blank is None:
        return "weak"
    lost, whole = contrast.margin - contrast.margin_hidden, contrast.margin - contrast.margin_blank
    control = contrast.margin - contrast.margin_control
    carried = lost >= max(LEAST_NATS, NECESSARY * max(whole, contrast.margin)) and lost >= SPECIFIC * max(control, 0.0)
    return "verified" if carried else "weak"


def _told(contrast: Contrast) -> Contrast:
    strength = strength_of(contrast)
    return replace(contrast, strength=strength, en=_en(contrast, strength), zh=_zh(contrast, strength))


def _odds(nats: float) -> str:
    odds = float(np.exp(min(abs(nats), 20.0)))
    return "more than 1000 to 1" if odds > 1000 else f"{odds:.0f} to 1" if odds >= 2 else f"{odds:.1f} to 1"


def _signed(nats: float) -> str:
    return f"{round(nats, 1) + 0.0:+.1f}".replace("-", "−")


def _en(one: Contrast, strength: Strength) -> str:
    place = f" ({one.place})" if one.place else ""
    if one.margin <= 0:
        return f"The model preferred “{one.foil}” there by {-one.margin:.1f} nats and wrote otherwise: check it."
    said = f"The model preferred what it wrote by {one.margin:.1f} nats ({_odds(one.margin)})"
    return f"{said}{_without_en(one)} {_region_en(one, strength, place)}".strip()


def _without_en(one: Contrast) -> str:
    shown = [("a blank picture", one.margin_blank), ("another patient's film", one.margin_other)]
    told = [f"{_signed(value)} with {name}" for name, value in shown if value is not None]
    return f"; {' and '.join(told)}." if told else "."


def _region_en(one: Contrast, strength: Strength, place: str) -> str:
    if strength == "verified" and one.margin_hidden is not None and one.margin_control is not None:
        return (
            f"Hiding the marked area{place} leaves {_signed(one.margin_hidden)}, hiding its control area "
            f"{_signed(one.margin_control)}: the marked area carries the choice."
        )
    if strength == "weak":
        if one.margin_hidden is not None:
            return "The picture carries the choice, but not clearly the marked area more than its control."
        return "The picture carries the choice; which part of it was not tested."
    return "The choice could not be shown to come from the picture."


def _zh(one: Contrast, strength: Strength) -> str:
    place = f"（{one.place}）" if one.place else ""
    if one.margin <= 0:
        return f"模型在该处更倾向“{one.foil}”（{-one.margin:.1f} 奈特），但写了前者，请核实。"
    shown = [("空白图像", one.margin_blank), ("他人影像", one.margin_other)]
    told = "，".join(f"换成{name}为 {_signed(value)}" for name, value in shown if value is not None)
    said = f"模型倾向所写内容，差值 {one.margin:.1f} 奈特{'；' + told if told else ''}。"
    if strength == "verified" and one.margin_hidden is not None and one.margin_control is not None:
        hidden, control = _signed(one.margin_hidden), _signed(one.margin_control)
        return f"{said}遮住标记区域{place}后为 {hidden}，遮住对照区域后为 {control}：该选择由标记区域决定。"
    if strength == "weak":
        where = "但标记区域的作用未明显超过对照区域" if one.margin_hidden is not None else "具体部位未检验"
        return f"{said}该选择依赖图像，{where}。"
    return f"{said}未能证实该选择来自图像。"
