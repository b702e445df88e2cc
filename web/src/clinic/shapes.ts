// What a reader draws on the film: a ruler, the two widths of the cardiothoracic ratio, a box. In source pixels.

import type { Hand, Sketch } from "../film";
import type { FrameFacts } from "./model";

export type ShapeKind = "ruler" | "heart" | "thorax" | "box";

export interface Shape {
  kind: ShapeKind;
  frame: number;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

const COLOURS: Record<ShapeKind, string> = { ruler: "#9bdcf0", heart: "#ff9d8a", thorax: "#9bdcf0", box: "#7dffb0" };
const ACROSS: ShapeKind[] = ["heart", "thorax"]; // widths: level lines

// Length with its unit; millimetres only where the file gives a spacing.
export function lengthOf(shape: Shape, frame: FrameFacts, atDetector: string): string {
  const dx = shape.x1 - shape.x0;
  const dy = ACROSS.includes(shape.kind) ? 0 : shape.y1 - shape.y0;
  if (!frame.spacing) return `${Math.round(Math.hypot(dx, dy))} px`;
  const [rows, cols] = frame.spacing;
  const detector = frame.spacing_kind?.includes("detector") ? ` ${atDetector}` : "";
  return `${Math.hypot(dx * cols, dy * rows).toFixed(1)} mm${detector}`;
}

// Widest heart over widest thorax; null until both are drawn.
export function ratioOf(shapes: Shape[]): number | null {
  const width = (kind: ShapeKind) => {
    const shape = shapes.find((each) => each.kind === kind);
    return shape ? Math.abs(shape.x1 - shape.x0) : 0;
  };
  const thorax = width("thorax");
  return thorax > 0 && width("heart") > 0 ? width("heart") / thorax : null;
}

export function ordered(shape: Shape): Shape {
  return {
    ...shape,
    x0: Math.min(shape.x0, shape.x1),
    x1: Math.max(shape.x0, shape.x1),
    y0: Math.min(shape.y0, shape.y1),
    y1: Math.max(shape.y0, shape.y1),
  };
}

// Moves the whole shape, or with `grow` only its second corner; stays on the film.
export function nudge(shape: Shape, dx: number, dy: number, grow: boolean, frame: FrameFacts): Shape {
  const x = (value: number) => Math.min(frame.cols, Math.max(0, value));
  const y = (value: number) => Math.min(frame.rows, Math.max(0, value));
  if (grow) return { ...shape, x1: x(shape.x1 + dx), y1: y(shape.y1 + dy) };
  const right = Math.max(shape.x0, shape.x1);
  const left = Math.min(shape.x0, shape.x1);
  const low = Math.max(shape.y0, shape.y1);
  const high = Math.min(shape.y0, shape.y1);
  const bx = Math.min(frame.cols - right, Math.max(-left, dx));
  const by = Math.min(frame.rows - low, Math.max(-high, dy));
  return { ...shape, x0: shape.x0 + bx, x1: shape.x1 + bx, y0: shape.y0 + by, y1: shape.y1 + by };
}

// Where a shape starts when it is asked for by a key.
export function placed(kind: ShapeKind, index: number, frame: FrameFacts): Shape {
  const { cols, rows } = frame;
  const at = (x0: number, y0: number, x1: number, y1: number): Shape => ({
    kind,
    frame: index,
    x0: cols * x0,
    y0: rows * y0,
    x1: cols * x1,
    y1: rows * y1,
  });
  if (kind === "heart") return at(0.36, 0.62, 0.66, 0.62);
  if (kind === "thorax") return at(0.14, 0.7, 0.86, 0.7);
  if (kind === "ruler") return at(0.4, 0.5, 0.6, 0.5);
  return at(0.4, 0.4, 0.6, 0.6);
}

type Grip = "new" | "move" | "first" | "second" | "corner";

// The pointer: drags a corner or an end, moves a box by its inside, draws anew elsewhere.
export function handFor(
  kind: ShapeKind,
  index: number,
  frame: FrameFacts,
  current: () => Shape | null,
  change: (shape: Shape, done: boolean) => void,
): Hand {
  let grip: Grip = "new";
  let from = { x: 0, y: 0 };
  let start: Shape | null = null;
  let last: Shape | null = null;
  let anchor = { x: 0, y: 0 };
  const level = ACROSS.includes(kind);
  const near = (x: number, y: number, px: number, py: number, slop: number) => Math.hypot(x - px, y - py) <= slop;
  return {
    down(x, y, slop) {
      from = { x, y };
      const held = current();
      start = held && held.frame === index ? held : null;
      last = null;
      grip = "new";
      if (!start) return true;
      const { x0, y0, x1, y1 } = start;
      if (kind !== "box") {
        if (near(x, y, x0, y0, slop)) grip = "first";
        else if (near(x, y, x1, level ? y0 : y1, slop)) grip = "second";
        return true;
      }
      const corner = [
        [x0, y0, x1, y1],
        [x1, y0, x0, y1],
        [x0, y1, x1, y0],
        [x1, y1, x0, y0],
      ].find(([px, py]) => near(x, y, px!, py!, slop));
      if (corner) {
        grip = "corner";
        anchor = { x: corner[2]!, y: corner[3]! };
      } else if (x > x0 && x < x1 && y > y0 && y < y1) grip = "move";
      return true;
    },
    move(x, y) {
      const px = Math.min(frame.cols, Math.max(0, x));
      const py = Math.min(frame.rows, Math.max(0, y));
      const base: Shape = { kind, frame: index, x0: from.x, y0: from.y, x1: px, y1: level ? from.y : py };
      if (grip === "new" || !start) last = base;
      else if (grip === "first") last = { ...start, x0: px, y0: py, ...(level ? { y1: py } : {}) };
      else if (grip === "second") last = { ...start, x1: px, y1: level ? start.y0 : py };
      else if (grip === "corner") last = ordered({ ...base, x0: anchor.x, y0: anchor.y });
      else last = nudge(start, x - from.x, y - from.y, false, frame);
      change(last, false);
    },
    up() {
      if (!last) return;
      const tiny = Math.hypot(last.x1 - last.x0, last.y1 - last.y0) < 3;
      if (!tiny) change(kind === "box" ? ordered(last) : last, true);
    },
  };
}

export function sketchOf(shapes: Shape[], labels: (shape: Shape) => string): Sketch {
  return (context, scale, left, top) => {
    for (const shape of shapes) {
      const x0 = left + shape.x0 * scale;
      const y0 = top + shape.y0 * scale;
      const x1 = left + shape.x1 * scale;
      const y1 = top + shape.y1 * scale;
      const colour = COLOURS[shape.kind];
      const trace = () => {
        context.beginPath();
        if (shape.kind === "box") context.rect(x0, y0, x1 - x0, y1 - y0);
        else {
          context.moveTo(x0, y0);
          context.lineTo(x1, y1);
          for (const [x, y] of [
            [x0, y0],
            [x1, y1],
          ] as const) {
            context.moveTo(x, y - 6);
            context.lineTo(x, y + 6);
          }
        }
      };
      trace();
      context.strokeStyle = "rgba(0, 0, 0, 0.7)";
      context.lineWidth = 4;
      context.stroke();
      trace();
      context.strokeStyle = colour;
      context.lineWidth = 1.75;
      context.stroke();
      if (shape.kind === "box") {
        context.fillStyle = colour;
        for (const [x, y] of [
          [x0, y0],
          [x1, y0],
          [x0, y1],
          [x1, y1],
        ] as const) {
          context.fillRect(x - 3, y - 3, 6, 6);
        }
      }
      const text = labels(shape);
      if (!text) continue;
      context.font = "600 12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "bottom";
      context.lineJoin = "round";
      context.lineWidth = 4;
      context.strokeStyle = "rgba(0, 0, 0, 0.85)";
      const at = [Math.min(x0, x1) + 8, Math.min(y0, y1) - 7] as const;
      context.strokeText(text, ...at);
      context.fillStyle = colour;
      context.fillText(text, ...at);
    }
  };
}
