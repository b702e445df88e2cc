// The report as written, each word a key to its map; and the card that says how sure the model was of a word.

import { Fragment, type CSSProperties } from "preact";
import { useMemo } from "preact/hooks";
import type { Language, ViewerData, Word } from "./data";
import { MARK, MARKS, unitName, type Strings } from "./strings";

export type Marking = "findings" | "reliance" | "probability";

interface Props {
  data: ViewerData;
  t: Strings;
  part: "answer" | "thinking";
  cursor: number; // the word that holds the tab stop
  pinned: number | null;
  shown: number | null;
  evidence: [number, number] | null; // span of the chosen finding
  heat: Map<number, number>; // words that attended a place, 0 to 1
  lit: Set<number>; // words of the step of the decision chain that is looked at
  marking: Marking;
  onPoint(index: number | null): void;
  onFocus(index: number | null): void;
  onPin(index: number): void;
}

// Spans count Unicode code points, JavaScript strings count UTF-16 units.
interface Piece {
  text: string;
  index: number | null;
}

export function pieces(text: string, words: Word[], part: "answer" | "thinking"): Piece[] {
  const points = Array.from(text);
  const cut = (from: number, to: number) => points.slice(from, to).join("");
  const out: Piece[] = [];
  let at = 0;
  words
    .map((word, index) => ({ word, index }))
    .filter(({ word }) => word.part === part)
    .sort((a, b) => a.word.start - b.word.start)
    .forEach(({ word, index }) => {
      if (word.start > at) out.push({ text: cut(at, word.start), index: null });
      const start = Math.max(at, word.start);
      if (word.end > start) out.push({ text: cut(start, word.end), index });
      at = Math.max(at, word.end);
    });
  if (at < points.length) out.push({ text: cut(at, points.length), index: null });
  return out;
}

export function Report(props: Props) {
  const { data, part } = props;
  const text = part === "answer" ? data.report : data.thinking;
  const parts = useMemo(() => pieces(text, data.words, part), [data, part]);
  const strongest = useMemo(() => Math.max(1e-9, ...data.words.map((word) => word.reliance ?? 0)), [data]);
  const spans = useMemo(
    () => data.findings.filter((finding) => finding.end > finding.start).map((finding) => [finding.start, finding.end]),
    [data],
  );
  const inside = (word: Word, [start, end]: readonly [number, number]) => word.start < end && word.end > start;

  const mark = (word: Word): number => {
    if (props.marking === "reliance") return Math.max(0, word.reliance ?? 0) / strongest;
    if (props.marking === "probability") return word.p === null ? 0 : 1 - word.p;
    return part === "answer" && spans.some((span) => inside(word, span as [number, number])) ? 0.5 : 0;
  };
  return (
    <p class={`text ${part} by-${props.marking}`} role="group" aria-label={props.t.reportHelp}>
      {parts.map((piece, i) => {
        if (piece.index === null) return <Fragment key={i}>{piece.text}</Fragment>;
        const index = piece.index;
        const word = data.words[index]!;
        const heat = props.heat.get(index) ?? 0;
        const chosen = part === "answer" && props.evidence !== null && inside(word, props.evidence);
        const classes = ["word"];
        if (props.shown === index) classes.push("shown");
        if (props.pinned === index) classes.push("pinned");
        if (chosen) classes.push("evidence");
        if (heat > 0) classes.push("hot");
        if (props.lit.has(index)) classes.push("lit");
        if (word.mark) classes.push(`mark-${word.mark}`);
        const style: Record<string, string> = { "--mark": mark(word).toFixed(3), "--heat": heat.toFixed(3) };
        return (
          <span
            key={i}
            class={classes.join(" ")}
            style={style as CSSProperties}
            role="button"
            data-word={index}
            tabIndex={props.cursor === index ? 0 : -1}
            aria-pressed={props.pinned === index}
            onPointerEnter={(event) => event.pointerType === "mouse" && props.onPoint(index)}
            onPointerLeave={(event) => event.pointerType === "mouse" && props.onPoint(null)}
            onFocus={() => props.onFocus(index)}
            onBlur={() => props.onFocus(null)}
            onClick={(event) => {
              if (props.pinned === index) event.currentTarget.blur();
              props.onPin(index);
            }}
          >
            {piece.text}
          </span>
        );
      })}
    </p>
  );
}

// What the lines under the words mean; only marks that the report has.
export function MarkLegend({ data, t, language }: { data: ViewerData; t: Strings; language: Language }) {
  const used = MARKS.filter((mark) => data.words.some((word) => word.mark === mark));
  if (!used.length) return null;
  return (
    <ul class="mark-legend" aria-label={t.marks}>
      {used.map((mark) => (
        <li key={mark} title={MARK[language][mark].means}>
          <span class={`sample mark-${mark}`} aria-hidden="true" /> {MARK[language][mark].name}
        </li>
      ))}
    </ul>
  );
}

export function percent(value: number | null): string {
  if (value === null) return "–";
  if (value > 0.9995) return ">0.999";
  if (value > 0 && value < 0.001) return "<0.001";
  return value.toFixed(value < 0.1 ? 3 : 2);
}

export function WordCard({ word, t, language }: { word: Word | null; t: Strings; language: Language }) {
  if (!word) return <p class="empty">{t.pointWord}</p>;
  return (
    <div class="word-card">
      <strong class="title">{word.text.trim()}</strong>
      <dl>
        <div>
          <dt>{t.probability}</dt>
          <dd>{percent(word.p)}</dd>
        </div>
        <div>
          <dt>{t.entropy}</dt>
          <dd>{word.entropy === null ? "–" : `${word.entropy.toFixed(2)} ${unitName("nats", language)}`}</dd>
        </div>
        <div title={t.relianceTip}>
          <dt>{t.reliance}</dt>
          <dd>{word.reliance === null ? "–" : `${word.reliance.toFixed(2)} ${unitName("nats", language)}`}</dd>
        </div>
      </dl>
      {(word.mark || word.place) && (
        <p class="standing">
          {word.kind && <span class="muted">{word.kind[language]}</span>}
          {word.mark && (
            <span class={`mark-word m-${word.mark}`} title={MARK[language][word.mark].means}>
              {MARK[language][word.mark].name}
            </span>
          )}
          {word.place && (
            <span class="muted">
              {t.attendedPlace}: {word.place}
            </span>
          )}
        </p>
      )}
      {word.alternatives.length > 0 && (
        <p class="alternatives">
          <span class="muted">{t.alternatives}</span>
          {word.alternatives.slice(0, 5).map(([text, p]) => (
            <span class="alternative" key={text}>
              {text.trim() || "␣"} <small>{percent(p)}</small>
            </span>
          ))}
        </p>
      )}
    </div>
  );
}
