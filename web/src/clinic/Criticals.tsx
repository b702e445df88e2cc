// 危急值: who told whom, when, and whether it was read back; listed until it is complete.

import { useState } from "preact/hooks";
import type { Critical } from "./model";
import { localNow, term, useVoice, when } from "./words";

interface Props {
  records: Critical[];
  me: string;
  editable: boolean;
  onRecord(record: Critical, call: { caller: string; receiver: string; at: string; read_back: boolean }): void;
}

export function Criticals({ records, me, editable, onRecord }: Props) {
  const { language, t } = useVoice();
  if (!records.length) return null;
  return (
    <section class="criticals" aria-label={t.criticals}>
      <h2>{t.criticals}</h2>
      {records.map((record) => (
        <div key={record.id} class={`critical ${record.completed_at ? "complete" : ""}`}>
          <div class="row">
            <strong>
              {record.side ? `${term(record.side, t)} · ` : ""}
              {record.name[language]}
            </strong>
            <span class={record.completed_at ? "good" : "late"}>{record.completed_at ? t.completed : t.open}</span>
          </div>
          {record.completed_at ? (
            <p class="small">
              {record.caller} → {record.receiver} · {when(record.at)} · {t.readBack}
            </p>
          ) : (
            editable && <Call key={record.id} me={record.caller ?? me} record={record} onRecord={onRecord} />
          )}
        </div>
      ))}
    </section>
  );
}

function Call({ record, me, onRecord }: { record: Critical; me: string; onRecord: Props["onRecord"] }) {
  const { t } = useVoice();
  const [caller, setCaller] = useState(me);
  const [receiver, setReceiver] = useState(record.receiver ?? "");
  const [at, setAt] = useState(localNow());
  const [readBack, setReadBack] = useState(false);
  return (
    <form
      class="call"
      onSubmit={(event) => {
        event.preventDefault();
        onRecord(record, { caller, receiver, at: new Date(at).toISOString(), read_back: readBack });
      }}
    >
      <label>
        <span>{t.caller}</span>
        <input required value={caller} onInput={(event) => setCaller(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t.receiver}</span>
        <input required value={receiver} onInput={(event) => setReceiver(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t.callAt}</span>
        <input type="datetime-local" required value={at} onInput={(event) => setAt(event.currentTarget.value)} />
      </label>
      <label class="check">
        <input type="checkbox" checked={readBack} onChange={() => setReadBack(!readBack)} /> {t.readBack}
      </label>
      <button type="submit" class="primary">
        {t.complete}
      </button>
    </form>
  );
}
