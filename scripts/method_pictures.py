"""Draw the pictures of docs/methods from the demo model; write their captions and measured numbers into the pages.

    python scripts/method_pictures.py    # 10 to 25 minutes on one core

Films are drawn from fixed seeds in order, reported by the demo model, and every finding that the film holds and whose
words need it is explained by every method. Each page shows a case in which its method is right and the case in which
it misleads most, chosen by the rules in this file and never by hand; the numbers of the captions are measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from method_panels import SMALL, Figure, Row, board, drawn, jpeg, tile
from method_survey import DEAR, FEW_FILMS, FILMS, FIRST_SEED, Seen, maps_of, measured, region_shown, survey
from method_tables import PAGES, write_tables, written_into
from numpy.typing import NDArray

import radiolucent as rl
from radiolucent.attribution.registry import methods
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.faithfulness.lab.case import Case, true_positives
from radiolucent.faithfulness.pointing import energy_in_mask, pointing_hit
from radiolucent.phantom.film import draw_case

PIXEL_LABELS = ("film, lesion outlined", "pixels, magnitude", "averaged in cells, region hidden")


def usual(method: str, found: Sequence[Seen]) -> Figure:
    """The clearest hit, and the miss whose region the words need least where they need the lesion most."""
    hits = [one for one in found if one.hit(method)]
    misses = [one for one in found if not one.hit(method)]
    best = max(hits or found, key=lambda one: min(1.0, one.lost[method] / one.whole) + energy(one, method))
    worst = max(misses or found, key=lambda one: min(1.0, (one.lesion_lost - one.lost[method]) / one.whole))
    return pair(row("Right" if hits else "Its best film", method, best), row("Misleading", method, worst))


def row(title: str, method: str, seen: Seen, text: str = "") -> Row:
    """A finding as a row, with what hiding the map's region and the lesion cost."""
    made = seen.maps[method]
    where = "in the lesion" if seen.hit(method) else "outside the lesion"
    fine = made.values.shape[1] > made.geometry[0].grid
    said = text or (
        f"Highest {'pixel' if fine else 'cell'} {where}. Nats lost: map's region hidden "
        f"{nats(seen.lost[method])}, lesion hidden {nats(seen.lesion_lost)}, whole film hidden {nats(seen.whole)}."
    )
    shown = Row(f"{title}: {seen.film}, {name_of(seen)}", said, seen, made, (None, region_shown(made)[0]))
    return replace(shown, labels=PIXEL_LABELS) if fine else shown


def pair(*rows: Row) -> Figure:
    """Two or more rows as one picture, and their titles and texts as the caption."""
    return Figure(drawn(rows), " ".join(f"**{one.title}.** {one.text}" for one in rows))


def name_of(seen: Seen) -> str:
    """The finding in words, as "consolidation, right, upper zone"."""
    one = seen.finding
    parts = [one.code.replace("_", " "), one.side, f"{one.zone} zone" if one.zone else None]
    return ", ".join(part for part in parts if part)


def nats(lost: float, digits: int = 1) -> str:
    """A loss in figures, without a minus before a zero."""
    return f"{round(lost, digits) + 0.0:.{digits}f}"


def energy(seen: Seen, method: str) -> float:
    """Share of the map's positive mass in the lesion."""
    made = seen.maps[method]
    return energy_in_mask(made.values, seen.mask, made.geometry)


def ablation(method: str, found: Sequence[Seen]) -> Figure:
    """Where one cell carries the words, and where none does though all of the lesion's cells together do."""

    def dearest(one: Seen) -> float:
        return float(one.maps[method].values.max())

    def said(one: Seen) -> str:
        where = "in" if one.hit(method) else "outside"
        return (
            f"Dearest single cell {where} the lesion, {nats(dearest(one), 2)} nats; all cells of the lesion together "
            f"{nats(one.lesion_lost)} of {nats(one.whole)}."
        )

    best = max(found, key=lambda one: one.hit(method) + min(1.0, dearest(one) / one.whole))
    worst = max(found, key=lambda one: min(1.0, (one.lesion_lost - dearest(one)) / one.whole))
    return pair(row("Right", method, best, said(best)), row("Misleading", method, worst, said(worst)))


SETS_LEGEND = "Blue: the true lesion. Orange: the set named below the panel. Cross: the highest value."


