"""A film of a real chest with a nodule that four readers outlined: geometry, sides, metrics, explanation, report.

The chest, the readers' contours, their licences and citations: see ``real_anatomy.py``.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import real_anatomy
from film_files import coco, coco_image, dicom_film, save_dicom, save_json, save_png, segmentation
from PIL import Image
from pycocotools import mask as cocoapi
from pydicom.dataset import Dataset
from real_anatomy import LUNG_HU, SCAN, Anatomy
from scipy import ndimage
from sklearn.metrics import roc_auc_score

import radiolucent as rl
from radiolucent.attribution.cells import coverage, in_picture
from radiolucent.attribution.types import AttributionMap
from radiolucent.faithfulness.annotations import annotated_cases
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.evaluate import compare_methods
from radiolucent.faithfulness.pointing import REACHABLE, chance, energy_in_mask, pointing_hit, rank_auc
from radiolucent.findings.types import Finding
from radiolucent.report.overlay import region_boxes, region_of
from radiolucent.vlm.types import Prompt, Target

NODULE = "nodule"


@dataclass(frozen=True)
class Shot:
    """The film, its truth, and what it was made from.

    ``film`` and ``change`` are attenuation (rows, cols): the film, and what of it the nodule made.
    """

    anatomy: Anatomy
    path: Path
    dataset: Dataset
    film: np.ndarray
    change: np.ndarray
    mask: np.ndarray

    @property
    def study(self):
        return rl.load_study(self.path)

    def at(self, centre: np.ndarray) -> tuple[float, float]:
        """Where a voxel index (i, j, k) lies on the film: (row, column), pixel centres at half-integers."""
        rows, slices = self.anatomy.film_size[0], self.anatomy.hounsfield.shape[2]
        return (slices - centre[2] - 0.5) * rows / slices, centre[0] + 0.5


def centre_of(volume):
    return np.mean(np.nonzero(volume), axis=1)


def stored(film):
    """Attenuation as 12-bit pixels: bone bright."""
    low, high = np.percentile(film, [0.5, 99.8])
    return np.rint((film - low).clip(0, high - low) / (high - low) * 4095).astype(np.uint16)


@pytest.fixture(scope="module")
def anatomy():
    return real_anatomy.obtained()


@pytest.fixture(scope="module")
def shot(anatomy, tmp_path_factory):
    rows = anatomy.film_size[0]
    projected = real_anatomy.line_integral(anatomy.hounsfield, anatomy.spacing[1])
    healthy = real_anatomy.line_integral(real_anatomy.without_nodule(anatomy), anatomy.spacing[1])
    film = real_anatomy.as_film(projected, rows)
    dataset = dicom_film(
        stored(film),
        ViewPosition="AP",
        PixelSpacing=list(anatomy.film_spacing),
        PixelSpacingCalibrationType="GEOMETRY",
        ImagerPixelSpacing=list(anatomy.film_spacing),
    )
    return Shot(
        anatomy,
        save_dicom(tmp_path_factory.mktemp("films") / "film.dcm", dataset),
        dataset,
        film,
        real_anatomy.as_film(projected - healthy, rows),
        real_anatomy.shadow(anatomy.consensus, rows) > 0,
    )


@pytest.fixture(scope="module")
def model():
    return rl.load_model("demo")


def test_the_ct_has_the_slice_positions_of_one_scan_of_the_collection_alone(anatomy):
    assert anatomy.scans == (SCAN,)


def test_four_readers_outlined_one_nodule_alike(anatomy):
    assert len(anatomy.readers) == 4
    for one, other in itertools.combinations(anatomy.readers, 2):
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.8  # Dice
    labels, parts = ndimage.label(anatomy.consensus)
    assert np.bincount(labels.ravel())[1:].max() > 0.99 * anatomy.consensus.sum(), parts
    millilitres = anatomy.consensus.sum() * np.prod(anatomy.spacing) / 1000
    assert 4 < millilitres < 10


def test_the_contours_lie_on_a_solid_thing_in_the_left_lung_and_no_other_way_round(anatomy):
    def contrast(volume):
        """Mean density inside less the mean in a shell around it."""
        box = tuple(slice(max(0, one.min() - 8), one.max() + 9) for one in np.nonzero(volume))
        inside, density = volume[box], anatomy.hounsfield[box]
        shell = ndimage.binary_dilation(inside, iterations=6) & ~ndimage.binary_dilation(inside, iterations=2)
        return density[inside].mean() - density[shell].mean(), shell, box

    right, shell, box = contrast(anatomy.consensus)
    assert right > 600
    assert np.isin(anatomy.labels[box][shell], real_anatomy.STRUCTURES["left lung"]).mean() > 0.8
    for axes in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        assert contrast(np.flip(anatomy.consensus, axes))[0] < right / 2, axes


def test_the_volumes_axes_agree_with_the_anatomy(anatomy):
    """The affine says that i runs to the patient's left and k to the head: so do liver, spleen, stomach, heart."""
    assert anatomy.affine[0, 0] < 0 < anatomy.affine[2, 2]  # NIfTI counts millimetres to the right and to the head
    centre = anatomy.centres
    middle = centre["eighth thoracic vertebra"][0]
    assert centre["liver"][0] < middle < min(centre[name][0] for name in ("heart", "spleen", "stomach"))
    assert centre["right lung"][0] < middle < centre["left lung"][0]
    assert centre["spleen"][2] < centre["heart"][2] < centre["left lung"][2]


