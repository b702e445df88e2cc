"""``report.png``: page one, a page break, page two, in one picture."""

from __future__ import annotations

from PIL import Image

from radiolucent.report.explanation import Explanation
from radiolucent.report.page_one import page_one
from radiolucent.report.page_two import page_two
from radiolucent.report.sheet import BLACK, MUTED

BREAK = 44  # pixels between the pages


def render_png(explanation: Explanation, cells: bool = False) -> Image.Image:
    """The explanation as one picture, in the prompt's language.

    Parameters
    ----------
    cells
        Show maps as the model's raw cells; otherwise colours run between cell centres, which adds no precision.
        Outlines always follow the cells' own edges.

    Returns
    -------
    RGB, 2400 pixels wide: page one (A4 across), beneath it page two, as tall as it needs.
    """
    first, remainder = page_one(explanation, cells)
    second = page_two(explanation, remainder, cells)
    width = first.image.width
    picture = Image.new("RGB", (width, first.image.height + BREAK + second.image.height), BLACK)
    picture.paste(first.image, (0, 0))
    for x in range(0, width, 24):  # a dashed cut between the pages
        picture.paste(
            MUTED, (x, first.image.height + BREAK // 2, min(x + 12, width), first.image.height + BREAK // 2 + 2)
        )
    picture.paste(second.image, (0, first.image.height + BREAK))
    return picture
