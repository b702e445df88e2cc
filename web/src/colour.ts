// Colour maps for overlays: perceptually uniform, readable with colour-vision deficiency, sampled from matplotlib.
// viridis and inferno for maps that start at zero, managua (Crameri, doi:10.5281/zenodo.1243862) for signed ones.

import type { Claim, Field } from "./data";

const ANCHORS = {
  viridis: "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725",
  inferno: "0000040b0724210c4a3d096557106e71196e8a226aa32c61bc3754d24644e45a31f1731df98e09fcac11f9cb35f2ea69fcffa4",
  managua: "81e7ff76c7ec6baada608ec75775b3505d9c4c457f4e32605829486a2c3b823a399c4d3db26343c67b4bd99554ecb15dffcf67",
};

export type Palette = Uint8Array; // 256 x RGB

function unroll(hex: string): Palette {
  const count = hex.length / 6;
  const anchor = (i: number, channel: number) => parseInt(hex.slice(i * 6 + channel * 2, i * 6 + channel * 2 + 2), 16);
  const palette = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (count - 1);
    const low = Math.min(count - 2, Math.floor(at));
    for (let channel = 0; channel < 3; channel++) {
      palette[i * 3 + channel] = anchor(low, channel) + (at - low) * (anchor(low + 1, channel) - anchor(low, channel));
    }
  }
  return palette;
}

const PALETTES = {
  viridis: unroll(ANCHORS.viridis),
  inferno: unroll(ANCHORS.inferno),
  managua: unroll(ANCHORS.managua),
};

export function paletteOf(claim: Claim, signed: boolean): Palette {
  if (signed) return PALETTES.managua;
  return claim === "attended" || claim === "plausible" ? PALETTES.viridis : PALETTES.inferno;
}

// Position of a value on the palette, 0 to 1; the range is drawn from the field's recorded minimum and maximum.
export function toUnit(value: number, field: Pick<Field, "low" | "high">): number {
  return field.high > field.low ? (value - field.low) / (field.high - field.low) : 0;
}

// Opacity of a palette position: nothing where there is nothing, so that the film stays readable there.
export function alphaOf(unit: number, signed: boolean): number {
  const strength = signed ? Math.abs(unit - 0.5) * 2 : unit;
  const ramp = Math.min(1, strength / 0.45);
  return ramp * ramp * (3 - 2 * ramp);
}

export function paint(
  values: ArrayLike<number>,
  size: number,
  field: Pick<Field, "low" | "high" | "signed">,
  palette: Palette,
): ImageData {
  const image = new ImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    const unit = Math.min(1, Math.max(0, toUnit(values[i]!, field)));
    const at = Math.round(unit * 255) * 3;
    image.data[i * 4] = palette[at]!;
    image.data[i * 4 + 1] = palette[at + 1]!;
    image.data[i * 4 + 2] = palette[at + 2]!;
    image.data[i * 4 + 3] = Math.round(255 * alphaOf(unit, field.signed));
  }
  return image;
}

// The colour bar with the opacity the overlay really has, over the grey of a film.
export function paintBar(canvas: HTMLCanvasElement, palette: Palette, signed: boolean): void {
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(256, 1);
  for (let i = 0; i < 256; i++) {
    image.data.set([palette[i * 3]!, palette[i * 3 + 1]!, palette[i * 3 + 2]!, 255 * alphaOf(i / 255, signed)], i * 4);
  }
  context.putImageData(image, 0, 0);
}
