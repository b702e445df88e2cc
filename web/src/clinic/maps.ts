// A finding's map as the server sends it, and the outline of its strongest part along the grid's own cells.

import type { Contour, Field } from "../data";
import { cellBox, type Sized } from "../geometry";
import { send } from "./api";

const OUTLINE = 0.5; // of the map's highest value

export interface MapField {
  fields: Field[]; // one a frame of the map
  frames: number[]; // the case's frame that each lies on
  units: string;
}

export async function loadMap(caseId: string, key: string): Promise<MapField> {
  const answer = await send(`/cases/${caseId}/maps/${encodeURIComponent(key)}`, {
    headers: { Accept: "application/octet-stream" },
  });
  const header = (name: string) => answer.headers.get(name);
  const low = Number(header("X-Low") ?? 0);
  const high = Number(header("X-High") ?? 1);
  const codes = new Uint8Array(await answer.arrayBuffer());
  const frames = (header("X-Frames") ?? "0").split(",").map(Number);
  const cells = codes.length / frames.length;
  const grid = Math.round(Math.sqrt(cells));
  return {
    frames,
    units: header("X-Units") ?? "",
    fields: frames.map((_, index) => {
      const values = new Float32Array(cells);
      for (let i = 0; i < cells; i++) values[i] = low + ((codes[index * cells + i] ?? 0) / 255) * (high - low);
      const signed = low < 0;
      const reach = Math.max(Math.abs(low), Math.abs(high));
      return { values, grid, low: signed ? -reach : low, high: signed ? reach : high, signed };
    }),
  };
}

// Edges between cells at or above half of the peak and the others; each a line of two source points.
export function outline(field: Field, frame: Sized, index: number): Contour[] {
  const { values, grid } = field;
  let peak = 0;
  for (const value of values) peak = Math.max(peak, value);
  if (peak <= 0) return [];
  const inside = (row: number, col: number) =>
    row >= 0 && col >= 0 && row < grid && col < grid && values[row * grid + col]! >= peak * OUTLINE;
  const lines: Contour[] = [];
  const line = (x0: number, y0: number, x1: number, y1: number) =>
    lines.push({
      frame: index,
      points: [
        [x0, y0],
        [x1, y1],
      ],
    });
  for (let row = 0; row < grid; row++) {
    for (let col = 0; col < grid; col++) {
      if (!inside(row, col)) continue;
      const [x0, y0, x1, y1] = cellBox(frame, grid, row, col);
      if (!inside(row - 1, col)) line(x0, y0, x1, y0);
      if (!inside(row + 1, col)) line(x0, y1, x1, y1);
      if (!inside(row, col - 1)) line(x0, y0, x0, y1);
      if (!inside(row, col + 1)) line(x1, y0, x1, y1);
    }
  }
  return lines;
}
