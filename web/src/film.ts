// The film viewer: three stacked canvases (film, colour, marks) under one view. Knows nothing of reports, so that
// the review page can use it too. Colours and marks are given in source pixels or as square maps.

import type { Box, Claim, Contour, Field, Frame } from "./data";
import { paint, paletteOf } from "./colour";
import { cellBox, inFilm, smooth, squareOf } from "./geometry";

export interface Overlay {
  field: Field | null;
  claim: Claim;
  opacity: number;
  raw: boolean; // flat cells of the grid instead of smooth colour
  contours: Contour[];
  boxes: Box[];
  cell: { grid: number; row: number; col: number } | null; // the place that was asked about
}

export interface Window {
  centre: number; // of the displayed 8 bits
  width: number;
}

// Pixels deeper than 8 bits level themselves (the review page's 16-bit films); window values are in their own units.
export interface Deep {
  readonly width: number;
  readonly height: number;
  readonly full: Window; // what reset shows
  readonly range: [number, number]; // of its values
  level(window: Window, inverted: boolean, quick: boolean): HTMLCanvasElement; // quick: while dragging, may be coarser
}

// Takes the pointer before the film does: a ruler, a box. Places are in source pixels.
export interface Hand {
  down(x: number, y: number, slop: number): boolean; // true: what follows is mine
  move(x: number, y: number): void;
  up(): void;
}

export type Sketch = (context: CanvasRenderingContext2D, scale: number, left: number, top: number) => void;

export interface Events {
  onPlace(column: number, row: number): void;
  onView(view: { zoom: number; window: Window; inverted: boolean }): void;
}

export type Tool = "window" | "pan";

const FULL: Window = { centre: 127.5, width: 255 };
const MAX_ZOOM = 12;
const CLICK_SLOP = 4; // pixels a pointer may move and still be a click
const SMOOTH_SIZE = 384; // samples along the square for smooth colour

