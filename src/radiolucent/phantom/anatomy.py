"""A chest in thickness space: centimetres of soft tissue, lung and bone along each ray of a frontal film.

Closed-form chords of super-ellipsoids; attenuation is summed along the ray as in any radiograph. Coordinates in
centimetres, origin at the film's centre, x to the picture's right (the patient's left), y downward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Array = NDArray[np.floating]

FIELD_CM = 30.0  # edge of the film
MU_SOFT, MU_LUNG, MU_BONE = 0.20, 0.052, 0.42  # 1/cm at about 70 keV


@dataclass(frozen=True, eq=False)
class Lung:
    """One lung: its chord in air-filled centimetres, and the landmarks that lesions are placed by."""

    chord: Array
    centre_x: float
    half_width: float
    apex_y: float
    base_y: float
    dome: Array


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything that is drawn before any lesion; all arrays float32 (size, size)."""

    x: Array
    y: Array
    path: Array
    right: Lung
    left: Lung
    vessels: Array
    texture: Array
    heart_chord: Array
    heart: tuple[float, float, float, float]  # centre x, centre y, half width, half height
    thorax_width: float

    @property
    def lungs(self) -> NDArray[np.bool_]:
        """Bool (size, size): where either lung is at least half a centimetre thick."""
        return np.asarray((self.right.chord + self.left.chord) > 0.5)

    def lung(self, side: str) -> Lung:
        """The patient's ``left`` or ``right`` lung."""
        return self.left if side == "left" else self.right


def draw_anatomy(rng: np.random.Generator, size: int, *, turn: float = 0.0, offset: float = 0.0) -> Anatomy:
    """Draw one person.

    Parameters
    ----------
    rng
        Source of all variation; the same state gives the same person at every ``size``.
    size
        Film edge in pixels.
    turn, offset
        How the same person lies on the film; see :class:`radiolucent.phantom.conditions.Conditions`.
    """
    x, y = _grid(size)
    placed = None
    if turn or offset:
        angle = np.deg2rad(turn)
        x, y = (x - offset) * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - (x - offset) * np.sin(angle)
        placed = x, y
    build = rng.uniform(0.94, 1.06)
    x = x - rng.uniform(-0.7, 0.7)
    y = y - rng.uniform(0.9, 2.1)  # the field reaches from the neck to just below the diaphragm
    tilt = np.deg2rad(rng.normal(0, 1.2))
    x, y = x * np.cos(tilt) + y * np.sin(tilt), -x * np.sin(tilt) + y * np.cos(tilt)

    depth = rng.uniform(18, 22) * build
    half_body = 16.4 * build - 9.0 / (1 + np.exp((y + 14.0) / 0.8))
    body = depth * np.clip(1 - np.abs(x / half_body) ** 3.2, 0, 1) ** 0.5

    lung_depth = depth * rng.uniform(0.60, 0.68)
    width, height = rng.uniform(4.7, 5.2) * build, rng.uniform(10.4, 11.6)
    centre_y = rng.uniform(-1.6, -0.8)
    base = rng.uniform(7.2, 8.2)
    right = _lung(x, y, -6.3 * build, width, height, centre_y, base, lung_depth, rng)
    left = _lung(x, y, 6.3 * build, width * 0.97, height, centre_y, base + rng.uniform(0.4, 1.1), lung_depth, rng)
    thorax_width = 2 * (6.3 * build + width) * 0.97

    ratio = rng.uniform(0.40, 0.475)
    heart = (rng.uniform(1.1, 1.7), base - rng.uniform(3.0, 3.8), thorax_width * ratio / 2, rng.uniform(4.6, 5.4))
    heart_chord = heart_shape(x, y, heart)
    middle = _mediastinum(x, y, rng)
    right, left = _pushed(right, heart_chord, middle), _pushed(left, heart_chord, middle)

    vessels = _vessels(rng, size, x, y, right, left, placed)
    texture = _one_over_f(rng, size, exponent=1.3)
    if placed is not None:
        texture = _moved(texture, placed, mode="grid-wrap")
    bone = _bones(x, y, build, width, rng)
    lung_chord = right.chord + left.chord
    trachea = 1.6 * np.exp(-((x / 0.75) ** 4)) / (1 + np.exp((y + 5.4) / 0.3))
    path = (
        MU_SOFT * np.maximum(body - lung_chord - trachea * (body > 3), 0)
        + MU_LUNG * lung_chord * (1 + 0.10 * texture)
        + MU_SOFT * 0.8 * vessels
        + (MU_BONE - MU_SOFT) * bone * (body > 0.5)
    )
    return Anatomy(x, y, path.astype(np.float32), right, left, vessels, texture, heart_chord, heart, thorax_width)


