"""What a report claims that its input could not show: a comparison without a prior film, millimetres without a
scale, a history or a view that nobody supplied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from radiolucent.findings.extract import LANGUAGES
from radiolucent.findings.measures import measures_in
from radiolucent.findings.rules import load_rules
from radiolucent.findings.sentences import lower, plain
from radiolucent.findings.types import Finding, Unknowable

NOT_KNOWABLE = {"en": "not knowable from the input", "zh": "输入无依据"}
REASONS: dict[Unknowable, tuple[str, str]] = {
    "comparison": ("no prior film was given", "未提供旧片"),
    "size": ("the scale of the film is not known", "未提供像素间距"),
    "history": ("no history was given", "未提供病史"),
    "view": ("no other view was given", "未提供其他体位图像"),
}
_KINDS: tuple[Unknowable, ...] = tuple(REASONS)


@dataclass(frozen=True)
class Claim:
    """A stretch of text that speaks of something outside the input.

    Parameters
    ----------
    chars
        Span [first, last) in the text.
    """

    kind: Unknowable
    chars: tuple[int, int]
    words: str

    def text(self, language: str) -> str:
        """What people read: ``输入无依据：未提供旧片``."""
        reason = REASONS[self.kind][language == "zh"]
        return f"{NOT_KNOWABLE['zh']}：{reason}" if language == "zh" else f"{NOT_KNOWABLE['en']}: {reason}"


def claims_beyond_input(
    text: str, *, has_prior: bool, has_spacing: bool, has_history: bool = False, has_other_view: bool = False
) -> tuple[Claim, ...]:
    """Every claim of a report, in any section, that the input could not show.

    Parameters
    ----------
    has_prior
        A prior film, or its report, was given.
    has_spacing
        Millimetres can be measured: the spacing of the pixels is valid.
    has_history
        Clinical information was given.
    has_other_view
        A second view (lateral, oblique, CT) was given.

    Returns
    -------
    tuple of Claim
        In the order of the text; empty where nothing is claimed or everything was given.

    Examples
    --------
    >>> text = "Compared with the prior film, the 8 mm nodule is unchanged."
    >>> [(c.kind, c.words) for c in claims_beyond_input(text, has_prior=False, has_spacing=True)]
    [('comparison', 'Compared'), ('comparison', 'prior'), ('comparison', 'unchanged')]
    >>> claims_beyond_input("结节大小约8mm。", has_prior=True, has_spacing=False)[0].text("zh")
    '输入无依据：未提供像素间距'
    """
    given = {"comparison": has_prior, "size": has_spacing, "history": has_history, "view": has_other_view}
    folded = lower(plain(text))
    found: set[tuple[int, int, Unknowable]] = set()
    if not has_spacing:
        found |= {(first, last, "size") for kind, _, first, last in measures_in(folded) if kind != "percent"}
    for language in LANGUAGES:
        claims = load_rules(language).claims
        disclaimed = [match.span() for match in claims["none"].finditer(folded)]
        for kind in _KINDS:
            if given[kind] or kind not in claims:
                continue
            for match in claims[kind].finditer(folded):
                if not any(first <= match.start() < last for first, last in disclaimed):
                    found.add((*match.span(), kind))
    return tuple(Claim(kind, (first, last), text[first:last]) for first, last, kind in sorted(found))


def mark_not_knowable(
    findings: Iterable[Finding],
    text: str,
    *,
    has_prior: bool,
    has_spacing: bool,
    has_history: bool = False,
    has_other_view: bool = False,
) -> tuple[Finding, ...]:
    """The findings of ``text``, each with what its sentence claims that the input could not show.

    See :func:`claims_beyond_input` for the parameters. A comparison that the rules gave to one finding of a sentence
    marks that finding alone; one that they gave to none marks all of them.

    Examples
    --------
    >>> from radiolucent.findings import extract_findings
    >>> text = "右侧胸腔积液较前增多，左上肺结节约8mm。"
    >>> marked = mark_not_knowable(extract_findings(text), text, has_prior=False, has_spacing=False)
    >>> [(f.code, f.not_knowable) for f in marked]
    [('pleural_effusion', ('comparison',)), ('nodule', ('size',))]
    """
    found = tuple(findings)
    claims = claims_beyond_input(
        text, has_prior=has_prior, has_spacing=has_spacing, has_history=has_history, has_other_view=has_other_view
    )

    def claimed(finding: Finding) -> tuple[Unknowable, ...]:
        first, last = finding.sentence
        kinds = {claim.kind for claim in claims if first <= claim.chars[0] < last}
        if not has_prior and finding.change is not None:
            kinds.add("comparison")
        elif any(other.change is not None for other in found if other.sentence == finding.sentence):
            kinds.discard("comparison")
        if not has_spacing and finding.size_mm:
            kinds.add("size")
        elif finding.code != "support_devices":  # how far a tip lies from the carina is said of the tube
            kinds.discard("size")
        return tuple(kind for kind in _KINDS if kind in kinds)

    return tuple(replace(finding, not_knowable=claimed(finding)) for finding in found)
