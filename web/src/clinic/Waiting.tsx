// Before the AI is shown: its draft in the making, one key to show it, or the reader's own impression first.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import type { CaseView } from "./model";
import { useVoice } from "./words";

interface Props {
  view: CaseView;
  mayRead: boolean;
  onReveal(): void;
  onOwn(text: string): void;
  onRerun(): void;
}

export function Waiting({ view, mayRead, onReveal, onOwn, onRerun }: Props) {
  const { t } = useVoice();
  const [own, setOwn] = useState("");
  const first = view.reader_first && !view.texts.own_impression;
  if (view.state === "rejected" || (view.state === "signed" && !view.drafted)) return null;
  return (
    <section class="hidden-ai" aria-label={t.ai}>
      {!view.drafted && view.state !== "failed" && <Progress id={view.id} />}
      {view.state === "failed" && (
        <div class="row">
          <p>{t.draftFailed}</p>
          <button type="button" onClick={onRerun}>
            {t.rerun}
          </button>
        </div>
      )}
      {first && mayRead ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (own.trim()) onOwn(own);
          }}
        >
          <h2>{t.ownFirst}</h2>
          <p class="muted">{t.ownHint}</p>
          <label>
            <span class="visually-hidden">{t.ownImpression}</span>
            <textarea
              name="own"
              rows={3}
              required
              maxLength={20_000}
              value={own}
              onInput={(event) => setOwn(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
                if (event.key === "Escape") event.currentTarget.blur();
              }}
            />
          </label>
          <div class="actions">
            <button type="submit" class="primary" disabled={!view.drafted}>
              {t.ownSave} <kbd>Ctrl ⏎</kbd>
            </button>
          </div>
        </form>
      ) : (
        view.drafted && (
          <div class="veil">
            <h2>{t.aiHidden}</h2>
            <p class="muted">{t.aiHiddenHint}</p>
            {mayRead && (
              <button type="button" class="primary" onClick={onReveal}>
                {t.showAi} <kbd>A</kbd>
              </button>
            )}
          </div>
        )
      )}
    </section>
  );
}

function Progress({ id }: { id: string }) {
  const { t } = useVoice();
  const [now, setNow] = useState<{ progress: number | null; note: string | null } | null>(null);
  useEffect(() => {
    const look = () =>
      get<{ progress: number | null; note: string | null }>(`/cases/${id}/progress`).then(setNow, () => undefined);
    void look();
    const timer = setInterval(() => void look(), 1_000);
    return () => clearInterval(timer);
  }, [id]);
  return (
    <label class="drafting big">
      <span>
        {t.drafting} {now?.progress ? `${Math.round(100 * now.progress)} %` : "…"} {now?.note ? <small>{now.note}</small> : null}
      </span>
      <progress max={1} value={now?.progress ?? 0} />
      <small class="muted">{t.reportByHand}</small>
    </label>
  );
}
