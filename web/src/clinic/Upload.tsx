// New cases: films by drag and drop or choice, with what is asked and what is known of the patient.

import { useRef, useState } from "preact/hooks";
import type { Language } from "../data";
import { freshKey, message, send } from "./api";
import { Dialog } from "./Dialog";
import { fill, SAY, useVoice } from "./words";

interface Item {
  file: File;
  key: string; // Idempotency-Key of this attempt
  told: string | null;
  failed: boolean;
}

const itemOf = (file: File): Item => ({ file, key: freshKey(), told: null, failed: false });

export function Upload({ files, onClose }: { files: File[]; onClose(): void }) {
  const { language, t } = useVoice();
  const [items, setItems] = useState<Item[]>(() => files.map(itemOf));
  const [reportLanguage, setReportLanguage] = useState<Language>(language);
  const [question, setQuestion] = useState(""); // the model's usual one where empty
  const [clinical, setClinical] = useState("");
  const [patientId, setPatientId] = useState("");
  const [due, setDue] = useState("");
  const [together, setTogether] = useState(false);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const left = items.filter((item) => item.told === null || item.failed);

  const post = async (batch: Item[]) => {
    const form = new FormData();
    for (const item of batch) form.append("files", item.file, item.file.name.replace(/.*(\.\w{1,5})$/, "film$1"));
    if (question.trim()) form.append("question", question);
    form.append("language", reportLanguage);
    if (clinical) form.append("clinical_information", clinical);
    if (patientId) form.append("patient_id", patientId);
    if (due) form.append("due_at", new Date(due).toISOString());
    let told: string;
    let failed = false;
    try {
      const answer = await send("/cases", { method: "POST", body: form, headers: { "Idempotency-Key": batch[0]!.key } });
      const made = (await answer.json()) as { number: number };
      told = fill(t.accepted, { n: made.number });
    } catch (error) {
      told = message(error, language, t.unreachable);
      failed = true;
    }
    setItems((now) => now.map((item) => (batch.some((one) => one.key === item.key) ? { ...item, told, failed } : item)));
    return !failed;
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const batches = together ? [left] : left.map((item) => [item]);
    let whole = true;
    for (const batch of batches) whole = (await post(batch)) && whole;
    setBusy(false);
    if (whole) setTimeout(onClose, 500);
  };
  const take = (more: File[]) => setItems((now) => [...now, ...more.map(itemOf)]);

  return (
    <Dialog title={t.upload} wide onClose={onClose}>
      <form class="upload" onSubmit={(event) => void submit(event)}>
        <div
          class={`drop ${over ? "over" : ""}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            event.stopPropagation();
            setOver(false);
            take([...(event.dataTransfer?.files ?? [])]);
          }}
        >
          <strong>{t.dropHere}</strong>
          <span class="muted">{t.dropHint}</span>
          <button type="button" onClick={() => chooser.current?.click()}>
            {t.choose}
          </button>
          <input
            ref={chooser}
            type="file"
            multiple
            hidden
            aria-label={t.choose}
            onChange={(event) => {
              take([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </div>
        {items.length > 0 && (
          <ul class="files">
            {items.map((item) => (
              <li key={item.key}>
                <span class="name">{item.file.name}</span>
                <small>{(item.file.size / 1e6).toFixed(1)} MB</small>
                {item.told && (
                  <span class={item.failed ? "fault" : "good"} role="status">
                    {item.told}
                  </span>
                )}
                {item.told === null && (
                  <button type="button" class="plain" onClick={() => setItems(items.filter((one) => one !== item))}>
                    {t.remove}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
        {items.length > 1 && (
          <fieldset class="choices">
            <label>
              <input type="radio" name="cases" checked={!together} onChange={() => setTogether(false)} /> {t.eachCase}
            </label>
            <label>
              <input type="radio" name="cases" checked={together} onChange={() => setTogether(true)} /> {t.oneCase}
            </label>
          </fieldset>
        )}
        <label>
          <span>{t.question}</span>
          <input
            value={question}
            maxLength={500}
            placeholder={SAY[reportLanguage].defaultQuestion}
            onInput={(event) => setQuestion(event.currentTarget.value)}
          />
        </label>
        <label>
          <span>{t.clinicalInformation}</span>
          <textarea rows={2} maxLength={2000} value={clinical} onInput={(event) => setClinical(event.currentTarget.value)} />
        </label>
        <div class="three">
          <label>
            <span>{t.reportLanguage}</span>
            <select value={reportLanguage} onChange={(event) => setReportLanguage(event.currentTarget.value as Language)}>
              <option value="en">English</option>
              <option value="zh">中文</option>
            </select>
          </label>
          <label>
            <span>{t.patientId}</span>
            <input
              value={patientId}
              autocomplete="off"
              title={t.patientIdHint}
              placeholder={t.patientIdHint}
              onInput={(event) => setPatientId(event.currentTarget.value)}
            />
          </label>
          <label>
            <span>{t.dueAt}</span>
            <input type="datetime-local" value={due} onInput={(event) => setDue(event.currentTarget.value)} />
          </label>
        </div>
        <div class="actions">
          <button type="button" class="plain" onClick={onClose}>
            {t.cancel}
          </button>
          <button type="submit" class="primary" disabled={busy || !left.length}>
            {busy ? t.sending : t.send}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
