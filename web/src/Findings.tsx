// One line a finding: polarity, hedge, samples with their interval, evidence word, grade of its map.

import { Fragment } from "preact";
import type { Finding, Language, ViewerData } from "./data";
import { GRADE, HEDGE, QUADRANT, type Strings } from "./strings";

interface Props {
  data: ViewerData;
  t: Strings;
  language: Language;
  chosen: string | null;
  onChoose(id: string): void;
}

export function Findings({ data, t, language, chosen, onChoose }: Props) {
  if (!data.findings.length) return <p class="empty">{t.noFindings}</p>;
  const absent = data.findings.some((finding) => finding.polarity === "absent");
  return (
    <>
      <table class="findings">
        <thead>
          <tr>
            <th scope="col">{t.finding}</th>
            <th scope="col" title={t.interval}>
              {t.samples} <small>95 %</small>
            </th>
            <th scope="col">{t.evidence}</th>
            <th scope="col">{t.map}</th>
          </tr>
        </thead>
        <tbody>
          {data.findings.map((finding) => (
            <Fragment key={finding.id}>
              <tr
                class={`${finding.polarity} ${chosen === finding.id ? "chosen" : ""}`}
                data-finding={finding.id}
                onClick={() => onChoose(finding.id)}
              >
                <td>
                  <button
                    type="button"
                    class="name"
                    aria-pressed={chosen === finding.id}
                    onClick={(event) => {
                      event.stopPropagation();
                      onChoose(finding.id);
                    }}
                  >
                    <span class={`polarity ${finding.polarity}`} title={t[finding.polarity]} aria-hidden="true" />
                    <span>
                      <span class="visually-hidden">{t[finding.polarity]}: </span>
                      {sentence(finding.text[language])} <small>{hedge(finding, t, language)}</small>
                    </span>
                  </button>
                </td>
                <td>
                  <Agreement finding={finding} t={t} />
                </td>
                <td>
                  {finding.quadrant ? (
                    <span class={`tag q-${finding.quadrant.replaceAll(" ", "-")}`} title={QUADRANT[language][finding.quadrant].means}>
                      {QUADRANT[language][finding.quadrant].name}
                    </span>
                  ) : (
                    <span class="muted">–</span>
                  )}
                </td>
                <td>
                  {finding.grade && finding.polarity !== "absent" ? (
                    <span class={`grade g-${finding.grade.replaceAll(" ", "-")}`} title={GRADE[language][finding.grade].means}>
                      {GRADE[language][finding.grade].name}
                    </span>
                  ) : (
                    <span class="muted">–</span>
                  )}
                </td>
              </tr>
              {chosen === finding.id && (
                <tr class="details">
                  <td colSpan={4}>
                    <Details finding={finding} t={t} language={language} />
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
      <p class="note">
        <span class="uncalibrated">{data.confidenceNote?.[language] ?? t.uncalibrated}</span>
        {absent && <> {t.negatives}</>}
      </p>
    </>
  );
}

// Never rounded up to certainty: an interval that ends at 0.998 reads 99.8 %, not 100 %.
export function range([low, high]: [number, number]): string {
  const text = (share: number) => {
    const percent = share * 100;
    if (share > 0 && percent < 1) return Math.max(0.1, percent).toFixed(1);
    if (share < 1 && percent > 99) return Math.min(99.9, percent).toFixed(1);
    return percent.toFixed(0);
  };
  return `${text(low)}–${text(high)} %`;
}

// A probability is never rounded to certainty.
export function certainty(probability: number): string {
  if (probability > 0.995) return ">0.99";
  return probability < 0.005 ? "<0.01" : probability.toFixed(2);
}

export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Polarity or hedge; name, side, zone and severity are in the finding's text.
function hedge(finding: Finding, t: Strings, language: Language): string {
  if (finding.polarity === "absent") return t.absent;
  return HEDGE[language][finding.certainty] ?? (finding.polarity === "uncertain" ? t.uncertain : "");
}

function Agreement({ finding, t }: { finding: Finding; t: Strings }) {
  const { counts, interval } = finding;
  if (!counts) return <span class="muted">{t.notSampled}</span>;
  const agreeing = counts[finding.polarity];
  const span = interval ? range(interval) : "";
  return (
    <span class="agreement" title={`${agreeing}/${counts.n} ${t.agree}${span && `; ${t.interval}: ${span}`}`}>
      <span class="count">
        {agreeing}/{counts.n}
      </span>
      {interval && (
        <svg viewBox="0 0 54 12" width="54" height="12" role="img" aria-label={`${t.interval} ${span}`}>
          <line x1="2" y1="6" x2="52" y2="6" class="track" />
          <line x1={2 + 50 * interval[0]} y1="6" x2={2 + 50 * interval[1]} y2="6" class="range" />
          <circle cx={2 + (50 * agreeing) / Math.max(1, counts.n)} cy="6" r="3.2" class="point" />
        </svg>
      )}
      {finding.probability !== null && (
        <small class="probability" title={t.calibratedProbability}>
          p {certainty(finding.probability)}
        </small>
      )}
    </span>
  );
}

function Details({ finding, t, language }: { finding: Finding; t: Strings; language: Language }) {
  const { counts, interval } = finding;
  const kinds = ["present", "uncertain", "absent", "silent"] as const;
  return (
    <div class="detail">
      {counts && (
        <>
          <div class="stack" role="img" aria-label={kinds.map((kind) => `${t[kind]} ${counts[kind]}`).join(", ")}>
            {kinds.map((kind) => counts[kind] > 0 && <span key={kind} class={kind} style={{ flexGrow: counts[kind] }} />)}
          </div>
          <p class="legend">
            {kinds.map((kind) => (
              <span key={kind} class={kind}>
                {t[kind]} <b>{counts[kind]}</b>
              </span>
            ))}
            {interval && (
              <span class="plain">
                {t.interval} <b>{range(interval)}</b>
              </span>
            )}
          </p>
        </>
      )}
      {finding.probability !== null && (
        <p>
          {t.calibratedProbability} <b>{certainty(finding.probability)}</b>
        </p>
      )}
      {finding.quadrant && (
        <p>
          <b>{QUADRANT[language][finding.quadrant].name}</b> {QUADRANT[language][finding.quadrant].means}
        </p>
      )}
      {finding.polarity === "absent" ? (
        <p>{t.noMapAbsent}</p>
      ) : (
        finding.grade && (
          <p>
            <b>{GRADE[language][finding.grade].name}</b> {GRADE[language][finding.grade].means}
          </p>
        )
      )}
    </div>
  );
}