def searched(method: str, found: Sequence[Seen]) -> Figure:
    """Both sets inside their lesion; and a set that keeps the words alone though hiding it costs them least."""

    def inside(one: Seen) -> float:
        return float(np.mean([one.lesion[test.region].mean() for test in one.maps[method].tests]))

    def contrast(one: Seen) -> float:
        test = one.maps[method].tests[0]
        return (test.sufficiency or 0.0) - (test.necessity or 0.0) - len(one.maps[method].tests)

    def shown(title: str, one: Seen) -> Row:
        tests = one.maps[method].tests
        sets = [
            f"{test.proposer} {test.region.sum()} {'cell' if test.region.sum() == 1 else 'cells'} "
            f"({one.lesion[test.region].sum()} at the lesion), alone {test.sufficiency or 0.0:.0%} kept, hidden "
            f"{nats(test.hidden)} of {nats(test.everything)} nats lost"
            for test in tests
        ]
        note = one.maps[method].note.partition("\n")[0]
        said = f"{'; '.join(sets).capitalize()}. {note}".strip()
        regions = (tests[0].region[0], tests[-1].region[0])
        labels = ("film, lesion outlined", f"map; {tests[0].proposer}", f"raw cells; {tests[-1].proposer}")
        return replace(row(title, method, one, said), regions=regions, labels=labels)

    both = [one for one in found if len(one.maps[method].tests) > 1]
    figure = pair(shown("Right", max(both or found, key=inside)), shown("Misleading", max(found, key=contrast)))
    return replace(figure, legend=SETS_LEGEND)


def rolled(method: str, found: Sequence[Seen]) -> Figure:
    """Two findings of one film whose maps are most alike though their lesions are not the same."""
    pairs = [
        (alike(one.maps[method].values, other.maps[method].values), one, other)
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if one.film == other.film and one.hit(method) != other.hit(method)
    ]
    likeness, one, other = max(pairs, key=lambda entry: entry[0])
    right, wrong = (one, other) if one.hit(method) else (other, one)
    figure = pair(row("Right by chance", method, right), row("Misleading, the same film", method, wrong))
    return replace(
        figure, caption=f"{figure.caption} The two maps, of different words, correlate with r = {likeness:.2f}."
    )


