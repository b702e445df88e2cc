"""The place that a finding has from its neighbour: "right consolidation and effusion", 右侧未见骨折、气胸及积液."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from radiolucent.findings.matching import Match
from radiolucent.findings.mentions import Mention
from radiolucent.findings.segments import Segment
from radiolucent.findings.vocabulary import VOCABULARY

_SAME_PLACE = re.compile(r"\s*(?:and|or|versus|vs\.?|、|及|和|或|与|/)?\s*")
_WITHIN = re.compile(r"\s*(?:[，,]\s*)?(?:其?内|其?中|伴|并|with(?:in)?\b)")


def share_places(sentence: str, segment: Segment, previous: Sequence[Mention], here: Sequence[Mention]) -> None:
    """What has no place of its own stands where its neighbour does.

    Parameters
    ----------
    previous
        The mention before this segment, where there is one.
    here
        The mentions of this segment, in the order of the text.
    """
    for index, mention in enumerate(here):
        if index:
            _share(here[index - 1], mention)
        elif previous and not segment.hard and _continues(mention, segment):
            _share(previous[-1], mention)
    for index in range(len(here) - 1, 0, -1):
        if _SAME_PLACE.fullmatch(sentence[here[index - 1].match.last : here[index].match.first]):
            _share(here[index], here[index - 1])


def _share(source: Mention, target: Mention) -> None:
    """Only things seen in one place share it, and no denial does."""
    code, given = VOCABULARY[target.code], VOCABULARY[source.code]
    if not code.shares_place or not given.shares_place or "absent" in (source.polarity, target.polarity):
        return
    if not target.placed and source.placed:
        target.modifiers = replace(target.modifiers, side=source.modifiers.side, zones=source.modifiers.zones)


def _continues(mention: Mention, segment: Segment) -> bool:
    """Whether it is another word for what stands before the comma, or lies within it.

    Chinese goes on about one place over several commas (右肺中叶体积缩小，密度增高); the pleura is not in the lung.
    """
    if mention.placed_by_cue or _WITHIN.match(segment.text):
        return True
    return segment.language == "zh" and VOCABULARY[mention.code].zoned


def share_denied_sides(mentions: Sequence[Mention], matches: Sequence[Match]) -> None:
    """A side before a denial (右侧未见A、B) or after its whole list ("no A or B on the left") is said of all of it."""
    runs: dict[int, list[Mention]] = {}
    for mention in mentions:
        if mention.cue is not None and mention.polarity == "absent":
            runs.setdefault(mention.cue, []).append(mention)
    sides = [match for match in matches if match.kind == "side"] if runs else []
    for cue, run in runs.items():
        leading, trailing = run[0].modifiers.side, run[-1].modifiers.side
        if leading and any(match.last <= cue for match in sides):
            side = leading
        elif trailing and any(match.first >= run[-1].match.last for match in sides):
            side = trailing
        else:
            continue
        for mention in run:
            if mention.modifiers.side is None:
                mention.modifiers = replace(mention.modifiers, side=side)
