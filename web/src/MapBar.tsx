// Under the film: what the overlay says and how strong that claim is, its colour bar, and its controls.

import { useEffect, useRef } from "preact/hooks";
import type { Claim, Field, FindingMap, Language, Layer } from "./data";
import { Icon } from "./Icon";
import { paintBar, paletteOf } from "./colour";
import { CLAIM, CLAIMS, GRADE, methodName, unitName, type Strings } from "./strings";

export type OverlayMode = "off" | "outline" | "colour";

interface Props {
  t: Strings;
  language: Language;
  heading: { claim: Claim | null; subject: string; layer: string | null };
  caption: string;
  warning: boolean; // the caption stands in place of a withheld map
  boxNote: string | null;
  field: Field | null;
  units: string;
  mode: OverlayMode;
  canShow: boolean;
  hasOutline: boolean;
  onMode(mode: OverlayMode): void;
  opacity: number;
  onOpacity(value: number): void;
  raw: boolean;
  onRaw(): void;
  grid: number;
  layers: Layer[];
  layer: number;
  onLayer(index: number): void;
  methods: FindingMap[]; // of the chosen finding; empty where a word is shown
  method: string | null;
  onMethod(method: string): void;
}

export function MapBar(props: Props) {
  const { t, language, heading, field } = props;
  return (
    <section class="map-bar" aria-label={t.map}>
      <div class="said">
        <div class="statement">
          <p class="heading">
            {heading.claim && <span class={`claim c-${heading.claim}`}>{CLAIM[language][heading.claim].name}</span>}
            <span class="subject">{heading.subject}</span>
            {heading.layer && <span class="muted">{heading.layer}</span>}
          </p>
          <p class={`caption ${props.warning ? "withheld" : ""}`}>
            {props.caption}
            {props.boxNote && <span class="box-note"> {props.boxNote}</span>}
          </p>
        </div>
        <div class="choices">{props.methods.length > 0 ? <Methods {...props} /> : <Layers {...props} />}</div>
      </div>
      <div class="set">
        <ColourBar t={t} field={field} claim={heading.claim} units={props.units} language={language} />
        <div class="segmented" role="group" aria-label={t.overlay}>
          {(["off", "outline", "colour"] as const).map((mode) => (
            <button
              key={mode}
              type="button"
              aria-pressed={props.mode === mode}
              disabled={mode !== "off" && (!props.canShow || (mode === "outline" && !props.hasOutline))}
              onClick={() => props.onMode(mode)}
            >
              {t[mode]}
            </button>
          ))}
        </div>
        <div class="switches">
          <button type="button" class="toggle" aria-pressed={props.raw} title={t.gridTip} onClick={props.onRaw}>
            {t.grid} <small>{`${props.grid}×${props.grid}`}</small>
          </button>
          <label class="slider opacity" title={t.opacity}>
            <span class="visually-hidden">{t.opacity}</span>
            <Icon name="drop" />
            <input
              type="range"
              min="0.1"
              max="1"
              step="0.05"
              value={props.opacity}
              onInput={(event) => props.onOpacity(Number(event.currentTarget.value))}
            />
          </label>
        </div>
      </div>
    </section>
  );
}

export function layerName(layer: Layer | undefined, t: Strings): string {
  if (!layer || layer.index === null) return t.layerMean;
  return `${layer.index} · ${layer.type === "global" ? t.layerGlobal : t.layerSliding}`;
}

function Layers({ t, layers, layer, onLayer }: Props) {
  if (!layers.length) return <span class="muted">{t.outsideWords}</span>;
  const now = layers[layer];
  const tip = now?.type === "global" ? t.layerGlobalTip : now?.type === "sliding" ? t.layerSlidingTip : "";
  return (
    <label class="slider layers" title={tip}>
      <span>{t.layer}</span>
      <span class="rail">
        <input
          type="range"
          min="0"
          max={layers.length - 1}
          step="1"
          value={layer}
          aria-valuetext={layerName(now, t)}
          onInput={(event) => onLayer(Number(event.currentTarget.value))}
        />
        <span class="ticks" aria-hidden="true">
          {layers.map((stop, i) => (
            <i key={i} class={`${stop.type} ${i === layer ? "now" : ""}`} />
          ))}
        </span>
      </span>
      <output class="layer-name">{layerName(now, t)}</output>
    </label>
  );
}

function Methods({ t, language, methods, method, onMethod }: Props) {
  return (
    <div class="methods" role="group" aria-label={t.method}>
      {CLAIMS.filter((claim) => methods.some((map) => map.claim === claim)).map((claim) => (
        <div key={claim} class={`by-claim c-${claim}`} role="group" aria-label={CLAIM[language][claim].name}>
          <span class="claim-name" title={CLAIM[language][claim].means}>
            {CLAIM[language][claim].name}
          </span>
          {methods
            .filter((map) => map.claim === claim)
            .map((map) => (
              <button
                key={map.method}
                type="button"
                class={map.withheld ? "withheld" : ""}
                aria-pressed={map.method === method}
                title={`${CLAIM[language][claim].means} ${GRADE[language][map.grade].name}`}
                onClick={() => onMethod(map.method)}
              >
                {map.label?.[language] ?? methodName(map.method, language)}
              </button>
            ))}
        </div>
      ))}
    </div>
  );
}

export function number(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000 || size < 0.001) return value.toExponential(1).replace("e-", "e−");
  const text = size >= 100 ? value.toFixed(0) : value.toPrecision(2);
  return text.replace("-", "−");
}

function ColourBar(props: { t: Strings; field: Field | null; claim: Claim | null; units: string; language: Language }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { field, claim } = props;
  const signed = field?.signed ?? false;
  useEffect(() => {
    if (canvas.current && field) paintBar(canvas.current, paletteOf(claim ?? "attended", signed), signed);
  }, [field, claim, signed]);
  if (!field) return <div class="colour-bar empty" aria-hidden="true" />;
  return (
    <div class="colour-bar">
      <canvas ref={canvas} aria-hidden="true" />
      <span class="ends">
        <span>
          {number(field.low)} {signed && <small>{props.t.opposes}</small>}
        </span>
        {signed && <span class="zero">0</span>}
        <span>
          {signed && <small>{props.t.supports}</small>} {number(field.high)}{" "}
          <small>{unitName(props.units, props.language)}</small>
        </span>
      </span>
    </div>
  );
}