def test_the_films_sides_are_the_patients(shot):
    (frame,) = shot.study.frames
    geometry = frame.geometry
    assert geometry.side_source == "orientation" and geometry.patient_right == "left"
    side = {
        name: geometry.patient_side(shot.at(shot.anatomy.centres[name])[1])
        for name in ("heart", "liver", "stomach", "left lung", "right lung")
    }
    assert side == {"heart": "left", "liver": "right", "stomach": "left", "left lung": "left", "right lung": "right"}
    nodule = centre_of(shot.anatomy.consensus)
    assert geometry.patient_side(shot.at(nodule)[1]) == "left"
    world = shot.anatomy.affine @ [*nodule, 1]
    assert world[0] < -30  # millimetres to the left of the scanner's middle
    # and in the picture itself: the mediastinum is bright, its heart-side edge lies to the patient's left
    heart_row = int(shot.at(shot.anatomy.centres["heart"])[0])
    bright = frame.picture()[heart_row] > 0.55
    assert bright[256:400].sum() > 1.5 * bright[112:256].sum()


def test_the_film_is_to_scale(shot):
    (frame,) = shot.study.frames
    assert frame.geometry.spacing == pytest.approx(shot.anatomy.film_spacing, rel=1e-6)
    assert frame.geometry.spacing_kind == "patient"
    assert "pixels_not_square" not in {notice.code for notice in shot.study.warnings}
    height, width = np.ptp(np.argwhere(shot.mask), axis=0) + 1
    across = np.ptp(np.nonzero(shot.anatomy.consensus), axis=1) + 1  # voxels along i, j, k
    assert width * frame.geometry.spacing[1] == pytest.approx(across[0] * shot.anatomy.spacing[0], abs=0.01)
    assert height * frame.geometry.spacing[0] == pytest.approx(across[2] * shot.anatomy.spacing[2], abs=0.71)


def test_the_masks_centre_is_the_projected_centre_within_a_pixel(shot):
    for volume in (shot.anatomy.consensus, *shot.anatomy.readers):
        passed = real_anatomy.shadow(volume, shot.anatomy.film_size[0])
        weighted = np.array(ndimage.center_of_mass(passed)) + 0.5
        outline = np.array(ndimage.center_of_mass(passed > 0)) + 0.5
        wanted = np.array(shot.at(centre_of(volume)))
        assert np.abs(weighted - wanted).max() < 0.5
        assert np.abs(outline - wanted).max() < 1


