// What report.html shows: the shape that `payload` in src/radiolucent/report/html.py writes.

export type Language = "en" | "zh";
export type Claim = "attended" | "sensitive" | "relied_on" | "plausible";
export type Polarity = "present" | "absent" | "uncertain";
export type Grade = "verified" | "weak" | "not shown";
export type Quadrant = "grounded" | "unstable" | "not image-based" | "evidence elsewhere" | "unreliable";

export type Mark = "seen" | "guessed" | "unknown";
export type Stage = "question" | "looked" | "named" | "weighed" | "concluded";

export type Bilingual = Record<Language, string>;

export interface Frame {
  label: string;
  png: string;
  rows: number;
  cols: number;
  modelSize: number;
  grid: number;
  patientRight: "left" | "right" | null;
  sideSource: "orientation" | "assumed" | "array" | "none";
  spacing: [number, number] | null;
}

export interface Word {
  text: string;
  start: number;
  end: number;
  part: "answer" | "thinking";
  p: number | null;
  entropy: number | null;
  alternatives: [string, number | null][];
  reliance: number | null;
  map: number | null;
  kind: Bilingual | null;
  mark: Mark | null;
  place: string;
}

// One step of the decision chain; words are indices into the words of the page.
export interface Step {
  stage: Stage;
  text: Bilingual;
  strength: Grade;
  words: number[];
  finding: string;
  links: { strength: Grade; text: Bilingual; method: string; finding: string }[];
}

export interface Contrast {
  ask: Bilingual;
  answer: Bilingual;
  strength: Grade;
  words: number[];
  finding: string;
}

export interface Layer {
  index: number | null;
  type: "global" | "sliding" | "mean";
}

export interface WordMaps {
  shape: [number, number, number, number, number];
  codes: string;
  low: number[][];
  high: number[][];
  layers: Layer[];
  units: string;
  method: string;
}

export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  frame: number;
  origin: "relied_on" | "model";
}

export interface Contour {
  frame: number;
  points: [number, number][];
}

export interface FindingMap {
  finding: string;
  method: string;
  claim: Claim;
  units: string;
  caption: Bilingual | null;
  label: Bilingual | null;
  grade: Grade;
  withheld: boolean;
  withheldText: Bilingual | null;
  boxes: Box[];
  contours: Contour[];
  shape: [number, number, number] | null;
  codes: string;
  low: number;
  high: number;
  signed: boolean;
}

export interface Counts {
  present: number;
  uncertain: number;
  absent: number;
  silent: number;
  n: number;
}

export interface Finding {
  id: string;
  text: Bilingual;
  polarity: Polarity;
  certainty: "definite" | "likely" | "possible";
  side: string | null;
  zone: "upper" | "middle" | "lower" | "hilar" | "diffuse" | null;
  severity: "minimal" | "mild" | "moderate" | "severe" | null;
  start: number;
  end: number;
  counts: Counts | null;
  interval: [number, number] | null;
  probability: number | null;
  quadrant: Quadrant | null;
  grade: Grade | null;
}

export interface ViewerData {
  language: Language;
  title: Bilingual;
  model: string;
  domain: string;
  question: string;
  report: string;
  thinking: string;
  notices: Bilingual[];
  warnings: Bilingual[];
  confidenceNote: Bilingual | null;
  provenance: [Bilingual, string][];
  font: string | null;
  frames: Frame[];
  words: Word[];
  wordMaps: WordMaps | null;
  maps: FindingMap[];
  findings: Finding[];
  chain: Step[];
  contrasts: Contrast[];
}

// Packed arrays and pictures, unpacked once when the page opens.
export interface Unpacked {
  pictures: ImageBitmap[];
  wordCodes: Uint8Array | null;
  mapCodes: (Uint8Array | null)[];
}

// One square map over the padded square of one frame, in its own units.
export interface Field {
  values: Float32Array;
  grid: number;
  low: number;
  high: number;
  signed: boolean;
}

const LEVELS = 254; // as in html.py

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(base64: string): Promise<Uint8Array> {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function unpack(data: ViewerData): Promise<Unpacked> {
  const [pictures, wordCodes, mapCodes] = await Promise.all([
    Promise.all(
      data.frames.map((frame) =>
        createImageBitmap(new Blob([bytesOf(frame.png)], { type: "image/png" }), { colorSpaceConversion: "none" }),
      ),
    ),
    data.wordMaps ? inflate(data.wordMaps.codes) : null,
    Promise.all(data.maps.map((map) => (map.codes ? inflate(map.codes) : null))),
  ]);
  return { pictures, wordCodes, mapCodes };
}

function fieldAt(codes: Uint8Array, start: number, grid: number, low: number, high: number, signed: boolean): Field {
  const values = new Float32Array(grid * grid);
  for (let i = 0; i < values.length; i++) values[i] = low + ((codes[start + i] ?? 0) / LEVELS) * (high - low);
  return { values, grid, low, high, signed };
}

export function wordField(
  data: ViewerData,
  unpacked: Unpacked,
  word: Word,
  layer: number,
  frame: number,
): Field | null {
  const maps = data.wordMaps;
  if (!maps || !unpacked.wordCodes || word.map === null) return null;
  const [, layers, frames, grid] = maps.shape;
  const start = ((word.map * layers + layer) * frames + frame) * grid * grid;
  const low = maps.low[word.map]?.[layer] ?? 0;
  const high = maps.high[word.map]?.[layer] ?? 0;
  return fieldAt(unpacked.wordCodes, start, grid, low, high, false);
}

export function findingField(data: ViewerData, unpacked: Unpacked, map: FindingMap, frame: number): Field | null {
  const codes = unpacked.mapCodes[data.maps.indexOf(map)];
  if (!codes || !map.shape || map.withheld) return null;
  const grid = map.shape[1];
  return fieldAt(codes, frame * grid * grid, grid, map.low, map.high, map.signed);
}

// The strongest value of a map on each frame, 0 to 1 of the strongest of all: where in a volume to look.
export function profile(fields: (Field | null)[]): number[] {
  const peaks = fields.map((field) => (field ? field.values.reduce((most, value) => Math.max(most, value), 0) : 0));
  const top = Math.max(...peaks);
  return peaks.map((peak) => (top > 0 ? peak / top : 0));
}

export interface Hit {
  word: number;
  value: number;
}

// The words whose map has weight on one cell, heaviest first.
export function wordsAt(
  data: ViewerData,
  unpacked: Unpacked,
  layer: number,
  frame: number,
  row: number,
  col: number,
): Hit[] {
  const maps = data.wordMaps;
  const codes = unpacked.wordCodes;
  if (!maps || !codes) return [];
  const [, layers, frames, grid] = maps.shape;
  const hits: Hit[] = [];
  data.words.forEach((word, index) => {
    if (word.map === null) return;
    const at = ((word.map * layers + layer) * frames + frame) * grid * grid + row * grid + col;
    const low = maps.low[word.map]?.[layer] ?? 0;
    const high = maps.high[word.map]?.[layer] ?? 0;
    const value = low + ((codes[at] ?? 0) / LEVELS) * (high - low);
    if (value > 0) hits.push({ word: index, value });
  });
  return hits.sort((a, b) => b.value - a.value);
}
