"""An annotator's category to the finding codes that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.strict_json import mapped, read_json
from radiolucent.findings import extract_findings
from radiolucent.findings.vocabulary import CODES, VOCABULARY

Categories = Mapping[str, str | Sequence[str] | None]

# Names that the extractor cannot know or reads otherwise: a dataset's own terms.
KNOWN: dict[str, tuple[str, ...]] = {
    "lung lesion": ("nodule", "mass"),  # of CheXpert and CheXlocalize (Irvin et al. 2019)
    "airspace opacity": ("lung_opacity",),  # CheXlocalize's name for CheXpert's Lung Opacity
}


def codes_of(category: str, categories: Categories | None = None, meaning: str = "") -> tuple[str, ...] | None:
    """The finding codes that a category may mean; None where it is unknown, () where the mapping leaves it out.

    More than one code (``Nodule/Mass``) means that the area is the truth of whichever of them a report asserts.

    Parameters
    ----------
    category
        As the annotator wrote it: a code, a code's name in English or Chinese, a dataset's own term, or any words
        that the report extractor reads as findings that are present.
    categories
        The user's own mapping, which is asked first; see :func:`read_categories`.
    meaning
        A second name, asked where the first is unknown.

    Raises
    ------
    MalformedInput
        Where both names are known and mean different findings.

    Examples
    --------
    >>> codes_of("Pleural Effusion"), codes_of("Nodule/Mass"), codes_of("实变"), codes_of("rib 3")
    (('pleural_effusion',), ('nodule', 'mass'), ('consolidation',), None)
    """
    if categories is not None and category in categories:
        return _listed(categories[category])
    found, other = _from_words(category), _from_words(meaning)
    if found and other and not set(found) & set(other):
        raise MalformedInput(
            f"A segment is labelled {category!r} but coded {meaning!r}; say in the categories mapping which it is."
        )
    return found or other


def read_categories(categories: Categories | Path | None) -> Categories | None:
    """A mapping from category names to finding codes, checked.

    Parameters
    ----------
    categories
        A mapping, or a JSON file of one: a name to a code, to a list of codes, or to null for a category that is left
        out on purpose.

    Raises
    ------
    MalformedInput
        Where a code is not in the vocabulary.
    """
    if categories is None:
        return None
    if isinstance(categories, Path):
        name = "The categories mapping"
        categories = mapped(read_json(categories, name), name)
    for category, codes in categories.items():
        unknown = [code for code in _listed(codes) if not isinstance(code, str) or code not in VOCABULARY]
        if unknown:
            raise MalformedInput(
                f"The categories mapping sends {category!r} to {unknown[0]!r}, which is no finding code; the codes are "
                f"{', '.join(CODES)}."
            )
    return categories


def _listed(codes: Any) -> tuple[Any, ...]:
    if codes is None:
        return ()
    return (codes,) if isinstance(codes, str) or not isinstance(codes, Sequence) else tuple(codes)


def _from_words(category: str) -> tuple[str, ...] | None:
    plain = " ".join(re.sub(r"[_\-]+", " ", category).split()).lower()
    if not plain:
        return None
    for code in CODES:
        if plain in (code.replace("_", " "), VOCABULARY[code].en.lower(), VOCABULARY[code].zh.lower()):
            return (code,)
    if plain in KNOWN:
        return KNOWN[plain]
    found = extract_findings(plain)
    if not found or any(finding.polarity != "present" for finding in found):
        return None
    return tuple(dict.fromkeys(finding.code for finding in found))
