// The film and its tools. Bare at first; the map only while asked for; beside it the bare film or the prior one.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Claim } from "../data";
import { Icon, type IconName } from "../Icon";
import type { FilmView, Overlay, Tool } from "../film";
import { typing } from "./App";
import { type DeepFilm, loadFilm } from "./deep";
import { loadMap, outline, type MapField } from "./maps";
import type { BoxOn, CaseView, Finding } from "./model";
import { Pane, type Shown } from "./Pane";
import { handFor, lengthOf, nudge, ordered, placed, ratioOf, sketchOf, type Shape, type ShapeKind } from "./shapes";
import { fill, useVoice, when } from "./words";
import { usePageKeys } from "../pagekeys";

interface Props {
  view: CaseView;
  finding: Finding | null;
  mapKey: string | null; // whose map is asked for; null: none to show
  claim: Claim;
  box: BoxOn | null; // the reader's, of the chosen finding
  drawing: boolean; // the box is being drawn
  mayConfirm: boolean;
  onBox(box: BoxOn | null, done: boolean): void;
  onSide(side: "left" | "right"): void;
}

type Mode = "off" | "outline" | "colour";
type Beside = "none" | "bare" | "prior";

export function Viewer(props: Props) {
  const { view, finding, mapKey, claim, box, drawing } = props;
  const { t } = useVoice();
  const [films, setFilms] = useState<Record<string, DeepFilm>>({});
  const [failed, setFailed] = useState(false);
  const [index, setIndex] = useState(0);
  const [tool, setTool] = useState<Tool>("window");
  const [mode, setMode] = useState<Mode>("off");
  const [style, setStyle] = useState<"outline" | "colour">("outline");
  const [held, setHeld] = useState(false);
  const [opacity, setOpacity] = useState(0.6);
  const [raw, setRaw] = useState(false);
  const [beside, setBeside] = useState<Beside>("none");
  const [maps, setMaps] = useState<Record<string, MapField | null>>({});
  const [shapes, setShapes] = useState<Shape[]>([]);
  const [measuring, setMeasuring] = useState<ShapeKind | null>(null);
  const [shown, setShown] = useState<Shown>({ zoom: 1, width: 0, centre: 0, inverted: false });
  const main = useRef<FilmView | null>(null);
  const other = useRef<FilmView | null>(null);
  const frame = view.frames[index] ?? view.frames[0]!;
  const confirmed = view.side.confirmed_by !== null;
  const prior = view.prior;

  const want = (caseId: string, number: number) => {
    const name = `${caseId} ${number}`;
    if (films[name]) return;
    loadFilm(caseId, number).then(
      (film) => setFilms((now) => ({ ...now, [name]: film })),
      () => setFailed(true),
    );
  };
  useEffect(() => want(view.id, index), [view.id, index]);
  useEffect(() => {
    if (beside === "prior" && prior) want(prior.case_id, 0);
  }, [beside]);
  const film = films[`${view.id} ${index}`] ?? null;
  const priorFilm = prior ? (films[`${prior.case_id} 0`] ?? null) : null;

  // A finding opens on the frame that its region lies on.
  useEffect(() => {
    const place = finding?.boxes[0]?.frame;
    if (place !== undefined && place < view.frames.length) setIndex(place);
  }, [finding?.id]);
  useEffect(() => {
    if (!mapKey || mapKey in maps) return;
    loadMap(view.id, mapKey).then(
      (map) => setMaps((now) => ({ ...now, [mapKey]: map })),
      () => setMaps((now) => ({ ...now, [mapKey]: null })),
    );
  }, [mapKey]);

  const map = mapKey ? (maps[mapKey] ?? null) : null;
  const field = map ? (map.fields[map.frames.indexOf(index)] ?? null) : null;
  const boxes = claim === "relied_on" && finding ? finding.boxes.filter((each) => each.frame === index) : [];
  const hasMap = field !== null || boxes.length > 0;
  const visible: Mode = held && mode === "off" ? style : mode;
  const overlay: Overlay | null = useMemo(() => {
    if (visible === "off" || !hasMap) return null;
    return {
      field: visible === "colour" ? field : null,
      claim,
      opacity,
      raw,
      contours: field ? outline(field, frame, index) : [],
      boxes: boxes.map((each) => ({ ...each, origin: "relied_on" as const })),
      cell: null,
    };
  }, [visible, field, claim, opacity, raw, index, finding?.id, frame]);

  // Drawing: the reader's box goes before measuring.
  const boxShape: Shape | null = box ? { kind: "box", ...box } : null;
  const active: ShapeKind | null = drawing ? "box" : measuring;
  const current = (kind: ShapeKind) =>
    kind === "box" ? boxShape : (shapes.find((each) => each.kind === kind && each.frame === index) ?? null);
  const put = (shape: Shape, done: boolean) => {
    if (shape.kind === "box") {
      const { frame: on, x0, y0, x1, y1 } = done ? ordered(shape) : shape;
      props.onBox({ frame: on, x0, y0, x1, y1 }, done);
      return;
    }
    setShapes((now) => [...now.filter((each) => each.kind !== shape.kind), shape]);
    if (done && shape.kind === "heart" && !shapes.some((each) => each.kind === "thorax")) setMeasuring("thorax");
  };
  const live = useRef({ current, put });
  live.current = { current, put };
  const hand = useMemo(
    () => (active ? handFor(active, index, frame, () => live.current.current(active), (shape, done) => live.current.put(shape, done)) : null),
    [active, index, frame],
  );
  const ratio = ratioOf(shapes.filter((each) => each.frame === index));
  const label = (shape: Shape) => {
    if (shape.kind === "box") return t.yourBox;
    const length = lengthOf(shape, frame, t.atDetector);
    if (shape.kind === "ruler") return length;
    const name = shape.kind === "heart" ? t.heart : t.thorax;
    const share = shape.kind === "thorax" && ratio !== null ? `  ${t.ratioShort} ${ratio.toFixed(2)}` : "";
    return `${name} ${length}${share}`;
  };
  const sketch = useMemo(() => {
    const all = [...shapes.filter((each) => each.frame === index), ...(boxShape && boxShape.frame === index ? [boxShape] : [])];
    return all.length ? sketchOf(all, label) : null;
  }, [shapes, box, index, frame, t]);
  const onArrow = (dx: number, dy: number, shift: boolean) => {
    const shape = active && current(active);
    if (!shape) return false;
    const step = Math.max(1, Math.round(Math.max(frame.cols, frame.rows) / 200));
    put(nudge(shape, dx * step, dy * step, shift, frame), false);
    return true;
  };
  const measure = (kind: "ruler" | "heart") => {
    const on = measuring === kind || (kind === "heart" && measuring === "thorax");
    setMeasuring(on ? null : kind);
    if (on) return;
    const start = kind === "heart" ? (["heart", "thorax"] as const) : (["ruler"] as const);
    const missing = start.filter((each) => !shapes.some((shape) => shape.kind === each && shape.frame === index));
    setShapes((now) => [...now.filter((each) => !missing.includes(each.kind as never)), ...missing.map((each) => placed(each, index, frame))]);
  };

  const show = (next: Mode) => {
    setMode(next);
    if (next !== "off") setStyle(next);
  };
  const step = (by: number) => setIndex((now) => Math.min(view.frames.length - 1, Math.max(0, now + by)));
  const both = (act: (film: FilmView) => void) => [main.current, other.current].forEach((each) => each && act(each));
  const keys: Record<string, () => void> = {
    v: () => setHeld(true),
    o: () => show(mode === "off" ? style : "off"),
    c: () => {
      const next = style === "outline" ? "colour" : "outline";
      setStyle(next);
      if (mode !== "off") setMode(next);
    },
    g: () => setRaw((now) => !now),
    i: () => both((each) => each.invert()),
    r: () => both((each) => each.reset()),
    "+": () => both((each) => each.zoomBy(1.4)),
    "=": () => both((each) => each.zoomBy(1.4)),
    "-": () => both((each) => each.zoomBy(1 / 1.4)),
    "0": () => both((each) => each.fit()),
    "1": () => setTool("window"),
    "2": () => setTool("pan"),
    m: () => measure("ruler"),
    u: () => measure("heart"),
    "\\": () => setBeside((now) => (now === "bare" ? "none" : "bare")),
    p: () => prior && setBeside((now) => (now === "prior" ? "none" : "prior")),
    ",": () => step(-1),
    ".": () => step(1),
    x: () => props.mayConfirm && !confirmed && props.onSide(frame.patient_right ?? "left"),
  };
  usePageKeys(
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act || event.repeat) return;
      act();
      event.preventDefault();
    },
    () => setHeld(false),
  );

  const button = (name: string, icon: IconName, key: string, pressed?: boolean) => (
    <button type="button" class="icon" title={`${name} (${key})`} aria-label={name} aria-pressed={pressed} onClick={() => keys[key.toLowerCase()]?.()}>
      <Icon name={icon} />
    </button>
  );
  const worded = (name: string, key: string, pressed: boolean, act: () => void, disabled = false) => (
    <button type="button" class="worded" aria-pressed={pressed} disabled={disabled} onClick={act} title={`${name} (${key})`}>
      {name}
    </button>
  );
  const assumed = frame.patient_right !== null && frame.side_source === "assumed" && !confirmed;
  const pane = { facts: frame, confirmed, patientRight: view.side.patient_right, tool, waiting: failed ? t.filmFailed : t.loading };
  return (
    <section class="film-panel" aria-label={t.film}>
      <div class="toolbar" role="toolbar" aria-label={t.film}>
        <div class="group">
          {button(t.window, "window", "1", tool === "window")}
          {button(t.pan, "pan", "2", tool === "pan")}
        </div>
        <div class="group">
          {button(t.zoomOut, "minus", "-")}
          {button(t.zoomIn, "plus", "+")}
          {button(t.fit, "fit", "0")}
          {button(t.invert, "invert", "I", shown.inverted)}
          {button(t.reset, "reset", "R")}
        </div>
        <div class="group">
          {worded(t.ruler, "M", measuring === "ruler", () => measure("ruler"))}
          {worded(t.ratioShort, "U", measuring === "heart" || measuring === "thorax", () => measure("heart"))}
          {shapes.length > 0 &&
            worded("✕", t.clearShapes, false, () => {
              setShapes([]);
              setMeasuring(null);
            })}
        </div>
        <div class="group">
          {worded(t.compare, "\\", beside === "bare", () => keys["\\"]!())}
          {prior && worded(t.prior, "P", beside === "prior", () => keys.p!())}
        </div>
        <span class="spacer" />
        <span class="readout">
          <span>{Math.round(shown.zoom * 100)} %</span>
          <span>W {Math.round(shown.width)}</span>
          <span>L {Math.round(shown.centre)}</span>
        </span>
      </div>
      {(assumed || confirmed || frame.side_source === "none") && (
        <div class={`side-line ${assumed ? "doubt" : ""}`}>
          {assumed && (
            <>
              <span>{t.sideAssumed}</span>
              {props.mayConfirm && (
                <>
                  <button type="button" onClick={() => props.onSide("left")}>
                    {t.sideConfirm} {frame.patient_right === "left" && <kbd>X</kbd>}
                  </button>
                  <button type="button" class="plain" onClick={() => props.onSide("right")}>
                    {t.sideConfirmRight} {frame.patient_right === "right" && <kbd>X</kbd>}
                  </button>
                </>
              )}
            </>
          )}
          {confirmed && <span>{fill(t.sideConfirmed, { who: view.side.confirmed_by ?? "" })}</span>}
          {frame.side_source === "none" && !confirmed && <span>{t.sideNone}</span>}
        </div>
      )}
      <div class={`panes ${beside === "none" ? "" : "two"}`}>
        <Pane
          {...pane}
          label={`${frame.label}. ${t.filmHelp}`}
          caption={beside === "none" ? null : frame.label}
          film={film}
          overlay={overlay}
          hand={hand}
          sketch={sketch}
          viewRef={main}
          onShown={(now) => setShown((before) => (JSON.stringify(before) === JSON.stringify(now) ? before : now))}
          onArrow={onArrow}
        />
        {beside === "bare" && (
          <Pane
            {...pane}
            label={t.bareFilm}
            caption={t.bareFilm}
            film={film}
            overlay={null}
            hand={null}
            sketch={null}
            viewRef={other}
            onShown={() => undefined}
            onArrow={() => false}
          />
        )}
        {beside === "prior" && prior && (
          <Pane
            {...pane}
            facts={priorFilm ? { ...frame, ...priorFilm.sides, rows: priorFilm.height, cols: priorFilm.width } : frame}
            confirmed={false}
            label={t.prior}
            caption={`${t.priorOf} ${when(prior.at)}`}
            film={priorFilm}
            overlay={null}
            hand={null}
            sketch={null}
            viewRef={other}
            onShown={() => undefined}
            onArrow={() => false}
          />
        )}
      </div>
      {view.frames.length > 1 && (
        <label class="frames">
          <span>{t.frame}</span>
          <input
            type="range"
            min={0}
            max={view.frames.length - 1}
            value={index}
            aria-valuetext={frame.label}
            onInput={(event) => setIndex(Number(event.currentTarget.value))}
          />
          <output>
            {frame.label} · {index + 1}/{view.frames.length}
          </output>
        </label>
      )}
      <div class="map-bar">
        <span class={`claim ${claim}`}>{mapKey ? t[claim] : t.bareFilm}</span>
        <div class="segmented" role="group" aria-label={t.overlay}>
          {(["off", "outline", "colour"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={mode === each} disabled={!hasMap} onClick={() => show(each)}>
              {each === "off" ? t.off : each === "outline" ? t.contour : t.colour}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="hold"
          disabled={!hasMap}
          aria-pressed={held}
          onPointerDown={() => setHeld(true)}
          onPointerUp={() => setHeld(false)}
          onPointerLeave={() => setHeld(false)}
          onPointerCancel={() => setHeld(false)}
        >
          {t.holdOverlay} <kbd>V</kbd>
        </button>
        <label>
          <span>{t.opacity}</span>
          <input
            type="range"
            min={0.1}
            max={1}
            step={0.05}
            value={opacity}
            disabled={!hasMap}
            onInput={(event) => setOpacity(Number(event.currentTarget.value))}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={raw} disabled={!hasMap} onChange={() => setRaw(!raw)} /> {t.rawGrid}
        </label>
        <span class="map-note">
          {drawing
            ? t.boxHint
            : measuring
              ? measuring === "ruler"
                ? frame.spacing
                  ? ""
                  : t.pixelsOnly
                : t.ratioHint
              : overlay
                ? `${claim === "relied_on" ? `${t.boxNote} ` : ""}${t.outlineNote}`
                : finding && finding.polarity === "absent"
                  ? t.absentNoMap
                  : finding && finding.kind === "finding" && !mapKey
                    ? t.withheld
                    : ""}
        </span>
      </div>
    </section>
  );
}
