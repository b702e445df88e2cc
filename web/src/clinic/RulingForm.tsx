// What is stated instead of the AI's finding, or beside it.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Polarity, Stated, VocabularyCode } from "./model";
import { term, useVoice } from "./words";

export interface Statement extends Stated {
  note: string | null;
}

interface Props {
  start: Statement;
  codes: VocabularyCode[];
  submit: string;
  onSubmit(statement: Statement): void;
  onCancel(): void;
}

const SIDES = ["left", "right", "bilateral", "midline"];
const ZONES = ["upper", "middle", "lower", "hilar", "diffuse"];
const SEVERITIES = ["minimal", "mild", "moderate", "severe"];
const HEDGES = ["likely", "possible"];

export function RulingForm({ start, codes, submit, onSubmit, onCancel }: Props) {
  const { language, t } = useVoice();
  const [now, setNow] = useState<Statement>(start);
  const [size, setSize] = useState(start.size_mm.join(" × "));
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => form.current?.querySelector("select")?.focus(), []);
  const code = codes.find((each) => each.code === now.code);
  const there = now.polarity !== "absent";

  const pick = (name: "side" | "zone" | "severity", label: string, values: string[], has: boolean) =>
    has && (
      <label>
        <span>{label}</span>
        <select value={now[name] ?? ""} onChange={(event) => setNow({ ...now, [name]: event.currentTarget.value || null })}>
          <option value="">{t.unstated}</option>
          {values.map((value) => (
            <option key={value} value={value}>
              {term(value, t)}
            </option>
          ))}
        </select>
      </label>
    );
  const state = now.polarity === "uncertain" ? (now.certainty === "likely" ? "likely" : "possible") : (now.polarity ?? "present");
  const onState = (value: string) =>
    setNow({
      ...now,
      polarity: (HEDGES.includes(value) ? "uncertain" : value) as Polarity,
      certainty: HEDGES.includes(value) ? value : "definite",
    });
  return (
    <form
      ref={form}
      class="ruling"
      onSubmit={(event) => {
        event.preventDefault();
        const sizes = size.split(/[^0-9.]+/).filter(Boolean).map(Number);
        onSubmit({
          ...now,
          side: code?.sided ? now.side : null,
          zone: code?.zoned && there ? now.zone : null,
          severity: code?.graded && there ? now.severity : null,
          size_mm: code?.measured && there ? sizes : [],
        });
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          onCancel();
        }
        event.stopPropagation();
      }}
    >
      <label class="wide">
        <span>{t.code}</span>
        <select value={now.code ?? ""} required onChange={(event) => setNow({ ...now, code: event.currentTarget.value || null })}>
          <option value="">—</option>
          {codes.map((each) => (
            <option key={each.code} value={each.code}>
              {each[language]}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{t.polarity}</span>
        <select value={state} onChange={(event) => onState(event.currentTarget.value)}>
          {["present", ...HEDGES, "absent"].map((value) => (
            <option key={value} value={value}>
              {term(value, t)}
            </option>
          ))}
        </select>
      </label>
      {pick("side", t.side, SIDES, code?.sided ?? true)}
      {pick("zone", t.zone, ZONES, Boolean(code?.zoned) && there)}
      {pick("severity", t.severity, SEVERITIES, Boolean(code?.graded) && there)}
      {code?.measured && there && (
        <label>
          <span>{t.sizeMm}</span>
          <input value={size} inputMode="decimal" placeholder={t.sizeHint} onInput={(event) => setSize(event.currentTarget.value)} />
        </label>
      )}
      <label class="wide">
        <span>{t.note}</span>
        <input value={now.note ?? ""} maxLength={500} onInput={(event) => setNow({ ...now, note: event.currentTarget.value || null })} />
      </label>
      <div class="actions">
        <button type="button" class="plain" onClick={onCancel}>
          {t.cancel}
        </button>
        <button type="submit" class="primary" disabled={!now.code}>
          {submit}
        </button>
      </div>
    </form>
  );
}
