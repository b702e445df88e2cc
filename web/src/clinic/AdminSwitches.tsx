// The site's switches: paused models, read-first, two signatures, and the list of critical findings.

import { useEffect, useState } from "preact/hooks";
import { get, write } from "./api";
import { useLoaded } from "./loaded";
import type { CriticalEntry, Session, Switches, VocabularyCode } from "./model";
import { useVoice } from "./words";

export function SwitchPanel() {
  const { t } = useVoice();
  const switches = useLoaded<Switches>("/switches");
  const [model, setModel] = useState("");
  const [reason, setReason] = useState("");
  useEffect(() => {
    get<Session>("/session").then((session) => setModel(session.model), () => undefined);
  }, []);
  const set = (key: keyof Switches, value: object) => switches.run(write("PUT", "/switches", { key, value }));
  const now = switches.value;
  if (!now) return <p>{switches.fault ?? t.loading}</p>;
  const paused = Object.entries(now.paused.models);
  return (
    <>
      {switches.fault && (
        <p class="fault" role="alert">
          {switches.fault}
        </p>
      )}
      <div class="card">
        <h3>{t.paused}</h3>
        <p class="muted small">{t.pauseHint}</p>
        <ul class="plain-list">
          {paused.map(([name, why]) => (
            <li key={name} class="row">
              <span>
                <strong>{name}</strong> · {why}
              </span>
              <button type="button" onClick={() => void set("paused", { models: Object.fromEntries(paused.filter(([each]) => each !== name)) })}>
                {t.resume}
              </button>
            </li>
          ))}
        </ul>
        <form
          class="fields"
          onSubmit={(event) => {
            event.preventDefault();
            void set("paused", { models: { ...now.paused.models, [model]: reason } }).then((done) => done && setReason(""));
          }}
        >
          <label>
            <span>{t.model}</span>
            <input required value={model} onInput={(event) => setModel(event.currentTarget.value)} />
          </label>
          <label>
            <span>{t.reasonForPause}</span>
            <input required value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
          <button type="submit" class="danger">
            {t.pause}
          </button>
        </form>
      </div>
      <div class="card">
        <label class="check">
          <input type="checkbox" checked={now.reader_first.value} onChange={() => void set("reader_first", { value: !now.reader_first.value })} />{" "}
          {t.readerFirstSwitch}
        </label>
        <label class="check">
          <input type="checkbox" checked={now.two_signatures.value} onChange={() => void set("two_signatures", { value: !now.two_signatures.value })} />{" "}
          {t.twoSignatures}
        </label>
      </div>
      <CriticalList key={JSON.stringify(now.critical)} entries={now.critical.entries} onSave={(entries) => void set("critical", { entries })} />
    </>
  );
}

const split = (text: string) => text.split(/[,，、\s]+/).filter(Boolean);

function CriticalList({ entries, onSave }: { entries: CriticalEntry[]; onSave(entries: CriticalEntry[]): void }) {
  const { language, t } = useVoice();
  const [rows, setRows] = useState(() => entries.map((entry) => ({ ...entry, wordsText: entry.words.join("，") })));
  const [codes, setCodes] = useState<VocabularyCode[]>([]);
  useEffect(() => {
    get<{ items: VocabularyCode[] }>("/vocabulary").then((page) => setCodes(page.items), () => undefined);
  }, []);
  const put = (index: number, change: object) => setRows(rows.map((row, i) => (i === index ? { ...row, ...change } : row)));
  const field = (index: number, label: string, value: string, change: (text: string) => object) => (
    <td>
      <input aria-label={`${label} ${index + 1}`} value={value} onInput={(event) => put(index, change(event.currentTarget.value))} />
    </td>
  );
  const save = (event: Event) => {
    event.preventDefault();
    onSave(rows.map(({ wordsText, ...row }) => ({ ...row, words: wordsText.split(/[,，、]/).map((word) => word.trim()).filter(Boolean) })));
  };
  return (
    <form class="card" onSubmit={save}>
      <h3>{t.criticalList}</h3>
      <div class="scroll-x">
        <table class="editable">
          <thead>
            <tr>
              <th>{t.code}</th>
              <th>{t.nameEn}</th>
              <th>{t.nameZh}</th>
              <th>{t.severities}</th>
              <th>{t.zones}</th>
              <th>{t.mustContain}</th>
              <th>
                <span class="visually-hidden">{t.delete}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                <td>
                  <select aria-label={`${t.code} ${index + 1}`} value={row.code} onChange={(event) => put(index, { code: event.currentTarget.value })}>
                    {codes.map((each) => (
                      <option key={each.code} value={each.code}>
                        {each[language]}
                      </option>
                    ))}
                  </select>
                </td>
                {field(index, t.nameEn, row.en, (en) => ({ en }))}
                {field(index, t.nameZh, row.zh, (zh) => ({ zh }))}
                {field(index, t.severities, row.severities.join(" "), (text) => ({ severities: split(text) }))}
                {field(index, t.zones, row.zones.join(" "), (text) => ({ zones: split(text) }))}
                {field(index, t.mustContain, row.wordsText, (wordsText) => ({ wordsText }))}
                <td>
                  <button type="button" class="plain" aria-label={`${t.delete} ${index + 1}`} onClick={() => setRows(rows.filter((_, i) => i !== index))}>
                    ✕
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="actions">
        <button
          type="button"
          onClick={() => setRows([...rows, { code: codes[0]?.code ?? "pneumothorax", en: "", zh: "", severities: [], zones: [], words: [], wordsText: "" }])}
        >
          {t.addRow}
        </button>
        <button type="submit" class="primary">
          {t.save}
        </button>
      </div>
    </form>
  );
}