def test_taking_the_nodule_out_changes_the_film_under_its_mask_alone(shot):
    anatomy, change = shot.anatomy, shot.change
    assert (change[shot.mask] > 0).all()
    between_slices = int(np.ceil(anatomy.spacing[2] / anatomy.film_spacing[0]))
    reach = ndimage.binary_dilation(shot.mask, np.ones((2 * between_slices + 1, 1)))
    assert np.abs(change[~reach]).max() < 1e-9
    thickest = anatomy.consensus.sum(axis=1).max() * anatomy.spacing[1]
    density = anatomy.hounsfield[anatomy.consensus].mean() - LUNG_HU
    expected = real_anatomy.WATER_PER_MM * thickest * density / 1000  # Beer-Lambert, the nodule as one even block
    assert change.max() == pytest.approx(expected, rel=0.25)


def _truth(shot, form, folder):
    """The same mask, written in one of the formats that are read; the arguments of ``annotated_cases``."""
    encoded = cocoapi.encode(np.asfortranarray(shot.mask.astype(np.uint8)))
    runs = {"size": list(shot.mask.shape), "counts": encoded["counts"].decode()}
    films = shot.path.parent
    if form == "coco":
        areas = [{"image_id": 1, "category_id": 1, "segmentation": runs}]
        image = coco_image(1, "film.dcm", shot.mask.shape)
        return save_json(folder / "a.json", coco([image], areas, ["Nodule"])), films
    if form == "chexlocalize":
        return save_json(folder / "a.json", {"film": {"Lung Lesion": runs}}), films
    if form == "masks":
        return save_png(folder / NODULE / "film.png", shot.mask).parents[1], films
    return save_dicom(folder / "a.dcm", segmentation(shot.dataset, [shot.mask], ["Nodule"])), films


@pytest.mark.parametrize("form", ["coco", "chexlocalize", "masks", "dicom_seg"])
def test_every_format_gives_the_readers_mask_back_on_the_loaded_film(shot, form, tmp_path):
    (case,) = annotated_cases(*_truth(shot, form, tmp_path))
    np.testing.assert_array_equal(case.masks[NODULE], shot.mask)
    np.testing.assert_array_equal(case.study.frames[0].values, stored(shot.film))


def _scored(values, mask, geometry):
    return (
        pointing_hit(values, mask, geometry),
        energy_in_mask(values, mask, geometry),
        rank_auc(values, mask, geometry),
    )


def test_maps_that_know_nothing_score_what_they_must(shot):
    study = shot.study
    geometry = study.frames[0].geometry
    level = chance(shot.mask, geometry)
    covered, inside = coverage(shot.mask, geometry), in_picture(geometry)
    reachable = (covered >= REACHABLE * covered.max()) & inside
    assert level == pytest.approx(reachable.sum() / inside.sum()) and 0 < level < 0.05
    draws = np.array(
        [_scored(BASELINES["random"](study, [geometry], seed), shot.mask, geometry) for seed in range(600)]
    )
    spread = draws.std(axis=0) / np.sqrt(len(draws))
    assert draws[:, 0].mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / len(draws)))
    assert draws[:, 1].mean() == pytest.approx(covered.sum() / inside.sum(), abs=4 * spread[1])
    assert draws[:, 2].mean() == pytest.approx(0.5, abs=4 * spread[2])
    for name in ("centre_prior", "edges"):
        values = BASELINES[name](study, [geometry], 0)[0]
        peak = np.unravel_index(np.where(inside, values, -np.inf).argmax(), values.shape)
        hit, energy, auc = _scored(values, shot.mask, geometry)
        assert hit == float(reachable[peak]) == 0  # neither the film's middle nor its skin is the nodule
        assert energy == pytest.approx((values * covered)[inside].sum() / values[inside].sum(), rel=1e-5)
        assert auc == pytest.approx(roc_auc_score(reachable[inside], values[inside]))
    exact = _scored(covered, shot.mask, geometry)
    assert exact[0] == 1 and exact[2] == pytest.approx(1) and exact[1] > 20 * covered.sum() / inside.size


