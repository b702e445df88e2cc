// A 16-bit film that levels itself: DICOM PS3.3 C.11.2.1.2 by a table of 65,536 greys, coarser while it is dragged.

import type { Deep, Window } from "../film";
import { send } from "./api";
import type { FrameFacts } from "./model";

const QUICK_PIXELS = 260_000; // levelled while dragging; a 2-megapixel film then keeps above 30 frames a second
const VALUES = 65_536;

export type Sides = Pick<FrameFacts, "patient_right" | "side_source" | "spacing">;

class Sampled {
  readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly greys: Uint32Array;

  constructor(
    private readonly values: Uint16Array,
    width: number,
    height: number,
  ) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true })!;
    this.image = new ImageData(width, height);
    this.greys = new Uint32Array(this.image.data.buffer);
  }

  paint(table: Uint32Array): HTMLCanvasElement {
    const { values, greys } = this;
    for (let i = 0; i < values.length; i++) greys[i] = table[values[i]!]!;
    this.context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

export class DeepFilm implements Deep {
  readonly full: Window;
  readonly range: [number, number];
  private readonly table = new Uint32Array(VALUES);
  private readonly fine: Sampled;
  private readonly coarse: Sampled;

  constructor(
    readonly values: Uint16Array,
    readonly width: number,
    readonly height: number,
    low: number,
    high: number,
    private readonly inverse: boolean, // MONOCHROME1: low values are bright
    readonly sides: Sides,
  ) {
    this.full = { centre: (low + high) / 2, width: Math.max(2, high - low) };
    let least = VALUES;
    let most = 0;
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    this.range = [Math.min(least, low), Math.max(most, high, least + 2)];
    this.fine = new Sampled(values, width, height);
    const step = Math.ceil(Math.sqrt((width * height) / QUICK_PIXELS));
    this.coarse = step > 1 ? new Sampled(...thinned(values, width, height, step)) : this.fine;
  }

  level(window: Window, inverted: boolean, quick: boolean): HTMLCanvasElement {
    const low = window.centre - window.width / 2;
    const slope = 255 / window.width;
    const dark = inverted !== this.inverse;
    for (let value = 0; value < VALUES; value++) {
      let grey = (value - low) * slope;
      grey = grey < 0 ? 0 : grey > 255 ? 255 : Math.round(grey);
      if (dark) grey = 255 - grey;
      this.table[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    return (quick ? this.coarse : this.fine).paint(this.table);
  }
}

function thinned(values: Uint16Array, width: number, height: number, step: number): [Uint16Array, number, number] {
  const cols = Math.ceil(width / step);
  const rows = Math.ceil(height / step);
  const out = new Uint16Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) out[r * cols + c] = values[r * step * width + c * step]!;
  }
  return [out, cols, rows];
}

export async function loadFilm(caseId: string, frame: number): Promise<DeepFilm> {
  const answer = await send(`/cases/${caseId}/frames/${frame}/pixels`, { headers: { Accept: "application/octet-stream" } });
  const number = (name: string, otherwise: number) => Number(answer.headers.get(name) ?? otherwise);
  const values = new Uint16Array(await answer.arrayBuffer());
  const rows = number("X-Rows", 0);
  const cols = number("X-Columns", 0);
  const inverted = /^(1|true)$/i.test(answer.headers.get("X-Inverted") ?? "");
  const right = answer.headers.get("X-Patient-Right");
  const source = answer.headers.get("X-Side-Source");
  const spacing = (answer.headers.get("X-Spacing") ?? "").split(",").map(Number);
  const sides: Sides = {
    patient_right: right === "left" || right === "right" ? right : null,
    side_source: source === "orientation" || source === "assumed" || source === "array" ? source : "none",
    spacing: spacing.length === 2 ? [spacing[0]!, spacing[1]!] : null,
  };
  return new DeepFilm(values, cols, rows, number("X-Window-Low", 0), number("X-Window-High", 65_535), inverted, sides);
}
