"""Fit the rule that grades every map, and check it on other films: writes src/radiolucent/faithfulness/grade_rule.json.

Run from the repository root; about ten minutes on two cores:

    python scripts/fit_grade_rule.py --keep out/grade

Four sets of examples are drawn twice, from seeds that share no film: the honest and the shortcut model, each graded as
level ``standard`` does it and as level ``deep`` does it (every map with 20 controls of its own). ``--keep`` holds the
examples, so that a changed fit needs no new passes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import radiolucent as rl
from radiolucent.faithfulness.grade_examples import Example, phantom_examples
from radiolucent.faithfulness.grade_fit import discrimination, fit, shares_right
from radiolucent.faithfulness.grade_rule import Rule, Signals
from radiolucent.faithfulness.phantoms import phantom_cases

RULE = Path("src/radiolucent/faithfulness/grade_rule.json")
TO_FIT, TO_CHECK = 60_000, 70_000  # first seeds; below 1,000,000 nothing was trained on


@dataclass(frozen=True)
class Films:
    """One set: a model, how its maps are graded, and the films."""

    model: str
    full: bool
    first_seed: int
    count: int

    @property
    def name(self) -> str:
        """As it is called in the rule."""
        return f"{self.model}, {'deep' if self.full else 'standard'}"

    @property
    def seeds(self) -> list[int]:
        """The honest model is shown films with a lesion, the shortcut one every film: the marker is its lesion."""
        if self.model == "demo":
            return list(phantom_cases(self.count, first_seed=self.first_seed).seeds)
        return list(range(self.first_seed, self.first_seed + self.count))


def films(first_seed: int) -> list[Films]:
    """The four sets from a seed on; no two share a film."""
    return [
        Films("demo", False, first_seed, 100),
        Films("demo-shortcut", False, first_seed + 1000, 50),
        Films("demo", True, first_seed + 2000, 24),
        Films("demo-shortcut", True, first_seed + 3000, 10),
    ]


def made(chosen: Films, seeds: Sequence[int]) -> list[Example]:
    """The examples of some of a set's films; runs in a process of its own."""
    import torch

    torch.set_num_threads(1)
    model = rl.load_model(chosen.model)
    marker = chosen.model != "demo"
    return list(phantom_examples(model, seeds, extract=rl.extract_findings, marker=marker, full=chosen.full))


def examples(sets: Sequence[Films], workers: int, keep: Path | None) -> list[list[Example]]:
    """The examples of every set, from the folder where it holds them."""
    found = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for chosen in sets:
            stored = None if keep is None else keep / f"{chosen.model}-{chosen.full}-{chosen.first_seed}.json"
            if stored is None or not stored.exists():
                parts = [chosen.seeds[start::workers] for start in range(workers)]
                rows = list(chain.from_iterable(pool.map(made, [chosen] * workers, parts)))
                rows.sort(key=lambda one: one.film)
                if stored is not None:
                    stored.parent.mkdir(parents=True, exist_ok=True)
                    stored.write_text(json.dumps([asdict(one) for one in rows]), encoding="utf-8")
            else:
                rows = [
                    Example(**{**row, "signals": Signals(**row["signals"])}) for row in json.loads(stored.read_text())
                ]
            print(f"{chosen.name}: {len(rows)} maps of {chosen.count} films from seed {chosen.first_seed}", flush=True)
            found.append(rows)
    return found


def described(sets: Sequence[Films], found: Sequence[Sequence[Example]]) -> dict[str, Any]:
    """What a number was made from."""
    return {
        "command": "python scripts/fit_grade_rule.py",
        "films": sum(chosen.count for chosen in sets),
        "maps": sum(len(rows) for rows in found),
        "touch": sum(one.touches for rows in found for one in rows),
        "weights": {name: rl.load_model(name).weights_hash for name in dict.fromkeys(chosen.model for chosen in sets)},
        "sets": {
            chosen.name: {"first_seed": chosen.first_seed, "films": chosen.count, "maps": len(rows)}
            for chosen, rows in zip(sets, found, strict=True)
        },
    }


def measured(rule: Rule, sets: Sequence[Films], found: Sequence[Sequence[Example]]) -> dict[str, Any]:
    """How the rule did on films that it was not fitted on."""
    named = {"all": list(chain.from_iterable(found)), **{s.name: rows for s, rows in zip(sets, found, strict=True)}}
    result: dict[str, Any] = described(sets, found)
    result["auroc"] = {name: _area(rows, rule) for name, rows in named.items()}
    # hardly any of them is wrong in the honest model's set of level deep: nothing to tell apart there
    result["auroc_relied_on"] = {
        name: _area([one for one in rows if one.relied_on], rule) for name, rows in named.items() if "deep" not in name
    }
    result["letters"] = {name: shares_right(rows, rule) for name, rows in named.items()}
    return result


def _area(rows: Sequence[Example], rule: Rule) -> dict[str, Any]:
    area = discrimination(rows, rule)
    right = sum(one.touches for one in rows)
    return {
        "value": round(area.value, 3),
        "interval": [round(area.low, 3), round(area.high, 3)],
        "films": area.cases,
        "maps": len(rows),
        "touch": right,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="Folder for the examples.")
    parser.add_argument("--out", type=Path, default=RULE)
    asked = parser.parse_args()
    to_fit, to_check = films(TO_FIT), films(TO_CHECK)
    fitted = examples(to_fit, asked.workers, asked.keep)
    rule = fit(fitted, fitted_on=described(to_fit, fitted))
    checked = examples(to_check, asked.workers, asked.keep)
    rule = replace(rule, checked_on=measured(rule, to_check, checked))
    asked.out.write_text(json.dumps(asdict(rule), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(asdict(rule), indent=1))


if __name__ == "__main__":
    main()
