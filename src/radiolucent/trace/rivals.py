"""What the report might have said instead: the foils of a finding, and the one token at which each parts from the text.

"Pleural effusion on the left" and "No pleural effusion" part at their first word, "left" and "right" at that word.
Up to there the model read the same, so that the choice is one of one token against another in one distribution, and
every choice of a report is read from the same pass. Rivals of one finding are all tried; the likeliest is the foil.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from radiolucent.attribution.targets import finding_chars
from radiolucent.errors import TargetNotFound
from radiolucent.findings.names import describe
from radiolucent.findings.types import Finding, Side, Zone
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.target import find_target
from radiolucent.vlm.types import Generation, Language, Target, share

About = Literal["presence", "side", "words"]

_OTHER_SIDE: dict[str, tuple[str, ...]] = {
    "left": ("right",),
    "right": ("left",),
    "bilateral": ("left", "right"),
    "左": ("右",),
    "右": ("左",),
    "双": ("左", "右"),
    "两": ("左", "右"),
}
# An enlarged heart is asserted and denied in words of its own.
_HEART: dict[Language, dict[bool, tuple[str, ...]]] = {
    "en": {
        True: ("The heart is enlarged", "The cardiac silhouette is enlarged", "Cardiomegaly"),
        False: (
            "The heart size is normal",
            "The heart is normal in size",
            "The heart is not enlarged",
            "The cardiac silhouette is normal",
            "The cardiac silhouette is within normal limits",
            "No cardiomegaly",
        ),
    },
    "zh": {True: ("心影增大", "心脏增大"), False: ("心影不大", "心影大小正常", "心脏大小形态正常", "心脏不大")},
}


@dataclass(frozen=True)
class Rival:
    """One foil and where it parts from what was written.

    Parameters
    ----------
    said, foil
        The words that stand against each other.
    chars
        Span of ``said`` in the answer.
    token
        Index of the first generated token that the foil does not share.
    written, rival
        Token ids there.
    """

    finding: str
    about: About
    said: str
    foil: str
    chars: tuple[int, int]
    token: int
    written: int
    rival: int

    @property
    def target(self) -> Target:
        """The choice as a target of any attribution method: log p(written) - log p(rival) at that token."""
        return Target((self.token, self.token + 1), (self.rival,), f"{self.said} / {self.foil}")


def rivals_of(
    model: Gemma3Model,
    generation: Generation,
    finding: Finding,
    others: Sequence[Finding] = (),
    *,
    about: About = "presence",
    foil: str = "",
) -> tuple[Rival, ...]:
    """The foils of a finding that can be written in its place.

    Parameters
    ----------
    others
        Findings of the same answer.
    about
        ``presence``: there or not; ``side``: left or right; ``words``: ``foil`` in the place of the finding's words.

    Raises
    ------
    TargetNotFound
        Where none can: the finding names no side, shares its denial with others of a list, or its foils cannot be
        written with the model's tokens.
    """
    found, reasons = [], []
    for (first, last), written in _foils(generation, finding, others, about, foil):
        try:
            found.append(_rival(model, generation, finding, about, (first, last), written))
        except TargetNotFound as error:
            reasons.append(str(error))
    if not found:
        why = reasons[0] if reasons else "Its words hold nothing that could be exchanged."
        raise TargetNotFound(f"No contrast about {about} for {finding.id} ({finding.words!r}). {why}")
    return tuple(found)


def _foils(
    generation: Generation, finding: Finding, others: Sequence[Finding], about: About, foil: str
) -> Iterator[tuple[tuple[int, int], str]]:
    """((first, last) of the answer's characters, what stands there instead)."""
    text, language = generation.text, generation.prompt.language
    if about == "words":
        yield finding.chars, foil
        return
    first, last = finding_chars(finding, others)
    if about == "side":
        for word in generation.words:
            if word.part == "answer" and first <= word.chars[0] and word.chars[1] <= last:
                for other in _OTHER_SIDE.get(word.text.lower(), ()):
                    yield word.chars, other.capitalize() if word.text[:1].isupper() else other
                if word.text.lower() in _OTHER_SIDE:
                    return
        return
    while first < finding.chars[0] and not text[first].isalnum():
        first += 1
    said = text[first : finding.chars[1]]
    if finding.polarity == "absent" and finding.chars[0] == first and finding.code != "cardiomegaly":
        return  # its denial stands before the findings that it shares it with
    for written in _wordings(finding, said, language):
        yield (first, finding.chars[1]), written if said[:1].isupper() else written[:1].lower() + written[1:]


def _wordings(finding: Finding, said: str, language: Language) -> list[str]:
    """Ways of saying the opposite of a finding."""
    there = finding.polarity == "absent"
    if finding.code == "cardiomegaly":
        return list(_HEART[language][there])
    if finding.code not in VOCABULARY:
        return []
    bare = Finding(finding.code, "present" if there else "absent")
    if not there:
        name = VOCABULARY[finding.code].en
        if language == "zh":
            return [describe(bare, "zh"), *([f"无{describe(Finding(finding.code), 'zh')}"])]
        opening = said.split(" is ")[0] if " is " in said else ""
        return [f"No {name}", f"No evidence of {name}", *([f"{opening} is no {name}"] if opening == "There" else [])]
    sides: tuple[Side | None, ...] = (None, "left", "right", "bilateral") if VOCABULARY[finding.code].sided else (None,)
    zones: tuple[Zone | None, ...] = (None,)
    if VOCABULARY[finding.code].zoned and language == "zh":
        zones = ("upper", "middle", "lower")  # in Chinese the place comes first
    said_there = [describe(replace(bare, side=side, zone=zone), language) for side in sides for zone in zones]
    if language == "en":
        said_there += [f"There is {describe(bare, 'en').lower()}"] * said.startswith("There is")
    return list(dict.fromkeys(said_there))


def _rival(
    model: Gemma3Model,
    generation: Generation,
    finding: Finding,
    about: About,
    chars: tuple[int, int],
    written: str,
) -> Rival:
    first, last = _whole(generation, chars)
    text = generation.text
    said = text[first:last]
    replaced = text[first : chars[0]] + written + text[chars[1] : last]
    before = text[: first + len(said) - 1]
    target = find_target(generation, said, occurrence=_count(before, said), foil=replaced, model=model)
    foil = target.foil or ()
    ids = [int(token) for token in generation.token_ids[slice(*target.tokens)]]
    part = next((index for index, pair in enumerate(zip(ids, foil, strict=False)) if pair[0] != pair[1]), None)
    if part is None:
        raise TargetNotFound(f"{written!r} begins as what was written; no word parts the two.")
    return Rival(
        finding=finding.id,
        about=about,
        said=said,
        foil=replaced,
        chars=(first, last),
        token=target.tokens[0] + part,
        written=ids[part],
        rival=foil[part],
    )


def _whole(generation: Generation, chars: tuple[int, int]) -> tuple[int, int]:
    """The span widened to the words that share a token with it, so that no token is cut."""
    words = [word for word in generation.words if word.part == "answer"]
    inside = [word for word in words if share(word.chars, chars)]
    if not inside:
        return chars
    tokens = min(word.tokens[0] for word in inside), max(word.tokens[1] for word in inside)
    sharing = [word for word in words if share(word.tokens, tokens)]
    return min(word.chars[0] for word in sharing), max(word.chars[1] for word in sharing)


def _count(text: str, piece: str) -> int:
    """Occurrences, overlapping ones too."""
    count = start = 0
    while (start := text.find(piece, start)) >= 0:
        count, start = count + 1, start + 1
    return count