def alike(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Pearson correlation of two maps."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


LAYERS_LEGEND = "Blue: the true lesion. Cross: the highest value. Each panel is coloured to its own maximum."


def layered(method: str, found: Sequence[Seen]) -> Figure:
    """The finding whose mean over layers is right while most of the single layers are not."""

    def hits(one: Seen) -> list[bool]:
        made = one.maps[method]
        panel = np.zeros(0) if made.panel is None else made.panel
        return [pointing_hit(np.asarray(layer), one.mask, made.geometry) > 0.5 for layer in panel]

    chosen = min((one for one in found if one.hit(method)), key=lambda one: sum(hits(one)))
    made, right = chosen.maps[method], hits(chosen)
    panel = [made.values] if made.panel is None else [*made.panel, made.values]
    names = [f"layer {number + 1}: {'hit' if hit else 'miss'}" for number, hit in enumerate(right)] + ["mean: hit"]
    tiles = [
        tile(chosen, None, name="film, lesion outlined", edge=SMALL),
        *(
            tile(chosen, replace(made, values=one), name=name, edge=SMALL)
            for one, name in zip(panel, names, strict=True)
        ),
    ]
    title = f"Right and misleading: {chosen.film}, {name_of(chosen)}"
    said = (
        f"Of {len(right)} layers {sum(right)} peak in the lesion; the last one {'does' if right[-1] else 'does not'}."
    )
    return Figure(board(title, said, tiles, columns=4), f"**{title}.** {said} Their mean does.", LAYERS_LEGEND)


def verified(method: str, found: Sequence[Seen]) -> Figure:
    """A verified lesion, and a verified shortcut: the model that cheats relies on the marker in the corner."""

    def said(one: Seen) -> str:
        test = one.maps[method].tests[0]
        control = f", hiding its control {nats(max(test.controls_hidden))}" if test.controls_hidden else ""
        cells = int(test.region.sum()) / max(1, int(one.lesion.sum()))
        kept = 0.0 if test.sufficiency is None else test.sufficiency
        return (
            f"{test.verdict.capitalize()}: hiding it costs {nats(test.hidden)} of {nats(test.everything)} nats{control}"
            f"; alone it keeps {kept:.0%}. It has {cells:.1f} times the cells of what is outlined in blue."
        )

    best = max((one for one in found if one.hit(method)), key=lambda one: energy(one, method))
    cheat = cheating()
    rows = []
    for title, one in (("Right", best), ("Relied on, and still wrong", cheat)):
        region = one.maps[method].tests[0].region[0]
        rows.append(replace(row(title, method, one, said(one)), regions=(region, region)))
    rows[1] = replace(
        rows[1],
        title=f"Relied on, and still wrong: {cheat.film}, a healthy heart",
        text=f"The model that cheats says “{cheat.words}”. {rows[1].text}",
        labels=("film, marker outlined", *rows[1].labels[1:]),
    )
    return pair(*rows)


def cheating() -> Seen:
    """The shortcut model on the first healthy film with the marker on which it claims a large heart."""
    model = rl.load_model("demo-shortcut")
    for seed in range(FIRST_SEED, FIRST_SEED + 100):
        case = marked_film(seed)
        features = model.encode(case.study)
        generation = model.generate(rl.Prompt(model.profile.question("en"), "en"), features, max_new_tokens=256)
        written = rl.extract_findings(generation.text)
        for finding in true_positives(written, case):
            target = finding_target(generation, finding, written)
            (made,) = maps_of("propose_and_verify", model, case.study, features, generation, [finding], [target])
            if isinstance(made, AttributionMap):
                return measured(model, case, features, generation, finding, target, {"propose_and_verify": made})
    raise SystemExit(
        "The shortcut model claimed no large heart on 100 films with its marker; it is not the one expected."
    )


def marked_film(seed: int) -> Case:
    """A film without lesions, with the marker; the marker's box stands where a large heart's mask would."""
    case = draw_case(seed, lesions=(), marker=True)
    mask = np.zeros(case.film.shape, dtype=bool)
    if case.marker is not None:
        x0, y0, x1, y1 = case.marker
        mask[y0:y1, x0:x1] = True
    study = rl.load_study(case.film, patient_right="left")
    return Case(study=study, masks={"cardiomegaly": mask}, name=f"phantom {seed}")


SHOWN: Mapping[str, Callable[[str, Sequence[Seen]], Figure]] = {
    "propose_and_verify": verified,
    "evidence_search": searched,
    "token_ablation": ablation,
    "attention_layers": layered,
    "rollout": rolled,
}


# What is written into the pages


def write_pictures(found: Sequence[Seen]) -> None:
    """Pictures and captions, in every page, and the table of results in the index."""
    (PAGES / "pictures").mkdir(exist_ok=True)
    for name in methods():
        held = [one for one in found if name in one.maps]
        figure = SHOWN.get(name, usual)(name, held)
        (PAGES / "pictures" / f"{name}.jpg").write_bytes(jpeg(figure.image))
        written_into(PAGES / f"{name}.md", "measured", measured_block(name, held, figure))
    written_into(PAGES / "index.md", "measured", results_block(found))


def measured_block(method: str, found: Sequence[Seen], figure: Figure) -> str:
    """Picture, caption, and how often the method was right on the same films."""
    hits = sum(one.hit(method) for one in found)
    films = [one.film.removeprefix("phantom ") for one in found]
    share = float(np.median([one.lost[method] / one.whole for one in found]))
    inside = float(np.mean([energy(one, method) for one in found]))
    return (
        f"![{method}: a case in which it is right and one in which it misleads](pictures/{method}.jpg)\n\n"
        f"{figure.caption} {figure.legend}\n\n"
        f"On phantoms {films[0]} to {films[-1]} ({len(found)} findings that need their lesion): highest value in the "
        f"lesion {hits} of {len(found)} ({hits / len(found):.2f}); share of the positive map inside the lesion "
        f"{inside:.2f}; share of the words' nats that hiding the map's region takes, median {nats(share, 2)}."
    )


def results_block(found: Sequence[Seen]) -> str:
    """All methods on the same films."""
    rows = []
    for name, entry in methods().items():
        held = [one for one in found if name in one.maps]
        hits = float(np.mean([one.hit(name) for one in held]))
        inside = float(np.mean([energy(one, name) for one in held]))
        share = float(np.median([one.lost[name] / one.whole for one in held]))
        claim = entry.claim.replace("_", " ")
        rows.append(f"| {name} | {claim} | {len(held)} | {hits:.2f} | {inside:.2f} | {nats(share, 2)} |")
    head = (
        "| method | claim | findings | highest value in the lesion | map inside the lesion | nats lost, median share |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=FILMS, help=f"phantoms for most methods (default {FILMS})")
    parser.add_argument("--few", type=int, default=FEW_FILMS, help=f"phantoms for {', '.join(DEAR)} ({FEW_FILMS})")
    chosen = parser.parse_args()
    write_tables()
    write_pictures(survey(rl.load_model("demo"), chosen.films, chosen.few, print))


if __name__ == "__main__":
    main()
