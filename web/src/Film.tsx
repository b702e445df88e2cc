// The film with its toolbar: a Preact frame around FilmView.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Frame } from "./data";
import { Icon, type IconName } from "./Icon";
import { FilmView, type Overlay, type Tool, type Window } from "./film";
import type { Strings } from "./strings";

interface Props {
  t: Strings;
  frame: Frame;
  picture: ImageBitmap | null;
  overlay: Overlay;
  badge: string | null;
  viewRef: { current: FilmView | null };
  hasOverlay: boolean;
  onPlace(column: number, row: number): void;
  onKey(event: KeyboardEvent): void;
  onHold(held: boolean): void;
}

export function Film(props: Props) {
  const { t, frame, picture, overlay } = props;
  const host = useRef<HTMLDivElement>(null);
  const [tool, setTool] = useState<Tool>("window");
  const [shown, setShown] = useState<{ zoom: number; window: Window; inverted: boolean }>({
    zoom: 1,
    window: { centre: 127.5, width: 255 },
    inverted: false,
  });
  const place = useRef(props.onPlace);
  place.current = props.onPlace;

  useLayoutEffect(() => {
    const view = new FilmView(host.current!, {
      onPlace: (column, row) => place.current(column, row),
      onView: (now) =>
        setShown((before) =>
          before.zoom === now.zoom && before.window === now.window && before.inverted === now.inverted ? before : now,
        ),
    });
    props.viewRef.current = view;
    return () => {
      props.viewRef.current = null;
      view.destroy();
    };
  }, []);

  const view = props.viewRef;
  useLayoutEffect(() => {
    if (view.current && picture) view.current.setFrame(frame, picture);
  }, [frame, picture]);
  useLayoutEffect(() => view.current?.setOverlay(overlay), [overlay]);
  useEffect(() => {
    if (view.current) view.current.tool = tool;
  }, [tool]);

  const button = (label: string, icon: IconName, act: () => void, pressed?: boolean) => (
    <button type="button" class="icon" title={label} aria-label={label} aria-pressed={pressed} onClick={act}>
      <Icon name={icon} />
    </button>
  );
  const assumed = frame.patientRight !== null && frame.sideSource === "assumed";
  return (
    <section class="film-panel" aria-label={t.film}>
      <div class="toolbar" role="toolbar" aria-label={t.film}>
        <div class="group">
          {button(`${t.window}: ${t.windowTip}`, "window", () => setTool("window"), tool === "window")}
          {button(`${t.pan}: ${t.panTip}`, "pan", () => setTool("pan"), tool === "pan")}
        </div>
        <div class="group">
          {button(`${t.zoomOut} (−)`, "minus", () => view.current?.zoomBy(1 / 1.4))}
          {button(`${t.zoomIn} (+)`, "plus", () => view.current?.zoomBy(1.4))}
          {button(`${t.fit} (0)`, "fit", () => view.current?.fit())}
        </div>
        <div class="group">
          {button(`${t.invert} (I)`, "invert", () => view.current?.invert(), shown.inverted)}
          {button(`${t.reset} (R)`, "reset", () => view.current?.reset())}
        </div>
        <span class="spacer" />
        {assumed && <span class="doubt">{t.sideAssumed}</span>}
        <span class="readout">
          <span>{Math.round(shown.zoom * 100)} %</span>
          <span>W {Math.round(shown.window.width)}</span>
          <span>L {Math.round(shown.window.centre)}</span>
        </span>
        <button
          type="button"
          class="hold"
          title={`${t.hold} (V)`}
          aria-label={t.hold}
          disabled={!props.hasOverlay}
          onPointerDown={() => props.onHold(true)}
          onPointerUp={() => props.onHold(false)}
          onPointerLeave={() => props.onHold(false)}
          onPointerCancel={() => props.onHold(false)}
        >
          <Icon name="eye" />
          <span>{t.hold}</span>
        </button>
      </div>
      <div
        ref={host}
        class={`viewport ${tool} ${shown.zoom > 1.001 ? "zoomed" : ""}`}
        tabIndex={0}
        role="application"
        aria-label={`${frame.label}. ${t.filmHelp}`}
        onKeyDown={props.onKey}
      >
        {props.badge && <div class="badge">{props.badge}</div>}
        {!picture && <div class="badge">{t.loading}</div>}
      </div>
    </section>
  );
}
