// What happened to the case, and what left the house.

import { useEffect, useState } from "preact/hooks";
import { actionName, isRead } from "./actions";
import { get, message, write } from "./api";
import type { CaseView, Destination, ExportRow, HistoryEntry } from "./model";
import { useVoice, when } from "./words";

export function History({ view }: { view: CaseView }) {
  const { language, t } = useVoice();
  const [rows, setRows] = useState<HistoryEntry[] | null>(null);
  const [reads, setReads] = useState(false);
  useEffect(() => {
    get<{ items: HistoryEntry[] }>(`/cases/${view.id}/history`).then((page) => setRows(page.items), () => setRows([]));
  }, [view.version]);
  return (
    <div class="history">
      {view.signatures.length > 0 && (
        <section>
          <h2>{t.signatures}</h2>
          <ul class="plain-list">
            {view.signatures.map((each) => (
              <li key={each.at}>
                {each.user} · {t[each.step as "reporting"]} · {when(each.at)} · {t.edition} {each.edition}
              </li>
            ))}
          </ul>
        </section>
      )}
      {(view.reasons ?? []).length > 0 && (
        <section>
          <h2>{t.reason}</h2>
          <ul class="plain-list">
            {view.reasons!.map((each) => (
              <li key={each.at}>
                {each.reason} · {each.author} · {when(each.at)}
              </li>
            ))}
          </ul>
        </section>
      )}
      {view.texts.own_impression && (
        <section>
          <h2>{t.ownImpression}</h2>
          <p>{view.texts.own_impression.impression || view.texts.own_impression.findings}</p>
        </section>
      )}
      <div class="row">
        <h2>{t.history}</h2>
        <label class="check small">
          <input type="checkbox" checked={reads} onChange={() => setReads(!reads)} /> {t.showReads}
        </label>
      </div>
      {rows === null ? (
        <p>{t.loading}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>{t.when}</th>
              <th>{t.who}</th>
              <th>{t.what}</th>
              <th>{t.detail}</th>
            </tr>
          </thead>
          <tbody>
            {rows.filter((row) => reads || !isRead(row.action)).map((row, i) => (
              <tr key={i}>
                <td class="time">{when(row.at)}</td>
                <td class="who">{row.actor}</td>
                <td>{actionName(row.action, language)}</td>
                <td class="detail">{detailOf(row.detail, language)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

export function detailOf(detail: unknown, language: "en" | "zh"): string {
  if (detail === null || detail === undefined) return "";
  if (typeof detail !== "object") return String(detail);
  const pair = detail as Record<string, unknown>;
  if (typeof pair[language] === "string") return pair[language];
  return Object.entries(pair)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(" · ")
    .replace(/\b([0-9a-f]{8})[0-9a-f]{24,}\b/g, "$1…");
}

export function Exports({ view, may }: { view: CaseView; may: boolean }) {
  const { language, t } = useVoice();
  const [rows, setRows] = useState<ExportRow[]>([]);
  const [places, setPlaces] = useState<Destination[]>([]);
  const [place, setPlace] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const ready = view.editions > 0 || view.state === "signed" || view.state === "reported";
  const load = () => get<{ items: ExportRow[] }>(`/cases/${view.id}/exports`).then((page) => setRows(page.items), () => undefined);
  useEffect(() => {
    void load();
    if (may) get<{ items: Destination[] }>("/destinations").then((page) => setPlaces(page.items), () => undefined);
    const timer = setInterval(() => void load(), 3_000);
    return () => clearInterval(timer);
  }, [view.id, view.version]);
  const submit = (event: Event) => {
    event.preventDefault();
    setFault(null);
    write("POST", `/cases/${view.id}/exports`, { destination: place || null }).then(load, (error) =>
      setFault(message(error, language, t.unreachable)),
    );
  };
  return (
    <div class="exports">
      {!ready && <p class="muted">{t.exportAfterSigning}</p>}
      {view.demo && <p class="muted small">{t.demoExport}</p>}
      {ready && may && (
        <form class="row" onSubmit={submit}>
          <label>
            <span>{t.destination}</span>
            <select value={place} onChange={(event) => setPlace(event.currentTarget.value)}>
              <option value="">{t.onlyHere}</option>
              {places
                .filter((each) => each.enabled)
                .map((each) => (
                  <option key={each.name} value={each.name}>
                    {each.name} ({each.kind})
                  </option>
                ))}
            </select>
          </label>
          <button type="submit" class="primary">
            {t.exportNow}
          </button>
        </form>
      )}
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      {rows.length ? (
        <table>
          <thead>
            <tr>
              <th>{t.kind}</th>
              <th>{t.edition}</th>
              <th>{t.state}</th>
              <th>{t.destination}</th>
              <th>{t.when}</th>
              <th>{t.download}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id}>
                <td>{row.kind}</td>
                <td>{row.edition}</td>
                <td>
                  {row.state}
                  {row.error && <small class="fault">{row.error}</small>}
                </td>
                <td>{row.destination ?? "—"}</td>
                <td class="time">{when(row.sent_at ?? row.created_at)}</td>
                <td>
                  {may && (
                    <a href={`/api/v1/cases/${view.id}/exports/${row.id}`} download>
                      {t.download}
                    </a>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="muted">{t.noExports}</p>
      )}
    </div>
  );
}
