// The report as it is typed: saved within two seconds, kept here through time-outs and conflicts until it is saved.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./api";
import type { CaseView, SavedText, TwoParts } from "./model";
import type { Review } from "./review";

const QUIET = 700; // ms without a key before it is saved
const LONGEST = 1_600; // ms after the first unsaved key, typing or not
const AGAIN = 3_000; // ms before another try

export type Saving = "saved" | "unsaved" | "saving" | "failed" | "conflict";

export interface DraftText {
  parts: TwoParts;
  status: Saving;
  theirs: SavedText | null;
  edit(parts: Partial<TwoParts>): void;
  flush(): Promise<void>;
  keepMine(): void;
  takeTheirs(): void;
}

const EMPTY: TwoParts = { findings: "", impression: "" };
const same = (one: TwoParts, other: TwoParts) => one.findings === other.findings && one.impression === other.impression;
const written = (view: CaseView): TwoParts => {
  const kept = view.texts.working ?? (view.state === "signed" || view.state === "reported" ? view.texts.signed : null);
  return kept ? { findings: kept.findings, impression: kept.impression } : EMPTY;
};

export function useDraftText(review: Review): DraftText {
  const { view, editable } = review;
  const [parts, setParts] = useState<TwoParts>(EMPTY);
  const [status, setStatus] = useState<Saving>("saved");
  const [theirs, setTheirs] = useState<SavedText | null>(null);
  const now = useRef(parts);
  const base = useRef<TwoParts | null>(null); // what the server had when we last agreed
  const dirtySince = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const busy = useRef<Promise<void> | null>(null);
  const open = useRef(editable);
  open.current = editable;
  const act = useRef(review.act);
  act.current = review.act;

  const show = (next: TwoParts) => {
    now.current = next;
    setParts(next);
  };
  const dirty = () => base.current !== null && !same(now.current, base.current);

  // What the server has: taken over where nothing here waits; a conflict where both changed.
  useEffect(() => {
    if (!view) return;
    const server = written(view);
    if (base.current === null || (!dirty() && !busy.current)) {
      base.current = server;
      show(server);
    } else if (!busy.current && !same(server, base.current) && !same(server, now.current)) {
      setTheirs(view.texts.working);
      setStatus("conflict");
    }
  }, [view]);

  const save = useCallback((): Promise<void> => {
    clearTimeout(timer.current);
    if (busy.current) return busy.current.then(() => (dirty() ? save() : undefined));
    if (!dirty() || !open.current) return Promise.resolve();
    const sent = now.current;
    setStatus("saving");
    const attempt = async (again: boolean): Promise<void> => {
      try {
        await act.current("PUT", "/text", { findings_text: sent.findings, impression_text: sent.impression });
        base.current = sent;
        dirtySince.current = 0;
        setStatus(dirty() ? "unsaved" : "saved");
        if (dirty()) plan();
      } catch (fault) {
        const stale = fault instanceof Problem && (fault.status === 412 || fault.status === 409);
        if (stale && again) {
          // The version moved on: another's words, or only a draft that came meanwhile?
          const server = latest.current;
          const kept = server ? written(server) : EMPTY;
          if (server && base.current && same(kept, base.current) && open.current) return attempt(false);
          setTheirs(server?.texts.working ?? null);
          setStatus("conflict");
          return;
        }
        setStatus("failed");
        timer.current = setTimeout(() => void save(), AGAIN);
      }
    };
    busy.current = attempt(true).finally(() => {
      busy.current = null;
    });
    return busy.current;
  }, []);
  const latest = useRef<CaseView | null>(null);
  latest.current = view;

  const plan = () => {
    clearTimeout(timer.current);
    const waited = dirtySince.current ? Date.now() - dirtySince.current : 0;
    timer.current = setTimeout(() => void save(), Math.max(0, Math.min(QUIET, LONGEST - waited)));
  };
  const edit = (change: Partial<TwoParts>) => {
    show({ ...now.current, ...change });
    if (status === "conflict") return;
    if (!dirtySince.current) dirtySince.current = Date.now();
    setStatus("unsaved");
    plan();
  };

  useEffect(() => {
    const leaving = (event: BeforeUnloadEvent) => {
      if (dirty()) event.preventDefault();
    };
    window.addEventListener("beforeunload", leaving);
    return () => {
      window.removeEventListener("beforeunload", leaving);
      void save();
    };
  }, []);

  return {
    parts,
    status,
    theirs,
    edit,
    flush: save,
    keepMine: () => {
      base.current = theirs ?? EMPTY;
      setTheirs(null);
      setStatus("unsaved");
      void save();
    },
    takeTheirs: () => {
      const next = { findings: theirs?.findings ?? "", impression: theirs?.impression ?? "" };
      base.current = next;
      show(next);
      setTheirs(null);
      setStatus("saved");
    },
  };
}