def heart_shape(x: Array, y: Array, heart: tuple[float, float, float, float]) -> Array:
    """Chord (cm) of the heart, an ellipse tilted towards the patient's left."""
    centre_x, centre_y, half_width, half_height = heart
    dx, dy = x - centre_x, y - centre_y
    u, v = (dx + 0.25 * dy) / half_width, (dy - 0.12 * dx) / half_height
    return np.asarray(10.0 * np.clip(1 - np.abs(u) ** 2.2 - np.abs(v) ** 2.4, 0, 1) ** 0.5, dtype=np.float32)


def smooth_step(value: Array, width: float) -> Array:
    """0 to 1 around zero, logistic with the given width in the argument's own unit."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value / width, -40, 40))), dtype=np.float32)


def _grid(size: int) -> tuple[Array, Array]:
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * FIELD_CM
    x, y = np.meshgrid(axis, axis)
    return x, y


def _lung(
    x: Array,
    y: Array,
    centre_x: float,
    width: float,
    height: float,
    centre_y: float,
    base: float,
    depth: float,
    rng: np.random.Generator,
) -> Lung:
    inward = -np.sign(centre_x)
    taper = 0.60 + 0.40 * smooth_step(y - (centre_y - 5.5), 2.0)  # lungs narrow towards the apex
    shifted = centre_x + inward * (1 - taper) * 2.2
    u, v = (x - shifted) / (width * taper), (y - centre_y) / height
    chord = depth * np.clip(1 - np.abs(u) ** 2.6 - np.abs(v) ** 2.6, 0, 1) ** 0.55
    dome = base - rng.uniform(2.0, 3.0) * np.clip(1 - ((x - centre_x) / (width * 1.05)) ** 2, -0.6, 1) + 1.2
    chord = chord * smooth_step(dome - y, 0.18)
    return Lung(chord.astype(np.float32), centre_x, width, centre_y - height * 0.93, base, dome.astype(np.float32))


def _pushed(lung: Lung, heart_chord: Array, middle: Array) -> Lung:
    """The lung after heart and mediastinum have taken their room."""
    chord = np.maximum(lung.chord - 1.15 * heart_chord, 0) * (1 - middle)
    return Lung(chord.astype(np.float32), lung.centre_x, lung.half_width, lung.apex_y, lung.base_y, lung.dome)


def _mediastinum(x: Array, y: Array, rng: np.random.Generator) -> Array:
    half = rng.uniform(2.3, 2.8) + 0.5 * smooth_step(y - 0, 3.0)
    band = smooth_step(half - np.abs(x), 0.15)
    knob_x, knob_y, knob_r = rng.uniform(2.6, 3.0), rng.uniform(-5.9, -5.0), rng.uniform(1.2, 1.6)
    knob = smooth_step(knob_r - np.hypot(x - knob_x, y - knob_y), 0.15)
    return np.asarray(np.maximum(band, 0.7 * knob), dtype=np.float32)


def _bones(x: Array, y: Array, build: float, width: float, rng: np.random.Generator) -> Array:
    reach = (6.3 * build + width) * (0.80 + 0.22 * smooth_step(y + 6.0, 2.5))
    inside = smooth_step(reach - np.abs(x), 0.25)
    r = np.abs(x) / build
    spacing = rng.uniform(1.95, 2.25)
    phase = rng.uniform(0, 1)
    posterior = _bands((y - 0.030 * r**2 + 0.10 * r) / spacing + phase, 0.34)
    anterior = _bands((y + 0.55 * r - 0.02 * r**2) / (spacing * 1.15) + phase, 0.30)
    vertical = smooth_step(y + 11.5, 0.4) * smooth_step(9.5 - y, 0.6)
    ribs = (rng.uniform(0.7, 1.1) * posterior + rng.uniform(0.25, 0.5) * anterior * (r > 3)) * inside * vertical
    droop = rng.uniform(0.10, 0.22)
    clavicle = 0.9 * np.exp(-(((y + 9.6 + droop * (r - 6)) / 0.55) ** 4)) * smooth_step(r - 1.6, 0.2)
    clavicle = clavicle * smooth_step(12.5 - r, 0.4)
    vertebrae = 1 + 0.25 * np.cos(2 * np.pi * (y / 2.4 + phase))
    spine = 1.8 * np.exp(-((x / 1.7) ** 6)) * vertebrae
    return np.asarray(ribs + clavicle + spine, dtype=np.float32)


def _bands(phase: Array, duty: float) -> Array:
    distance = np.abs(phase - np.round(phase))
    return smooth_step(duty / 2 - distance, 0.035)


def _vessels(
    rng: np.random.Generator,
    size: int,
    x: Array,
    y: Array,
    right: Lung,
    left: Lung,
    placed: tuple[Array, Array] | None,
) -> Array:
    """Tapered random walks from the hila, in centimetres of blood."""
    scale = 2
    canvas = Image.new("L", (size * scale, size * scale))
    pen = ImageDraw.Draw(canvas)
    pixels = size * scale / FIELD_CM
    for lung in (right, left):
        outward = float(np.sign(lung.centre_x))
        hilum = np.array([outward * 3.0, rng.uniform(-0.6, 0.6)])
        for angle in np.linspace(-1.35, 1.35, 11):
            _walk(rng, pen, pixels, hilum, angle + rng.normal(0, 0.1), outward, rng.uniform(0.42, 0.60), 15)
    drawn: Array = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255
    drawn = ndimage.gaussian_filter(drawn, 0.06 * size / FIELD_CM)
    if placed is not None:
        drawn = _moved(drawn, placed, mode="constant")
    hila = sum(np.exp(-(((x - sign * 3.1) / 1.0) ** 2) - ((y - 0.2) / 1.6) ** 2) for sign in (-1.0, 1.0))
    present = np.minimum((right.chord + left.chord) / 2.0, 1)
    return np.asarray((drawn * 2.6 + 1.5 * hila) * present, dtype=np.float32)


def _moved(field: Array, placed: tuple[Array, Array], mode: str) -> Array:
    """A field drawn upright and centred, seen where the patient lies."""
    size = field.shape[0]
    cols, rows = ((axis / FIELD_CM + 0.5) * size - 0.5 for axis in placed)
    return np.asarray(ndimage.map_coordinates(field, (rows, cols), order=1, mode=mode), dtype=np.float32)


def _walk(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    pixels: float,
    start: NDArray[np.float64],
    angle: float,
    outward: float,
    width: float,
    steps: int,
) -> None:
    point = np.array(start, dtype=float)
    for _ in range(steps):
        angle += rng.normal(0, 0.13)
        ahead = point + rng.uniform(0.5, 0.8) * np.array([outward * np.cos(angle), np.sin(angle)])
        a, b = (point + FIELD_CM / 2) * pixels, (ahead + FIELD_CM / 2) * pixels
        tone = int(255 * min(width, 0.6) / 0.6)
        pen.line([*a, *b], fill=tone, width=max(1, round(width * pixels * 0.6)))
        point = ahead
        width *= 0.87
        if width < 0.05:
            return
        if rng.random() < 0.22 and width > 0.12:
            turned = angle + rng.choice((-1, 1)) * rng.uniform(0.4, 0.8)
            _walk(rng, pen, pixels, point, turned, outward, width * 0.75, 7)


def _one_over_f(rng: np.random.Generator, size: int, exponent: float) -> Array:
    """Noise of unit variance with amplitude falling as frequency^-exponent; the same field at every size."""
    base = 128
    fy, fx = np.fft.fftfreq(base)[:, None], np.fft.rfftfreq(base)[None, :]
    radius = np.hypot(fy, fx)
    radius[0, 0] = np.inf
    spectrum = (rng.normal(size=radius.shape) + 1j * rng.normal(size=radius.shape)) / radius**exponent
    field = np.fft.irfft2(spectrum, s=(base, base))
    field = (field - field.mean()) / field.std()
    if size != base:
        field = ndimage.zoom(field, size / base, order=1, mode="grid-wrap", grid_mode=True)
    return np.asarray(field, dtype=np.float32)
