// One film on the page: the canvas view, its keys for moving, and what is drawn on it.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Frame } from "../data";
import { FilmView, type Hand, type Overlay, type Sketch, type Tool } from "../film";
import type { DeepFilm } from "./deep";
import type { FrameFacts } from "./model";

export interface Shown {
  zoom: number;
  width: number;
  centre: number;
  inverted: boolean;
}

interface Props {
  label: string;
  caption: string | null;
  film: DeepFilm | null;
  facts: FrameFacts;
  confirmed: boolean; // the side was confirmed by a person
  patientRight: "left" | "right" | null;
  overlay: Overlay | null;
  tool: Tool;
  hand: Hand | null;
  sketch: Sketch | null;
  viewRef: { current: FilmView | null };
  waiting: string;
  onShown(shown: Shown): void;
  onArrow(dx: number, dy: number, shift: boolean): boolean; // true: taken
}

const READOUT = 100; // ms
const NOTHING: Overlay = { field: null, claim: "relied_on", opacity: 0, raw: false, contours: [], boxes: [], cell: null };
const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export function Pane(props: Props) {
  const { film, facts, overlay, hand, sketch, tool, viewRef } = props;
  const host = useRef<HTMLDivElement>(null);
  const told = useRef(props.onShown);
  told.current = props.onShown;
  const teller = useRef<{ timer: number; latest: Shown | null }>({ timer: 0, latest: null });

  useLayoutEffect(() => {
    const view = new FilmView(host.current!, {
      onPlace: () => undefined,
      // The read-out follows at ten a second: a drag must not wait for the page around it.
      onView: ({ zoom, window: now, inverted }) => {
        teller.current.latest = { zoom, width: now.width, centre: now.centre, inverted };
        teller.current.timer ||= window.setTimeout(() => {
          teller.current.timer = 0;
          if (teller.current.latest) told.current(teller.current.latest);
        }, READOUT);
      },
    });
    viewRef.current = view;
    return () => {
      clearTimeout(teller.current.timer);
      viewRef.current = null;
      view.destroy();
    };
  }, []);
  useLayoutEffect(() => {
    if (film) viewRef.current?.setFrame(frameOf(facts, props.confirmed, props.patientRight), film);
  }, [film, facts, props.confirmed, props.patientRight]);
  useLayoutEffect(() => viewRef.current?.setOverlay(overlay ?? NOTHING), [overlay]);
  useLayoutEffect(() => viewRef.current?.setSketch(sketch), [sketch]);
  useLayoutEffect(() => {
    if (!viewRef.current) return;
    viewRef.current.tool = tool;
    viewRef.current.hand = hand;
  }, [tool, hand]);

  const onKeyDown = (event: KeyboardEvent) => {
    const step = ARROWS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const [dx, dy] = step;
    if (!props.onArrow(dx, dy, event.shiftKey)) {
      if (!viewRef.current?.zoomed) return;
      viewRef.current.panBy(-dx * 60, -dy * 60);
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="pane">
      <div
        ref={host}
        class={`viewport ${hand ? "draws" : tool}`}
        tabIndex={0}
        role="application"
        aria-label={props.label}
        onKeyDown={onKeyDown}
      />
      {props.caption && <span class="pane-caption">{props.caption}</span>}
      {!film && <span class="pane-waiting">{props.waiting}</span>}
    </div>
  );
}

function frameOf(facts: FrameFacts, confirmed: boolean, patientRight: "left" | "right" | null): Frame {
  return {
    label: facts.label,
    png: "",
    rows: facts.rows,
    cols: facts.cols,
    modelSize: 0,
    grid: 0,
    patientRight: confirmed ? patientRight : facts.patient_right,
    sideSource: confirmed && facts.side_source === "assumed" ? "array" : facts.side_source,
    spacing: facts.spacing,
  };
}
