// A case under review: one queue of writes, each naming the version that the one before it left.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Problem, write, get } from "./api";
import type { CaseView, Session } from "./model";

export const EDITABLE = ["in_review", "amended"];
const CLAIMABLE = ["queued", "drafted", "failed", "in_review", "amended", "reported"];
const POLL = 1_500; // ms between two looks at a draft in the making

export interface Review {
  view: CaseView | null;
  error: unknown;
  editable: boolean;
  mine: boolean;
  takenBy: string | null; // who has it, where it is not us
  openedAt: number;
  act(method: string, path: string, body?: unknown, versioned?: boolean): Promise<CaseView>;
  reload(): Promise<CaseView>;
  takeOver(): Promise<void>;
  clearError(): void;
  setError(error: unknown): void;
}

export function useReview(id: string, session: Session): Review {
  const [view, setView] = useState<CaseView | null>(null);
  const [error, setError] = useState<unknown>(null);
  const latest = useRef<CaseView | null>(null);
  const queue = useRef<Promise<unknown>>(Promise.resolve());
  const openedAt = useRef(Date.now());
  const reader = session.user.role === "radiologist";

  const take = useCallback((next: CaseView) => {
    latest.current = next;
    setView(next);
    return next;
  }, []);
  const line = useCallback(<T,>(work: () => Promise<T>): Promise<T> => {
    const run = queue.current.then(work, work);
    queue.current = run.catch(() => undefined);
    return run;
  }, []);
  const reload = useCallback(() => line(async () => take(await get<CaseView>(`/cases/${id}`))), [id]);
  const act = useCallback(
    (method: string, path: string, body?: unknown, versioned = true) =>
      line(async () => {
        try {
          const version = versioned ? latest.current?.version : undefined;
          return take(await write<CaseView>(method, `/cases/${id}${path}`, body, version));
        } catch (fault) {
          const moved = fault instanceof Problem && (fault.status === 412 || fault.status === 409);
          if (moved) take(await get<CaseView>(`/cases/${id}`));
          throw fault;
        }
      }),
    [id],
  );
  const claim = useCallback(
    (over: boolean) => act("POST", "/open", { take_over: over }, false).then(() => undefined),
    [act],
  );

  useEffect(() => {
    const start = async () => {
      const first = await reload();
      if (reader && CLAIMABLE.includes(first.state)) await claim(false).catch(() => undefined); // the view says who has it
    };
    start().catch(setError);
    return () => {
      const last = latest.current;
      if (!last || last.claimed_by_id !== session.user.id || !CLAIMABLE.includes(last.state)) return;
      void line(() => write("POST", `/cases/${id}/release`)).catch(() => undefined); // after the last save in the queue
    };
  }, [id]);

  // A draft in the making: its progress is asked for quietly; the case is read again once it is there.
  const waiting = view !== null && !view.drafted && view.state !== "failed" && view.state !== "rejected";
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => {
      get<{ version: number; state: string }>(`/cases/${id}/progress`).then(
        (now) => {
          if (now.version !== latest.current?.version || now.state === "done") void reload().catch(() => undefined);
        },
        () => undefined,
      );
    }, POLL);
    return () => clearInterval(timer);
  }, [waiting, id]);

  const mine = view?.claimed_by_id === session.user.id;
  return {
    view,
    error,
    mine,
    editable: reader && mine && view !== null && EDITABLE.includes(view.state),
    takenBy: view?.claimed_by && !mine ? view.claimed_by : null,
    openedAt: openedAt.current,
    act,
    reload,
    takeOver: () => claim(true),
    clearError: () => setError(null),
    setError,
  };
}