export class FilmView {
  tool: Tool = "window";
  hand: Hand | null = null;
  private readonly film: HTMLCanvasElement;
  private readonly colour: HTMLCanvasElement;
  private readonly marks: HTMLCanvasElement;
  private readonly levelled = document.createElement("canvas"); // the picture after window and level
  private readonly watcher: ResizeObserver;
  private frame: Frame | null = null;
  private picture: ImageBitmap | Deep | null = null;
  private shown: HTMLCanvasElement = this.levelled;
  private sketch: Sketch | null = null;
  private handed = false;
  private quick = false;
  private filmOnly = false; // the window moved, and nothing else
  private stored: ImageData | null = null;
  private overlay: Overlay | null = null;
  private painted: HTMLCanvasElement | null = null;
  private window: Window = { ...FULL };
  private inverted = false;
  private zoom = 1;
  private centre = { x: 0, y: 0 };
  private size = { width: 1, height: 1 };
  private pointers = new Map<number, { x: number; y: number }>();
  private travelled = 0;
  private pinched = false;
  private pending = 0;
  private stale = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly events: Events,
  ) {
    const layer = (name: string) => {
      const canvas = document.createElement("canvas");
      canvas.className = `layer ${name}`;
      canvas.setAttribute("aria-hidden", "true");
      host.append(canvas);
      return canvas;
    };
    this.film = layer("film");
    this.colour = layer("colour");
    this.marks = layer("marks");
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(host);
    host.addEventListener("wheel", this.onWheel, { passive: false });
    host.addEventListener("pointerdown", this.onDown);
    host.addEventListener("pointermove", this.onMove);
    host.addEventListener("pointerup", this.onUp);
    host.addEventListener("pointercancel", this.onUp);
    host.addEventListener("contextmenu", this.onMenu);
    this.resize();
  }

  destroy(): void {
    this.watcher.disconnect();
    cancelAnimationFrame(this.pending);
    this.host.removeEventListener("wheel", this.onWheel);
    this.host.removeEventListener("pointerdown", this.onDown);
    this.host.removeEventListener("pointermove", this.onMove);
    this.host.removeEventListener("pointerup", this.onUp);
    this.host.removeEventListener("pointercancel", this.onUp);
    this.host.removeEventListener("contextmenu", this.onMenu);
    for (const canvas of [this.film, this.colour, this.marks]) canvas.remove();
  }

  setFrame(frame: Frame, picture: ImageBitmap | Deep): void {
    if (this.picture === picture && this.frame === frame) return;
    const resized = !this.frame || this.frame.rows !== frame.rows || this.frame.cols !== frame.cols;
    if (deep(picture) && (!this.picture || !deep(this.picture) || !alike(picture.full, this.picture.full))) {
      this.window = { ...picture.full };
    }
    this.frame = frame;
    this.picture = picture;
    this.stored = null;
    this.stale = true;
    if (resized) this.centre = { x: frame.cols / 2, y: frame.rows / 2 };
    this.draw();
  }

  setOverlay(overlay: Overlay): void {
    const before = this.overlay;
    this.overlay = overlay;
    if (before?.field !== overlay.field || before?.raw !== overlay.raw || before?.claim !== overlay.claim) {
      this.painted = this.paintField(overlay);
    }
    this.draw();
  }

  setSketch(sketch: Sketch | null): void {
    this.sketch = sketch;
    this.draw();
  }

  setWindow(window: Window): void {
    const [low, high] = this.range();
    this.window = {
      centre: Math.min(high, Math.max(low, window.centre)),
      width: Math.min(2 * (high - low), Math.max(2, window.width)),
    };
    this.stale = true;
    this.draw(true);
  }

  invert(): void {
    this.inverted = !this.inverted;
    this.stale = true;
    this.draw();
  }

  fit(): void {
    this.zoom = 1;
    if (this.frame) this.centre = { x: this.frame.cols / 2, y: this.frame.rows / 2 };
    this.draw();
  }

  reset(): void {
    this.inverted = false;
    this.setWindow({ ...(this.picture && deep(this.picture) ? this.picture.full : FULL) });
    this.fit();
  }

  zoomBy(factor: number, at?: { x: number; y: number }): void {
    const point = at ?? { x: this.size.width / 2, y: this.size.height / 2 };
    const held = this.toSource(point.x, point.y);
    this.zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    const now = this.toSource(point.x, point.y);
    this.centre = { x: this.centre.x + held.x - now.x, y: this.centre.y + held.y - now.y };
    this.draw();
  }

  panBy(dx: number, dy: number): void {
    const { scale } = this.view();
    this.centre = { x: this.centre.x - dx / scale, y: this.centre.y - dy / scale };
    this.draw();
  }

  get zoomed(): boolean {
    return this.zoom > 1.001;
  }

  // CSS pixels of the host -> source pixels, and back.
  toSource(x: number, y: number): { x: number; y: number } {
    const { scale, left, top } = this.view();
    return { x: (x - left) / scale, y: (y - top) / scale };
  }

  toHost(column: number, row: number): { x: number; y: number } {
    const { scale, left, top } = this.view();
    return { x: left + column * scale, y: top + row * scale };
  }

  private range(): [number, number] {
    return this.picture && deep(this.picture) ? this.picture.range : [0, 255];
  }

  private view(): { scale: number; left: number; top: number } {
    const { rows, cols } = this.frame ?? { rows: 1, cols: 1 };
    const { width, height } = this.size;
    const scale = Math.min(width / cols, height / rows) * this.zoom;
    // The film stays in sight: centred where it is smaller than the view, edge to edge where it is larger.
    const hold = (centre: number, length: number, room: number) => {
      const half = room / scale / 2;
      return length <= half * 2 ? length / 2 : Math.min(length - half, Math.max(half, centre));
    };
    this.centre = { x: hold(this.centre.x, cols, width), y: hold(this.centre.y, rows, height) };
    return { scale, left: width / 2 - this.centre.x * scale, top: height / 2 - this.centre.y * scale };
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.host;
    if (!clientWidth || !clientHeight) return;
    this.size = { width: clientWidth, height: clientHeight };
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.film, this.colour, this.marks]) {
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
    }
    this.paintAll();
  }

  private draw(filmOnly = false): void {
    this.filmOnly = filmOnly && (!this.pending || this.filmOnly);
    if (!this.pending) this.pending = requestAnimationFrame(() => this.paintAll());
  }

  private paintAll(): void {
    cancelAnimationFrame(this.pending);
    this.pending = 0;
    const { filmOnly } = this;
    this.filmOnly = false;
    if (!this.frame || !this.picture) return;
    if (this.stale) this.level();
    const ratio = window.devicePixelRatio || 1;
    const { scale, left, top } = this.view();
    const { rows, cols } = this.frame;
    const begin = (canvas: HTMLCanvasElement) => {
      const context = canvas.getContext("2d")!;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, this.size.width, this.size.height);
      return context;
    };
    const film = begin(this.film);
    film.imageSmoothingQuality = this.quick ? "low" : "high";
    film.drawImage(this.shown, left, top, cols * scale, rows * scale);

    if (filmOnly) {
      this.tell();
      return;
    }
    const colour = begin(this.colour);
    if (this.painted && this.overlay) {
      const square = squareOf(this.frame);
      colour.save();
      colour.beginPath();
      colour.rect(left, top, cols * scale, rows * scale);
      colour.clip();
      colour.globalAlpha = this.overlay.opacity;
      colour.imageSmoothingEnabled = !this.overlay.raw;
      const edge = square.edge * scale;
      colour.drawImage(this.painted, left + square.x * scale, top + square.y * scale, edge, edge);
      colour.restore();
    }
    this.paintMarks(begin(this.marks), scale, left, top);
    this.tell();
  }

  private tell(): void {
    this.events.onView({ zoom: this.zoom, window: this.window, inverted: this.inverted });
  }

  // DICOM PS3.3 C.11.2.1.2 on the displayed 8 bits, by table.
  private level(): void {
    const picture = this.picture!;
    const { width, height } = picture;
    if (deep(picture)) {
      this.shown = picture.level(this.window, this.inverted, this.quick);
      this.stale = false;
      return;
    }
    this.shown = this.levelled;
    if (!this.stored) {
      this.levelled.width = width;
      this.levelled.height = height;
      const context = this.levelled.getContext("2d", { willReadFrequently: true })!;
      context.drawImage(picture, 0, 0);
      this.stored = context.getImageData(0, 0, width, height);
    }
    const table = new Uint8Array(256);
    const low = this.window.centre - this.window.width / 2;
    for (let value = 0; value < 256; value++) {
      const grey = Math.min(255, Math.max(0, ((value - low) / this.window.width) * 255));
      table[value] = Math.round(this.inverted ? 255 - grey : grey);
    }
    const from = new Uint32Array(this.stored.data.buffer);
    const shown = new ImageData(width, height);
    const to = new Uint32Array(shown.data.buffer);
    for (let i = 0; i < from.length; i++) {
      const pixel = from[i]!;
      to[i] =
        (0xff000000 |
          (table[(pixel >> 16) & 255]! << 16) |
          (table[(pixel >> 8) & 255]! << 8) |
          table[pixel & 255]!) >>>
        0;
    }
    this.levelled.getContext("2d")!.putImageData(shown, 0, 0);
    this.stale = false;
  }

  private paintField(overlay: Overlay): HTMLCanvasElement | null {
    const { field } = overlay;
    if (!field) return null;
    const size = overlay.raw ? field.grid : Math.max(SMOOTH_SIZE, field.grid);
    const values = overlay.raw ? field.values : smooth(field.values, field.grid, size);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = size;
    canvas.getContext("2d")!.putImageData(paint(values, size, field, paletteOf(overlay.claim, field.signed)), 0, 0);
    return canvas;
  }

  private paintMarks(context: CanvasRenderingContext2D, scale: number, left: number, top: number): void {
    const frame = this.frame!;
    const { overlay } = this;
    const right = left + frame.cols * scale;
    const bottom = top + frame.rows * scale;
    const cased = (colour: string, width: number, dash: number[] = []) => {
      context.lineJoin = "round";
      context.strokeStyle = "rgba(0, 0, 0, 0.6)";
      context.lineWidth = width + 2;
      context.stroke();
      context.setLineDash(dash);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
      context.setLineDash([]);
    };
    if (overlay) {
      context.save();
      context.beginPath();
      context.rect(left, top, right - left, bottom - top);
      context.clip();
      const rectangle = (x0: number, y0: number, x1: number, y1: number) => {
        context.beginPath();
        context.rect(left + x0 * scale, top + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale);
      };
      if (overlay.field && overlay.raw) {
        const { grid } = overlay.field;
        context.beginPath();
        for (let i = 0; i <= grid; i++) {
          const [x0, y0] = cellBox(frame, grid, i, i);
          const x = Math.round(left + x0 * scale) + 0.5;
          const y = Math.round(top + y0 * scale) + 0.5;
          context.moveTo(x, top);
          context.lineTo(x, bottom);
          context.moveTo(left, y);
          context.lineTo(right, y);
        }
        context.strokeStyle = "rgba(255, 255, 255, 0.13)";
        context.lineWidth = 1;
        context.stroke();
      }
      for (const box of overlay.boxes) {
        rectangle(box.x0, box.y0, box.x1, box.y1);
        if (box.origin === "model") cased("#7fd6ff", 1.25, [7, 5]);
        else cased("#f2c879", 1.25);
      }
      for (const { points } of overlay.contours) {
        context.beginPath();
        points.forEach(([x, y], i) => {
          if (i) context.lineTo(left + x * scale, top + y * scale);
          else context.moveTo(left + x * scale, top + y * scale);
        });
        context.closePath();
        cased("#ffd58a", 2);
      }
      if (overlay.cell) {
        const { grid, row, col } = overlay.cell;
        rectangle(...cellBox(frame, grid, row, col));
        cased("#ffffff", 1.25);
      }
      context.restore();
    }
    this.sketch?.(context, scale, left, top);
    this.paintSides(context, left, right);
  }

  // The patient's sides at the picture's edges; a question mark where nobody has verified them.
  private paintSides(context: CanvasRenderingContext2D, left: number, right: number): void {
    const { patientRight, sideSource } = this.frame!;
    if (!patientRight || sideSource === "none") return;
    const doubt = sideSource === "assumed" ? "?" : "";
    const [onLeft, onRight] = patientRight === "left" ? ["R", "L"] : ["L", "R"];
    context.font = "600 18px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = "rgba(0, 0, 0, 0.8)";
    context.fillStyle = doubt ? "#f2c879" : "#f4f7fa";
    const y = this.size.height / 2;
    const write = (text: string, x: number, align: CanvasTextAlign) => {
      context.textAlign = align;
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    write(onLeft + doubt, Math.max(left, 0) + 10, "left");
    write(onRight + doubt, Math.min(right, this.size.width) - 10, "right");
  }

  private at(event: MouseEvent): { x: number; y: number } {
    const box = this.host.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.at(event));
  };

  private onMenu = (event: Event): void => event.preventDefault();

  private onDown = (event: PointerEvent): void => {
    this.host.setPointerCapture(event.pointerId);
    if (!this.pointers.size) {
      this.travelled = 0;
      this.pinched = false;
    }
    this.pointers.set(event.pointerId, this.at(event));
    if (this.pointers.size > 1) this.pinched = true;
    if (this.hand && this.pointers.size === 1 && event.button === 0) {
      const { x, y } = this.toSource(this.at(event).x, this.at(event).y);
      this.handed = this.hand.down(x, y, 10 / this.view().scale);
    }
  };

  private onMove = (event: PointerEvent): void => {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    if (this.handed) {
      const { x, y } = this.toSource(now.x, now.y);
      this.hand?.move(x, y);
      return;
    }
    const dx = now.x - before.x;
    const dy = now.y - before.y;
    this.travelled += Math.hypot(dx, dy);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const spread = (point: { x: number; y: number }) => Math.hypot(point.x - other.x, point.y - other.y);
      this.zoomBy(spread(now) / Math.max(1, spread(before)), {
        x: (now.x + other.x) / 2,
        y: (now.y + other.y) / 2,
      });
      this.panBy(dx / 2, dy / 2);
      return;
    }
    if (this.travelled <= CLICK_SLOP) return;
    const panning = this.tool === "pan" || event.buttons !== 1 || event.shiftKey || event.pointerType === "touch";
    this.quick = true;
    if (panning) this.panBy(dx, dy);
    else {
      const [low, high] = this.range();
      const step = (high - low) / 255;
      this.setWindow({ centre: this.window.centre - dy * 0.5 * step, width: this.window.width + dx * step });
    }
  };

  private onUp = (event: PointerEvent): void => {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.quick && !this.pointers.size) {
      this.quick = false;
      this.stale = true;
      this.draw();
    }
    if (this.handed) {
      this.handed = false;
      this.hand?.up();
      return;
    }
    const click = event.type === "pointerup" && this.travelled <= CLICK_SLOP && !this.pinched && event.button === 0;
    if (!click || this.pointers.size || !this.frame) return;
    const { x, y } = this.at(event);
    const place = this.toSource(x, y);
    if (inFilm(this.frame, place.x, place.y)) this.events.onPlace(place.x, place.y);
  };
}

function deep(picture: ImageBitmap | Deep): picture is Deep {
  return "level" in picture;
}

function alike(one: Window, other: Window): boolean {
  return one.centre === other.centre && one.width === other.width;
}
