// How the drafts do here, from what readers decided: the site as a whole, never a person.

import { useLoaded } from "./loaded";
import type { Panel, Times } from "./model";
import { percent, useVoice } from "./words";

function span(seconds: number | null): string {
  if (seconds === null) return "–";
  return seconds < 120 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`;
}

export function Performance() {
  const { language, t } = useVoice();
  const { value: panel, fault } = useLoaded<Panel>("/performance");
  if (!panel) return <p>{fault ?? t.loading}</p>;
  const time = (name: string, times: Times) => (
    <div class="tile">
      <span class="muted">{name}</span>
      <strong>{span(times.median)}</strong>
      <small class="muted">
        {times.lower_quartile !== null && `${t.median} · ${t.quartiles} ${span(times.lower_quartile)}–${span(times.upper_quartile)} · `}
        n = {times.count}
      </small>
    </div>
  );
  return (
    <>
      <p class="muted">{t.performanceHint}</p>
      <div class="tiles">
        <div class="tile">
          <span class="muted">{t.casesSigned}</span>
          <strong>{panel.cases_signed}</strong>
        </div>
        {time(t.timeToDraft, panel.time_to_draft)}
        {time(t.timeToSign, panel.time_to_sign)}
      </div>
      <h3>{t.drift}</h3>
      {panel.drift.length ? (
        <ul class="plain-list">
          {panel.drift.map((each) => (
            <li key={each.code} class="caution">
              {each.notice[language]}
            </li>
          ))}
        </ul>
      ) : (
        <p class="muted">{t.noDrift}</p>
      )}
      <h3>{t.findings}</h3>
      {panel.outcomes.length ? (
        <table>
          <thead>
            <tr>
              <th>{t.code}</th>
              <th class="right">{t.ruledOn}</th>
              <th class="right">{t.acceptedRate}</th>
              <th class="right">{t.changedRate}</th>
              <th class="right">{t.rejectedRate}</th>
              <th class="right">{t.missed}</th>
              <th>{t.overrideRate}</th>
              <th>{t.interval}</th>
            </tr>
          </thead>
          <tbody>
            {panel.outcomes.map((row) => (
              <tr key={row.code}>
                <td>{row[language]}</td>
                <td class="right">{row.ruled}</td>
                <td class="right">{row.accepted}</td>
                <td class="right">{row.changed}</td>
                <td class="right">{row.rejected}</td>
                <td class="right">{row.missed}</td>
                {row.ruled ? (
                  <>
                    <td>
                      <meter min={0} max={1} value={row.rate} aria-label={`${t.overrideRate}: ${row[language]}`} /> {percent(row.rate)}
                    </td>
                    <td>
                      {percent(row.interval[0])}–{percent(row.interval[1])}
                    </td>
                  </>
                ) : (
                  <>
                    <td>–</td>
                    <td>–</td>
                  </>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="muted">{t.noData}</p>
      )}
      {panel.groups.length > 0 && (
        <>
          <table>
            <thead>
              <tr>
                <th>{t.group}</th>
                <th>{t.value}</th>
                <th class="right">{t.ruledOn}</th>
                <th>{t.overrideRate}</th>
              </tr>
            </thead>
            <tbody>
              {panel.groups.map((row) => (
                <tr key={`${row.attribute} ${row.value}`}>
                  <td>{row.attribute}</td>
                  <td>{row.value || "—"}</td>
                  <td class="right">{row.ruled}</td>
                  <td>{row.rate === null ? "–" : percent(row.rate)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p class="muted small">{t.fewHint}</p>
        </>
      )}
    </>
  );
}
