// What is no evidence: attended and sensitive maps, words, the chain, how the draft was made. And an incident's report.

import { useState } from "preact/hooks";
import type { Claim } from "../data";
import { methodName } from "../strings";
import { write } from "./api";
import type { CaseView, Finding, MapEntry } from "./model";
import { Entry } from "./ModelPage";
import { useVoice, when } from "./words";

interface Props {
  view: CaseView;
  finding: Finding | null;
  mapKey: string | null;
  onMap(key: string | null, claim: Claim): void;
}

export function Technical({ view, finding, mapKey, onMap }: Props) {
  const { language, t } = useVoice();
  const [page, setPage] = useState(false);
  const [incident, setIncident] = useState("");
  const [sent, setSent] = useState(false);
  const { run } = view;
  const pick = (entry: MapEntry) => onMap(mapKey === entry.key ? null : entry.key, entry.claim);
  return (
    <div class="technical">
      {view.warnings.length + (run?.warnings.length ?? 0) > 0 && (
        <section>
          <h2>{t.warnings}</h2>
          <ul class="plain-list">
            {[...new Map([...view.warnings, ...(run?.warnings ?? [])].map((each) => [each.en, each])).values()].map((notice) => (
              <li key={notice.en}>{notice[language]}</li>
            ))}
          </ul>
        </section>
      )}
      {run && (
        <>
          <p class="muted small">{t.technicalHint}</p>
          <section>
            <h2>{t.methods}</h2>
            {finding ? (
              <ul class="maps">
                {finding.maps.map((entry) => (
                  <li key={entry.key}>
                    <button type="button" aria-pressed={mapKey === entry.key} disabled={entry.withheld} onClick={() => pick(entry)}>
                      <span class={`claim ${entry.claim}`}>{t[entry.claim]}</span> {methodName(entry.method, language)}
                      <small>{entry.withheld ? t.notShown : entry.grade ? (entry.grade === "not shown" ? t.notShown : t[entry.grade as "weak"]) : ""}</small>
                    </button>
                  </li>
                ))}
              </ul>
            ) : (
              <p class="muted">{t.chooseFinding}</p>
            )}
          </section>
          {run.trace.length > 0 && (
            <section>
              <h2>{t.wordMaps}</h2>
              <p class="muted small">{t.wordMapsHint}</p>
              <p class="trace" lang={run.language === "zh" ? "zh-CN" : "en"}>
                {run.trace.map((word, i) => (
                  <button
                    key={i}
                    type="button"
                    disabled={!word.map}
                    aria-pressed={word.map !== null && mapKey === word.map}
                    title={word.reliance === null ? "" : `${t.reliance} ${word.reliance.toFixed(2)}`}
                    onClick={() => onMap(mapKey === word.map ? null : word.map, "attended")}
                  >
                    {word.text}
                  </button>
                ))}
              </p>
            </section>
          )}
          <section>
            <h2>{t.chain}</h2>
            <ol class="chain">
              {run.chain.map((step, i) => (
                <li key={i}>
                  {step[language]}
                  {step.evidence && <small> — {step.evidence[language]}</small>}
                </li>
              ))}
            </ol>
            <p class="muted small">{t.layersNote}</p>
          </section>
          <section>
            <h2>{t.fullReport}</h2>
            {page ? (
              <iframe title={t.fullReport} sandbox="allow-scripts" src={`/api/v1/cases/${view.id}/report.html`} />
            ) : (
              <button type="button" onClick={() => setPage(true)}>
                {t.show}
              </button>
            )}
          </section>
          <details>
            <summary>{t.provenance}</summary>
            <div class="provenance">
              <Entry name="run" value={`${run.number} · ${when(run.created_at)}`} />
              <Entry name="model" value={run.model} />
              <Entry name="weights" value={run.weights_hash} />
              {Object.entries(run.provenance).map(([name, value]) => (
                <Entry key={name} name={name} value={value} />
              ))}
            </div>
          </details>
        </>
      )}
      <section>
        <h2>{t.incident}</h2>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            write("POST", `/cases/${view.id}/incident`, { text: incident }).then(
              () => {
                setSent(true);
                setIncident("");
              },
              () => setSent(false),
            );
          }}
        >
          <label>
            <span class="muted small">{t.incidentHint}</span>
            <textarea rows={2} required maxLength={5000} value={incident} onInput={(event) => setIncident(event.currentTarget.value)} />
          </label>
          <div class="actions">
            {sent && <span class="good">{t.incidentSent}</span>}
            <button type="submit">{t.send}</button>
          </div>
        </form>
      </section>
    </div>
  );
}
