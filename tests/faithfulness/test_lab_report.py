"""The report: every form holds every method, the page loads nothing, and pictures show what they should."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from radiolucent.faithfulness.lab.formats import as_csv, as_dict, as_findings, as_markdown, cells, interval_text
from radiolucent.faithfulness.lab.pictures import EDGE, GAP, draw, examples
from radiolucent.faithfulness.lab.plots import plots
from radiolucent.faithfulness.lab.report import write_report
from radiolucent.faithfulness.lab.run import Settings, evaluate
from radiolucent.faithfulness.lab.sources import PhantomSource
from radiolucent.faithfulness.lab.words import FILL_WORDS, GROUPS, NOTES, STAGE_WORDS, TEXTS
from radiolucent.faithfulness.metrics import Interval
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.faithfulness.table import MEASURES, compared, tabulate
from radiolucent.report.embed import embed_font
from radiolucent.report.typeface import missing

METHODS = ("attention:final", "saliency")
ALL = {*METHODS, "random", "centre_prior", "edges"}


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    source = PhantomSource(3, first_seed=22, size=256, codes=("pleural_effusion",))  # one finding a film
    settings = Settings("demo", source, METHODS, perturb_on=1, check_on=1, fills=("road",))
    return evaluate(settings, tmp_path_factory.mktemp("lab"), workers=1)


@pytest.fixture(scope="module")
def written(evaluation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(evaluation, folder, command="radiolucent evaluate --films 3", embed=embed_font)


class Links(HTMLParser):
    """Everything that a page would load."""

    def __init__(self):
        super().__init__()
        self.loaded, self.tags, self.text = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_loads_nothing_and_holds_every_method_in_both_languages(written):
    _, paths = written
    text = paths.page.read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert page.loaded and all(re.match("data:image/(png|jpeg);base64,", value) for value in page.loaded)
    assert not page.tags & {"script", "link", "iframe", "object", "embed"}
    assert all(url.startswith("data:") for url in re.findall(r"url\(([^)]*)\)", text))
    assert "http://" not in text and "https://" not in text
    words = " ".join(page.text)
    assert all(method in words for method in ALL)
    for group in GROUPS:
        assert TEXTS[group][0] in words and TEXTS[group][1] in words
    assert "Not a medical device" in words and "非医疗器械" in words
    assert "radiolucent evaluate --films 3" in words


def test_every_plot_is_a_picture_with_something_on_it(written):
    folder, _ = written
    assert {path.stem for path in (folder / "plots").iterdir()} == {"hits", "cost", "curves", "cascade"}
    for path in (folder / "plots").iterdir():
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"), dtype=float)
        assert min(grey.shape) > 200 and grey.std() > 5


def test_json_keeps_the_keys_that_scripts_know(evaluation, written):
    _, paths = written
    stored = json.loads(paths.table.read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(as_dict(evaluation, "radiolucent evaluate --films 3")))
    assert {"model", "weights_sha256", "films", "findings_asserted", "findings_explained", "methods"} <= set(stored)
    assert stored["films"] == 3 and stored["perturbation_on"]["films"] == stored["sanity_on"]["films"] == 1
    rows = {row["method"]: row for row in stored["methods"]}
    assert set(rows) == ALL
    known = {
        "method", "claim", "findings", "hit", "hit_low", "hit_high", "energy", "energy_low", "energy_high", "auc",
        "chance", "empty", "forwards", "seconds", "verified", "hit_verified",
    }  # fmt: skip
    assert known <= set(rows["saliency"])
    assert {f"{measure.name}{end}" for measure in MEASURES for end in ("", "_low", "_high")} <= set(rows["saliency"])
    for row in rows.values():
        assert row["hit_low"] <= row["hit"] <= row["hit_high"]


def test_csv_holds_the_same_numbers(evaluation):
    rows = list(csv.DictReader(io.StringIO(as_csv(evaluation.comparison))))
    assert {row["method"] for row in rows} == ALL
    for row in rows:
        ours = evaluation.comparison.row(row["method"])
        assert float(row["hit"]) == ours.hit and row["verified"] == ""
        assert float(row["gap_road"]) == ours.value("gap_road")
        assert len(row["randomised_ssim_stages"].split()) == 5


def test_findings_hold_one_line_each_whose_mean_is_the_tables(evaluation, written):
    _, paths = written
    assert paths.findings.read_text(encoding="utf-8") == as_findings(evaluation.records)
    lines = list(csv.DictReader(io.StringIO(as_findings(evaluation.records))))
    assert len(lines) == evaluation.comparison.explained
    for row in evaluation.comparison.rows:
        assert np.mean([float(line[f"hit {row.method}"]) for line in lines]) == pytest.approx(row.hit, abs=1e-3)
        assert {line[f"gap {row.method}"] for line in lines} == {""}  # no curve by the mean fill was asked for
    assert as_findings([]).startswith("film,case,code,swap_nats")


def test_statements_stand_in_every_form_with_their_verdict(evaluation, written):
    _, paths = written
    stored = json.loads(paths.table.read_text(encoding="utf-8"))["statements"]
    assert {"beats_hit", "beats_gap_road", "last_layer", "randomised"} <= {one["name"] for one in stored}
    page, markdown = (path.read_text(encoding="utf-8") for path in (paths.page, paths.markdown))
    assert TEXTS["statements"][1] in page and TEXTS["statements"][1] in markdown
    for one in stored:
        assert one["en"] in markdown and one["zh"] in markdown
        verdict = TEXTS["told"] if one["holds"] is None else TEXTS["holds" if one["holds"] else "fails"]
        assert f"**{verdict[0]} · {verdict[1]}**: {one['en']}" in markdown
        assert one["zh"] in html.unescape(page)


def test_markdown_says_on_what_each_table_rests(evaluation):
    text = as_markdown(evaluation, "radiolucent evaluate")
    assert all(f"| {method} |" in text for method in ALL)
    assert "Films, drawn by the seed: 1; findings" in text and "95 % bootstrap" in text
    heads = [line for line in text.splitlines() if line.startswith("| method")]
    assert len(heads) == len(GROUPS)
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") > 3


def test_what_was_not_measured_is_said_and_not_shown(evaluation):
    bare = [
        replace(
            record,
            findings=tuple(
                replace(finding, scores=tuple(replace(score, perturbed=None, sanity=None) for score in finding.scores))
                for finding in record.findings
            ),
        )
        for record in evaluation.records
    ]
    table = compared(bare)
    assert set(plots(table)) == {"hits", "cost"}
    assert cells(table, "perturbation") == cells(table, "sanity") == ([], [])
    text = as_markdown(replace(evaluation, comparison=table))
    assert "--faithfulness-on" in text and "--sanity-on" in text


def test_best_cases_are_better_than_worst_and_of_other_films(evaluation):
    cases = evaluation.source.open()
    shown = examples(list(evaluation.records), lambda number: cases[number - 1], ["saliency"], shown=1)
    best, worst = shown["saliency"]
    assert (best.rank, worst.rank) == ("best", "worst") and best.score.case != worst.score.case
    every = [score.average_precision for score in tabulated(evaluation, "saliency")]
    assert best.score.average_precision == max(every)
    assert worst.score.average_precision <= np.median(every)


def tabulated(evaluation, method):
    return [score for score in evaluation.comparison.scores if score.method == method]


def test_a_picture_shows_the_map_and_the_outline_where_they_are():
    case = phantom_cases(1, first_seed=24, size=256)[0]
    (code, mask), *_ = case.masks.items()
    values = np.zeros((1, 16, 16), dtype=np.float32)
    values[0, 3, 12] = 1  # right in the picture, high
    values[0, 12, 3] = -1
    with_map = np.asarray(Image.open(io.BytesIO(draw(case, code, values))).convert("RGB"), dtype=float)
    without = np.asarray(Image.open(io.BytesIO(draw(case, code, None))).convert("RGB"), dtype=float)
    assert with_map.shape == (EDGE, 2 * EDGE + GAP, 3)
    cell = EDGE / 16
    for x0 in (0, EDGE + GAP):
        place = (int(3.5 * cell), x0 + int(12.5 * cell))
        against = (int(12.5 * cell), x0 + int(3.5 * cell))
        assert with_map[place][0] - with_map[place][2] > 40  # red speaks for
        assert with_map[against][2] - with_map[against][0] > 40  # blue against
        assert np.abs(np.diff(without[place])).max() < 12  # no map: no colour
    # the outline's halo: dark beside the true edge, where the film itself is bright
    blank = np.asarray(Image.open(io.BytesIO(draw(replace(case, masks={code: np.eye(256, dtype=bool)}), code, None))))
    changed = np.abs(blank[:, :EDGE].astype(float).mean(axis=2) - without[:, :EDGE].mean(axis=2)) > 25
    scale = EDGE / 256
    edge = mask & ~ndimage.binary_erosion(mask)
    hit = [changed[int((row + 0.5) * scale), int((column + 0.5) * scale)] for row, column in np.argwhere(edge)]
    assert np.mean(hit) > 0.7


def test_intervals_read_as_numbers():
    assert interval_text(Interval(0.5, 0.4, 0.6, 9), 2, True) == "0.50 (0.40 to 0.60)"
    assert interval_text(Interval(-0.5, -0.6, 0.1, 9), 1, True, signed=True) == "-0.5 (-0.6 to +0.1)"
    assert interval_text(Interval(0.5, 0.5, 0.5, 1), 2, True) == "0.50"
    assert interval_text(None, 2, True) == "–"


def test_every_word_is_in_both_languages_and_in_the_packaged_font():
    pairs = [*TEXTS.values(), *NOTES.values(), *STAGE_WORDS.values(), *FILL_WORDS.values()]
    pairs += [(measure.en, measure.zh) for measure in MEASURES]
    assert all(en and zh for en, zh in pairs)
    assert missing(text for pair in pairs for text in pair) == ""
    assert {name for names in GROUPS.values() for name in names} | {"iou_ceiling"} == {m.name for m in MEASURES}


def test_scores_can_be_tabulated_by_code(evaluation):
    code = evaluation.comparison.scores[0].code
    rows = tabulate([score for score in evaluation.comparison.scores if score.code == code])
    assert {row.method for row in rows} == ALL
