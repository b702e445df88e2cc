// Returning, rejecting, amending: each with its reason.

import { useState } from "preact/hooks";
import { message } from "./api";
import { Dialog } from "./Dialog";
import { useVoice } from "./words";

interface Props {
  title: string;
  hint: string;
  needed: boolean;
  onClose(): void;
  onSubmit(reason: string | null): Promise<unknown>;
}

export function ReasonDialog({ title, hint, needed, onClose, onSubmit }: Props) {
  const { language, t } = useVoice();
  const [reason, setReason] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    onSubmit(reason.trim() || null).then(onClose, (error) => setFault(message(error, language, t.unreachable)));
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <p class="muted">{hint}</p>
        <label>
          <span>{t.reason}</span>
          <textarea rows={3} required={needed} maxLength={2000} value={reason} autofocus onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        {fault && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <div class="actions">
          <button type="button" class="plain" onClick={onClose}>
            {t.cancel}
          </button>
          <button type="submit" class="primary">
            {title}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
