// The worklist: critical first, what is due, what waits; films dropped anywhere on it become cases.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, message, write } from "./api";
import { typing } from "./App";
import type { CaseRow, Page, Session } from "./model";
import { Upload } from "./Upload";
import { age, fill, stateName, useVoice, when, type Voice } from "./words";
import { usePageKeys } from "../pagekeys";

const STATES = ["queued", "drafted", "in_review", "reported", "signed", "amended", "rejected", "failed"];
const SORTS = ["urgency", "received", "due"] as const;
const EAGER = 2_000; // ms between two looks while drafts are being made
const CALM = 15_000;
const LIMIT = 50;

export function Worklist({ session }: { session: Session }) {
  const { language, t } = useVoice();
  const [rows, setRows] = useState<CaseRow[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [state, setState] = useState("open");
  const [sort, setSort] = useState<(typeof SORTS)[number]>("urgency");
  const [asked, setAsked] = useState("");
  const [query, setQuery] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const [files, setFiles] = useState<File[] | null>(null);
  const [over, setOver] = useState(false);
  const [at, setAt] = useState(0);
  const search = useRef<HTMLInputElement>(null);
  const maySubmit = session.user.role !== "viewer";

  const load = useCallback(
    async (cursor: string | null = null) => {
      const ask = new URLSearchParams({ sort, limit: String(LIMIT), state });
      if (cursor) ask.set("cursor", cursor);
      // A patient's ID must stand in no address: what is searched for goes in a body.
      const search = { query, sort, limit: LIMIT, state: state === "open" ? "open" : "all", ...(cursor ? { cursor } : {}) };
      try {
        const page = query ? await write<Page<CaseRow>>("POST", "/cases/search", search) : await get<Page<CaseRow>>(`/cases?${ask}`);
        setRows((now) => (cursor ? [...(now ?? []), ...page.items] : page.items));
        setNext(page.next);
        setFault(null);
      } catch (error) {
        setFault(message(error, language, t.unreachable));
      }
    },
    [state, sort, query, language],
  );

  useEffect(() => void load(), [load]);
  const waiting = rows?.some((row) => row.state === "queued") ?? false;
  const paged = (rows?.length ?? 0) > LIMIT;
  useEffect(() => {
    if (paged) return;
    const timer = setInterval(() => document.hidden || void load(), waiting ? EAGER : CALM);
    return () => clearInterval(timer);
  }, [waiting, paged, load]);

  usePageKeys((event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const count = rows?.length ?? 0;
    const onLink = (event.target as HTMLElement).closest("a, button");
    const key = event.key.toLowerCase();
    if (key === "j" || key === "arrowdown") setAt(Math.min(count - 1, at + 1));
    else if (key === "k" || key === "arrowup") setAt(Math.max(0, at - 1));
    else if (key === "enter" && !onLink && rows?.[at]) location.hash = `#/case/${rows[at].id}`;
    else if (key === "/") search.current?.focus();
    else if (key === "u" && maySubmit) setFiles([]);
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    document.querySelector("tr.at")?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (dropped.length && maySubmit) setFiles(dropped);
  };

  return (
    <section
      class={`worklist ${over ? "over" : ""}`}
      aria-label={t.worklist}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => event.currentTarget === event.target && setOver(false)}
      onDrop={onDrop}
    >
      <h1 class="visually-hidden">{t.worklist}</h1>
      <form
        class="bar"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery(asked.trim());
          search.current?.blur();
        }}
      >
        <input
          ref={search}
          type="search"
          aria-label={t.searchLabel}
          placeholder={`${t.search}  /`}
          value={asked}
          autocomplete="off"
          onInput={(event) => {
            setAsked(event.currentTarget.value);
            if (!event.currentTarget.value) setQuery("");
          }}
        />
        <label>
          <span>{t.state}</span>
          <select value={state} onChange={(event) => setState(event.currentTarget.value)}>
            <option value="open">{t.openCases}</option>
            <option value="all">{t.allCases}</option>
            {STATES.map((each) => (
              <option key={each} value={each}>
                {stateName(each, t)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t.sort}</span>
          <select value={sort} onChange={(event) => setSort(event.currentTarget.value as (typeof SORTS)[number])}>
            <option value="urgency">{t.byUrgency}</option>
            <option value="due">{t.byDue}</option>
            <option value="received">{t.byReceived}</option>
          </select>
        </label>
        <span class="spacer" />
        <button type="button" class="plain" onClick={() => void load()}>
          {t.refresh}
        </button>
        {maySubmit && (
          <button type="button" class="primary" onClick={() => setFiles([])}>
            {t.upload} <kbd>U</kbd>
          </button>
        )}
      </form>
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <div class="scroll">
        <table class="cases">
          <thead>
            <tr>
              <th>{t.number}</th>
              <th>{t.flags}</th>
              <th>{t.patient}</th>
              <th>{t.study}</th>
              <th>{t.question}</th>
              <th>{t.state}</th>
              <th>{t.due}</th>
              <th>{t.reader}</th>
            </tr>
          </thead>
          <tbody>{rows?.map((row, index) => <Row key={row.id} row={row} at={index === at} onPoint={() => setAt(index)} />)}</tbody>
        </table>
        {rows?.length === 0 && (
          <div class="empty">
            <p>{t.noCases}</p>
            {maySubmit && <p class="muted">{t.noCasesHint}</p>}
          </div>
        )}
        {!rows && !fault && <p class="waiting">{t.loading}</p>}
        {next && (
          <button type="button" class="plain more" onClick={() => void load(next)}>
            {t.more}
          </button>
        )}
      </div>
      {over && <div class="drop-veil">{t.dropHere}</div>}
      {files && (
        <Upload
          files={files}
          onClose={() => {
            setFiles(null);
            void load();
          }}
        />
      )}
    </section>
  );
}

function Row({ row, at, onPoint }: { row: CaseRow; at: boolean; onPoint(): void }) {
  const voice = useVoice();
  const { language, t } = voice;
  const open = () => (location.hash = `#/case/${row.id}`);
  return (
    <tr class={`${at ? "at" : ""} ${row.critical ? "is-critical" : ""}`} onClick={open} onPointerEnter={onPoint}>
      <td class="number">
        <a href={`#/case/${row.id}`} onClick={(event) => event.stopPropagation()}>
          {row.number}
        </a>
      </td>
      <td class="flags">
        {row.critical && <span class="flag red">{t.critical}</span>}
        {!row.critical && Boolean(row.urgency) && <span class="flag amber">{fill(t.toCheck, { n: row.urgency! })}</span>}
        {row.reader_first && <span class="flag">{t.readerFirst}</span>}
        {row.badges
          .filter((badge) => !/critical|reader_first|urgent|demo|to_check/.test(badge.code))
          .map((badge) => (
            <span key={badge.code} class="flag" title={badge[language]}>
              {badge[language]}
            </span>
          ))}
      </td>
      <td>
        <span class="name">{row.patient_name || <i class="muted">{t.unnamed}</i>}</span>
        <small>{[row.patient_id, row.sex, age(row.age, language)].filter(Boolean).join(" · ")}</small>
      </td>
      <td>
        <span>{[row.modality, row.view].filter(Boolean).join(" ")}</span>
        <small>{when(row.study_at) || `${t.received} ${when(row.received_at)}`}</small>
      </td>
      <td class="asked" title={row.question ?? ""}>
        {row.question}
      </td>
      <td>{row.state === "queued" ? <Progress row={row} /> : <span class={`state ${row.state}`}>{stateName(row.state, t)}</span>}</td>
      <td>
        <Due iso={row.due_at} voice={voice} done={row.state === "signed" || row.state === "rejected"} />
      </td>
      <td>{row.claimed_by}</td>
    </tr>
  );
}

function Progress({ row }: { row: CaseRow }) {
  const { t } = useVoice();
  return (
    <label class="drafting">
      <span>
        {row.progress === null || row.progress === 0 ? t.s_queued : `${t.drafting} ${Math.round(100 * row.progress)} %`}
      </span>
      <progress max={1} value={row.progress ?? 0} />
    </label>
  );
}

function Due({ iso, voice, done }: { iso: string | null; voice: Voice; done: boolean }) {
  if (!iso) return null;
  const late = !done && new Date(iso).getTime() < Date.now();
  return (
    <span class={late ? "late" : ""}>
      {when(iso)}
      {late && <small>{voice.t.overdue}</small>}
    </span>
  );
}