def test_a_map_of_what_the_nodule_changed_points_at_it(shot):
    """Not the mask itself but the film's own difference, against the consensus and against each reader."""
    geometry = shot.study.frames[0].geometry
    corners = np.arange(geometry.grid) * geometry.edge // geometry.grid
    cells = np.add.reduceat(np.add.reduceat(geometry.pad(shot.change), corners, axis=0), corners, axis=1)
    readers = [real_anatomy.shadow(reader, geometry.rows) > 0 for reader in shot.anatomy.readers]
    for mask in (shot.mask, *readers):
        hit, energy, auc = _scored(cells, mask, geometry)
        assert hit == 1 and auc > 0.95 and energy > 0.3


def test_the_comparison_of_methods_runs_on_it_and_says_the_same_figures(shot, model, tmp_path):
    (case,) = annotated_cases(*_truth(shot, "dicom_seg", tmp_path))
    words = []

    def as_nodule(text):
        """The demo model knows no such film: its first words stand for the finding, so that there is one to explain."""
        words.append(text)
        return [Finding(NODULE, words=text.split()[0], chars=(0, len(text.split()[0])), sentence=(0, len(text)))]

    prompt = Prompt(model.profile.question("en"), "en")
    result = compare_methods(model, [case], ["saliency"], prompt=prompt, extract=as_nodule)
    assert (result.cases, result.asserted, result.explained) == (1, 1, 1)
    geometry = model.encode(case.study).geometries[0]
    scores = {score.method: score for score in result.scores}
    assert set(scores) == {"saliency", *BASELINES}
    for name, baseline in BASELINES.items():
        seed = 1  # the comparison's own seed 0 and the film's number
        expected = _scored(baseline(case.study, [geometry], seed), shot.mask, geometry)
        assert (scores[name].hit, scores[name].energy, scores[name].auc) == pytest.approx(expected)
    assert scores["saliency"].chance == pytest.approx(chance(shot.mask, geometry))
    assert scores["saliency"].case == case.name


def test_the_demo_models_explanation_warns_and_its_page_shows_the_masks_box(shot, model, tmp_path):
    explanation = rl.explain(model, shot.study, level="quick", language="en", seed=0, max_new_tokens=64)
    assert "not_a_phantom" in {notice.code for notice in explanation.warnings}
    assert {notice.code for notice in explanation.study.warnings} == {"view_ap"}
    geometry = shot.study.frames[0].geometry.for_model(model.profile.image_size, model.profile.grid)
    covered = coverage(shot.mask, geometry).astype(np.float32)
    truth = AttributionMap(covered[None], "relied_on", "token_ablation", Target((0, 1)), "nats", (geometry,))
    (box,) = region_boxes(region_of(truth)[0], geometry)
    rows, columns = (np.flatnonzero(shot.mask.any(axis=axis)) for axis in (1, 0))
    assert box[0] <= columns[0] and columns[-1] + 1 <= box[2] and box[1] <= rows[0] and rows[-1] + 1 <= box[3]
    assert geometry.patient_side((box[0] + box[2]) / 2) == "left"
    finding = Finding(NODULE, side="left", words="", sentence=(0, 0))
    shown = replace(
        explanation, findings=(finding,), maps={("token_ablation", finding.id): truth}, faithfulness={}, trace=None
    )
    pages = []
    for number, one in enumerate((shown, replace(shown, maps={}))):
        one.save(tmp_path / str(number))
        with Image.open(tmp_path / str(number) / "report.png") as page:
            pages.append(np.asarray(page.convert("L"), dtype=int))
    assert pages[0].shape[1] == pages[1].shape[1] and min(page.size for page in pages) > 1e5
    same = min(page.shape[0] for page in pages)
    assert (np.abs(pages[0][:same] - pages[1][:same]) > 30).sum() > 500
