import { useState } from "preact/hooks";
import { actionName } from "./actions";
import { get } from "./api";
import { useLoaded } from "./loaded";
import type { AuditEntry, Incident, Page } from "./model";
import { detailOf } from "./Records";
import { useVoice, when } from "./words";

export function Audit() {
  const { language, t } = useVoice();
  const first = useLoaded<Page<AuditEntry>>("/audit?limit=100");
  const [more, setMore] = useState<Page<AuditEntry> | null>(null);
  if (!first.value) return <p>{first.fault ?? t.loading}</p>;
  const rows = [...first.value.items, ...(more?.items ?? [])];
  const next = more ? more.next : first.value.next;
  const load = async () => {
    const page = await get<Page<AuditEntry>>(`/audit?limit=100&cursor=${next}`);
    setMore({ items: [...(more?.items ?? []), ...page.items], next: page.next });
  };
  return (
    <>
      <table class="audit">
        <thead>
          <tr>
            <th class="right">{t.number}</th>
            <th>{t.when}</th>
            <th>{t.actor}</th>
            <th>{t.action}</th>
            <th>{t.object}</th>
            <th>{t.detail}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.seq}>
              <td class="right">{row.seq}</td>
              <td class="time">{when(row.at)}</td>
              <td class="id">{row.actor.slice(0, 8)}</td>
              <td title={row.action}>{actionName(row.action, language)}</td>
              <td class="id">
                {row.object_kind} {row.object_id.slice(0, 8)}
              </td>
              <td class="detail">{detailOf(row.detail, language)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {next && (
        <button type="button" class="plain more" onClick={() => void load()}>
          {t.more}
        </button>
      )}
    </>
  );
}

export function Incidents() {
  const { t } = useVoice();
  const { value, fault } = useLoaded<Page<Incident>>("/incidents");
  if (!value) return <p>{fault ?? t.loading}</p>;
  if (!value.items.length) return <p class="muted">{t.none}</p>;
  return (
    <ul class="plain-list">
      {value.items.map((each) => (
        <li key={each.id} class="card">
          <p>{each.text}</p>
          <p class="muted small">
            {each.author} · {when(each.at)}
            {each.case_id && (
              <>
                {" · "}
                <a href={`#/case/${each.case_id}`}>{t.case}</a>
              </>
            )}
          </p>
        </li>
      ))}
    </ul>
  );
}
