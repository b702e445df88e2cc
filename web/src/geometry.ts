// Source pixels and the padded square; the same arithmetic as src/radiolucent/study/geometry.py.
// Points are (column, row); the source's corner is (0, 0). Maps of any resolution cover the padded square.

export interface Sized {
  rows: number;
  cols: number;
}

export interface Square {
  x: number;
  y: number;
  edge: number;
}

// The padded square in source pixels: the film centred on it, so x or y is zero or negative.
export function squareOf(frame: Sized): Square {
  const edge = Math.max(frame.rows, frame.cols);
  return { x: -Math.floor((edge - frame.cols) / 2), y: -Math.floor((edge - frame.rows) / 2), edge };
}

// Source (x0, y0, x1, y1) of a cell; it may reach into the padding.
export function cellBox(frame: Sized, grid: number, row: number, col: number): [number, number, number, number] {
  const { x, y, edge } = squareOf(frame);
  const cell = edge / grid;
  return [x + col * cell, y + row * cell, x + (col + 1) * cell, y + (row + 1) * cell];
}

// (row, column) of the cell that holds a source point, clipped to the grid.
export function cellOf(frame: Sized, grid: number, column: number, row: number): [number, number] {
  const { x, y, edge } = squareOf(frame);
  const clip = (value: number) => Math.min(grid - 1, Math.max(0, Math.floor(value)));
  return [clip(((row - y) * grid) / edge), clip(((column - x) * grid) / edge)];
}

export function inFilm(frame: Sized, column: number, row: number): boolean {
  return column >= 0 && row >= 0 && column < frame.cols && row < frame.rows;
}

// Bilinear between cell centres, as Geometry.on_source(smooth=True): (size x size) samples over the square.
export function smooth(values: ArrayLike<number>, grid: number, size: number): Float32Array {
  const out = new Float32Array(size * size);
  const last = grid - 1;
  const low = new Int32Array(size);
  const high = new Int32Array(size);
  const part = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const at = Math.min(last, Math.max(0, ((i + 0.5) * grid) / size - 0.5));
    low[i] = Math.floor(at);
    high[i] = Math.min(last, low[i]! + 1);
    part[i] = at - low[i]!;
  }
  for (let r = 0; r < size; r++) {
    const above = low[r]! * grid;
    const below = high[r]! * grid;
    const down = part[r]!;
    for (let c = 0; c < size; c++) {
      const left = low[c]!;
      const right = high[c]!;
      const across = part[c]!;
      const top = values[above + left]! * (1 - across) + values[above + right]! * across;
      const bottom = values[below + left]! * (1 - across) + values[below + right]! * across;
      out[r * size + c] = top * (1 - down) + bottom * down;
    }
  }
  return out;
}
