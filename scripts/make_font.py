"""Make the packaged fonts: subsets of Noto Sans CJK SC that draw English and Chinese on a bare machine.

Needs fontTools and Debian's ``fonts-noto-cjk`` (or Noto's own OTC files of the same names)::

    python scripts/make_font.py --source /usr/share/fonts/opentype/noto --out src/radiolucent/report/fonts

Kept: Latin, general punctuation, the arrows and symbols that the pages use, CJK punctuation, full-width forms, every
character of GB 2312 levels 1 and 2 (6763), and the medical characters beyond GB 2312 listed below. Dropped: layout
features that Pillow's basic layout does not use, hinting, vertical metrics. The licence (SIL Open Font Licence 1.1)
and the copyright entry of the name table stay; Noto reserves no font name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

FAMILY = "Noto Sans CJK SC"
WEIGHTS = ("Regular", "Bold")
# Quotation marks and the ellipsis are a whole em wide in the Chinese font. Their proportional forms (feature pwid) get
# private code points, so that text which is not Chinese can be set with them without a shaping engine.
PROPORTIONAL = {0x2018: 0xE018, 0x2019: 0xE019, 0x201C: 0xE01C, 0x201D: 0xE01D, 0x2026: 0xE026}
RANGES = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x2C6, 0x2C7), (0x391, 0x3C9),  # Latin, Greek (α-angle, µ, …)
    (0x2010, 0x2027), (0x2030, 0x2033), (0x2039, 0x203B), (0x2070, 0x2089), (0x20AC, 0x20AC),
    (0x2103, 0x2103), (0x2109, 0x2109), (0x2116, 0x2116), (0x2122, 0x2122), (0x2150, 0x218F),
    (0x2190, 0x2199), (0x2423, 0x2423), (0x21D0, 0x21D4), (0x2200, 0x22FF), (0x2460, 0x2473), (0x2500, 0x257F),
    (0x2580, 0x259F), (0x25A0, 0x25FF), (0x2605, 0x2606), (0x2610, 0x2612), (0x2713, 0x2717),
    (0x3000, 0x303F), (0xFE30, 0xFE4F), (0xFF01, 0xFF5E), (0xFFE0, 0xFFE6), (0xFFFD, 0xFFFD),
)  # fmt: skip
# Used in Chinese radiology or names and missing from GB 2312.
BEYOND_GB2312 = "癥痠竈瘺痺囪鎖淍朮祕赟玥珺昇堃喆瑄祎旸頔皛镕垚韡彧勍姮翀燊囍腘髎膕䏝㖞𬌗"


def characters() -> set[int]:
    """Code points that the subsets hold, where the source font has them."""
    wanted = {code for first, last in RANGES for code in range(first, last + 1)}
    for lead in range(0xB0, 0xF8):  # GB 2312 rows 16-87: the two levels of hanzi
        for trail in range(0xA1, 0xFF):
            try:
                wanted.add(ord(bytes((lead, trail)).decode("gb2312")))
            except UnicodeDecodeError:
                continue  # unassigned cell
    return wanted | {ord(character) for character in BEYOND_GB2312}


def member(collection: Path) -> TTFont:
    """The simplified-Chinese member of a Noto collection."""
    for font in TTCollection(str(collection), lazy=True).fonts:
        if font["name"].getDebugName(1) == FAMILY or (font["name"].getDebugName(16) or "") == FAMILY:
            return font
    raise SystemExit(f"{collection} holds no {FAMILY}.")


def add_proportional(font: TTFont) -> None:
    """Give the proportional forms their private code points."""
    substitutes: dict[str, str] = {}
    features = font["GSUB"].table.FeatureList.FeatureRecord
    lookups = font["GSUB"].table.LookupList.Lookup
    first = next(record.Feature for record in features if record.FeatureTag == "pwid")
    for index in first.LookupListIndex:
        for table in lookups[index].SubTable:
            substitutes.update(getattr(getattr(table, "ExtSubTable", table), "mapping", {}))
    glyphs = font.getBestCmap()
    for table in font["cmap"].tables:
        if table.isUnicode() and hasattr(table, "cmap"):
            table.cmap.update({own: substitutes[glyphs[usual]] for usual, own in PROPORTIONAL.items()})


def main() -> None:
    """Write one OTF a weight."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--source", type=Path, required=True, help="folder with NotoSansCJK-Regular.ttc and -Bold")
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    options = subset.Options(
        layout_features=[], hinting=False, desubroutinize=False, notdef_outline=True, glyph_names=False,
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], drop_tables=["vhea", "vmtx", "VORG", "BASE", "DSIG", "GSUB", "GPOS"],
    )  # fmt: skip
    for weight in WEIGHTS:
        font = member(given.source / f"NotoSansCJK-{weight}.ttc")
        font["head"].modified = font["head"].created  # same input, same bytes
        font.recalcTimestamp = False
        add_proportional(font)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=characters() | set(PROPORTIONAL.values()))
        cutter.subset(font)
        path = given.out / f"NotoSansCJKsc-{weight}-subset.otf"
        font.save(path)
        print(f"{path.name}: {len(font.getBestCmap())} characters, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
