import { describe, expect, it } from "vitest";
import { message, Problem } from "./api";
import { outline } from "./maps";
import type { FrameFacts } from "./model";
import { parse } from "./route";
import { lengthOf, nudge, ratioOf, type Shape } from "./shapes";
import { age, SAY } from "./words";

const FRAME: FrameFacts = {
  rows: 400,
  cols: 300,
  label: "PA",
  view: "PA",
  patient_right: "left",
  side_source: "orientation",
  spacing: null,
  spacing_kind: null,
};
const ruler: Shape = { kind: "ruler", frame: 0, x0: 10, y0: 10, x1: 40, y1: 50 };

describe("measuring", () => {
  it("gives millimetres only with a spacing, rows first", () => {
    expect(lengthOf(ruler, FRAME, "at detector")).toBe("50 px");
    expect(lengthOf(ruler, { ...FRAME, spacing: [0.2, 0.1], spacing_kind: "detector" }, "at detector")).toBe(
      `${Math.hypot(3, 8).toFixed(1)} mm at detector`,
    );
  });
  it("takes widths for the cardiothoracic ratio, whichever way they were drawn", () => {
    const heart: Shape = { kind: "heart", frame: 0, x0: 200, y0: 5, x1: 100, y1: 5 };
    const thorax: Shape = { kind: "thorax", frame: 0, x0: 30, y0: 9, x1: 280, y1: 9 };
    expect(ratioOf([heart])).toBeNull();
    expect(ratioOf([heart, thorax])).toBeCloseTo(0.4);
  });
  it("keeps a moved shape on the film and its size", () => {
    const moved = nudge(ruler, -100, 1000, false, FRAME);
    expect([moved.x0, moved.y1]).toEqual([0, 400]);
    expect([moved.x1 - moved.x0, moved.y1 - moved.y0]).toEqual([30, 40]);
  });
});

describe("outline", () => {
  it("runs around the cells at or above half of the peak", () => {
    const values = new Float32Array(16);
    values[5] = 1;
    values[6] = 0.5;
    values[9] = 0.49;
    const lines = outline({ values, grid: 4, low: 0, high: 1, signed: false }, { rows: 400, cols: 400 }, 0);
    expect(lines).toHaveLength(6); // two cells beside each other
    for (const { points } of lines) for (const [x, y] of points) expect([x % 100, y % 100]).toEqual([0, 0]);
  });
});

describe("words", () => {
  it("splits the server's pairs of languages", () => {
    const fault = new Problem(409, "Sign the case first. / 请先签名。");
    expect(message(fault, "en", "")).toBe("Sign the case first.");
    expect(message(fault, "zh", "")).toBe("请先签名。");
  });
  it("says an age as people do", () => {
    expect([age("045Y", "en"), age("006M", "zh"), age(null, "en")]).toEqual(["45 y", "6月", ""]);
  });
  it("has the attestation in the agreed words", () => {
    expect(SAY.en.attestation).toBe("I read the images myself; AI was an aid; this report is mine.");
    expect(SAY.zh.attestation).toBe("本人已亲自阅片，AI 草稿仅供参考，本报告由本人负责。");
  });
});

describe("addresses", () => {
  it("lead to a case by its id only", () => {
    expect(parse("#/case/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f").page).toBe("case");
    expect(parse("#/case/Zhang^San").page).toBe("list");
  });
});
