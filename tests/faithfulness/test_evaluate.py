"""The comparison on a model that reads one known cell: the right methods must win and the others must not."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.evaluate import Case, compare_methods, true_positives
from radiolucent.faithfulness.table import tabulate
from radiolucent.findings.types import Finding
from radiolucent.study.types import Display, Frame, Source, Study
from radiolucent.vlm.types import Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from analytic import GRID, HIDDEN, SIZE, AnalyticModel

TEXT = "no acute nodule at the base"
CELL = 6  # row 1, column 2


class Reporting(AnalyticModel):
    """Says "nodule" because of one cell; the cell's token is 1 where the film is bright there."""

    def __init__(self):
        super().__init__(1)
        self.weights = torch.zeros_like(self.weights)
        self.weights[3, 2, CELL * HIDDEN] = 4.0
        self.image_rows[:] = 1e-3
        self.image_rows[..., 0] = 0.5  # an attention sink in the corner: attention must lose

    def encode(self, study):
        picture = torch.from_numpy(study.frames[0].values)
        bright = picture.reshape(GRID, SIZE // GRID, GRID, SIZE // GRID).mean(dim=(1, 3)).reshape(-1)
        tokens = torch.zeros(1, GRID * GRID, HIDDEN).double()
        tokens[0, :, 0] = bright.double()
        return replace(self.features(), soft_tokens=tokens)

    def generate(self, prompt, features, *, max_new_tokens, capture=True):
        bare = self.generation(TEXT)
        return replace(bare, rows=self.replay(bare, features, capture=True).rows)


def film(bright):
    values = np.zeros((SIZE, SIZE), dtype=np.float32)
    values[4:8, 8:12] = bright
    geometry = AnalyticModel(1).features().geometries[0]
    return Study((Frame(values, Display(0, 1), geometry),), "DX", Source("array", ""))


MASK = film(1.0).frames[0].values > 0.5


def extract(text):
    start = text.index("nodule")
    return [Finding("nodule", words="nodule", chars=(start, start + 6))]


def cases(count=3, without=0.0):
    swapped = {} if without is None else {"nodule": film(without)}
    return [Case(film(1.0), {"nodule": MASK}, swapped, f"case {i}") for i in range(count)]


def compare(cases_, methods=("token_ablation", "attention", "saliency"), **options):
    return compare_methods(Reporting(), cases_, methods, prompt=Prompt("Describe."), extract=extract, **options)


def test_the_method_that_tells_what_the_model_reads_wins_and_attention_does_not():
    table = compare(cases())
    rows = {row.method: row for row in table.rows}
    assert set(rows) == {"token_ablation", "attention", "saliency", "random", "centre_prior", "edges"}
    assert rows["token_ablation"].hit == 1 and rows["saliency"].hit == 1 and rows["attention"].hit == 0
    assert rows["token_ablation"].energy == pytest.approx(1.0)
    assert rows["token_ablation"].chance == pytest.approx(1 / 16)
    assert rows["token_ablation"].forwards == 17 and rows["attention"].forwards == 0
    assert [row.hit for row in table.rows] == sorted((row.hit for row in table.rows), reverse=True)
    assert (table.cases, table.asserted, table.explained) == (3, 3, 3)
    assert rows["random"].claim == "baseline" and rows["token_ablation"].claim == "relied_on"


def test_the_random_baseline_hits_at_chance():
    table = compare(cases(120), methods=["saliency"])
    random = next(row for row in table.rows if row.method == "random")
    assert random.hit_interval[0] <= 1 / 16 <= random.hit_interval[1]
    assert random.auc == pytest.approx(0.5, abs=0.06)


def test_words_that_do_not_need_the_lesion_are_left_out():
    mixed = [*cases(2), *cases(1, without=0.95)]
    table = compare(mixed)
    assert (table.cases, table.asserted, table.explained) == (3, 3, 2)
    with pytest.raises(MalformedInput, match="needs its lesion"):
        compare(cases(2, without=0.95))


def test_a_case_without_a_counterfactual_is_not_filtered():
    assert compare(cases(1, without=None)).explained == 1


def test_a_method_that_finds_nothing_scores_as_a_miss_and_is_counted():
    model = Reporting()
    model.image_rows[:] = 0
    table = compare_methods(model, cases(2), ["attention"], prompt=Prompt("Describe."), extract=extract)
    row = next(row for row in table.rows if row.method == "attention")
    assert (row.hit, row.energy, row.auc, row.empty) == (0, 0, 0.5, 2)


def test_only_true_positives_are_explained():
    case = Case(film(1.0), {"nodule": MASK, "mass": np.zeros_like(MASK)})
    found = true_positives(
        [
            Finding("nodule", "absent"),
            Finding("pneumothorax"),
            Finding("mass"),
            Finding("nodule", side="left"),
            Finding("nodule"),
        ],
        case,
    )
    assert found == [Finding("nodule", side="left")]


def test_no_case_and_unknown_methods_are_refused():
    with pytest.raises(MalformedInput, match="No case"):
        compare([])
    with pytest.raises(MalformedInput, match="unknown"):
        compare(cases(1), methods=["tea leaves"])


def test_variants_are_compared_under_their_own_names():
    table = compare(cases(1), methods=["attention:final", "attention"])
    assert {"attention:final", "attention"} <= {row.method for row in table.rows}
    assert next(row for row in table.rows if row.method == "attention:final").claim == "attended"


def test_options_reach_their_method():
    table = compare(cases(1), options={"token_ablation": {"group": 2}})
    assert next(row for row in table.rows if row.method == "token_ablation").forwards == 5


def test_maps_are_graded_where_asked():
    """A grid of 16 cells leaves 15 single-cell controls, so nothing may be verified."""
    table = compare(cases(2), grade=True)
    rows = {row.method: row for row in table.rows}
    assert all(row.value("verified") == 0 for row in rows.values())  # too few controls: withheld
    assert all(row.value("hit_verified") is None for row in rows.values())
    assert all(row.value("verified") is None for row in compare(cases(1)).rows)


def test_scores_can_be_tabulated_by_code():
    table = compare(cases(2))
    some = tabulate([score for score in table.scores if score.case == "case 0"])
    assert {row.method for row in some} == {row.method for row in table.rows}
    assert all(row.findings == 1 for row in some)


def test_a_map_that_tells_what_the_model_reads_is_faithful_and_a_random_one_is_not():
    table = compare(cases(2), perturb=True)
    rows = {row.method: row for row in table.rows}
    for fill in ("gap_mean", "gap_counterfactual", "gap_road"):
        assert rows["token_ablation"].value(fill) > max(1, rows["random"].value(fill) + 1)
    assert rows["token_ablation"].value("necessity") == pytest.approx(1, abs=0.05)
    assert rows["token_ablation"].value("sufficiency") == pytest.approx(1, abs=0.05)
    assert rows["token_ablation"].value("sensitivity") > 0.9 > rows["random"].value("sensitivity")
    assert rows["token_ablation"].value("infidelity") < 0.1 < rows["random"].value("infidelity")
    assert table.perturbed == (2, 2) and table.checked == (0, 0)


def test_the_lead_over_the_best_baseline_is_paired_by_finding():
    table = compare(cases(3))
    best = max(table.row(name).hit for name in ("random", "centre_prior", "edges"))
    lead = table.row("token_ablation").over_baseline
    assert lead.value == pytest.approx(1 - best) and lead.cases == 3
    assert all(table.row(name).over_baseline is None for name in ("random", "centre_prior", "edges"))
    assert compare(cases(1)).row("saliency").over_baseline is None  # one film has no interval


def test_a_method_that_was_not_compared_is_told():
    with pytest.raises(MalformedInput, match="not compared"):
        compare(cases(1)).row("occlusion")
