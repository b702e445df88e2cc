"""Many films: runs that are stopped and go on, run in processes, or lose a film give the same numbers."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from film_files import coco, coco_image, save_json, save_png

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.formats import as_dict
from radiolucent.faithfulness.lab.records import CaseRecord, read_record
from radiolucent.faithfulness.lab.run import Settings, Task, _Clock, evaluate, record_path, tasks
from radiolucent.faithfulness.lab.sources import FolderSource, PhantomSource, source_of
from radiolucent.faithfulness.phantoms import Difficulty, phantom_cases
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study

FILMS = 4
SETTINGS = Settings(
    model="demo",
    source=PhantomSource(FILMS, first_seed=20, size=256),
    methods=("attention:final", "saliency"),
    perturb_on=0,
    check_on=0,
    fills=("mean",),
)


def numbers(evaluation):
    """The table without what a run takes."""
    return [
        {key: value for key, value in row.flat().items() if not key.startswith("seconds")}
        for row in evaluation.comparison.rows
    ]


def held(folder):
    return sorted(path.name for path in (folder / "cases").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, evaluate(SETTINGS, folder, workers=1)


def test_every_film_has_its_file(whole):
    folder, evaluation = whole
    assert held(folder) == [f"{number:05d}.json" for number in range(1, FILMS + 1)]
    assert evaluation.examined == FILMS and evaluation.comparison.cases == FILMS
    stored = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert stored["methods"] == ["attention:final", "saliency"] and len(stored["weights_sha256"]) == 64
    assert str(folder) not in (folder / "settings.json").read_text(encoding="utf-8")


def test_a_run_that_was_stopped_goes_on_and_gives_the_same_table(whole, tmp_path):
    def stop(now):
        if now.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(SETTINGS, tmp_path, workers=1, say=stop)
    assert len(held(tmp_path)) == 2
    before = {name: (tmp_path / "cases" / name).stat().st_mtime_ns for name in held(tmp_path)}
    (tmp_path / "cases" / ".00003.json.99").write_text("{", encoding="utf-8")  # cut off while it was written
    told = []
    again = evaluate(SETTINGS, tmp_path, workers=1, say=told.append)
    assert again.examined == FILMS - 2 and [now.done for now in told] == [3, 4]
    assert all((tmp_path / "cases" / name).stat().st_mtime_ns == time for name, time in before.items())
    assert numbers(again) == numbers(whole[1])


def test_a_finished_run_examines_nothing_and_can_be_made_anew(whole, tmp_path):
    folder, evaluation = whole
    again = evaluate(SETTINGS, folder, workers=1)
    assert again.examined == 0 and numbers(again) == numbers(evaluation)
    assert evaluate(replace(SETTINGS, source=PhantomSource(1, 20, 256)), folder, workers=1, resume=False).examined == 1


def test_what_the_runs_took_is_kept_with_their_date(tmp_path):
    few = replace(SETTINGS, source=PhantomSource(1, first_seed=20, size=256), methods=("attention",))
    first = evaluate(few, tmp_path, workers=1)
    more = evaluate(replace(few, source=PhantomSource(2, first_seed=20, size=256)), tmp_path, workers=1)
    assert [run.films for run in more.runs] == [1, 1] and more.runs[0] == first.runs[0]
    assert evaluate(few, tmp_path, workers=1).runs == more.runs  # nothing was examined
    told = as_dict(more)
    assert told["runs"] == json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    assert 0 < first.cpu < more.cpu and all(run.seconds > 0 and run.workers == 1 for run in more.runs)
    assert len(evaluate(few, tmp_path, workers=1, resume=False).runs) == 1


def test_more_films_of_the_same_go_into_the_same_folder(whole):
    folder, evaluation = whole
    fewer = evaluate(replace(SETTINGS, source=PhantomSource(2, first_seed=20, size=256)), folder, workers=1)
    assert fewer.examined == 0 and fewer.comparison.cases == 2
    assert fewer.records[1].report == evaluation.records[1].report


def test_processes_give_what_one_gives(whole, tmp_path):
    _, evaluation = whole
    settings = replace(SETTINGS, source=PhantomSource(2, first_seed=20, size=256))
    parallel = evaluate(settings, tmp_path, workers=2)
    for ours, theirs in zip(parallel.records, evaluation.records[:2], strict=True):
        assert (ours.case, ours.report, ours.asserted) == (theirs.case, theirs.report, theirs.asserted)
        for one, other in zip(ours.scores, theirs.scores, strict=True):
            assert (one.method, one.hit) == (other.method, other.hit)
            if one.values is not None:
                scale = np.abs(other.values).max()
                assert np.allclose(one.values, other.values, atol=1e-3 * scale)  # threads add in another order


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"methods": ("saliency",)}, "methods"),
        ({"seed": 1}, "seed"),
        ({"language": "zh"}, "prompt"),
        ({"source": PhantomSource(FILMS, first_seed=21, size=256)}, "cases"),
    ],
)
def test_a_folder_of_other_settings_is_refused(whole, change, told):
    folder, _ = whole
    with pytest.raises(MalformedInput, match=f"other settings.*{told}"):
        evaluate(replace(SETTINGS, **change), folder, workers=1)


def test_a_folder_without_its_settings_is_refused(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "00001.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MalformedInput, match=r"no settings\.json"):
        evaluate(SETTINGS, tmp_path, workers=1)


def test_films_with_longer_measures_are_drawn_by_the_seed():
    drawn = tasks(100, 20, 5, seed=0)
    assert [task.number for task in drawn] == list(range(1, 101))
    assert sum(task.perturb for task in drawn) == 20 and sum(task.check for task in drawn) == 5
    assert all(task.perturb for task in drawn if task.check)
    assert drawn == tasks(100, 20, 5, seed=0) != tasks(100, 20, 5, seed=1)
    default = tasks(300, None, None, seed=0)
    assert sum(task.perturb for task in default) == 50 and sum(task.check for task in default) == 6
    assert not any(task.perturb for task in tasks(2, None, None, seed=0))
    assert all(task.perturb for task in tasks(3, 99, 0, seed=0))


def test_measures_that_are_wanted_later_examine_only_their_films(tmp_path):
    few = replace(SETTINGS, source=PhantomSource(2, first_seed=23, size=256), methods=("attention",))
    evaluate(few, tmp_path, workers=1)
    more = evaluate(replace(few, perturb_on=1), tmp_path, workers=1)
    assert more.examined == 1 and more.comparison.perturbed[1] == 1
    assert more.comparison.row("attention").value("gap_mean") > more.comparison.row("random").value("gap_mean")
    kept = evaluate(few, tmp_path, workers=1)
    assert kept.examined == 0 and kept.comparison.perturbed[1] == 1


# A user's own films


def on_disk(tmp_path, spoiled):
    """Phantoms as PNG files with COCO masks; those ``spoiled`` have not the size they were annotated on."""
    drawn = list(phantom_cases(3, first_seed=23, size=256))
    images, annotations, codes = [], [], sorted({code for case in drawn for code in case.masks})
    for number, case in enumerate(drawn):
        film = case.study.frames[0].values.astype(np.uint8)
        save_png(tmp_path / "films" / f"{number}.png", film[:200] if number in spoiled else film)
        images.append(coco_image(number, f"{number}.png", (256, 256)))
        for code, mask in case.masks.items():
            runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.ravel(order="F"), 2])))
            counts = [0, *runs] if mask[0, 0] else runs
            area = {"size": [256, 256], "counts": [int(run) for run in counts]}
            annotations.append({"image_id": number, "category_id": codes.index(code) + 1, "segmentation": area})
    return save_json(tmp_path / "annotations.json", coco(images, annotations, codes))


def test_a_film_that_fails_does_not_lose_the_others(tmp_path):
    path = on_disk(tmp_path, spoiled={1})
    source = FolderSource(path, tmp_path / "films", load=partial(load_study, patient_right="left"))
    folder = tmp_path / "out"
    evaluation = evaluate(replace(SETTINGS, source=source), folder, workers=1)
    assert list(evaluation.comparison.failed) == ["film 2"]
    assert "256 rows" in evaluation.comparison.failed["film 2"]
    assert held(folder) == ["00001.json", "00003.json"]  # a failed film is tried again
    assert evaluation.comparison.explained > 0 and evaluation.comparison.swapped == 0
    assert as_dict(evaluation)["films_failed"] == evaluation.comparison.failed
    again = evaluate(replace(SETTINGS, source=source), folder, workers=1)
    assert again.examined == 1 and numbers(again) == numbers(evaluation)


def test_where_every_film_fails_the_first_reason_is_told(tmp_path):
    source = FolderSource(on_disk(tmp_path, spoiled={0, 1, 2}), tmp_path / "films")
    with pytest.raises(MalformedInput, match=r"None of the 3 films could be examined.*256 rows"):
        evaluate(replace(SETTINGS, source=source), tmp_path / "out", workers=1)


def test_a_damaged_record_is_told_and_not_taken(whole, tmp_path):
    _, evaluation = whole
    settings = replace(SETTINGS, source=PhantomSource(1, first_seed=20, size=256))
    evaluate(settings, tmp_path, workers=1)
    path = record_path(tmp_path, 1)
    assert read_record(path).report == evaluation.records[0].report
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(MalformedInput, match="delete it and run again"):
        evaluate(settings, tmp_path, workers=1)


# Where films come from


def test_options_of_the_other_kind_of_films_are_refused(tmp_path):
    with pytest.raises(MalformedInput, match="--cases"):
        source_of(films_folder=tmp_path)
    for option in ({"difficulty": "area=1..2"}, {"findings": ["nodule"]}, {"distractors": False}):
        with pytest.raises(MalformedInput, match="phantoms"):
            source_of(cases=tmp_path, **option)
    assert source_of(films=3, findings=["nodule"]) == PhantomSource(3, codes=("nodule",))


def test_settings_change_with_the_annotations(tmp_path):
    path = on_disk(tmp_path, spoiled=())
    source = FolderSource(path, tmp_path / "films")
    before = source.described()
    assert source.described() == before and str(tmp_path) not in json.dumps(before)
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert source.described() != before
    assert source.title("en") == "3 annotated films" and "3" in source.title("zh")


def test_phantoms_differ_by_difficulty_and_not_by_number():
    one = PhantomSource(3).described()
    assert one == PhantomSource(30).described()
    assert one != PhantomSource(3, difficulty=Difficulty(area=(0, 2))).described()
    assert json.loads(json.dumps(one)) == one


def test_bad_numbers_are_refused(tmp_path):
    with pytest.raises(MalformedInput, match="check_on"):
        replace(SETTINGS, check_on=-1)
    with pytest.raises(MalformedInput, match="workers"):
        evaluate(SETTINGS, tmp_path, workers=0)


def test_the_time_left_counts_only_the_measures_that_a_film_still_needs():
    todo = [Task(1, True, True), Task(2, True, False), *(Task(number, False, False) for number in (3, 4, 5, 6))]
    clock = _Clock(todo, workers=2, done=3, films=9)
    record = CaseRecord(1, "film", seconds={"report": 1.0, "maps": 1.0, "perturbation": 10.0, "sanity": 100.0})
    now = clock.after(todo[0], record)
    assert (now.done, now.films, now.failed) == (4, 9, 0) and now.left == pytest.approx((12 + 4 * 2) / 2)
    now = clock.after(todo[1], CaseRecord(2, "film", error="no"))
    assert now.failed == 1 and now.left == pytest.approx(4 * 2 / 2)


def test_films_that_are_drawn_otherwise_are_other_films(monkeypatch):
    """As after a change of the drawing, which no option shows."""
    source = PhantomSource(2, size=64)
    before = source.described()
    assert source.described() == before

    def paler(seed, **options):
        drawn = draw_case(seed, **options)
        return replace(drawn, film=drawn.film // 2)

    monkeypatch.setattr("radiolucent.faithfulness.phantoms.draw_case", paler)
    assert source.described() != before
