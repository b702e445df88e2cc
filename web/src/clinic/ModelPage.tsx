// The model card, intended use and limits, as the server has them.

import { useEffect, useState } from "preact/hooks";
import { get, message } from "./api";
import { Dialog } from "./Dialog";
import { Prose } from "./Prose";
import { useVoice } from "./words";
import type { Say } from "./words_en";

// What a reader must know stands first; how it was made, after it.
const ORDER = [
  "intended_use",
  "not_for",
  "limits",
  "paused",
  "name",
  "mode",
  "legal_basis",
  "level",
  "weights_hash",
  "card",
  "measured",
  "versions",
  "provenance",
];

function titles(t: Say): Record<string, string> {
  return {
    intended_use: t.intendedUse,
    not_for: t.notFor,
    limits: t.limits,
    paused: t.paused,
    name: t.model,
    mode: t.mode,
    legal_basis: t.legalBasis,
    level: t.level,
    weights_hash: t.weights,
    measured: t.measured,
    versions: t.versions,
    provenance: t.provenance,
    model: t.model,
    weights: t.weights,
    run: t.draft,
  };
}

export function ModelPage({ onClose }: { onClose(): void }) {
  const { language, t } = useVoice();
  const [card, setCard] = useState<Record<string, unknown> | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    get<Record<string, unknown>>("/model").then(setCard, (error) => setFault(message(error, language, t.unreachable)));
  }, []);
  return (
    <Dialog title={t.modelTitle} wide onClose={onClose}>
      <div class="model-card" tabIndex={0} role="region" aria-label={t.modelTitle}>
        <p class="device-line">
          <strong>{t.notDevice}.</strong> {t.unverified}.
        </p>
        {fault && <p class="fault">{fault}</p>}
        {!card && !fault && <p>{t.loading}</p>}
        {card && ORDER.filter((name) => name in card).map((name) => <Entry key={name} name={name} value={card[name]} />)}
      </div>
    </Dialog>
  );
}

// A pair of languages shows the page's; text with line breaks is prose; the rest is a name and a value.
export function Entry({ name, value }: { name: string; value: unknown }) {
  const { language, t } = useVoice();
  const title = titles(t)[name] ?? name.replaceAll("_", " ");
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "object" && !Array.isArray(value)) {
    const pair = value as Record<string, unknown>;
    if ("en" in pair && "zh" in pair) return <Entry name={name} value={pair[language]} />;
    return (
      <section>
        <h3>{title}</h3>
        {Object.entries(pair).map(([each, inner]) => (
          <Entry key={each} name={each} value={inner} />
        ))}
      </section>
    );
  }
  if (Array.isArray(value)) {
    return (
      <section>
        <h3>{title}</h3>
        <ul>
          {value.map((each, i) => (
            <li key={i}>{told(each, language)}</li>
          ))}
        </ul>
      </section>
    );
  }
  const text = String(value);
  if (text.includes("\n")) return <Prose text={text} />;
  return (
    <p class="fact">
      <span class="muted">{title}</span> <span>{text}</span>
    </p>
  );
}

function told(value: unknown, language: "en" | "zh"): string {
  if (value && typeof value === "object") {
    const pair = value as Record<string, unknown>;
    if (language in pair) return String(pair[language]);
    return Object.entries(pair)
      .map(([name, each]) => `${name}: ${String(each)}`)
      .join(", ");
  }
  return String(value);
}
