import { describe, expect, it } from "vitest";
import { cellBox, cellOf, inFilm, smooth, squareOf } from "./geometry";
import { alphaOf, paletteOf, toUnit } from "./colour";
import { range } from "./Findings";
import { pieces } from "./Report";
import type { Word } from "./data";

const FILMS = [
  { rows: 240, cols: 320 },
  { rows: 321, cols: 240 },
  { rows: 300, cols: 300 },
];

describe("geometry", () => {
  it("centres the film on its square, whole pixels first", () => {
    expect(squareOf({ rows: 240, cols: 321 })).toEqual({ x: -0, y: -40, edge: 321 });
    expect(squareOf({ rows: 321, cols: 240 })).toEqual({ x: -40, y: -0, edge: 321 });
  });

  it("finds every cell again from its own middle", () => {
    for (const film of FILMS)
      for (let row = 0; row < 16; row++)
        for (let col = 0; col < 16; col++) {
          const [x0, y0, x1, y1] = cellBox(film, 16, row, col);
          expect(cellOf(film, 16, (x0 + x1) / 2, (y0 + y1) / 2)).toEqual([row, col]);
        }
  });

  it("clips places outside the square and knows the film's edge", () => {
    expect(cellOf(FILMS[0]!, 16, -500, 900)).toEqual([15, 0]);
    expect(inFilm(FILMS[0]!, 319.9, 0)).toBe(true);
    expect(inFilm(FILMS[0]!, 320, 0)).toBe(false);
  });

  it("interpolates between cell centres without leaving the range", () => {
    const values = [0, 1, 2, 3];
    const out = smooth(values, 2, 8);
    expect(Math.min(...out)).toBe(0);
    expect(Math.max(...out)).toBe(3);
    expect(out[0]).toBe(0); // flat outside the centres
    expect([...smooth(values, 2, 2)]).toEqual(values);
  });
});

describe("colour", () => {
  it("is transparent at nothing, for signed and unsigned maps", () => {
    expect(alphaOf(0, false)).toBe(0);
    expect(alphaOf(0.5, true)).toBe(0);
    expect(alphaOf(1, false)).toBe(1);
    expect(alphaOf(0, true)).toBe(1);
    expect(toUnit(5, { low: 0, high: 0 })).toBe(0);
  });

  it("never shares a palette between what was attended and what was relied on", () => {
    expect(paletteOf("attended", false)).not.toBe(paletteOf("relied_on", false));
  });
});

describe("interval", () => {
  it("is never rounded to certainty", () => {
    expect(range([0.78, 0.9998])).toBe("78–99.9 %");
    expect(range([0.0002, 0.4])).toBe("0.1–40 %");
    expect(range([0, 1])).toBe("0–100 %");
  });
});

describe("pieces", () => {
  const word = (text: string, start: number, end: number): Word => ({
    text,
    start,
    end,
    part: "answer",
    p: null,
    entropy: null,
    alternatives: [],
    reliance: null,
    map: null,
    kind: null,
    mark: null,
    place: "",
  });

  it("puts the text together again, gaps, overlaps and wide characters included", () => {
    const text = "𠮷，右侧 effusion.";
    const words = [word("右", 2, 3), word("右侧", 2, 4), word("effusion", 5, 13)];
    const cut = pieces(text, words, "answer");
    expect(cut.map((piece) => piece.text).join("")).toBe(text);
    expect(cut.find((piece) => piece.index === 2)?.text).toBe("effusion");
  });
});
