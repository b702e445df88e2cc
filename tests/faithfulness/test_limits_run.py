"""A run from films to files: kept film by film, resumed as if never stopped, the same in one process and in two."""

import csv
import json
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.faithfulness.limits import find_limits, write
from radiolucent.faithfulness.limits.drawing import draw
from radiolucent.faithfulness.limits.factors import paired_factors
from radiolucent.faithfulness.limits.panels import TITLE, WIDTH
from radiolucent.faithfulness.limits.plan import plan_films
from radiolucent.faithfulness.limits.write import as_dict

sys.path.insert(0, str(Path(__file__).parent))
from limits_films import Brightness, Reader, no_model, truly

EDGE, FILMS, PAIRED = 128, 30, 1
ALL = len(plan_films(FILMS, PAIRED, 0, paired_factors(EDGE)))


def blind_to_nodules(_film, lesion):
    return None if lesion.code == "nodule" else truly(_film, lesion)


@pytest.fixture(scope="module")
def films():
    factors = paired_factors(EDGE)
    return [(film, draw(film, factors, EDGE)) for film in plan_films(FILMS, PAIRED, 0, factors)]


@pytest.fixture(scope="module")
def fresh(films, tmp_path_factory):
    return _run(Reader(films, blind_to_nodules), tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def written(fresh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    assert write(fresh, folder) == folder / "limits.html"
    return folder


def _run(model, out, **options):
    given = {"films": FILMS, "paired": PAIRED, "edge": EDGE, "workers": 1, **options}
    return find_limits(model, out=out, **given)


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_and_ends_as_a_fresh_one_does(films, fresh, tmp_path):
    model = Reader(films, blind_to_nodules)

    def stop(text):
        if text.startswith("25 of "):
            raise Stopped

    with pytest.raises(Stopped):
        _run(model, tmp_path, progress=stop)
    assert model.asked == 25
    resumed = _run(model, tmp_path)
    assert model.asked == ALL
    assert as_dict(resumed) == as_dict(fresh)
    assert as_dict(_run(model, tmp_path)) == as_dict(fresh) and model.asked == ALL
    assert as_dict(_run(model, tmp_path, resume=False)) == as_dict(fresh) and model.asked == 2 * ALL


def test_a_longer_run_reads_only_what_is_new_and_other_settings_read_everything(films, tmp_path):
    model = Reader(films, blind_to_nodules)
    _run(model, tmp_path, films=10, paired=0)
    _run(model, tmp_path, films=14, paired=0)
    assert model.asked == 14
    _run(model, tmp_path, films=10, paired=0, language="zh")
    assert model.asked == 24
    _run(model, tmp_path, films=10, paired=0, question="Anything else?")
    assert model.asked == 34
    model.weights_hash = "f" * 64
    _run(model, tmp_path, films=10, paired=0)
    assert model.asked == 44
    assert len(list((tmp_path / "records").iterdir())) == 4


def test_reports_in_chinese_are_judged_as_those_in_english(films, fresh, tmp_path):
    chinese = _run(Reader(films, blind_to_nodules), tmp_path, language="zh")
    assert chinese.rows == fresh.rows and chinese.reading == "zh"


def test_two_processes_read_what_one_reads(tmp_path):
    alone, together = (
        _run(Brightness(), tmp_path / str(workers), films=14, paired=0, workers=workers, load=Brightness)
        for workers in (1, 2)
    )
    runs = [[film.record for film in run.films] for run in (alone, together)]
    one, two = ([(record.plan, record.report, record.cut) for record in run] for run in runs)
    assert one == two and len({report for _, report, _ in one}) == 2


def test_a_model_that_cannot_be_loaded_in_a_process_says_so(tmp_path):
    with pytest.raises(RadiolucentError, match="weights are gone"):
        _run(Brightness(), tmp_path, films=2, paired=0, workers=2, load=no_model)


def test_a_damaged_record_is_refused_by_name(films, tmp_path):
    model = Reader(films)
    _run(model, tmp_path, films=2, paired=0)
    record = next((tmp_path / "records").glob("*/sample-000001.json"))
    for text in ("{", "[]", '{"seed": 1}', record.read_text().replace('"seed": 1', '"seed": 7')):
        record.write_text(text)
        with pytest.raises(MalformedInput, match=r"sample-000001\.json.*delete it"):
            _run(model, tmp_path, films=2, paired=0)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"edge": 16}, {"max_new_tokens": 0}])
def test_options_out_of_range_are_refused_before_anything_is_read(films, tmp_path, wrong):
    model = Reader(films)
    with pytest.raises(MalformedInput, match="at least"):
        _run(model, tmp_path, **wrong)
    assert model.asked == 0 and not list(tmp_path.iterdir())


def test_every_form_of_the_table_holds_the_same_numbers(fresh, written):
    stored = json.loads((written / "limits.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(as_dict(fresh)))
    with (written / "limits.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(stored["rows"]) == len(fresh.rows)
    for row, kept in zip(rows, stored["rows"], strict=True):
        assert (int(row["hits"]), int(row["count"]), row["outcome"]) == (kept["hits"], kept["count"], kept["outcome"])
    missed = next(r for r in stored["rows"] if (r["outcome"], r["finding"], r["factor"]) == ("recall", "nodule", "all"))
    assert missed["hits"] == 0 < missed["count"]
    for name in ("limits.md", "limits.zh.md"):
        assert f"{missed['hits']}/{missed['count']}" in (written / name).read_text(encoding="utf-8")


def test_plots_are_sound_svg_that_stays_inside_its_frame(written):
    plots = sorted((written / "plots").glob("*.svg"))
    assert len(plots) >= 2 * 15
    for path in plots:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        height = float(root.get("height"))
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(text.get("x")) <= WIDTH and 0 <= float(text.get("y")) <= height and text.text
        dots = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        assert dots and all(0 < float(dot.get("cy")) < height for dot in dots)
    assert TITLE < WIDTH


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.addresses, self.open, self.words = [], [], {"en": "", "zh": ""}

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[key] for key in ("src", "href") if key in given]
        self.open.append(given.get("class", "")) if tag == "span" else None

    def handle_endtag(self, tag):
        self.open.pop() if tag == "span" else None

    def handle_data(self, data):
        if self.open and self.open[-1] in self.words:
            self.words[self.open[-1]] += data


def test_the_page_needs_nothing_else_and_says_everything_twice(written):
    text = (written / "limits.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert len(page.addresses) >= 3 and all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert "Not a medical device" in page.words["en"] and "非医疗器械" in page.words["zh"]
    assert "Missed: nodule" in page.words["en"] and "漏诊：结节" in page.words["zh"]
    assert not any("一" <= character <= "鿿" for character in page.words["en"].replace("中文", ""))


def test_the_films_to_look_at_are_kept_as_pictures(written):
    pictures = list((written / "films").glob("miss-nodule-sample-*.jpg"))
    assert pictures and all(picture.read_bytes()[:2] == b"\xff\xd8" for picture in pictures)
